"""A worker process of gunicorn that slow clients cannot stop, that loses no request when it ends, and that says why.

gunicorn's worker with threads gives every new connection a thread at once, waits in it for headers and body as long as
they take, and closes connections in its main loop, up to two seconds each: a few clients that send or close slowly stop
it. Here a connection has a thread from its first byte on, and a time by which its request must be there.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from gunicorn import util
from gunicorn.config import Config as GunicornConfig
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from cds_service.hooks.errors import BadRequest, Failed, Issue, operation_outcome
from cds_service.hooks.views import CORRELATION_HEADER

_log = logging.getLogger(__name__)

_LINGER: Final = 2.0
"""Seconds that a closed connection, or one without a request when the worker ends, is given."""
_STATUS: Final[dict[type[BaseException], tuple[HTTPStatus, str]]] = {
    errors.LimitRequestLine: (HTTPStatus.REQUEST_URI_TOO_LONG, "a shorter request line"),
    errors.LimitRequestHeaders: (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "fewer or shorter header fields"),
    errors.UnsupportedTransferCoding: (HTTPStatus.NOT_IMPLEMENTED, "no transfer coding but chunked"),
    errors.ExpectationFailed: (HTTPStatus.EXPECTATION_FAILED, "no expectation but 100-continue"),
}


class PatientWorker(ThreadWorker):
    """A worker with threads whose clients must send a request within `patience` seconds."""

    patience: float = 15.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._due: dict[TConn, float] = {}
        self._closing: dict[TConn, float] = {}

    def accept(self, listener: Any) -> None:
        """Take a new connection, and wait for its first byte without a thread."""
        with suppress(BlockingIOError, ConnectionAbortedError):
            connection, address = listener.accept()
            self.nr_conns += 1
            conn = TConn(self.cfg, connection, address, listener.getsockname())
            conn.timeout = self._due[conn] = time.monotonic() + (self.patience if self.alive else _LINGER)
            self.pending_conns.append(conn)
            self.poller.register(connection, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection that has something to read to a thread."""
        self._due.setdefault(conn, time.monotonic() + self.patience)
        super().enqueue_req(conn)

    def finish_request(self, conn: TConn, done: Any) -> None:
        """Keep the connection for its next request, or close it without waiting for the client."""
        self._due.pop(conn, None)
        if not done.cancelled() and done.exception() is None and done.result():
            super().finish_request(conn, done)
        else:
            self._close(conn)

    def murder_pending(self) -> None:
        """Cut the clients whose time is over; the main loop asks for it at least once a second."""
        super().murder_pending()
        now = time.monotonic()
        for conn in _over(self._due, now):
            # What is read from now on is the end: a thread that waits for headers gives up, one that waits for a
            # body refuses it, one that works already does not notice.
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RD)
        for conn in _over(self._closing, now):
            self._closed(conn)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Begin or cease to take new connections. At the end of the worker, those that stand are taken first."""
        super().set_accept_enabled(enabled)
        if self.alive or enabled:
            return
        now = time.monotonic()
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout or now, now + _LINGER)
        while self.sockets:
            listener = self.sockets.pop()
            self._take_all(listener)
            listener.close()

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request; a client that does not read its answer in time is left."""
        conn.sock.settimeout(self.patience)
        try:
            return bool(super().handle_request(req, conn))
        except TimeoutError:
            _log.info("a client did not read its answer")
            return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Refuse what cannot be read as HTTP. Neither the answer nor the log repeats it."""
        status, expected = _STATUS.get(type(exc), (HTTPStatus.BAD_REQUEST, "a request as HTTP/1.1 describes it"))
        if isinstance(exc, errors.ParseException | errors.ConfigurationProblem):
            _log.info("refused %d before it was read: %s", status, type(exc).__name__)
        else:
            status, expected = HTTPStatus.INTERNAL_SERVER_ERROR, "no error of this service"
            _log.error("a request failed", exc_info=exc)
        with suppress(OSError):
            util.write_nonblock(client, _refusal(status, expected))

    def _take_all(self, listener: Any) -> None:
        """Take the connections that the system has opened for us already; nobody else may be left to do it."""
        listener.setblocking(False)
        before = -1
        while before != self.nr_conns:
            before = self.nr_conns
            self.accept(listener)

    def _close(self, conn: TConn) -> None:
        """Say that no more will be sent, and let the client read and close in its own time, without a thread."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
            self._closing[conn] = time.monotonic() + _LINGER
        except (OSError, ValueError, KeyError):
            self.nr_conns -= 1
            conn.close()

    def _drain(self, conn: TConn, _: Any) -> None:
        try:
            if conn.sock.recv(65_536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._closing.pop(conn, None)
        self._closed(conn)

    def _closed(self, conn: TConn) -> None:
        with suppress(OSError, ValueError, KeyError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()


def _over(times: dict[TConn, float], now: float) -> list[TConn]:
    """Take out the connections whose time has come; the times stand in the order in which they were put in."""
    found = []
    for conn, time_ in times.items():
        if time_ > now:
            break
        found.append(conn)
    for conn in found:
        del times[conn]
    return found


def _refusal(status: HTTPStatus, expected: str) -> bytes:
    id_ = str(uuid4())
    refused = BadRequest([Issue("structure", f"Expected {expected}.")]) if status < 500 else Failed()
    body = operation_outcome(refused, id_)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Cache-Control: no-store\r\n{CORRELATION_HEADER}: {id_}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


class ServerLog(Logger):
    """The log of gunicorn, which goes where ours goes."""

    def setup(self, cfg: GunicornConfig) -> None:
        """Follow the settings of gunicorn; its own handlers are not wanted."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


def patient_worker(seconds: float) -> type[PatientWorker]:
    """The worker class whose clients must send a request within so many seconds."""
    return type("PatientWorker", (PatientWorker,), {"patience": seconds})
