"""Calls that this service makes, against servers on the loopback address."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loopback import Certificates, Speak, listening, saying

from cds_service.outgoing import Answer, Outgoing, OutgoingError, Resolve

LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@contextlib.contextmanager
def outgoing(
    networks: tuple[str, ...] = (),
    ca_bundle: Path | None = None,
    longest: int = 10_000_000,
    resolve: Resolve | None = None,
) -> Iterator[Outgoing]:
    made = Outgoing(networks=networks, ca_bundle=ca_bundle, longest=longest, resolve=resolve)
    try:
        yield made
    finally:
        made.close()


def get(asker: Outgoing, url: str, seconds: float = 10, **headers: str) -> Answer:
    return asker.get(url, deadline=time.monotonic() + seconds, headers=headers)


def failure(asker: Outgoing, url: str, seconds: float = 10, **headers: str) -> OutgoingError:
    with pytest.raises(OutgoingError) as caught:
        get(asker, url, seconds, **headers)
    return caught.value


def always(*addresses: str) -> Resolve:
    return lambda host, port: addresses


def dripping(head: bytes, drop: bytes) -> Speak:
    """Sends a head and then a drop now and then, for ever."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(head)
        while drop or connection.recv(1):
            connection.sendall(drop)
            time.sleep(0.02)

    return speak


def hanging_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def test_an_answer_has_status_headers_and_body() -> None:
    with outgoing() as asker, listening(saying(b"not here", "X-One: 1", "X-One: 2", status="404 Not Found")) as server:
        answer = get(asker, f"{server.origin}/a?b=c|d", Authorization="Bearer t")
        assert (answer.status, answer.body, answer.headers["x-one"]) == (404, b"not here", "1, 2")
        assert server.heard[0].startswith("GET /a?b=c%7Cd HTTP/1.1\r\n")
        assert "\r\nAuthorization: Bearer t\r\n" in server.heard[0]


def test_a_connection_is_kept_and_one_that_the_server_closed_is_replaced() -> None:
    def once(connection: socket.socket) -> None:
        saying(b"{}")(connection)
        connection.shutdown(socket.SHUT_RDWR)

    with outgoing() as asker, listening(saying(b"{}")) as keeping, listening(once) as closing:
        for _ in range(3):
            assert get(asker, keeping.origin + "/").body == b"{}"
            assert get(asker, closing.origin + "/").body == b"{}"
        assert (keeping.connections, closing.connections) == (1, 3)


def test_a_connection_that_is_closed_while_it_is_asked_again_is_replaced_once() -> None:
    turns = iter([saying(b"1"), hanging_up, saying(b"2"), hanging_up, hanging_up])
    with outgoing() as asker, listening(lambda connection: next(turns)(connection)) as server:
        assert [get(asker, server.origin + "/").body for _ in range(2)] == [b"1", b"2"]
        assert failure(asker, server.origin + "/").kind == "broken"
        assert server.connections == 3


def test_it_may_be_shared_by_threads() -> None:
    with outgoing() as asker, listening(saying(b"{}")) as server, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: get(asker, server.origin + "/"), range(40)))
        assert {answer.body for answer in answers} == {b"{}"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_may_be_asked_by_http(host: str) -> None:
    with outgoing() as asker, listening(saying(b"{}")) as server:
        assert get(asker, f"http://{host}:{server.port}/").status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org:{port}/",
        "http://10.0.0.1:{port}/",
        "ftp://127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "file:///etc/passwd",
        "https://169.254.169.254:{port}/latest/meta-data",
        "http://169.254.169.254:{port}/latest/meta-data",
        "https://[::ffff:169.254.169.254]:{port}/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::ffff:7f00:1]:{port}/",
        "https://[::127.0.0.1]:{port}/",
        "https://[64:ff9b::7f00:1]:{port}/",
        "https://[64:ff9b:1::7f00:1]:{port}/",
        "https://[2002:7f00:1::]:{port}/",
        "https://[fe80::1]:{port}/",
        "https://[fe80::1%25eth0]:{port}/",
        "https://[fec0::1]:{port}/",
        "https://[feff:ffff::1]:{port}/",
        "https://[fe80::5efe:8.8.8.8]:{port}/",
        "https://[2001:db8::5efe:127.0.0.1]:{port}/",
        "https://[2600::5efe:7f00:1]:{port}/",
        "https://[2600::200:5efe:169.254.169.254]:{port}/",
        "https://[fd00::5efe:10.0.0.1]:{port}/",
        "https://[2002:808:808::5efe:10.0.0.1]:{port}/",
        "https://[ff02::1]:{port}/",
        "https://[::]:{port}/",
        "https://0.0.0.0:{port}/",
        "http://0.0.0.0:{port}/",
        "https://0.1.2.3:{port}/",
        "https://224.0.0.1:{port}/",
        "https://255.255.255.255:{port}/",
        "http://2130706433:{port}/",
        "https://2130706433:{port}/",
        "https://0x7f000001:{port}/",
        "https://0x7f.0.0.1:{port}/",
        "https://0177.0.0.1:{port}/",
        "https://127.1:{port}/",
        "https://127.0.0.1.:{port}/",
        "https://017700000001:{port}/",
        "https://①②⑦.0.0.1:{port}/",
        "https://%31%32%37.0.0.1:{port}/",
        "http://user@127.0.0.1:{port}/",
        "http://user:secret@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}\\@example.org/",
        "http://example.org\\@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/#fragment",
        "http://127.0.0.1:{port}/a b",
        "http://127.0.0.1:{port}/a\r\nX: y",
        "http://127.0.0.1:{port}1000000/",
        "http://127.0.0.1:65536/",
        "https://:{port}/",
        "https://../",
        "https://-a/",
        "https://[127.0.0.1]:{port}/",
        "",
    ],
)
def test_an_address_that_is_refused_hears_nothing(url: str) -> None:
    with outgoing(networks=("0.0.0.0/0", "::/0")) as asker, listening() as trap:
        assert failure(asker, url.format(port=trap.port)).kind == "refused-address"
        assert trap.connections == 0


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "fd00::5efe:8.8.8.8"],
)
def test_a_name_that_stands_for_a_private_address_is_refused(address: str) -> None:
    with outgoing(resolve=always(address)) as asker, listening() as trap:
        assert failure(asker, f"https://ehr.example.org:{trap.port}/").kind == "refused-address"
        assert trap.connections == 0


