"""What attackers and careless clients send instead of a right token: by the row of the checklist that refuses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode
from keys import ISSUER, NOW, Signer, encoded, jwks_url
from loopback import Listener
from place import BASE


class Attack(NamedTuple):
    """What somebody sends for a call of an address, and why it is refused."""

    header: Callable[[str, Listener], str | None]
    reason: str


def header(reason: str, **changes: Any) -> Attack:
    """A token that is right but for its header."""
    return Attack(lambda url, trap: f"Bearer {Signer().token(url, header=changes)}", f"main-ehr: {reason}")


def claims(reason: str, **changes: Any) -> Attack:
    """A token that is right but for its claims."""
    return Attack(lambda url, trap: f"Bearer {Signer().token(url, claims=changes)}", f"main-ehr: {reason}")


def audience(written: Callable[[str], Any]) -> Attack:
    """A token that is right but for whom it is."""
    return Attack(
        lambda url, trap: f"Bearer {Signer().token(url, claims={'aud': written(url)})}",
        "main-ehr: the token is for another audience",
    )


def trapped(reason: str, members: Callable[[str], Mapping[str, Any]], signer: Signer) -> Attack:
    """A token of an attacker that names an address of theirs, which must never be asked."""
    return Attack(
        lambda url, trap: f"Bearer {signer.token(url, header=members(jwks_url(trap)))}", f"main-ehr: {reason}"
    )


def sent(what: str | None, reason: str) -> Attack:
    """This very header."""
    return Attack(lambda url, trap: what, reason)


def forged(signature: Callable[[str, bytes], str]) -> Attack:
    """A right token whose signature is replaced: by a function of what was signed and of the right signature."""

    def build(url: str, trap: Listener) -> str:
        content, _, right = Signer().token(url).rpartition(".")
        return f"Bearer {content}.{signature(content, right.encode())}"

    return Attack(build, "main-ehr: the signature is wrong")


def by_hmac(algorithm: str, secret: Callable[[Signer], bytes]) -> Attack:
    """Signed with a symmetric algorithm, the public key being the secret."""

    def build(url: str, trap: Listener) -> str:
        right = Signer().token(url, header={"alg": algorithm}).rpartition(".")[0]
        signature = JWSRegistry.algorithms[algorithm].sign(right.encode(), OctKey.import_key(_padded(secret(Signer()))))
        return f"Bearer {right}.{encoded(signature)}"

    return Attack(build, "main-ehr: the algorithm is not registered")


def _padded(secret: bytes) -> str:
    return json.dumps({"kty": "oct", "k": encoded(secret)})


NOT_BEARER = "the Authorization header is not one bearer token"
NO_JWT = "the token is no JWT"
STRANGER = Signer(which=1)
LONG = "x" * 9000

ATTACKS: dict[str, dict[str, Attack]] = {
    "JWT_01": {
        "no header": sent(None, "there is no Authorization header"),
        "an empty header": sent("", "there is no Authorization header"),
        "another scheme": sent("Basic dXNlcjpzZWNyZXQ=", NOT_BEARER),
        "no token": sent("Bearer ", NOT_BEARER),
        "a word": sent("Bearer secret", NOT_BEARER),
        "only a token": Attack(lambda url, trap: Signer().token(url), NOT_BEARER),
        "two tokens": Attack(
            lambda url, trap: f"Bearer {Signer().token(url)}, Bearer {Signer().token(url)}", NOT_BEARER
        ),
        "two tokens of one scheme": Attack(
            lambda url, trap: f"Bearer {Signer().token(url)} {Signer().token(url)}", NOT_BEARER
        ),
        "a fourth part": Attack(lambda url, trap: f"Bearer {Signer().token(url)}.e30", NOT_BEARER),
        "a padded token": Attack(lambda url, trap: f"Bearer {Signer().token(url)}=", NOT_BEARER),
    },
    "JWT_02": {
        "junk": sent("Bearer a.b.c", NO_JWT),
        "no objects": sent(f"Bearer {encoded(b'[]')}.{encoded(b'[]')}.c2ln", NO_JWT),
        "nested too deep": sent(f"Bearer {encoded(b'[' * 2000)}.e30.c2ln", NO_JWT),
        "no UTF-8": sent(f"Bearer {encoded(bytes([0xFF, 0xFE, 0xFD]))}.e30.c2ln", NO_JWT),
        "an oversized token": Attack(
            lambda url, trap: f"Bearer {Signer().token(url, claims={'x': LONG})}", "the token is too long"
        ),
        "no kid": header("there is no kid", kid=...),
        "an empty kid": header("there is no kid", kid=""),
        "a kid that is no text": header("there is no kid", kid=["k-1"]),
        "no typ": header("the type is not JWT", typ=...),
        "another typ": header("the type is not JWT", typ="at+jwt"),
        "a typ that is no text": header("the type is not JWT", typ=["JWT"]),
        "no alg": header("the algorithm is not registered", alg=...),
        "an alg that is no text": header("the algorithm is not registered", alg=["ES384"]),
    },
    "JWT_03": {
        "no iss": Attack(
            lambda url, trap: f"Bearer {Signer().token(url, claims={'iss': ...})}", "the issuer is not registered"
        ),
        "an iss that is no text": Attack(
            lambda url, trap: f"Bearer {Signer().token(url, claims={'iss': [ISSUER]})}", "the issuer is not registered"
        ),
        "no exp": claims("there is no exp", exp=...),
        "exp as text": claims("there is no exp", exp=str(NOW + 300)),
        "exp as true": claims("there is no exp", exp=True),
        "exp as null": claims("there is no exp", exp=None),
        "exp without end": claims("there is no exp", exp=10**300),
        "exp before 1970": claims("there is no exp", exp=-5),
        "exp as Infinity": Attack(
            lambda url, trap: "Bearer " + _with_claims(f'{{"iss": "{ISSUER}", "aud": "{url}", "exp": Infinity}}'),
            NO_JWT,
        ),
        "exp too large for a float": Attack(
            lambda url, trap: "Bearer " + _with_claims(f'{{"iss": "{ISSUER}", "aud": "{url}", "exp": 1e999}}'),
            "main-ehr: there is no exp",
        ),
        "no iat": claims("there is no iat", iat=...),
        "iat as text": claims("there is no iat", iat=str(NOW)),
        "iat as false": claims("there is no iat", iat=False),
        "nbf in the future": claims("the token is not valid yet", nbf=NOW + 61),
        "nbf as text": claims("there is no nbf", nbf="soon"),
        "no jti": claims("there is no jti", jti=...),
        "an empty jti": claims("there is no jti", jti=""),
        "a jti that is no text": claims("there is no jti", jti=7),
        "a jti that is too long": claims("there is no jti", jti="x" * 501),
        "a jti with control characters": claims("there is no jti", jti="a\0b"),
        "a jti that is no Unicode": claims("there is no jti", jti="\ud800"),
    },
    "JWT_04": {
        "no aud": audience(lambda url: ...),
        "aud as null": audience(lambda url: None),
        "aud as a number": audience(lambda url: 7),
        "an empty array": audience(lambda url: []),
        "an array without us": audience(lambda url: ["https://elsewhere.example.org", url + "/more"]),
        "an array of something else too": audience(lambda url: [url, 7]),
        "an object": audience(lambda url: {url: url}),
        "another path": audience(lambda url: url + "/more"),
        "the base": audience(lambda url: BASE),
        "another host": audience(lambda url: url.replace("localhost", "elsewhere.example.org")),
        "another scheme": audience(lambda url: url.replace("http:", "https:")),
        "another port": audience(lambda url: url.replace("localhost", "localhost:8080")),
        "another service": audience(lambda url: f"{BASE}/cds-services/leg-weakness-order-sign"),
        "a word": audience(lambda url: "cds-service"),
        "user information": audience(lambda url: url.replace("//", "//user@")),
        "no URL": audience(lambda url: url.replace("localhost", "[localhost")),
    },
    "JWT_05": {
        "none": header("the algorithm is not registered", alg="none"),
        "none in odd letters": header("the algorithm is not registered", alg="nOnE"),
        "none without a signature": Attack(
            lambda url, trap: f"Bearer {Signer().token(url, header={'alg': 'none'}).rpartition('.')[0]}.", NOT_BEARER
        ),
        "HS256 with the public key as PEM": by_hmac("HS256", lambda one: one.key.as_pem(private=False)),
        "HS256 with the public key as DER": by_hmac("HS256", lambda one: one.key.as_der(private=False)),
        "HS384 with the public key as JWK": by_hmac("HS384", lambda one: json.dumps(one.jwk()).encode()),
        "HS512 with the public key as PEM": by_hmac("HS512", lambda one: one.key.as_pem(private=False)),
        "the signature of a stranger": Attack(
            lambda url, trap: f"Bearer {STRANGER.token(url)}", "main-ehr: the signature is wrong"
        ),
        "the signature of another token": forged(lambda content, right: Signer().token("x").rpartition(".")[2]),
        "a signature cut short": forged(lambda content, right: right[:-4].decode()),
        "a signature of zeros": forged(lambda content, right: encoded(bytes(96))),
        "a signature as DER": forged(lambda content, right: encoded(_as_der(right))),
        "a signature that is no base64": forged(lambda content, right: "A"),
    },
    "JWT_06": {
        "an algorithm that is not registered": Attack(
            lambda url, trap: f"Bearer {Signer('RS256', 'k-2').token(url)}", "main-ehr: the algorithm is not registered"
        ),
    },
    "JWT_07": {
        "an unknown issuer": Attack(
            lambda url, trap: f"Bearer {STRANGER.token(url, {'jku': jwks_url(trap)}, {'iss': trap.origin})}",
            "the issuer is not registered",
        ),
        "an issuer that is spelled alike": Attack(
            lambda url, trap: f"Bearer {Signer().token(url, claims={'iss': ISSUER.rstrip('/')})}",
            "the issuer is not registered",
        ),
        "the issuer of another client": Attack(
            lambda url, trap: f"Bearer {Signer().token(url, claims={'iss': 'https://other.example.org'})}",
            "other: the signature is wrong",
        ),
    },
    "JWT_09": {
        "an unknown kid": header("no key has this kid", kid="k-3"),
        "the kid of another client": header("no key has this kid", kid="k-9"),
        "a kid that is a path": header("no key has this kid", kid="../../../../dev/null"),
        "a kid that is SQL": header("no key has this kid", kid="k-1' OR '1'='1"),
        "a foreign jku": trapped("the jku is not the registered one", lambda there: {"jku": there}, STRANGER),
        "a foreign jku with the right key": trapped(
            "the jku is not the registered one", lambda there: {"jku": there}, Signer()
        ),
        "no jku": header("the jku is not the registered one", jku=None),
    },
    "JWT_10": {
        "expired": claims("the token has expired", iat=NOW - 360, exp=NOW - 60),
        "expired long ago": claims("the token has expired", iat=NOW - 90_000, exp=NOW - 89_000),
        "from the future": claims("the token is from the future", iat=NOW + 61, exp=NOW + 300),
        "too long a life": claims("the token does not last for at most an hour", exp=NOW + 3661),
        "a life of years": claims("the token does not last for at most an hour", exp=NOW + 10**8),
        "exp before iat": claims("the token does not last for at most an hour", iat=NOW + 30, exp=NOW + 20),
    },
    "JWT_12": {
        "a tenant that is no text": claims("the tenant is no text", tenant=7),
    },
    "JWT_14": {
        "the key of another algorithm": header("the key is not for this algorithm", alg="RS384"),
        "the RSA key for ES384": header("the key is not for this algorithm", kid="k-2"),
        "crit": header("it has critical headers", crit=["exp"], exp=NOW + 300),
        "an empty crit": header("it has critical headers", crit=[]),
        "b64": header("it has critical headers", b64=False),
        "an embedded jwk": trapped(
            "the signature is wrong", lambda there: {"jwk": STRANGER.jwk()}, Signer(kid="k-1", which=1)
        ),
        "an embedded jwk and its kid": trapped(
            "no key has this kid", lambda there: {"jwk": STRANGER.jwk(), "kid": "k-5"}, Signer(kid="k-5", which=1)
        ),
        "x5u": trapped("the signature is wrong", lambda there: {"x5u": there}, Signer(which=1)),
        "x5c": trapped("the signature is wrong", lambda there: {"x5c": ["MIIB"], "x5t": "AA"}, Signer(which=1)),
    },
}


def _with_claims(claims: str) -> str:
    return Signer().signed('{"alg": "ES384", "typ": "JWT", "kid": "k-1"}', claims)


def _as_der(signature: bytes) -> bytes:
    raw = urlsafe_b64decode(signature)
    return encode_dss_signature(int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big"))
