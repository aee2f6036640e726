"""The clients that are registered with this installation: who they are, what they may call, and how they speak."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

Profile = Literal["1.0", "1.1", "2.0.1", "3.0"]
PROFILES: Final[tuple[Profile, ...]] = get_args(Profile)
"""The versions of CDS Hooks that a client may speak; nothing on the wire tells which, so it is registered."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """One registered client.

    `issuer` is the `iss` of its JWTs. Its public keys are at the URL `jwks`, or in the file `jwks_file`; `jku` is the
    header that its tokens may carry (the URL `jwks`, unless registered). `audiences` are accepted besides the URL that
    is called; `tenants` and `services` that are empty allow all. `fhir_servers` are the base URLs that may be asked
    with the tokens of its requests, `networks` those private networks in which its servers may stand, and
    `open_fhir_server` allows asking without a token. `origins` are those of browsers (CORS). `prefetch_keys` gives our
    key for each key that the site named itself. `one_action` splits suggestions, for clients that take one action each.
    """

    name: str
    issuer: str = ""
    jwks: str | None = None
    jwks_file: Path | None = None
    jku: str | None = None
    algorithms: tuple[str, ...] = ("ES384", "RS384")
    profile: Profile = "2.0.1"
    audiences: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    fhir_servers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    open_fhir_server: bool = False
    origins: tuple[str, ...] = ()
    prefetch_keys: Mapping[str, str] = {}
    one_action: bool = False


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """All registered clients, and the URL by which they reach this installation (None: as the request says)."""

    public_url: str | None = None
    clients: tuple[Client, ...] = ()


LOCAL: Final = Client(name="local")
"""Whoever calls an installation without registered clients, which listens on loopback only."""