def test_a_name_of_this_machine_is_refused_as_it_really_resolves() -> None:
    with outgoing() as asker, listening() as trap:
        kind = failure(asker, f"https://{socket.gethostname()}:{trap.port}/").kind
        assert kind in ("refused-address", "no-connection")
        assert trap.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "0.0.0.1",
        "::",
        "fe80::1",
        "fec0::1",
        "2600::5efe:10.0.0.1",
        "2600::200:5efe:7f00:1",
        "224.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_no_network_allows_what_is_never_asked(address: str) -> None:
    with outgoing(networks=("0.0.0.0/0", "::/0"), resolve=always(address)) as asker:
        assert failure(asker, "https://ehr.example.org/").kind == "refused-address"


def test_only_a_literal_in_the_url_opens_its_own_address() -> None:
    with outgoing(resolve=always("127.0.0.2")) as asker, listening() as trap:
        assert failure(asker, f"http://localhost:{trap.port}/", 1).kind == "no-connection"
        assert failure(asker, f"https://ehr.example.org:{trap.port}/").kind == "refused-address"


def test_localhost_that_stands_for_another_machine_is_refused() -> None:
    with outgoing(resolve=always("10.0.0.1")) as asker:
        assert failure(asker, "http://localhost/").kind == "refused-address"


