"""One resource in several versions: which of them is the newest."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct

from cds_service.fhir.dates import parse_date, start_of
from cds_service.fhir.resources import Resource

DISPUTED: Final = "versions of it differ, and none is marked as newer"
"""Why a resource is in doubt."""


class _Meta(Struct, gc=False):
    versionId: str | None = None
    lastUpdated: str | None = None


_meta: Final = msgspec.json.Decoder(_Meta)


def newer(first: Resource, second: Resource) -> tuple[Resource, bool]:
    """The newer of two versions of one resource, and whether that is certain.

    By `meta.lastUpdated` when both have it, else by `meta.versionId` when both have a number (FHIR R4, Resource.meta);
    else the one whose content sorts last, so that the order of arrival decides nothing.
    """
    if first == second or alike(msgspec.json.encode(first), msgspec.json.encode(second)):
        return first, True
    one, other = _read(first), _read(second)
    for rank in (_updated, _number):
        before, after = rank(one), rank(other)
        if before is not None and after is not None and before != after:
            return (first if before > after else second), True
    return max(first, second, key=msgspec.json.encode), False


def alike(first: bytes, second: bytes) -> bool:
    """Whether two JSON texts say the same: a client and its FHIR server may write one resource with other spaces, and
    its members in another order.
    """
    try:
        return bool(first == second or msgspec.json.decode(first) == msgspec.json.decode(second))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False


def _read(resource: Resource) -> _Meta:
    raw = resource.meta
    if raw is UNSET or not isinstance(raw, Raw):
        return _Meta()
    try:
        return _meta.decode(raw)
    except msgspec.MsgspecError:
        return _Meta()


def _updated(meta: _Meta) -> int | None:
    try:
        return start_of(parse_date(meta.lastUpdated)) if meta.lastUpdated is not None else None
    except ValueError:
        return None


def _number(meta: _Meta) -> int | None:
    text = meta.versionId or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
