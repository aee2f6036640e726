"""The proxy as deploy/nginx.conf has it, in front of a server that records what gets through."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from pathlib import Path

import pytest
import requests

from cds_service.demo import local_session
from proxy.servers import Proxy, Recorder, running_proxy, talk

LIMIT = 10_000_000
TIMEOUT = 20
SERVICE = "/cds-services/leg-weakness-patient-view"


def call(proxy: Proxy, tls: Path, method: str, path: str, **options: object) -> requests.Response:
    with local_session() as session:
        return session.request(method, proxy.url + path, timeout=TIMEOUT, verify=str(tls / "ca.pem"), **options)  # type: ignore[arg-type]


def raw(proxy: Proxy, trusting: ssl.SSLContext, target: str) -> bytes:
    """The status line that a target gets, sent as it is written here."""
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return talk(proxy, trusting, head.encode("latin-1")).partition(b"\r\n")[0]


def text_of(answer: requests.Response) -> str:
    outcome = json.loads(answer.content)
    assert (answer.headers["Content-Type"], outcome["resourceType"]) == ("application/json", "OperationOutcome")
    return str(outcome["issue"][0]["details"]["text"])


def test_SEC_01_http_is_refused_and_nothing_of_it_gets_through(proxy: Proxy, recorder: Recorder) -> None:
    for method, path in (("GET", "/cds-services"), ("POST", SERVICE), ("GET", "/health/live")):
        with local_session() as session:
            answer = session.request(method, f"http://127.0.0.1:{proxy.plain_port}{path}", timeout=TIMEOUT)
        assert (answer.status_code, text_of(answer)) == (403, "Only https is answered here.")
        assert answer.history == []
    assert recorder.heard == []


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_SEC_01_TLS_1_2_and_1_3_are_spoken(version: str, proxy: Proxy, tls: Path) -> None:
    context = ssl.create_default_context(cafile=str(tls / "ca.pem"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert talk(proxy, context, head).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_SEC_01_older_versions_of_TLS_are_refused_by_the_proxy(version: str, proxy: Proxy, tls: Path) -> None:
    context = ssl.create_default_context(cafile=str(tls / "ca.pem"))
    context.set_ciphers("ALL:@SECLEVEL=0")  # without it the client itself would refuse
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):  # the word of the server
        talk(proxy, context, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/cds-services"),
        ("GET", "/cds-services/"),
        ("OPTIONS", "/cds-services"),
        ("POST", SERVICE),
        ("POST", SERVICE + "/"),
        ("OPTIONS", SERVICE),
        ("POST", SERVICE + "/feedback"),
        ("GET", "/openapi.json"),
        ("GET", "/health/live"),
    ],
)
def test_what_a_client_needs_is_reachable(method: str, path: str, proxy: Proxy, recorder: Recorder, tls: Path) -> None:
    answer = call(proxy, tls, method, path)
    assert answer.status_code == 200
    assert [(heard.method, heard.target) for heard in recorder.heard] == [(method, path)]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "nginx/" not in answer.headers["Server"]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/metrics",
        "/metrics/",
        "//metrics",
        "/./metrics",
        "/%6detrics",
        "/metrics%2f",
        "/metrics;x=1",
        "/metrics?/cds-services",
        "/metrics#/../cds-services",
        "/METRICS",
        "/health/ready",
        "/health/live/../ready",
        "/health//ready",
        "/health/%72eady",
        "/cds-services/../metrics",
        "/cds-services/%2e%2e/metrics",
        "/cds-services/x/..%2f..%2fmetrics",
        "/cds-services/a/feedback/b",
        "/cds-services/a%2fb/feedback",
        "/cds-services/a%0ab",
        "/cds-servicesx",
        "/openapi.json/../metrics",
        "https://localhost/metrics",
        "http://localhost/health/ready",
    ],
)
def test_no_other_address_is_reachable_however_it_is_spelled(
    target: str, proxy: Proxy, recorder: Recorder, trusting: ssl.SSLContext
) -> None:
    assert raw(proxy, trusting, target) in (b"HTTP/1.1 404 Not Found", b"HTTP/1.1 400 Bad Request")
    assert recorder.heard == []


def test_an_unknown_address_is_refused_with_an_outcome(proxy: Proxy, tls: Path) -> None:
    assert text_of(call(proxy, tls, "GET", "/metrics")).startswith("Nothing has this address.")


def test_the_token_and_the_host_get_through_and_what_a_client_says_of_proxies_does_not(
    proxy: Proxy, recorder: Recorder, tls: Path
) -> None:
    claimed = {
        "Forwarded": "for=10.0.0.1;host=evil.example;proto=http",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "81",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Protocol": "plain",
        "X-Forwarded-Server": "evil.example",
        "X-Forwarded-Ssl": "off",
        "X-Real-IP": "10.0.0.1",
        "SCRIPT_NAME": "/evil",
    }
    answer = call(proxy, tls, "POST", SERVICE, data=b"{}", headers={**claimed, "Authorization": "Bearer a.b.c"})
    assert answer.status_code == 200
    (heard,) = recorder.heard
    assert heard.headers["authorization"] == "Bearer a.b.c"
    assert heard.headers["host"] == f"localhost:{proxy.port}"
    told = {name: value for name, value in heard.headers.items() if name in {one.lower() for one in claimed}}
    assert told == {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https"}


def test_a_long_token_gets_through_so_that_the_service_refuses_it(proxy: Proxy, recorder: Recorder, tls: Path) -> None:
    token = "Bearer " + "a" * 16_000
    assert call(proxy, tls, "GET", "/cds-services", headers={"Authorization": token}).status_code == 200
    assert recorder.heard[0].headers["authorization"] == token


def test_the_service_sees_a_slow_body_when_it_is_whole(
    proxy: Proxy, recorder: Recorder, tls: Path, trusting: ssl.SSLContext
) -> None:
    head = f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 8\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as slow,
    ):
        slow.sendall(head.encode() + b'{"a"')
        for _ in range(20):
            assert call(proxy, tls, "GET", "/cds-services").status_code == 200
        assert {heard.method for heard in recorder.heard} == {"GET"}
        slow.sendall(b": 1}")
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
    assert recorder.heard[-1].body == b'{"a": 1}'


def test_a_body_of_the_longest_length_gets_through_and_no_disk_sees_it(
    proxy: Proxy, recorder: Recorder, tls: Path
) -> None:
    body = b" " * LIMIT
    assert call(proxy, tls, "POST", SERVICE, data=body).status_code == 200
    assert call(proxy, tls, "POST", SERVICE, data=(body[at : at + 100_000] for at in range(0, LIMIT, 100_000))).ok
    assert [len(heard.body) for heard in recorder.heard] == [LIMIT, LIMIT]
    assert "temporary file" not in proxy.error_log.read_text()


def test_a_longer_body_is_refused_with_413(proxy: Proxy, recorder: Recorder, tls: Path) -> None:
    answer = call(proxy, tls, "POST", SERVICE, data=b" " * (LIMIT + 1))
    assert (answer.status_code, text_of(answer)) == (413, "The body is longer than this service takes.")
    assert recorder.heard == []


def test_a_longer_body_in_chunks_is_refused_with_413(
    proxy: Proxy, recorder: Recorder, trusting: ssl.SSLContext
) -> None:
    head = f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = talk(proxy, trusting, f"{head}{LIMIT + 1:x}\r\n ".encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"OperationOutcome" in answer
    assert recorder.heard == []


def test_one_address_cannot_take_all_the_memory_with_bodies_that_it_does_not_end(
    proxy: Proxy, tls: Path, trusting: ssl.SSLContext
) -> None:
    head = f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LIMIT}\r\n\r\n".encode()
    with contextlib.ExitStack() as slow:
        for _ in range(32):
            plain = slow.enter_context(socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT))
            slow.enter_context(trusting.wrap_socket(plain, server_hostname="localhost")).sendall(head + b"{")
        answer = until(429, proxy, tls)
        assert text_of(answer) == "Too many calls at a time."
        assert answer.headers["Retry-After"] == "1"
    until(200, proxy, tls)


def until(status: int, proxy: Proxy, tls: Path) -> requests.Response:
    """The first answer of discovery with this status."""
    deadline = time.monotonic() + TIMEOUT
    while (answer := call(proxy, tls, "GET", "/cds-services")).status_code != status:
        assert time.monotonic() < deadline, answer.status_code
    return answer


def test_a_long_answer_touches_no_disk(tls: Path) -> None:
    answer = b"[" + b" " * 5_000_000 + b"]"
    with Recorder(answer).listening() as recorder, running_proxy(tls, recorder.port) as proxy:
        assert call(proxy, tls, "POST", SERVICE, data=b"{}").content == answer
        assert "temporary file" not in proxy.error_log.read_text()


def test_a_service_that_is_away_is_503_with_a_time_to_come_back(tls: Path) -> None:
    with Recorder().listening() as recorder:
        port = recorder.port
    with running_proxy(tls, port) as proxy:
        answer = call(proxy, tls, "POST", SERVICE, data=b"{}")
    assert (answer.status_code, text_of(answer)) == (503, "The service does not answer now.")
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


def test_the_log_joins_that_of_the_service_and_holds_no_address(proxy: Proxy, recorder: Recorder, tls: Path) -> None:
    for path in (SERVICE + "?patient=p-4711", "/Patient?name=Doe-4711", "/metrics/4711"):
        call(proxy, tls, "POST", path, data=b"4711", headers={"User-Agent": "4711", "Referer": "https://x/4711"})
    lines = proxy.logged(3)
    assert [line["status"] for line in lines] == ["200", "404", "404"]
    assert lines[0]["correlation_id"] == "seen-at-the-service"
    assert (lines[0]["from"], lines[0]["method"]) == ("127.0.0.1", "POST")
    assert "4711" not in proxy.access_log.read_text().replace(str(proxy.port), "")
    assert len(recorder.heard) == 1


def test_SEC_03_with_mutual_TLS_only_who_has_a_certificate_is_let_in(tls: Path) -> None:
    changes = {
        "#ssl_client_certificate": "ssl_client_certificate",
        "#ssl_verify_client": "ssl_verify_client",
    }
    with Recorder().listening() as recorder, running_proxy(tls, recorder.port, changes) as proxy:
        assert call(proxy, tls, "GET", "/cds-services").status_code == 400
        assert recorder.heard == []
        certificate = str(tls / "ehr.example.org.pem")
        assert call(proxy, tls, "GET", "/cds-services", cert=certificate).status_code == 200
        assert [line["certificate"] for line in proxy.logged(2)] == ["", "CN=Server of a test"]
