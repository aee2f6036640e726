"""What a client sent for each prefetch key: data, nothing, or the news that its query failed (CDS Hooks 2.0.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw

from cds_service.fhir.read import Sent, decode
from cds_service.fhir.resources import Bundle, BundleLink, OperationOutcome
from cds_service.fhir.server import next_link
from cds_service.hooks.envelope import kind
from cds_service.hooks.errors import BadRequest, DataMissing, Issue
from cds_service.hooks.names import RESOURCE_TYPES, told
from cds_service.knowledge.services import Service


class Prefetch(msgspec.Struct, frozen=True, kw_only=True):
    """The prefetch of one request.

    `supplied` holds what came for every key that was answered: a resource, one or more Bundles, or `null` when there is
    nothing to be had. Of the keys in `partial` only a part came (the first page, or the search also reported an error).
    The queries of `failed` failed, and `absent` were not sent. `more` holds the link to the next page of those keys in
    `partial` of which only the first page came. Keys of which something was fetched from the FHIR server are in
    `fetched`; of those in `unfetched` something is still missing though it was asked for.
    """

    supplied: dict[str, tuple[Sent, ...]]
    partial: tuple[str, ...]
    failed: tuple[str, ...]
    absent: tuple[str, ...]
    more: dict[str, BundleLink] = {}
    fetched: tuple[str, ...] = ()
    unfetched: tuple[str, ...] = ()


class _Search(msgspec.Struct, gc=False):
    mode: str | None = None


class _Entry(msgspec.Struct, gc=False):
    resource: Raw = Raw(b"null")
    search: _Search | None = None


class _Issue(msgspec.Struct, gc=False):
    severity: str | None = None


class _Resource(msgspec.Struct, rename="camel"):
    """What tells a Bundle, an OperationOutcome and any other resource apart."""

    resource_type: str | None = None
    entry: list[_Entry] | None = None
    link: list[BundleLink] | None = None
    issue: list[_Issue] | None = None


_resource: Final = msgspec.json.Decoder(_Resource)
_members: Final = msgspec.json.Decoder(dict[str, Raw])
_READ: Final = re.compile(r"([A-Z][A-Za-z]+)/")
_FAILURES: Final = ("error", "fatal")
_NO_NAMES: Final[Mapping[str, str]] = {}
State = Literal["whole", "page", "partial", "failed"]
"""What an answer to a query holds: everything, a page that others follow, a part (an error stands beside the matches),
or an error only.
"""
_State = State | Literal["absent"]


class Malformed(Exception):
    """Neither null, nor what the template asks for, nor an OperationOutcome: what was expected, what was found."""


def read_prefetch(sent: Mapping[str, Raw], service: Service, names: Mapping[str, str] = _NO_NAMES) -> Prefetch:
    """Sort what was sent by the keys of `service`; other keys are ignored.

    `names` gives our key for each key that the client has named itself; several of theirs may stand for one of ours.
    Raises BadRequest, naming the keys, when a value is not what a FHIR server can answer.
    """
    supplied: dict[str, tuple[Sent, ...]] = {}
    more: dict[str, BundleLink] = {}
    keys: dict[_State, list[str]] = {"partial": [], "failed": [], "absent": []}
    malformed = []
    if names:
        renamed: dict[str, list[Raw]] = {}
        for theirs, raw in sent.items():
            renamed.setdefault(names.get(theirs, theirs), []).append(raw)
    for key, template in service.prefetch.items():
        raws = renamed.get(key, ()) if names else [sent[key]] if key in sent else ()
        found = tuple(map(decode, raws))
        try:
            states = [state_of(one, template) for one in found]
        except Malformed as error:
            malformed.append(Issue("structure", f"prefetch.{key}: {error}", f"prefetch.{key}"))
            continue
        usable = tuple(one for one, state in zip(found, states, strict=True) if state != "failed")
        if usable:
            supplied[key] = usable
        state = _together(states)
        if state == "page":
            state = "partial"
            link = next_link(found[0]) if len(found) == 1 else None
            if link is not None:
                more[key] = link
        if state != "whole":
            keys[state].append(key)
    if malformed:
        raise BadRequest(malformed)
    return Prefetch(
        supplied=supplied,
        partial=tuple(keys["partial"]),
        failed=tuple(keys["failed"]),
        absent=tuple(keys["absent"]),
        more=more,
    )


def require_prefetch(prefetch: Prefetch, service: Service) -> None:
    """Raise DataMissing when a key that `service` requires is absent or its query failed."""
    absent, failed = ([key for key in keys if key in service.required] for keys in (prefetch.absent, prefetch.failed))
    if absent or failed:
        raise DataMissing(absent, failed, prefetch.unfetched)


def _together(states: list[State]) -> _State:
    """The state of a key that several answers stand for."""
    if not states:
        return "absent"
    if all(state == states[0] for state in states):
        return states[0]
    return "partial"


def require_bundle(raw: Raw, field: str) -> None:
    """Raise BadRequest that names `field` when it holds no Bundle."""
    try:
        found = _decode(raw)
        if found.resource_type != "Bundle":
            raise Malformed(f"expected a Bundle, found {_name(raw, found)}.")
    except Malformed as error:
        raise BadRequest([Issue("structure", f"{field}: {error}", field)]) from None


def state_of(sent: Sent, template: str) -> State:
    """What an answer to the query of `template` holds. Raises Malformed when no FHIR server can answer so."""
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
        raise Malformed(f"expected a {expected}, found {name}.")
    return "whole"


def _state_of_bundle(bundle: Bundle) -> State:
    entries = bundle.entry or []
    outcomes = [entry.resource for entry in entries if isinstance(entry.resource, OperationOutcome)]
    if any(issue.severity in _FAILURES for outcome in outcomes for issue in outcome.issue or ()):
        return "failed" if len(outcomes) == len(entries) else "partial"
    return "page" if any(link.relation == "next" for link in bundle.link or ()) else "whole"


def _state_of_shell(raw: Raw, expected: str) -> State:
    """The state of what does not decode in one pass: its outermost members tell."""
    found = _decode(raw)
    if found.resource_type == "OperationOutcome":
        return "failed"
    if found.resource_type == "Bundle":
        return _search_state(found)
    if found.resource_type != expected:
        raise Malformed(f"expected a {expected}, found {_name(raw, found)}.")
    return "whole"


def _search_state(bundle: _Resource) -> State:
    entries = bundle.entry or []
    outcomes = [entry for entry in entries if entry.search is not None and entry.search.mode == "outcome"]
    if not outcomes and len(entries) == 1:
        outcomes = entries
    if any(_failed(outcome) for outcome in outcomes):
        return "failed" if len(outcomes) == len(entries) else "partial"
    return "page" if any(link.relation == "next" for link in bundle.link or ()) else "whole"


def _failed(entry: _Entry) -> bool:
    """Whether the entry is an OperationOutcome that tells of an error."""
    try:
        found = _resource.decode(entry.resource)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return found.resource_type == "OperationOutcome" and any(i.severity in _FAILURES for i in found.issue or ())


def _decode(raw: Raw) -> _Resource:
    if kind(raw) != "an object":
        raise Malformed(f"expected a FHIR resource, found {kind(raw)}.")
    try:
        return _resource.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed(f"expected a FHIR resource. {error}.") from None


def _name(raw: Raw, found: _Resource) -> str:
    if found.resource_type is not None:
        return told(found.resource_type, RESOURCE_TYPES, "another resource type")
    if _members.decode(raw).keys() & {"resource", "response"}:
        return "the {response, resource} wrapper that versions before 1.0 used"
    return "an object without resourceType"
