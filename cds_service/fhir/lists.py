"""Elements that are decoded when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import UNSET

from cds_service.fhir.resources import Deferred

_T = TypeVar("_T")


def is_given(raw: Deferred) -> bool:
    """Whether the element is there, and not an explicit null."""
    return raw is not UNSET and bytes(raw) != b"null"


def lists_of(kind: type[_T]) -> Callable[[Deferred], list[_T]]:
    """A function that decodes a list of `kind` (or a single one, as careless senders write it).

    It returns an empty list when the element is missing or cannot be read, and never raises.
    """
    many = msgspec.json.Decoder(list[kind] | None, strict=False)  # type: ignore[valid-type]
    one = msgspec.json.Decoder(kind, strict=False)

    def decode(raw: Deferred) -> list[_T]:
        if raw is UNSET:
            return []
        try:
            return many.decode(raw) or []
        except (msgspec.MsgspecError, RecursionError, ValueError):
            pass
        try:
            return [one.decode(raw)]
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return []

    return decode
