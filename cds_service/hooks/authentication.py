"""Who calls: the JWT of a registered client, checked (CDS Hooks 2.0.1, Trusting CDS Clients; RFC 7519, RFC 8725).

What the caller sends decides nothing before its signature holds, but for which registered client it claims to be. The
keys are those of that client, wherever the token says that keys are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode

from cds_service.hooks.client_keys import ClientKeys, NotFetched
from cds_service.hooks.clients import Client, Clients
from cds_service.hooks.errors import Forbidden, Unauthorized

Seen = Callable[[str, str, int, int], bool]
"""Whether a token is used for the first time: issuer, `jti`, until when it is remembered, and now (milliseconds)."""

LONGEST_TOKEN: Final = 8000
"""Characters of a JWT at most."""
_LONGEST_JTI: Final = 500
_SKEW: Final = 60
"""Seconds by which the clocks of a client and ours may differ."""
_LONGEST_LIFE: Final = 3600
_LATEST: Final = 1e11
"""Seconds since 1970; what is later is no date."""
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +(?P<token>[\w-]+\.[\w-]+\.[\w-]+) *", re.ASCII)
_PORTS: Final = {"http": 80, "https": 443}


class _Registry(jws.JWSRegistry):
    """Headers that we ignore, such as a chain of certificates, may be long."""

    max_header_length = LONGEST_TOKEN
    max_signature_length = LONGEST_TOKEN


class Authenticator:
    """Tells which registered client a call comes from.

    `seen` remembers the tokens that were used. `ca_bundle` holds certificates that are trusted besides the usual ones
    when key sets are fetched; in `folder` those that were fetched are kept for the next process. Raises OSError and
    ValueError for a key file that cannot be used.
    """

    def __init__(self, clients: Clients, seen: Seen, ca_bundle: Path | None = None, folder: Path | None = None) -> None:
        self._by_issuer: dict[str, list[Client]] = {}
        for client in clients.clients:
            self._by_issuer.setdefault(client.issuer, []).append(client)
        self._seen = seen
        self._keys = ClientKeys(clients, ca_bundle, folder)

    def client_of(self, authorization: str | None, urls: Sequence[str], service_id: str | None, now: int) -> Client:
        """The client that sent this Authorization header.

        `urls` are those that its `aud` may name, `service_id` is the service it calls (None for discovery), `now` is in
        milliseconds since 1970 UTC. Raises Unauthorized when no registered client can have sent it; Forbidden when one
        did that may not call this service or for this tenant.
        """
        token = _token(authorization)
        header, claims = _parts(token)
        issuer = claims.get("iss")
        candidates = self._by_issuer.get(issuer, []) if isinstance(issuer, str) else []
        if not candidates:
            raise Unauthorized("the issuer is not registered")
        tenant = claims.get("tenant")
        client = next((one for one in candidates if _is_tenant(one, tenant)), candidates[0])
        _check_header(header, client)
        until = _check_claims(claims, client, urls, now / 1000)
        self._check_signature(token, header, client, now)
        if not _is_tenant(client, tenant):
            raise Forbidden("This client is not registered for this tenant.", client.name)
        if client.services and service_id is not None and service_id not in client.services:
            raise Forbidden("This client is not registered for this service.", client.name)
        if not self._seen(client.issuer, claims["jti"], int(until * 1000), now):
            _refuse(client, "the token was used before")
        return client

    def _check_signature(self, token: str, header: Mapping[str, Any], client: Client, now: int) -> None:
        try:
            key = self._keys.key(client, header["kid"], now)
        except NotFetched:
            _refuse(client, "its key set could not be fetched")
        if key is None:
            _refuse(client, "no key has this kid")
        if not key.fits(header["alg"]):
            _refuse(client, "the key is not for this algorithm")
        try:
            registry = _Registry(algorithms=[header["alg"]], strict_check_header=False)
            jws.deserialize_compact(token, key.public, registry=registry)
        except (JoseError, ValueError, TypeError):
            _refuse(client, "the signature is wrong")


def normal_url(url: str) -> str:
    """A URL in the spelling in which `aud` is compared: host in lower case, without default port and slash at the end.

    Text that is no http or https URL is returned as it is.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return url
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        return url
    written = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS[scheme]:
        written += f":{port}"
    rest = parts._replace(scheme=scheme, netloc=written, path=parts.path.removesuffix("/"))
    return rest.geturl()


