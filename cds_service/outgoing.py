"""Calls that this service makes: to key servers and FHIR servers that are registered, and to nobody else.

Who can name an address to us could have us ask inside our own network. So the address that a name stands for is judged
before a connection is opened, and once more on the open connection, before anything is sent.
"""

from __future__ import annotations

import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as TimedOut
from urllib3.util import Timeout

from cds_service.addresses import Address, addresses_of, embedded_address, is_loopback, is_never_asked, literal_of

Kind = Literal["refused-address", "no-connection", "timeout", "too-large", "redirect", "broken"]
Resolve = Callable[[str, int], Sequence[str]]
"""The IP addresses of a host name for connections to a port; raises OSError when there are none."""

_URL: Final = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|\w[\w.-]*)(:(?P<port>[0-9]{1,5}))?)"
    r"([/?][\x21-\x7e]*)?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_CHUNK: Final = 65_536
_CONNECTIONS: Final = 16
_REFUSED: Final = "an address that is refused"


class OutgoingError(Exception):
    """A call that brought no answer. `kind` tells what happened; the text names the server, never path or query."""

    def __init__(self, kind: Kind, text: str) -> None:
        self.kind: Kind = kind
        super().__init__(text)


class Answer(msgspec.Struct, frozen=True):
    """What a server answered: the status (redirects raise), the headers by lower-case name, the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outgoing:
    """Asks servers by GET. It may be shared by threads; connections stay open until `close`.

    `networks` (CIDR) are the private networks that may be asked. The certificates in `ca_bundle` (PEM) are trusted
    besides those that everybody trusts. A body is at most `longest` bytes. Raises ValueError for what is no network,
    OSError for a bundle that cannot be read.
    """

    def __init__(
        self,
        *,
        networks: Sequence[str] = (),
        ca_bundle: Path | None = None,
        longest: int = 10_000_000,
        resolve: Resolve | None = None,
    ) -> None:
        self._networks = [ip_network(one) for one in networks]
        self._longest = longest
        self._resolve = resolve or addresses_of
        self._this_call = threading.local()
        self._adapter = _Adapter(self._connect, _tls(ca_bundle))

    def get(self, url: str, *, deadline: float, headers: Mapping[str, str] = {}) -> Answer:
        """The answer of a server to a GET of `url`, whatever its status below 300 or from 400.

        `deadline` (as time.monotonic() counts) is for the whole exchange. Raises OutgoingError.
        """
        origin = checked_origin(url)
        request = _prepared(url, headers, origin)
        self._this_call.connected = False
        try:
            return self._exchange(request, origin, deadline)
        except _Dropped:
            if self._this_call.connected:
                raise
            return self._exchange(request, origin, deadline)  # a connection that was kept open had been closed

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._adapter.close()

    def _exchange(self, request: requests.PreparedRequest, origin: str, deadline: float) -> Answer:
        try:
            timeout: Any = Timeout(total=_left(deadline, origin))
            with self._adapter.send(request, stream=True, timeout=timeout) as response:
                if 300 <= response.status_code < 400:
                    raise OutgoingError("redirect", f"{origin} answered with a redirect, which is not followed")
                body = b"".join(self._body(response.raw, origin))
                found = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, found, body)
        except (requests.Timeout, TimedOut, TimeoutError):
            raise _timeout(origin) from None
        except requests.exceptions.SSLError:
            raise OutgoingError("no-connection", f"{origin} has no certificate that is trusted") from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            text = f"{origin} answered with what is no whole HTTP answer"
            raise (_Dropped if _was_dropped(error) else OutgoingError)("broken", text) from None

    def _body(self, raw: Any, origin: str) -> Iterator[bytes]:
        length = 0
        while chunk := raw.read(_CHUNK, decode_content=True):
            length += len(chunk)
            if length > self._longest:
                raise OutgoingError("too-large", f"{origin} answered with more than {self._longest} bytes")
            yield chunk

    def _connect(self, host: str, port: int, seconds: float | None) -> socket.socket:
        """An open connection to one of the allowed addresses of `host`, until `seconds` from now."""
        self._this_call.connected = True
        until = time.monotonic() + (seconds or 0)
        host = host.strip("[]")
        allowed = [one for one in self._addresses(host, port, until) if self._is_allowed(one, host)]
        if not allowed:
            raise OutgoingError("refused-address", f"{host} is {_REFUSED}")
        for at, address in enumerate(allowed):
            connection = _TimedSocket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
            try:
                connection.settimeout(_left(until, host) / (len(allowed) - at))
                connection.connect((str(address), port))
                if not self._is_allowed(ip_address(connection.getpeername()[0]), host):
                    raise OutgoingError("refused-address", f"{host} is {_REFUSED}")
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(_left(until, host))
            except OSError:
                connection.close()
            except OutgoingError:
                connection.close()
                raise
            else:
                return connection
        _left(until, host)
        raise OutgoingError("no-connection", f"{host}:{port} cannot be reached")

    def _addresses(self, host: str, port: int, until: float) -> list[Address]:
        literal = literal_of(host)
        if literal is not None:
            return [literal]
        # A look-up cannot be told to stop, so it is left behind when it takes too long.
        found: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                found.put(self._resolve(host, port))
            except (OSError, ValueError):  # ValueError: a name that cannot be one, such as a..b
                found.put(())

        threading.Thread(target=look_up, daemon=True).start()
        try:
            addresses = found.get(timeout=_left(until, host))
        except queue.Empty:
            raise _timeout(host) from None
        if not addresses:
            raise OutgoingError("no-connection", f"{host} has no address")
        return [ip_address(one) for one in addresses]

    def _is_allowed(self, address: Address, host: str) -> bool:
        """Whether a server that the URL calls `host` may stand at `address`."""
        if is_never_asked(address):
            return False
        if (embedded_address(address) or address).is_global or address == literal_of(host):
            return True
        if host == "localhost" and address.is_loopback:
            return True
        return any(address in network for network in self._networks)


def checked_origin(url: str) -> str:
    """The scheme, host and port of a URL that may be asked, as far as the URL alone tells.

    Raises OutgoingError "refused-address" when it is neither https nor on this machine by http, holds user information
    or a fragment, is not plain ASCII, or spells an IP address in another way than usual.
    """
    parts = _URL.fullmatch(url)
    if parts is None or "\\" in url or "#" in url or int(parts["port"] or 0) > 65_535:
        raise OutgoingError("refused-address", "expected an https URL without user, fragment, spaces and odd letters")
    host = parts["host"].strip("[]")
    literal = literal_of(host)
    in_brackets = parts["host"] != host
    if in_brackets != isinstance(literal, IPv6Address) or (literal is None and _NUMBER.fullmatch(host)):
        raise OutgoingError("refused-address", "expected an IP address as usually written, or a host name")
    if literal is not None and is_never_asked(literal):
        raise OutgoingError("refused-address", f"{host} is {_REFUSED}")
    if parts["scheme"] == "http" and not is_loopback(host):
        raise OutgoingError("refused-address", f"expected https for {host}, which is not this machine")
    return parts["origin"]


def _left(deadline: float, where: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _timeout(where)
    return left


def _timeout(where: str) -> OutgoingError:
    return OutgoingError("timeout", f"{where} did not answer in time")


def _prepared(url: str, headers: Mapping[str, str], origin: str) -> requests.PreparedRequest:
    usual = {"User-Agent": "leg-weakness-cds", "Accept-Encoding": "gzip"}
    try:
        return requests.Request("GET", url, headers={**usual, **headers}).prepare()
    except (requests.RequestException, ValueError):
        raise OutgoingError("broken", f"the request to {origin} cannot be written") from None


class _Dropped(OutgoingError):
    """The server closed the connection before it answered."""


def _was_dropped(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ConnectionError):
        cause = cause.__context__
    return cause is not None


class _Timed:
    """What makes the timeout of a socket one for all that follows, however little each piece of an answer brings."""

    _until: float | None = None

    def settimeout(self, seconds: float | None, /) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds
        super().settimeout(seconds)  # type: ignore[misc]

    def recv_into(self, *arguments: Any) -> int:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            super().settimeout(left)  # type: ignore[misc]
        received: int = super().recv_into(*arguments)  # type: ignore[misc]
        return received


class _TimedSocket(_Timed, socket.socket):
    pass


class _TimedTlsSocket(_Timed, ssl.SSLSocket):
    pass


def _tls(ca_bundle: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
    if ca_bundle is not None:
        context.load_verify_locations(cafile=ca_bundle)
    context.sslsocket_class = _TimedTlsSocket
    return context


class _Adapter(HTTPAdapter):
    """Sends requests over connections that `connect` opens; proxies, cookies and netrc play no part."""

    def __init__(self, connect: Callable[[str, int, float | None], socket.socket], context: ssl.SSLContext) -> None:
        self._connect = connect
        self._context = context
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)
        connect = self._connect

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return connect(self.host, self.port, self.timeout)

        class Tls(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return connect(self.host, self.port, self.timeout)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = Tls

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave it to the context, which verifies."""
