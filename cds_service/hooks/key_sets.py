"""The public keys of the clients: read from JWK sets (RFC 7517), fetched when they are at a URL, and kept."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import base64_to_int

from cds_service.hooks.clients import Client, Clients
from cds_service.outgoing import Answer, Outgoing, OutgoingError

_log = logging.getLogger(__name__)

LONGEST: Final = 262_144
"""Bytes of a JWK set at most."""
SHORTEST_RSA: Final = 2048
LONGEST_RSA: Final = 8192
"""Bits of an RSA modulus at least and at most."""
_ACCEPT: Final = {"Accept": "application/jwk-set+json, application/json"}
_SECONDS: Final = 2.0
_FRESH: Final = 3_600_000
_FRESH_AT_LEAST: Final = 60_000
_BETWEEN_FETCHES: Final = 60_000
_KEPT: Final = 86_400_000
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})")
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
ALGORITHMS: Final = (*_CURVES, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""The algorithms that a client may sign with; symmetric ones and `none` are not among them."""


class Key(msgspec.Struct, frozen=True):
    """A public key. `kind` is RSA or the name of its curve, `algorithm` the only one it is for, when it says so."""

    kind: str
    algorithm: str | None
    public: RSAKey | ECKey

    def fits(self, algorithm: str) -> bool:
        """Whether a signature by `algorithm` may be checked with this key."""
        return self.algorithm in (None, algorithm) and self.kind == _CURVES.get(algorithm, "RSA")


class KeySet(msgspec.Struct, frozen=True):
    """The keys for signatures of a JWK set, by `kid`; and what is wrong with others, in words of ours alone."""

    keys: Mapping[str, Key]
    mistakes: tuple[str, ...] = ()