def _token(authorization: str | None) -> str:
    if not authorization:
        raise Unauthorized("there is no Authorization header")
    if len(authorization) > LONGEST_TOKEN + len("Bearer "):
        raise Unauthorized("the token is too long")
    found = _BEARER.fullmatch(authorization)
    if found is None:
        raise Unauthorized("the Authorization header is not one bearer token")
    return found["token"]


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims, which nobody vouches for yet."""
    header, claims, _ = token.split(".")
    try:
        read = [json.loads(urlsafe_b64decode(part.encode()), parse_constant=_no_number) for part in (header, claims)]
    except (ValueError, RecursionError):
        raise Unauthorized("the token is no JWT") from None
    if not all(isinstance(part, dict) for part in read):
        raise Unauthorized("the token is no JWT")
    return read[0], read[1]


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def _is_tenant(client: Client, tenant: object) -> bool:
    return not client.tenants or tenant in client.tenants


def _check_header(header: Mapping[str, Any], client: Client) -> None:
    """The header as it must be; `jwk`, `x5c`, `x5t` and `x5u` are not looked at."""
    if header.get("alg") not in client.algorithms:
        _refuse(client, "the algorithm is not registered")
    kind = header.get("typ")
    if not isinstance(kind, str) or kind.lower() != "jwt":
        _refuse(client, "the type is not JWT")
    if not isinstance(header.get("kid"), str) or not header["kid"]:
        _refuse(client, "there is no kid")
    if "crit" in header or "b64" in header:
        _refuse(client, "it has critical headers")
    if "jku" in header and (header["jku"] is None or header["jku"] != (client.jku or client.jwks)):
        _refuse(client, "the jku is not the registered one")


def _check_claims(claims: Mapping[str, Any], client: Client, urls: Sequence[str], now: float) -> float:
    """Until when, in seconds since 1970, the token must be remembered; `now` is in seconds too."""
    expires, issued = _date(claims, "exp", client), _date(claims, "iat", client)
    if now >= expires + _SKEW:
        _refuse(client, "the token has expired")
    if issued > now + _SKEW:
        _refuse(client, "the token is from the future")
    if expires <= issued or expires - issued > _LONGEST_LIFE + _SKEW:
        _refuse(client, "the token does not last for at most an hour")
    if "nbf" in claims and _date(claims, "nbf", client) > now + _SKEW:
        _refuse(client, "the token is not valid yet")
    identifier = claims.get("jti")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= _LONGEST_JTI or not identifier.isprintable():
        _refuse(client, "there is no jti")
    if not isinstance(claims.get("tenant", ""), str):
        _refuse(client, "the tenant is no text")
    if not _names_one_of(claims.get("aud"), (*urls, *client.audiences)):
        _refuse(client, "the token is for another audience")
    return expires + _SKEW


def _date(claims: Mapping[str, Any], name: str, client: Client) -> float:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < _LATEST:
        _refuse(client, f"there is no {name}")
    return float(found)


def _names_one_of(audience: object, accepted: Iterable[str]) -> bool:
    named = audience if isinstance(audience, list) else [audience]
    known = {normal_url(one) for one in accepted}
    return all(isinstance(one, str) for one in named) and not known.isdisjoint(map(normal_url, named))


def _refuse(client: Client, reason: str) -> NoReturn:
    raise Unauthorized(f"{client.name}: {reason}")