def test_a_registered_private_network_may_be_asked(certificates: Certificates) -> None:
    looked_up = []

    def resolve(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["10.0.0.1", "127.0.0.1"]

    server_tls = certificates.server("ehr.example.org")
    with (
        listening(saying(b"{}"), server_tls) as server,
        outgoing(networks=LOOPBACK, ca_bundle=certificates.bundle, resolve=resolve) as asker,
    ):
        assert get(asker, f"https://ehr.example.org:{server.port}/").status == 200
        assert server.connections == 1
    assert looked_up == ["ehr.example.org"]


def test_a_server_is_trusted_by_the_bundle_alone_and_for_its_own_name(certificates: Certificates) -> None:
    with listening(saying(b"{}"), certificates.server("127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}/"
        with outgoing(ca_bundle=certificates.bundle) as asker:
            assert get(asker, url).status == 200
            assert failure(asker, f"https://localhost:{server.port}/").kind == "no-connection"
        with outgoing() as stranger:
            assert failure(stranger, url).kind == "no-connection"
        assert len(server.heard) == 1


def test_what_is_no_bundle_or_no_network_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(OSError):  # noqa: PT011 (ssl has its own subclasses)
            Outgoing(ca_bundle=tmp_path / name)
    with pytest.raises(ValueError, match="does not appear to be"):
        Outgoing(networks=["everywhere"])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(status: str) -> None:
    with listening() as trap, outgoing() as asker:
        with listening(saying(b"", f"Location: {trap.origin}/", status=status)) as server:
            assert failure(asker, server.origin + "/").kind == "redirect"
        assert trap.connections == 0


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "speak",
    [
        None,
        dripping(b"", b"H"),
        dripping(HEAD, b"X: y\r\n"),
        dripping(HEAD, b"x"),
        dripping(HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(HEAD + b"\r\n", b"x"),
    ],
    ids=["silent", "status line", "headers", "one header", "body", "chunks", "body without length"],
)
def test_the_deadline_is_for_the_whole_exchange(speak: Speak | None) -> None:
    with outgoing() as asker, listening(speak) as server:
        started = time.monotonic()
        assert failure(asker, server.origin + "/", 0.4).kind == "timeout"
        assert time.monotonic() - started < 2
        assert len(server.heard) == 1


def test_the_deadline_does_not_begin_anew_with_each_piece() -> None:
    def late(connection: socket.socket) -> None:
        time.sleep(1.6)
        dripping(HEAD, b"")(connection)

    with outgoing() as asker, listening(late) as server:
        started = time.monotonic()
        assert failure(asker, server.origin + "/", 2).kind == "timeout"
        assert 1.5 < time.monotonic() - started < 3


def test_the_deadline_holds_for_tls_too(certificates: Certificates) -> None:
    drip = dripping(HEAD + b"Content-Length: 100000\r\n\r\n", b"x")
    with (
        outgoing(ca_bundle=certificates.bundle) as asker,
        listening(drip, certificates.server("127.0.0.1")) as slow,
        listening() as no_handshake,
    ):
        for port in (slow.port, no_handshake.port):
            started = time.monotonic()
            assert failure(asker, f"https://127.0.0.1:{port}/", 0.4).kind == "timeout"
            assert time.monotonic() - started < 2


def test_the_deadline_holds_for_looking_up_a_name() -> None:
    end = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        end.wait()
        return []

    with outgoing(resolve=slow) as asker:
        started = time.monotonic()
        assert failure(asker, "https://ehr.example.org/", 0.2).kind == "timeout"
        assert time.monotonic() - started < 2
        end.set()


def test_a_deadline_in_the_past_sends_nothing() -> None:
    with outgoing() as asker, listening() as trap:
        assert failure(asker, trap.origin + "/", -1).kind == "timeout"
        assert trap.connections == 0


@pytest.mark.parametrize(
    "speak",
    [
        saying(b"x" * 1001),
        saying(gzip.compress(b"x" * 5_000_000), "Content-Encoding: gzip"),
        dripping(HEAD + b"\r\n", b"x" * 50_000),
    ],
    ids=["announced", "compressed", "without an end"],
)
def test_a_body_that_is_too_large_is_not_read_to_its_end(speak: Speak) -> None:
    with outgoing(longest=1000) as asker, listening(speak) as server:
        assert failure(asker, server.origin + "/").kind == "too-large"


def test_a_body_of_the_longest_size_is_read_also_when_it_came_compressed() -> None:
    body = b"x" * 1000
    with outgoing(longest=1000) as asker, listening(saying(gzip.compress(body), "Content-Encoding: gzip")) as server:
        assert get(asker, server.origin + "/").body == body


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x16\x03\x01junk\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_broken(said: bytes) -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_RDWR)

    with outgoing() as asker, listening(speak) as server:
        assert failure(asker, server.origin + "/").kind == "broken"
        assert server.connections == 1


def test_nobody_listening_is_no_connection() -> None:
    with listening() as server:
        port = server.port
    with outgoing() as asker:
        assert failure(asker, f"http://127.0.0.1:{port}/").kind == "no-connection"
    with outgoing(resolve=always()) as asker:
        assert failure(asker, "https://ehr.example.org/").kind == "no-connection"


@pytest.mark.parametrize("host", ["a..example.org", "a" * 64 + ".example.org", "nobody.invalid"])
def test_a_name_that_nobody_has_is_no_connection(host: str) -> None:
    with outgoing() as asker:
        assert failure(asker, f"https://{host}/").kind == "no-connection"


def test_proxies_netrc_and_cookies_play_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with listening() as trap, outgoing() as asker, listening(saying(b"{}", "Set-Cookie: a=b")) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, trap.origin)
        for _ in range(2):
            assert get(asker, server.origin + "/").status == 200
        assert trap.connections == 0
        assert not [head for head in server.heard if "authorization" in head.lower() or "cookie" in head.lower()]


def test_a_header_cannot_carry_another_line() -> None:
    with outgoing() as asker, listening() as trap:
        assert failure(asker, trap.origin + "/", Authorization="Bearer a\r\nX: y").kind == "broken"
        assert trap.connections == 0


@pytest.mark.parametrize("break_it", [None, saying(b"", "Location: /?secret", status="302 Found"), saying(b"x" * 2000)])
def test_an_error_tells_neither_token_nor_path_nor_query(break_it: Callable[[socket.socket], None] | None) -> None:
    with outgoing(longest=1000) as asker, listening(break_it) as server:
        error = failure(asker, f"{server.origin}/Patient/secret?name=secret", 0.3, Authorization="Bearer secret")
        assert "secret" not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
        assert server.origin in str(error)
