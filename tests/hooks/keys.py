"""Keys, tokens, files of registered clients and key servers, as the tests of trust need them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from loopback import Listener, Speak, saying

from cds_service.demo import FIXTURES_NOW

NOW = int(FIXTURES_NOW.timestamp())
"""Seconds since 1970: the moment of the fixtures."""
ISSUER = "https://ehr.example.org/"
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


@cache
def private_key(algorithm: str, which: int = 0) -> ECKey | RSAKey:
    """A private key for an algorithm; each number of `which` is another one."""
    if algorithm in _CURVES:
        return ECKey.generate_key(_CURVES[algorithm])
    return RSAKey.generate_key(2048)


def weak_rsa() -> dict[str, Any]:
    """The public JWK of an RSA key of 1,024 bits."""
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()  # noqa: S505 (a weak one is wanted)
    return {"kty": "RSA", "n": encoded(numbers.n.to_bytes(128, "big")), "e": "AQAB"}


def encoded(content: bytes) -> str:
    """Base64url without padding, as JOSE has it."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def with_members(given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with members set, or left out where the value is `...`."""
    return {name: value for name, value in {**given, **changes}.items() if value is not ...}


class Signer:
    """Somebody who signs tokens: a registered client, or one who pretends to be."""

    def __init__(self, algorithm: str = "ES384", kid: str = "k-1", issuer: str = ISSUER, which: int = 0) -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.issuer = issuer
        self.key = private_key(algorithm, which)

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public key as it stands in a JWK set."""
        public = {"kid": self.kid, "use": "sig", "alg": self.algorithm, **self.key.as_dict(private=False)}
        return with_members({**public, "kid": self.kid}, changes)

    def token(
        self, url: str, header: Mapping[str, Any] | None = None, claims: Mapping[str, Any] | None = None, now: int = NOW
    ) -> str:
        """A token for a call of `url` at `now`, with members of its header and its claims changed."""
        written = with_members({"alg": self.algorithm, "typ": "JWT", "kid": self.kid}, header or {})
        usual = {"iss": self.issuer, "aud": url, "iat": now, "exp": now + 300, "jti": str(uuid4())}
        return self.signed(json.dumps(written), json.dumps(with_members(usual, claims or {})))

    def signed(self, header: str, claims: str) -> str:
        """A token of this very header and these very claims, signed by the algorithm of the key."""
        content = f"{encoded(header.encode())}.{encoded(claims.encode())}"
        signature = JWSRegistry.algorithms[self.algorithm].sign(content.encode(), self.key)
        return f"{content}.{encoded(signature)}"


def key_set(*keys: Any) -> bytes:
    """A JWK set of signers' public keys, or of JWKs."""
    return json.dumps({"keys": [one.jwk() if isinstance(one, Signer) else one for one in keys]}).encode()


def register(folder: Path, *clients: Mapping[str, Any], **members: Any) -> Path:
    """A file of registered clients in a folder; YAML takes JSON as it is."""
    path = folder / "clients.yaml"
    path.write_text(json.dumps({"clients": clients, **members}, indent=1))
    return path


def registered(folder: Path, *signers: Signer, **members: Any) -> dict[str, Any]:
    """The entry of a client whose keys are in a file of the folder."""
    name = members.get("name", "main-ehr")
    (folder / f"{name}.json").write_bytes(key_set(*signers))
    return {"name": name, "issuer": signers[0].issuer, "jwks": f"{name}.json", **members}


class KeyServer:
    """What a key server says, which a test may change while it runs; give `speak` to `loopback.listening`."""

    def __init__(self, *keys: Any) -> None:
        self.says: Speak = saying(key_set(*keys))

    def speak(self, connection: Any) -> None:
        self.says(connection)


def jwks_url(listener: Listener) -> str:
    """The address of a key server's JWK set."""
    return f"{listener.origin}/jwks.json"
