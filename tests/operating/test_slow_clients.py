"""Clients that send, read or close slowly: they are cut, and keep nobody else waiting."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial

import pytest
from served import BODY, HEAD, WHOLE, Served, served

STARTS = {
    "nothing": b"",
    "headers": HEAD.encode(),
    "body": (HEAD + f"Content-Length: {len(BODY)}\r\n\r\n").encode(),
    "chunks": (HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode(),
}
DRIPS = {"nothing": b"", "headers": b"X-Slow: 1\r\n", "body": b"{", "chunks": b"1\r\n{\r\n"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One worker, which waits a second for a request."""
    with served(tmp_path_factory.mktemp("slow"), WORKERS="1", BODY_SECONDS="1", LOG_LEVEL="warning") as service:
        yield service


class Dripping:
    """Clients that begin a request and send a few bytes of it every tenth of a second, until they are cut."""

    def __init__(self, service: Served, kind: str, count: int = 20) -> None:
        self.received = [b""] * count
        self._kind = kind
        self._over = threading.Event()
        self._sockets = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(count)]
        self._thread = threading.Thread(target=self._drip)

    def __enter__(self) -> Dripping:
        for connection in self._sockets:
            connection.sendall(STARTS[self._kind])
            connection.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for connection in self._sockets:
            connection.close()

    def until_cut(self) -> list[bytes]:
        """What they were answered, once all of them are cut."""
        self._thread.join(20)
        assert not self._thread.is_alive(), "some were not cut"
        return self.received

    def _drip(self) -> None:
        open_ = dict(enumerate(self._sockets))
        while open_ and not self._over.wait(0.1):
            for number, connection in list(open_.items()):
                try:
                    with suppress(BlockingIOError):
                        while data := connection.recv(65536):
                            self.received[number] += data
                        del open_[number]
                        continue
                    connection.send(DRIPS[self._kind])
                except OSError:
                    del open_[number]


@pytest.mark.parametrize("kind", STARTS)
def test_twenty_slow_clients_are_cut_and_keep_nobody_waiting(service: Served, kind: str) -> None:
    with Dripping(service, kind) as slow:
        began = time.monotonic()
        assert service.post().status_code == 200
        assert time.monotonic() - began < 5
        received = slow.until_cut()
    if kind in ("body", "chunks"):
        assert all(one.startswith(b"HTTP/1.1 400 ") and b"OperationOutcome" in one for one in received)
    else:
        assert set(received) == {b""}


def test_clients_that_do_not_close_keep_nobody_waiting(service: Served) -> None:
    asking = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with ExitStack() as opened:
        clients = [opened.enter_context(socket.create_connection(("127.0.0.1", service.port), 20)) for _ in range(20)]
        began = time.monotonic()
        for client in clients:
            client.sendall(asking)
        for client in clients:
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
        assert service.post().status_code == 200
        assert time.monotonic() - began < 5


def test_clients_that_do_not_read_are_cut_and_keep_nobody_waiting(service: Served) -> None:
    with ExitStack() as opened:
        clients = []
        for _ in range(20):
            client = opened.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", service.port))
            client.setblocking(False)
            clients.append(client)
        for client in clients:
            with suppress(BlockingIOError):
                while client.send(b"GET /cds-services HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100):
                    pass
        began = time.monotonic()
        while time.monotonic() - began < 5:  # until long after the clients have taken all threads
            assert service.post().status_code == 200
        assert time.monotonic() - began < 15


def test_a_slow_but_steady_client_is_answered_in_time(service: Served) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 20) as client:
        for part in (WHOLE[:10], WHOLE[10:1000], WHOLE[1000:]):
            client.sendall(part)
            time.sleep(0.1)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_bad_http_is_refused_with_an_outcome_that_repeats_nothing(service: Served) -> None:
    sent = {
        b"GET /health/live HTTP/1.1\r\nBad Name: Smith\r\n\r\n": b"400 Bad Request",
        b"GET /" + b"Smith" * 2000 + b" HTTP/1.1\r\n\r\n": b"414 Request-URI Too Long",
        b"GET /health/live HTTP/1.1\r\nAuthorization: Bearer " + b"Smith" * 4000 + b"\r\n\r\n": b"431 Request Header",
        b"Smith\r\n\r\n": b"400 Bad Request",
        b"GET /health/live HTTP/1.1\r\nExpect: Smith\r\n\r\n": b"417 Expectation Failed",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: Smith\r\n\r\n": b"501 Not Implemented",
    }
    for request, status in sent.items():
        with socket.create_connection(("127.0.0.1", service.port), 20) as client:
            client.sendall(request)
            received = b"".join(iter(partial(client.recv, 65536), b""))
        assert received.startswith(b"HTTP/1.1 " + status), received[:100]
        assert b'"resourceType":"OperationOutcome"' in received
        assert b"Smith" not in received
    assert "Smith" not in service.log.read_text(encoding="ascii")
