"""The drafts that were selected (hook order-select), however a client refers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from cds_service.fhir.references import relative
from cds_service.hooks.errors import BadRequest
from cds_service.hooks.fields import unexpected


class _Entry(msgspec.Struct, gc=False):
    resource: Raw = Raw(b"null")
    fullUrl: str | None = None


class _Resource(msgspec.Struct, gc=False):
    resourceType: str | None = None
    id: str | None = None
    entry: Raw = Raw(b"[]")


_entries: Final = msgspec.json.Decoder(list[Raw])
_entry: Final = msgspec.json.Decoder(_Entry)
_resource: Final = msgspec.json.Decoder(_Resource)


def selected(selections: Sequence[str], draft_orders: Raw) -> tuple[str, ...]:
    """The drafts that `selections` refer to, as `MedicationRequest/d1`; a draft without id by its fullUrl.

    A selection may be relative, absolute, a bare id, or the fullUrl of an entry. Raises BadRequest, naming each one
    that refers to no resource of the Bundle.
    """
    named: dict[str, list[str]] = {}
    for name, ways in _drafts(draft_orders):
        for way in ways:
            named.setdefault(way, []).append(name)
    found = [named.get(relative(selection), ()) for selection in selections]
    wrong = [
        unexpected(f"context.selections[{index}]", "a reference to one of context.draftOrders", "another reference")
        for index, names in enumerate(found)
        if not names
    ]
    if wrong:
        raise BadRequest(wrong)
    return tuple(dict.fromkeys(name for names in found for name in names))


def _drafts(bundle: Raw) -> Iterator[tuple[str, set[str]]]:
    """The name of each resource in a Bundle, and all that may be meant for it. What cannot be read has no name."""
    try:
        entries = _entries.decode(_resource.decode(bundle).entry)
    except (msgspec.MsgspecError, RecursionError):
        return
    for raw in entries:
        try:
            entry = _entry.decode(raw)
            resource = _resource.decode(entry.resource)
        except (msgspec.MsgspecError, RecursionError):
            continue
        if resource.resourceType == "Bundle":
            yield from _drafts(entry.resource)
            continue
        url = relative(entry.fullUrl) if entry.fullUrl else None
        if resource.resourceType and resource.id:
            name = f"{resource.resourceType}/{resource.id}"
            yield name, {name, resource.id, *([url] if url else ())}
        elif url:
            yield url, {url}
