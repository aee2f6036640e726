"""The service under gunicorn, as a process of its own on a free loopback port."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from cds_service.config import read_config
from cds_service.demo import free_port, local_session, running_service
from cds_service.folders import cards_folder, data_folder
from cds_service.server import settings

NAME = "/cds-services/leg-weakness-patient-view"
BODY = (data_folder("fixtures") / "requests" / "several-causes-at-once.json").read_bytes()
HEAD = f"POST {NAME} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
TIMEOUT = 20


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_service(MAX_BODY="1000000", WORKERS="2") as url:
        yield url


def call(method: str, url: str, **options: Any) -> requests.Response:
    with local_session() as session:
        return session.request(method, url, timeout=TIMEOUT, **options)


def post(url: str, body: bytes | Iterator[bytes]) -> requests.Response:
    return call("POST", url + NAME, data=body, headers={"Content-Type": "application/json"})


def exchange(url: str, sent: bytes) -> str:
    """What the server answers to these bytes on a connection of their own, until it or we stop."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), TIMEOUT) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
    return received.decode()


def test_JSON_01_discovery_cards_and_feedback_are_answered_over_http(url: str) -> None:
    assert call("GET", url + "/cds-services").json()["services"]
    answer = post(url, BODY)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    entry = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}
    feedback = call("POST", f"{url}{NAME}/feedback", json={"feedback": [entry]})
    assert (feedback.status_code, feedback.content) == (200, b"")


def test_DISC_19_head_has_the_headers_of_get_and_no_body(url: str) -> None:
    head, get = (call(method, url + "/cds-services") for method in ("HEAD", "GET"))
    assert head.content == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_one_connection_carries_many_calls(url: str) -> None:
    one = (HEAD + f"Content-Length: {len(BODY)}\r\n\r\n").encode() + BODY
    assert exchange(url, one * 3).count("HTTP/1.1 200 OK") == 3


def test_a_body_may_come_in_chunks(url: str) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(BODY), 1000):
            yield BODY[start : start + 1000]

    assert post(url, chunks()).status_code == 200


def test_HTTP_413_a_long_body_is_refused_before_it_is_sent(url: str) -> None:
    received = exchange(url, (HEAD + "Content-Length: 1000000000000\r\n\r\n").encode())
    assert received.startswith("HTTP/1.1 413 ")
    assert "at most 1000000 bytes" in received


def test_HTTP_413_a_long_chunked_body_is_not_read_to_its_end(url: str) -> None:
    chunk = b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"
    received = exchange(url, (HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunk * 16)
    assert received.startswith("HTTP/1.1 413 ")


def test_HTTP_413_a_client_that_sends_on_gets_the_answer(url: str) -> None:
    assert post(url, b" " * 20_000_000).status_code == 413


@pytest.mark.parametrize(
    "rest",
    [
        "Content-Length: 500\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}",
        "\r\n",
    ],
)
def test_HTTP_400_a_body_that_breaks_off_is_refused(url: str, rest: str) -> None:
    received = exchange(url, (HEAD + rest).encode())
    assert received.startswith("HTTP/1.1 400 ")
    assert '"resourceType":"OperationOutcome"' in received


def test_HTTP_400_a_refused_call_leaves_the_connection_in_step(url: str) -> None:
    bad = (HEAD + "Content-Length: 1\r\n\r\n{").encode()
    good = (HEAD + f"Content-Length: {len(BODY)}\r\n\r\n").encode() + BODY
    assert re.findall(r"HTTP/1.1 (\d+)", exchange(url, bad + good)) == ["400", "200"]


@pytest.mark.parametrize("line", ["POST /cds-services/none", f"PUT {NAME}", f"POST {NAME}"])
def test_a_refused_call_keeps_its_connection_however_long_its_body(url: str, line: str) -> None:
    body = b" " * 500_000
    headers = f"Host: localhost\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    bad = f"{line} HTTP/1.1\r\n{headers}\r\n".encode()
    good = (HEAD + f"Content-Length: {len(BODY)}\r\n\r\n").encode() + BODY
    assert len(re.findall(r"HTTP/1.1 200 OK", exchange(url, bad + body + good))) == 1


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cds_service", "serve", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_TERM_lets_a_call_finish_and_ends_the_service(tmp_path: Path) -> None:
    port = free_port()
    process = start("--port", str(port), "--workers", "1", CDS_SERVICE_DATABASE=f"sqlite:///{tmp_path}/f.sqlite3")
    try:
        connection = _connect(port)
        connection.sendall((HEAD + f"Content-Length: {len(BODY)}\r\n\r\n").encode() + BODY[:100])
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(BODY[100:])
        received = b""
        while data := connection.recv(65536):
            received += data
        connection.close()
        assert received.startswith(b"HTTP/1.1 200 OK")
        assert "cards" in json.loads(received.partition(b"\r\n\r\n")[2])
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.communicate()


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), TIMEOUT)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the service does not listen"
            time.sleep(0.05)


def test_a_wrong_setting_refuses_the_start_and_is_named() -> None:
    process = start(CDS_SERVICE_PORT="eighty")
    said, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert said.startswith("Error: CDS_SERVICE_PORT: found 'eighty', expected a port")


def test_a_mistake_in_a_card_refuses_the_start_with_file_line_and_column(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    shutil.copytree(cards_folder(), folder)
    card = folder / "electrolytes" / "hypokalemia.yaml"
    lines = card.read_text().splitlines()
    number = next(at for at, line in enumerate(lines) if line.startswith("priority:"))
    lines[number] = "priority: soon"
    card.write_text("\n".join(lines))
    process = start("--cards", str(folder))
    said, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert f"{card}:{number + 1}:11: found" in said
    assert "expected" in said
    assert "Traceback" not in said


def test_JWT_13_a_token_that_is_too_long_is_refused_like_any_other() -> None:
    with running_service(CLIENTS=str(data_folder("fixtures") / "clients" / "sandbox.yaml")) as url:
        answers = [
            call("GET", f"{url}/cds-services", headers={"Authorization": f"Bearer {'x' * length}"})
            for length in (10, 16_000)
        ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(401, b"")] * 2


def test_it_listens_where_it_is_told() -> None:
    assert settings(read_config({}))["bind"] == "127.0.0.1:8080"
    assert settings(read_config({}, host="::1", port="9000"))["bind"] == "[::1]:9000"
    assert settings(read_config({}, workers="3"))["workers"] == 3
