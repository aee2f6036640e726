"""Servers on the loopback address that do what a test tells them, byte by byte, and remember what they heard."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Speak = Callable[[socket.socket], None]
"""What a server says on a connection; the request that came is in `Listener.heard` when it is called."""


class Listener:
    """A server that listens: where, how many connections it got, and the head of each request it heard."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.heard: list[str] = []
        self.stopping = threading.Event()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def listening(speak: Speak | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Listener]:
    """A server that reads the head of each request and lets `speak` answer, until the end; None reads and is silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(server.getsockname()[1])
        open_now: list[socket.socket] = []
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                connection, _ = server.accept()
                if listener.stopping.is_set():
                    connection.close()
                    return
                listener.connections += 1
                open_now.append(connection)
                threads.append(threading.Thread(target=_converse, args=(connection, listener, speak, tls)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener
        finally:
            listener.stopping.set()
            socket.create_connection(("127.0.0.1", listener.port)).close()
            accepting.join()
            for connection in open_now:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def _converse(connection: socket.socket, listener: Listener, speak: Speak | None, tls: ssl.SSLContext | None) -> None:
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        stack.enter_context(connection)
        spoken = stack.enter_context(tls.wrap_socket(connection, server_side=True)) if tls else connection
        while head := _head(spoken):
            listener.heard.append(head)
            if speak is None:
                listener.stopping.wait()
                return
            speak(spoken)


def _head(connection: socket.socket) -> str:
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            break
        received += data
    return received.decode("latin-1")


def saying(body: bytes, *headers: str, status: str = "200 OK") -> Speak:
    """Answers each request with this body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    whole = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return lambda connection: connection.sendall(whole)


class Certificates:
    """A certificate authority of the test's own: `bundle` is its certificate, `server` makes contexts for servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority of a test")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = self._builder(self._name, self._key).add_extension(constraints, critical=True)
        self.bundle = folder / "ca.pem"
        self.bundle.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def server(self, name: str) -> ssl.SSLContext:
        """The context of a server whose certificate is for a host name or an IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            named = x509.DNSName(name)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Server of a test")])
        builder = self._builder(subject, key).add_extension(x509.SubjectAlternativeName([named]), critical=False)
        path = self._folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
