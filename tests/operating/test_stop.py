"""TERM: every request whose connection stood by then is answered."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from served import TIMEOUT, WHOLE, Served, served, until

CLIENTS = 12


class Calls:
    """Clients that call on a new connection each time, until nobody listens any more."""

    def __init__(self, service: Served) -> None:
        self.of: list[tuple[float, bytes]] = []
        """When a connection stood, and what came back on it."""
        self._port = service.port
        self.threads = [threading.Thread(target=self._call) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _call(self) -> None:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), TIMEOUT)
            except OSError:
                return
            stood, received = time.monotonic(), b""
            with connection:
                try:
                    connection.sendall(WHOLE.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                    while data := connection.recv(65536):
                        received += data
                except OSError as error:
                    received = repr(error).encode()
            self.of.append((stood, received))


def test_every_request_whose_connection_stood_is_answered(tmp_path: Path) -> None:
    with served(tmp_path, WORKERS="2") as service:
        calls = Calls(service)
        until(lambda: len(calls.of) > 100, "the service is under load")
        stopped = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        for thread in calls.threads:
            thread.join(TIMEOUT)
        assert service.process.wait(TIMEOUT) == 0
    before = [received for stood, received in calls.of if stood < stopped]
    assert [one[:200] for one in before if not one.startswith(b"HTTP/1.1 200 OK")] == []
    assert all(b'"cards":[' in one for one in before)
    assert len(before) > 100


def test_a_connection_without_a_request_delays_the_stop_but_little(tmp_path: Path) -> None:
    with served(tmp_path, WORKERS="1") as service, socket.create_connection(("127.0.0.1", service.port)):
        assert service.get("/health/live").status_code == 200
        stopped = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(TIMEOUT) == 0
        assert time.monotonic() - stopped < 8


def test_requests_that_no_worker_had_taken_yet_are_answered(tmp_path: Path) -> None:
    with served(tmp_path, WORKERS="2") as service, ExitStack() as opened:
        workers = service.workers()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        calls = [opened.enter_context(socket.create_connection(("127.0.0.1", service.port), 20)) for _ in range(12)]
        for call in calls:
            call.sendall(WHOLE)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: service.said("Handling signal: term"), "TERM is heard")
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        answers = [call.recv(65536) for call in calls]
        assert all(one.startswith(b"HTTP/1.1 200 OK") for one in answers)
