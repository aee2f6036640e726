"""A key pair and a JWT for trying the service out as a registered client would call it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

ALGORITHMS: Final = ("ES384", "RS384")
_CURVE: Final = "P-384"
_RSA_BITS: Final = 3072


class TokenError(Exception):
    """No token could be made; the text says what was found and what was expected."""


def run_token(folder: Path, *, issuer: str, audience: str, alg: str, minutes: int, tenant: str | None) -> None:
    """Print a JWT for one call of `audience` on standard output, and on standard error how to register its key.

    The key is `private-key.json` in `folder`, its public half `jwks.json`; both are made when they are absent. `alg` is
    ES384 or RS384, `tenant` None for an issuer without tenants. Raises TokenError.
    """
    address = urlsplit(audience)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise TokenError(f"the audience: found '{audience}', expected the URL that is called")
    if not 1 <= minutes <= 60:
        raise TokenError(f"the minutes: found {minutes}, expected 1 to 60")
    if not issuer or tenant == "":
        raise TokenError("expected an issuer, and a tenant that is not empty")
    if alg not in ALGORITHMS:
        raise TokenError(f"the algorithm: found '{alg}', expected {' or '.join(ALGORITHMS)}")
    key, made = _key(folder, alg)
    now = int(time.time())
    header = {"alg": alg, "typ": "JWT", "kid": key.kid}
    claims = {"iss": issuer, "aud": audience, "iat": now, "exp": now + 60 * minutes, "jti": str(uuid4())}
    if tenant is not None:
        claims["tenant"] = tenant
    _tell(folder / "jwks.json", claims, minutes, made=made)
    sys.stdout.write(jwt.encode(header, claims, key, algorithms=[alg]) + "\n")


def _tell(jwks: Path, claims: dict[str, Any], minutes: int, *, made: bool) -> None:
    lines = [
        f"A new key was made in {jwks.parent}." if made else f"The key in {jwks.parent} was used.",
        "The file of registered clients (CDS_SERVICE_CLIENTS) needs this entry:",
        "",
        "clients:",
        "  - name: trying-out",
        f"    issuer: {json.dumps(claims['iss'])}",
        f"    jwks: {json.dumps(str(jwks.resolve()))}",
        *([f"    tenants: [{json.dumps(claims['tenant'])}]"] if "tenant" in claims else []),
        "",
        f"The token is for one call of {claims['aud']} within {minutes} minutes,",
        "in the header Authorization: Bearer TOKEN.",
    ]
    sys.stderr.write("\n".join(lines) + "\n")


def _key(folder: Path, alg: str) -> tuple[ECKey | RSAKey, bool]:
    """The private key of a folder, and whether it was made now."""
    private, public = folder / "private-key.json", folder / "jwks.json"
    try:
        if private.exists():
            return _read(private, public, alg), False
        if public.exists():
            raise TokenError(f"{public}: found it without {private.name}, expected both or none of them")
        folder.mkdir(parents=True, exist_ok=True)
        key: ECKey | RSAKey = RSAKey.generate_key(_RSA_BITS) if alg == "RS384" else ECKey.generate_key(_CURVE)
        key.ensure_kid()
        _write(private, key.as_dict(private=True), 0o600)
        _write(public, {"keys": [_public(key)]}, 0o644)
        return key, True
    except OSError as error:
        raise TokenError(f"{error.filename}: {error.strerror}") from None


def _read(private: Path, public: Path, alg: str) -> ECKey | RSAKey:
    if private.stat().st_mode & 0o077:
        raise TokenError(f"{private}: found a file that others can read, expected one for its owner alone (mode 600)")
    try:
        found = json.loads(private.read_bytes())
        kinds: dict[str, type[ECKey] | type[RSAKey]] = {"EC": ECKey, "RSA": RSAKey}
        key = kinds[found["kty"]].import_key(found)
        if not key.is_private or not key.kid or (isinstance(key, ECKey) and key.curve_name != _CURVE):
            raise ValueError
    except (JoseError, ValueError, TypeError, KeyError):
        expected = "a private key for ES384 or RS384, as this command makes it"
        raise TokenError(f"{private}: found something else than {expected}") from None
    if _algorithm(key) != alg:
        raise TokenError(f"{private}: found a key for {_algorithm(key)}, expected one for {alg}, or another folder")
    if not public.exists():
        _write(public, {"keys": [_public(key)]}, 0o644)
        return key
    try:
        listed = _public(key) in json.loads(public.read_bytes())["keys"]
    except (ValueError, TypeError, KeyError):
        listed = False
    if not listed:
        raise TokenError(f"{public}: found a key set without the key of {private.name}, expected one with it")
    return key


def _public(key: ECKey | RSAKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "use": "sig", "alg": _algorithm(key)}


def _algorithm(key: ECKey | RSAKey) -> str:
    return "ES384" if isinstance(key, ECKey) else "RS384"


def _write(path: Path, content: dict[str, Any], mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