def read_key_set(content: bytes) -> KeySet:
    """The keys of a JWK set that is JSON. Keys that are not for signatures, or of another kind, are left out.

    Private and symmetric keys, RSA keys of less than 2,048 bits, and a `kid` that stands twice are mistakes; their keys
    are not among those returned. Raises ValueError when it is no JWK set.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise ValueError("no JWK set")
    counted = Counter(kid for one in found["keys"] if isinstance(one, dict) and isinstance(kid := one.get("kid"), str))
    keys: dict[str, Key] = {}
    mistakes: list[str] = []
    for at, one in enumerate(found["keys"], 1):
        try:
            key = _read_key(one)
            if key is not None and counted[one["kid"]] > 1:
                raise ValueError("has a kid that stands more than once")
        except ValueError as error:
            mistakes.append(f"key {at} {error}")
        else:
            if key is not None:
                keys[one["kid"]] = key
    return KeySet(keys, tuple(mistakes))


def read_key_file(path: Path) -> KeySet:
    """The keys of a file. Raises OSError when it cannot be read, ValueError when it holds no JWK set."""
    with path.open("rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError("a file that is too long")
    return read_key_set(content)


def _read_key(one: Any) -> Key | None:
    """A key of a set, None when it is for something else. Raises ValueError that says what is wrong."""
    if not isinstance(one, dict):
        raise ValueError("is no JSON object")
    kind = one.get("kty")
    if kind == "oct" or "k" in one:
        raise ValueError("is symmetric")
    if "d" in one:
        raise ValueError("is private")
    operations = one.get("key_ops", ["verify"])
    if kind not in ("RSA", "EC") or one.get("use", "sig") != "sig" or "verify" not in operations:
        return None
    if not isinstance(one.get("kid"), str) or not one["kid"]:
        raise ValueError("has no kid")
    algorithm = one.get("alg")
    if algorithm is not None and not isinstance(algorithm, str):
        raise ValueError("has an alg that is no text")
    try:
        if kind == "RSA":
            bits = base64_to_int(one["n"]).bit_length()
            if not SHORTEST_RSA <= bits <= LONGEST_RSA:
                raise _Length(f"has {bits} bits, not {SHORTEST_RSA} to {LONGEST_RSA}")
            return Key("RSA", algorithm, RSAKey.import_key({name: one[name] for name in ("kty", "n", "e")}))
        if one["crv"] not in _CURVES.values():
            return None
        public = ECKey.import_key({name: one[name] for name in ("kty", "crv", "x", "y")})
        return Key(public.curve_name, algorithm, public)
    except _Length:
        raise
    except (JoseError, ValueError, TypeError, KeyError):
        raise ValueError("is broken") from None


class _Length(ValueError):
    pass


class KeySets:
    """The keys of all registered clients. Those of files are read now, those of URLs when they are first needed.

    A set that was fetched is fresh for an hour, or as long as its Cache-Control says when that is less, at least for a
    minute. A `kid` that it does not have has it fetched anew, as does age, at most once a minute. A key server that is
    down or answers junk leaves the keys in use for a day. Raises OSError and ValueError for a file that cannot be used.
    """

    def __init__(self, clients: Clients, ca_bundle: Path | None = None) -> None:
        self._files = {one.jwks_file: read_key_file(one.jwks_file) for one in clients.clients if one.jwks_file}
        places = {(one.jwks, one.networks) for one in clients.clients if one.jwks}
        self._remote = {
            (url, networks): _Remote(url, Outgoing(networks=networks, ca_bundle=ca_bundle, longest=LONGEST))
            for url, networks in places
        }

    def key(self, client: Client, kid: str, now: int) -> Key | None:
        """The key of a client with this `kid`, None when there is none; `now` in milliseconds since 1970 UTC."""
        if client.jwks:
            return self._remote[client.jwks, client.networks].key(kid, now, client.name)
        return self._files[client.jwks_file].keys.get(kid) if client.jwks_file else None


class _Fetched(msgspec.Struct, frozen=True):
    keys: Mapping[str, Key]
    at: int
    fresh_until: int


class _Remote:
    """The keys at one URL. One thread fetches at a time; others go on with the keys that are there."""

    def __init__(self, url: str, asker: Outgoing) -> None:
        self._url = url
        self._asker = asker
        self._fetching = threading.Lock()
        self._tried: int | None = None
        self._fetched = _Fetched({}, 0, 0)

    def key(self, kid: str, now: int, client: str) -> Key | None:
        known = self._known(kid, now)
        if known is not None and now < self._fetched.fresh_until:
            return known
        if self._fetching.acquire(blocking=known is None):
            try:
                if self._may_fetch(kid, now):
                    self._tried = now
                    self._fetch(now, client)
            finally:
                self._fetching.release()
        return self._known(kid, now)

    def _known(self, kid: str, now: int) -> Key | None:
        fetched = self._fetched
        return fetched.keys.get(kid) if now - fetched.at < _KEPT else None

    def _may_fetch(self, kid: str, now: int) -> bool:
        """Whether it is needed still, as another thread may have fetched, and allowed again."""
        if self._known(kid, now) is not None and now < self._fetched.fresh_until:
            return False
        return self._tried is None or not 0 <= now - self._tried < _BETWEEN_FETCHES

    def _fetch(self, now: int, client: str) -> None:
        try:
            answer = self._asker.get(self._url, deadline=time.monotonic() + _SECONDS, headers=_ACCEPT)
            if answer.status != 200:
                raise ValueError(f"it answered with {answer.status}")
            found = read_key_set(answer.body)
        except (OutgoingError, ValueError) as error:
            _log.warning("The key set of %s could not be fetched: %s. Older keys stay in use for a day.", client, error)
            return
        finally:
            self._asker.close()
        for mistake in found.mistakes:
            _log.warning("In the key set of %s, %s; it is not used.", client, mistake)
        self._fetched = _Fetched(found.keys, now, now + _freshness(answer))


def _freshness(answer: Answer) -> int:
    """How long an answer is fresh, in milliseconds."""
    said = answer.headers.get("cache-control", "").lower()
    if "no-store" in said or "no-cache" in said:
        return _FRESH_AT_LEAST
    age = _MAX_AGE.search(said)
    return min(_FRESH, max(_FRESH_AT_LEAST, int(age[1]) * 1000)) if age else _FRESH
