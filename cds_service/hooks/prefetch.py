"""What a client sent for each prefetch key: data, nothing, or the news that its query failed (CDS Hooks 2.0.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw

from cds_service.hooks.envelope import kind
from cds_service.hooks.errors import BadRequest, DataMissing, Issue
from cds_service.knowledge.services import Service


class Search(msgspec.Struct, frozen=True, gc=False):
    """Why an entry is in a search result: `match`, `include` or `outcome`."""

    mode: str | None = None


class Entry(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One entry of a Bundle: its resource, unread (`null` when there is none), and the address others refer to."""

    resource: Raw = Raw(b"null")
    full_url: str | None = None
    search: Search | None = None


class Prefetch(msgspec.Struct, frozen=True, kw_only=True):
    """The prefetch of one request.

    `supplied` holds the resources of every key that was answered, none when there are none to be had. Of the keys in
    `partial` only a part came (the first page, or the search also reported an error). The queries of `failed` failed,
    and `absent` were not sent.
    """

    supplied: dict[str, list[Entry]]
    partial: tuple[str, ...]
    failed: tuple[str, ...]
    absent: tuple[str, ...]


class _Link(msgspec.Struct, gc=False):
    relation: str | None = None


class _Issue(msgspec.Struct, gc=False):
    severity: str | None = None


class _Resource(msgspec.Struct, rename="camel"):
    """What tells a Bundle, an OperationOutcome and any other resource apart."""

    resource_type: str | None = None
    entry: list[Entry] | None = None
    link: list[_Link] | None = None
    issue: list[_Issue] | None = None


_resource: Final = msgspec.json.Decoder(_Resource)
_members: Final = msgspec.json.Decoder(dict[str, Raw])
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_READ: Final = re.compile(r"([A-Z][A-Za-z]+)/")
_FAILURES: Final = ("error", "fatal")


class _Malformed(Exception):
    """Neither null, nor what the template asks for, nor an OperationOutcome: what was expected, what was found."""


def read_prefetch(sent: Mapping[str, Raw], service: Service) -> Prefetch:
    """Sort what was sent by the keys of `service`; other keys are ignored.

    Raises BadRequest, naming the keys, when a value is not what a FHIR server can answer; and DataMissing when a
    required key is absent or its query failed.
    """
    supplied: dict[str, list[Entry]] = {}
    keys: dict[str, list[str]] = {"partial": [], "failed": [], "absent": []}
    malformed = []
    for key, template in service.prefetch.items():
        raw = sent.get(key)
        try:
            entries, state = _read(raw, template) if raw is not None else ([], "absent")
        except _Malformed as error:
            malformed.append(Issue("structure", f"prefetch.{key}: {error}", f"prefetch.{key}"))
            continue
        if state in ("whole", "partial"):
            supplied[key] = entries
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


def read_bundle(raw: Raw, field: str) -> list[Entry]:
    """The entries of a Bundle in the context. Raises BadRequest that names `field` when it is no Bundle."""
    try:
        found = _decode(raw)
        if found.resource_type != "Bundle":
            raise _Malformed(f"expected a Bundle, found {_name(raw, found)}.")
    except _Malformed as error:
        raise BadRequest([Issue("structure", f"{field}: {error}", field)]) from None
    return found.entry or []


def _read(raw: Raw, template: str) -> tuple[list[Entry], Literal["whole", "partial", "failed"]]:
    if kind(raw) == "null":
        return [], "whole"
    read = _READ.match(template)
    expected = read[1] if read else "Bundle"
    found = _decode(raw)
    if found.resource_type == "OperationOutcome":
        return [], "failed"
    if found.resource_type == "Bundle":
        return _search_result(found)
    if found.resource_type != expected:
        raise _Malformed(f"expected a {expected}, found {_name(raw, found)}.")
    return [Entry(raw)], "whole"


def _search_result(bundle: _Resource) -> tuple[list[Entry], Literal["whole", "partial", "failed"]]:
    entries = bundle.entry or []
    partial = any(link.relation == "next" for link in bundle.link or ())
    outcomes = [entry for entry in entries if entry.search is not None and entry.search.mode == "outcome"]
    if outcomes:
        entries = [entry for entry in entries if entry.search is None or entry.search.mode != "outcome"]
    elif len(entries) == 1 and _severities(entries[0]) is not None:
        outcomes, entries = entries, []
    if any(severity in _FAILURES for outcome in outcomes for severity in _severities(outcome) or ()):
        return entries, "partial" if entries else "failed"
    return entries, "partial" if partial else "whole"


def _severities(entry: Entry) -> list[str | None] | None:
    """The severities of an entry that is an OperationOutcome, else None."""
    try:
        found = _resource.decode(entry.resource)
    except msgspec.MsgspecError:
        return None
    return [issue.severity for issue in found.issue or ()] if found.resource_type == "OperationOutcome" else None


def _decode(raw: Raw) -> _Resource:
    if kind(raw) != "an object":
        raise _Malformed(f"expected a FHIR resource, found {kind(raw)}.")
    try:
        return _resource.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _Malformed(f"expected a FHIR resource. {error}.") from None


def _name(raw: Raw, found: _Resource) -> str:
    if found.resource_type is not None:
        return found.resource_type if _TYPE.fullmatch(found.resource_type) else "an unknown resource type"
    if _members.decode(raw).keys() & {"resource", "response"}:
        return "the {response, resource} wrapper that versions before 1.0 used"
    return "an object without resourceType"
