"""What a client sent for each prefetch key: data, nothing, or the news that its query failed (CDS Hooks 2.0.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw

from cds_service.fhir.read import Sent, decode
from cds_service.fhir.resources import Bundle, OperationOutcome
from cds_service.hooks.envelope import kind
from cds_service.hooks.errors import BadRequest, DataMissing, Issue
from cds_service.hooks.names import RESOURCE_TYPES, told
from cds_service.knowledge.services import Service


class Prefetch(msgspec.Struct, frozen=True, kw_only=True):
    """The prefetch of one request.

    `supplied` holds what came for every key that was answered: a resource, a Bundle, or `null` when there is nothing
    to be had. Of the keys in `partial` only a part came (the first page, or the search also reported an error). The
    queries of `failed` failed, and `absent` were not sent.
    """

    supplied: dict[str, Sent]
    partial: tuple[str, ...]
    failed: tuple[str, ...]
    absent: tuple[str, ...]


class _Search(msgspec.Struct, gc=False):
    mode: str | None = None


class _Entry(msgspec.Struct, gc=False):
    resource: Raw = Raw(b"null")
    search: _Search | None = None


class _Link(msgspec.Struct, gc=False):
    relation: str | None = None


class _Issue(msgspec.Struct, gc=False):
    severity: str | None = None


class _Resource(msgspec.Struct, rename="camel"):
    """What tells a Bundle, an OperationOutcome and any other resource apart."""

    resource_type: str | None = None
    entry: list[_Entry] | None = None
    link: list[_Link] | None = None
    issue: list[_Issue] | None = None


_resource: Final = msgspec.json.Decoder(_Resource)
_members: Final = msgspec.json.Decoder(dict[str, Raw])
_READ: Final = re.compile(r"([A-Z][A-Za-z]+)/")
_FAILURES: Final = ("error", "fatal")
_State = Literal["whole", "partial", "failed", "absent"]


class _Malformed(Exception):
    """Neither null, nor what the template asks for, nor an OperationOutcome: what was expected, what was found."""


def read_prefetch(sent: Mapping[str, Raw], service: Service) -> Prefetch:
    """Sort what was sent by the keys of `service`; other keys are ignored.

    Raises BadRequest, naming the keys, when a value is not what a FHIR server can answer; and DataMissing when a
    required key is absent or its query failed.
    """
    supplied: dict[str, Sent] = {}
    keys: dict[_State, list[str]] = {"partial": [], "failed": [], "absent": []}
    malformed = []
    for key, template in service.prefetch.items():
        raw = sent.get(key)
        found = decode(raw) if raw is not None else None
        try:
            state: _State = "absent" if found is None else _state(found, template)
        except _Malformed as error:
            malformed.append(Issue("structure", f"prefetch.{key}: {error}", f"prefetch.{key}"))
            continue
        if found is not None and state in ("whole", "partial"):
            supplied[key] = found
        if state != "whole":
            keys[state].append(key)
    if malformed:
        raise BadRequest(malformed)
    missing = {state: [key for key in keys[state] if key in service.required] for state in ("absent", "failed")}
    if any(missing.values()):
        raise DataMissing(missing["absent"], missing["failed"])
    return Prefetch(
        supplied=supplied, partial=tuple(keys["partial"]), failed=tuple(keys["failed"]), absent=tuple(keys["absent"])
    )


def require_bundle(raw: Raw, field: str) -> None:
    """Raise BadRequest that names `field` when it holds no Bundle."""
    try:
        found = _decode(raw)
        if found.resource_type != "Bundle":
            raise _Malformed(f"expected a Bundle, found {_name(raw, found)}.")
    except _Malformed as error:
        raise BadRequest([Issue("structure", f"{field}: {error}", field)]) from None


def _state(sent: Sent, template: str) -> _State:
    read = _READ.match(template)
    expected = read[1] if read else "Bundle"
    resource = sent.resource
    if resource is None:
        return "whole" if sent.error is None else _state_of_shell(Raw(sent.raw), expected)
    if isinstance(resource, OperationOutcome):
        return "failed"
    if isinstance(resource, Bundle):
        return _state_of_bundle(resource)
    name = type(resource).__name__
    if name != expected:
        raise _Malformed(f"expected a {expected}, found {name}.")
    return "whole"


def _state_of_bundle(bundle: Bundle) -> _State:
    entries = bundle.entry or []
    outcomes = [entry.resource for entry in entries if isinstance(entry.resource, OperationOutcome)]
    if any(issue.severity in _FAILURES for outcome in outcomes for issue in outcome.issue or ()):
        return "failed" if len(outcomes) == len(entries) else "partial"
    return "partial" if any(link.relation == "next" for link in bundle.link or ()) else "whole"


def _state_of_shell(raw: Raw, expected: str) -> _State:
    """The state of what does not decode in one pass: its outermost members tell."""
    found = _decode(raw)
    if found.resource_type == "OperationOutcome":
        return "failed"
    if found.resource_type == "Bundle":
        return _search_state(found)
    if found.resource_type != expected:
        raise _Malformed(f"expected a {expected}, found {_name(raw, found)}.")
    return "whole"


def _search_state(bundle: _Resource) -> _State:
    entries = bundle.entry or []
    outcomes = [entry for entry in entries if entry.search is not None and entry.search.mode == "outcome"]
    if not outcomes and len(entries) == 1:
        outcomes = entries
    if any(_failed(outcome) for outcome in outcomes):
        return "failed" if len(outcomes) == len(entries) else "partial"
    return "partial" if any(link.relation == "next" for link in bundle.link or ()) else "whole"


def _failed(entry: _Entry) -> bool:
    """Whether the entry is an OperationOutcome that tells of an error."""
    try:
        found = _resource.decode(entry.resource)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return found.resource_type == "OperationOutcome" and any(i.severity in _FAILURES for i in found.issue or ())


def _decode(raw: Raw) -> _Resource:
    if kind(raw) != "an object":
        raise _Malformed(f"expected a FHIR resource, found {kind(raw)}.")
    try:
        return _resource.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _Malformed(f"expected a FHIR resource. {error}.") from None


def _name(raw: Raw, found: _Resource) -> str:
    if found.resource_type is not None:
        return told(found.resource_type, RESOURCE_TYPES, "another resource type")
    if _members.decode(raw).keys() & {"resource", "response"}:
        return "the {response, resource} wrapper that versions before 1.0 used"
    return "an object without resourceType"
