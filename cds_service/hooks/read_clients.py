"""The file of registered clients, read and checked: one mistake, and the service does not start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from cds_service.addresses import is_loopback, is_never_asked
from cds_service.hooks.clients import PROFILES, Client, Clients, Profile
from cds_service.hooks.key_sets import ALGORITHMS, LONGEST_RSA, SHORTEST_RSA, KeySet, read_key_file
from cds_service.hooks.profiles import DRAFT_MEDICATIONS
from cds_service.knowledge.reading import Node, Problems, read_yaml
from cds_service.knowledge.schema import conforms
from cds_service.knowledge.services import Service
from cds_service.outgoing import OutgoingError, checked_origin

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:.]+\](:\d+)?")
_URL: Final = "an https URL (http on this machine only) of an address that may be asked, without query and fragment"
_SANDBOX: Final = "sandbox.cds-hooks.org"
"""The public sandbox, whose private key anybody can read: whoever signs with it may be anybody (JWT-15)."""


def _text(**options: Any) -> fields.String:
    return fields.String(validate=validate.Length(min=1), **options)


def _texts() -> fields.List[Any]:
    return fields.List(_text())


def _is_switch(value: object) -> None:
    if not isinstance(value, bool):
        raise ValidationError("Not a valid boolean.")


class ClientSchema(Schema):
    """An entry of `clients`."""

    class Meta:
        unknown = EXCLUDE

    name = fields.String(
        required=True, validate=validate.Regexp(_NAME, error="a name of letters, digits, '.', '_' and '-', at most 64")
    )
    issuer = _text(required=True)
    jwks = _text(required=True)
    jku = _text()
    algorithms = fields.List(
        fields.String(validate=validate.OneOf(ALGORITHMS, error=f"one of {', '.join(ALGORITHMS)}")),
        validate=validate.Length(min=1, error="at least one algorithm"),
    )
    profile = fields.Raw(allow_none=True)
    audiences = _texts()
    tenants = _texts()
    services = _texts()
    fhir_servers = _texts()
    networks = _texts()
    open_fhir_server = fields.Raw(validate=_is_switch)
    origins = _texts()
    prefetch_keys = fields.Dict(keys=_text(), values=_text())
    one_action = fields.Raw(validate=_is_switch)


class ClientsSchema(Schema):
    """The whole file."""

    class Meta:
        unknown = EXCLUDE

    public_url = _text()
    clients = fields.List(
        fields.Raw(), required=True, validate=validate.Length(min=1, error="at least one registered client")
    )


class _Known(NamedTuple):
    """What the entries may name."""

    services: frozenset[str]
    prefetch: frozenset[str]
    is_public: bool


def read_clients(path: Path, services: Sequence[Service]) -> Clients:
    """The registered clients of a YAML file, for an installation that offers `services`.

    Raises KnowledgeError that lists every mistake with its line, what was found and what was expected.
    """
    problems = Problems()
    root = read_yaml(path, problems)
    problems.check()
    _only_keys(root, ClientsSchema, problems)
    conforms(ClientsSchema, root, problems)
    public = next(_texts_of(root, "public_url"), None)
    known = _Known(
        services=frozenset(service.id for service in services),
        prefetch=frozenset(key for service in services for key in service.prefetch) | {DRAFT_MEDICATIONS},
        is_public=public is not None and not is_loopback(_host(public.value)),
    )
    if public is not None:
        _check_url(public, problems)
    nodes: list[Node] = []
    for node in root.get("clients") or ():
        _only_keys(node, ClientSchema, problems)
        conforms(ClientSchema, node, problems)
        _check_client(node, known, problems)
        nodes.append(node)
    _check_together(nodes, problems)
    problems.check()
    url = None if public is None else public.value.rstrip("/")
    return Clients(public_url=url, clients=tuple(_client(node) for node in nodes))


def _client(node: Node) -> Client:
    plain = node.plain()
    for name, value in plain.items():
        if isinstance(value, list):
            plain[name] = tuple(value)
    profile = node.get("profile")
    if profile is not None:
        plain["profile"] = cast(Profile, _written(profile))
    if _is_file(node.value["jwks"]):
        plain["jwks_file"] = _file(node.value["jwks"])
        del plain["jwks"]
    return Client(**plain)


def _only_keys(node: Node, schema: type[Schema], problems: Problems) -> None:
    known = schema().fields
    for key, (line, column) in node.keys.items():
        if key not in known:
            problems.at(node.path, line, column, f"the unknown key '{key}'", f"one of {', '.join(known)}")


def _check_client(node: Node, known: _Known, problems: Problems) -> None:
    """What can be wrong with an entry by itself, besides its shape."""
    for one in (*_texts_of(node, "fhir_servers"), *_texts_of(node, "jku")):
        _check_url(one, problems)
    for one in _texts_of(node, "origins"):
        _check_origin(one, problems)
    for one in _texts_of(node, "networks"):
        _check_network(one, problems)
    for one in _texts_of(node, "services"):
        if one.value not in known.services:
            problems.unknown(one, "service", f"one of {', '.join(sorted(known.services))}")
    for _, one in node.value["prefetch_keys"].items() if node.get("prefetch_keys") else ():
        if isinstance(one.value, str) and one.value not in known.prefetch:
            problems.unknown(one, "prefetch key", f"one of {', '.join(sorted(known.prefetch))}")
    profile = node.get("profile")
    if profile is not None and _written(profile) not in PROFILES:
        problems.add(profile, profile.words, f"one of {', '.join(PROFILES)}")
    for jwks in _texts_of(node, "jwks"):
        _check_keys(jwks, _values(node, "algorithms") or Client(name="").algorithms, problems)
    for one in (one for name in ("issuer", "jwks", "jku") for one in _texts_of(node, name)):
        if known.is_public and _host(one.value).removesuffix(".") == _SANDBOX:
            expected = "another client: anybody can read the private key of this one, so it is for loopback only"
            problems.add(one, f"the public sandbox '{one.value}'", expected)


def _check_keys(jwks: Node, algorithms: Sequence[str], problems: Problems) -> None:
    if not _is_file(jwks):
        _check_url(jwks, problems)
        return
    try:
        found = read_key_file(_file(jwks))
    except OSError as error:
        problems.add(jwks, f"a file that cannot be read ({error.strerror})", "an https URL or a file with a JWK set")
    except ValueError as error:
        problems.add(jwks, f"{error} in '{jwks.value}'", 'a JWK set such as {"keys": [...]}')
    else:
        _check_key_set(found, jwks, algorithms, problems)


def _check_key_set(found: KeySet, jwks: Node, algorithms: Sequence[str], problems: Problems) -> None:
    bits = f"EC keys, RSA keys of {SHORTEST_RSA} to {LONGEST_RSA} bits"
    for mistake in found.mistakes:
        problems.add(jwks, f"'{jwks.value}', where {mistake}", f"public keys, each with a kid of its own: {bits}")
    if found.mistakes or not set(algorithms) <= set(ALGORITHMS):
        return
    if not any(key.fits(one) for key in found.keys.values() for one in algorithms):
        problems.add(jwks, f"no key to check signatures with in '{jwks.value}'", f"keys for {', '.join(algorithms)}")


def _check_url(node: Node, problems: Problems) -> None:
    if "@" in node.value:
        problems.add(node, "a URL with a user", _URL)
        return
    try:
        checked_origin(node.value)
    except OutgoingError:
        problems.add(node, node.words, _URL)
    else:
        if "?" in node.value:
            problems.add(node, node.words, _URL)


def _check_origin(node: Node, problems: Problems) -> None:
    expected = "the origin of a browser, such as https://ehr.example.org (http on this machine only)"
    if not _ORIGIN.fullmatch(node.value) or not (node.value.startswith("https:") or is_loopback(_host(node.value))):
        problems.add(node, node.words if "@" not in node.value else "a URL with a user", expected)


def _check_network(node: Node, problems: Problems) -> None:
    try:
        network = ip_network(node.value if "/" in node.value else "")
    except ValueError:
        problems.add(node, node.words, "a network such as 10.20.0.0/16")
        return
    if is_never_asked(network.network_address) or is_never_asked(network.broadcast_address):
        problems.add(
            node, node.words, "a private network; link-local, multicast and reserved addresses are never asked"
        )


def _check_together(nodes: Iterable[Node], problems: Problems) -> None:
    """What can be wrong between entries: the same name, or tokens that could be of either."""
    names: set[str] = set()
    issuers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in _texts_of(node, "name"):
            if name.value.casefold() in names:
                problems.add(name, f"the name '{name.value}' a second time", "a name for each client")
            names.add(name.value.casefold())
        for issuer in _texts_of(node, "issuer"):
            if any(_may_be_either(node, other) for other in issuers.get(issuer.value, ())):
                found = f"the issuer '{issuer.value}' a second time"
                problems.add(issuer, found, "clients of one issuer, each with tenants of its own")
            issuers.setdefault(issuer.value, []).append(node)


def _may_be_either(one: Node, other: Node) -> bool:
    tenants, others = _values(one, "tenants"), _values(other, "tenants")
    return not tenants or not others or not set(tenants).isdisjoint(others)


def _each(node: Node, name: str) -> list[Node]:
    found = node.get(name)
    return [] if found is None else found.each()


def _texts_of(node: Node, name: str) -> Iterator[Node]:
    """What stands under a key, alone or in a list, as far as it is text; the schema tells of the rest."""
    return (one for one in _each(node, name) if isinstance(one.value, str) and one.value)


def _values(node: Node, name: str) -> tuple[str, ...]:
    return tuple(one.value for one in _texts_of(node, name))


def _written(node: Node) -> str:
    """A scalar as it stands in the file: 3.0 without quotes is no number here."""
    return str(node.value) if node.raw is None else node.raw


def _is_file(jwks: Node) -> bool:
    return "://" not in jwks.value


def _file(jwks: Node) -> Path:
    return jwks.path.parent / str(jwks.value)


def _host(url: str) -> str:
    """The host of a URL, empty when it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
