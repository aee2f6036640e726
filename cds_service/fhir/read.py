"""From bytes to decoded resources, one by one: what cannot be read costs only itself, and is named.

A value that is sound is decoded in one pass. When that fails, its entries are decoded one at a time, so that an unknown
type is skipped and counted and an unreadable resource is reported while the others are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from cds_service.fhir.resources import READ, AnyResource, Bundle, CodeableConcept, Deferred, Entry, Resource

_BOM: Final = b"\xef\xbb\xbf"
_WHERE: Final = re.compile(r"(?P<what>.*?) - at `\$\.?(?P<path>[^`]*)`")
_ERRORS: Final = (msgspec.MsgspecError, RecursionError, ValueError)


class Unreadable(Struct, frozen=True):
    """A resource, or a part of the chart, that was left out because it cannot be read, and why.

    `key` is the prefetch key it came in when nobody can tell what the resource would have said; None when the harm is
    confined (`UnreadableResult` names the code group) or when it was left out on purpose, as a date in the future is.
    """

    resource: str
    reason: str
    key: str | None = None


class Failure(Struct, frozen=True):
    """A resource that does not decode: its reference or place, the reason, and what of its code can still be read."""

    resource: str
    reason: str
    type: str | None
    code: CodeableConcept | None


class Reading(Struct):
    """What reading has found so far: entries by type, types that were skipped, failures with their prefetch key."""

    entries: dict[type[Resource], list[Entry]]
    skipped: dict[str, int]
    failures: list[tuple[Failure, str]]


class _RawEntry(Struct, gc=False):
    resource: Raw | UnsetType = UNSET
    fullUrl: str | None = None


class _RawBundle(Struct, gc=False):
    entry: list[_RawEntry] | None = None


class _Type(Struct, gc=False):
    resourceType: str | None = None


class _Name(Struct, gc=False):
    id: str | None = None


class _Code(Struct, gc=False):
    code: CodeableConcept | None = None


_resource: Final = msgspec.json.Decoder(AnyResource | None, strict=False)
_raw_bundle: Final = msgspec.json.Decoder(_RawBundle)
_type: Final = msgspec.json.Decoder(_Type)
_name: Final = msgspec.json.Decoder(_Name)
_code: Final = msgspec.json.Decoder(_Code)


def nothing_read() -> Reading:
    """A Reading to start with."""
    return Reading({kind: [] for kind in READ}, {}, [])


class Sent(Struct, frozen=True):
    """A resource or Bundle as it was sent, and what it decodes to: None for JSON's null.

    `error` says why it does not decode in one pass; then its entries are read one at a time.
    """

    raw: Raw | bytes
    resource: Resource | None
    error: Exception | None = None


def decode(raw: Raw | bytes) -> Sent:
    """Decode a resource or Bundle in one pass. Never raises: what does not decode has an error."""
    if isinstance(raw, bytes) and raw.startswith(_BOM):
        raw = raw[3:]
    try:
        return Sent(raw, _resource.decode(raw))
    except _ERRORS as error:
        return Sent(raw, None, error)


def read(sent: Sent | Raw | bytes, key: str, into: Reading) -> None:
    """Read a resource, or the resources of a Bundle, into `into`. `key` is the prefetch key, for messages.

    Never raises: malformed JSON, bad UTF-8, deep nesting and numbers without bound end in `failures`.
    """
    if not isinstance(sent, Sent):
        sent = decode(sent)
    if sent.error is not None:
        _one_by_one(sent.raw, key, key, into, sent.error)
    elif sent.resource is not None:
        _sort([Entry(sent.resource)], into)


def read_contained(raw: Deferred, fragment: str) -> Resource | None:
    """The contained resource that `#id` points to, or None when it is not there or cannot be read."""
    for item in _list(raw) if raw is not UNSET else ():
        try:
            if _name.decode(item).id == fragment:
                found: Resource | None = _resource.decode(item)
                return found
        except _ERRORS:
            continue
    return None


def resources_of(raw: Raw | bytes) -> Iterator[tuple[str, bytes]]:
    """The reference (`MedicationRequest/m1`) and the bytes of each resource, exactly as they were sent."""
    try:
        entries = _raw_entries(raw)
    except _ERRORS:
        return
    for entry in [_RawEntry(Raw(raw))] if entries is None else entries:
        if entry.resource is UNSET:
            continue
        try:
            kind, name = _type.decode(entry.resource).resourceType, _name.decode(entry.resource).id
        except _ERRORS:
            continue
        if kind == "Bundle":
            yield from resources_of(entry.resource)
        elif kind and name:
            yield f"{kind}/{name}", bytes(entry.resource)


def _sort(entries: list[Entry], into: Reading) -> None:
    by_type = into.entries
    for entry in entries:
        resource = entry.resource
        kind = type(resource)
        of_type = by_type.get(kind)  # type: ignore[arg-type]
        if of_type is not None:
            of_type.append(entry)
        elif kind is Bundle:
            _sort(resource.entry or [], into)  # type: ignore[union-attr]
        elif resource is not None:
            name = kind.__name__
            into.skipped[name] = into.skipped.get(name, 0) + 1


def _one_by_one(raw: Raw | bytes, key: str, place: str, into: Reading, error: Exception) -> None:
    """Read what did not decode whole: each entry of a Bundle by itself, any other resource as a failure."""
    try:
        entries = _raw_entries(raw)
    except _ERRORS as worse:
        entries, error = None, worse
    if entries is None:
        _note(raw, key, place, into, error)
        return
    for number, entry in enumerate(entries):
        if entry.resource is UNSET:
            continue
        try:
            resource = _resource.decode(entry.resource)
        except _ERRORS as wrong:
            _one_by_one(entry.resource, key, f"{place} entry {number}", into, wrong)
        else:
            if resource is not None:
                _sort([Entry(resource, entry.fullUrl)], into)


def _note(raw: Raw | bytes, key: str, place: str, into: Reading, error: Exception) -> None:
    """Count a resource of a type that is not read; name any other as a failure."""
    kind, name, code = None, None, None
    with suppress(*_ERRORS):
        kind = _type.decode(raw).resourceType
        name = _name.decode(raw).id
        code = _code.decode(raw).code
    if kind is not None and kind not in _READ_NAMES:
        into.skipped[kind] = into.skipped.get(kind, 0) + 1
    else:
        resource = f"{kind}/{name}" if kind and name else place
        into.failures.append((Failure(resource, _reason(error), kind, code), key))


_READ_NAMES: Final = frozenset([*(kind.__name__ for kind in READ), "Bundle"])


def _raw_entries(raw: Raw | bytes) -> list[_RawEntry] | None:
    """The entries of a Bundle, None for another resource. Raises what decoding raises."""
    if _type.decode(raw).resourceType != "Bundle":
        return None
    return _raw_bundle.decode(raw).entry or []


def _list(raw: Raw) -> list[Raw]:
    try:
        return msgspec.json.decode(raw, type=list[Raw])
    except _ERRORS:
        return []


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "text that is not UTF-8"
    found = _WHERE.match(str(error))
    if found:
        return f"{found['path'] or 'the resource'}: {found['what'][:1].lower()}{found['what'][1:]}"
    reason = str(error)
    return reason[:1].lower() + reason[1:] if reason[1:2].islower() else reason
