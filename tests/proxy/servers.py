"""nginx with the very file of deploy/, on the loopback address, and a server to put behind it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, NamedTuple

from cds_service.demo import free_port

ROOT: Final = Path(__file__).parent.parent.parent
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 30.0


class Proxy(NamedTuple):
    """A running proxy: its ports, and the files it writes."""

    port: int
    plain_port: int
    access_log: Path
    error_log: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def logged(self, count: int) -> list[dict[str, str]]:
        """The first `count` lines of the access log: nginx writes them after it has answered."""
        deadline = time.monotonic() + _START_SECONDS
        while len(lines := self.access_log.read_text(encoding="utf-8").splitlines()) < count:
            assert time.monotonic() < deadline, f"expected {count} lines in the log, found {lines}"
            time.sleep(0.01)
        return [json.loads(line) for line in lines]


@contextlib.contextmanager
def running_proxy(tls: Path, service_port: int, changes: Mapping[str, str] | None = None) -> Iterator[Proxy]:
    """nginx with deploy/nginx.conf in front of a service on a loopback port, until the end.

    Ports and paths are put in place of those of the container; `changes` are made too. `tls` is the folder of the
    certificates. What it writes below `warn` of the error log tells whether a body went to a disk.
    """
    program = _nginx()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        proxy = Proxy(free_port(), free_port(), folder / "access.log", folder / "error.log")
        told = {
            " /tmp/": f" {folder}/",
            "listen 8443": f"listen 127.0.0.1:{proxy.port}",
            "listen 8080": f"listen 127.0.0.1:{proxy.plain_port}",
            "cds-service:8080": f"127.0.0.1:{service_port}",
            "/etc/nginx/tls/": f"{tls}/",
            "/dev/stdout": str(proxy.access_log),
            "/dev/stderr crit": f"{proxy.error_log} warn",
        }
        text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
        for found, instead in {**told, **(changes or {})}.items():
            assert found in text, f"deploy/nginx.conf: {found!r} is not there"
            text = text.replace(found, instead)
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        command = [program, "-p", name, "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        with _running(command, folder / "output") as process:
            _wait_for_port(proxy.port, process, folder / "output")
            yield proxy


class Heard(NamedTuple):
    """A request as the service would get it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Recorder:
    """A server in the place of the service: it answers everything with `answer` and keeps what it heard."""

    def __init__(self, answer: bytes = b"{}") -> None:
        heard: list[Heard] = []
        self.heard = heard

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                heard.append(Heard(self.command, self.path, headers, body))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Correlation-ID", "seen-at-the-service")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_OPTIONS = do_GET

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]

    @contextlib.contextmanager
    def listening(self) -> Iterator[Recorder]:
        """Answer, until the end."""
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def talk(proxy: Proxy, context: ssl.SSLContext, sent: bytes) -> bytes:
    """What the proxy answers to these very bytes, until it closes the connection."""
    with (
        socket.create_connection(("127.0.0.1", proxy.port), 20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(sent)
        received = b""
        while data := connection.recv(65536):
            received += data
        return received


@contextlib.contextmanager
def _running(command: list[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_port(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on port {port}:\n{output.read_text()}")


def _nginx() -> str:
    found = shutil.which("nginx", path=os.pathsep.join(["/usr/sbin", os.environ.get("PATH", "")]))
    assert found is not None, "expected nginx in /usr/sbin or in PATH: install Debian's package nginx"
    return found
