"""JWK sets (RFC 7517): the public keys in them that signatures may be checked with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import base64_to_int

LONGEST: Final = 262_144
"""Bytes of a JWK set at most."""
SHORTEST_RSA: Final = 2048
LONGEST_RSA: Final = 8192
"""Bits of an RSA modulus at least and at most."""
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
