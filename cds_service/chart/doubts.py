"""Why a fact cannot be told, or not entirely: what was not supplied, not readable, or not exact."""

from __future__ import annotations

from typing import Any

import msgspec

from cds_service.chart.chart import DRAFTS, Chart
from cds_service.chart.items import Reason, UnreadableResult
from cds_service.fhir.uncertain import instants


class Doubt(msgspec.Struct, frozen=True, gc=False):
    """Why a fact, or a part of it, cannot be told; `detail` names the resource or the prefetch key."""

    reason: Reason
    detail: str


Doubts = dict[int, list[Doubt]]
"""Doubts by the slot of the fact."""


def unreadable_result(one: UnreadableResult) -> Doubt:
    """The doubt that a result leaves which cannot be read; what the laboratory said of it all the same stands in it."""
    flag = {"HH": "high", "LL": "low"}.get(one.flag or "")
    flagged = f" (the laboratory flagged it as critically {flag})" if flag else ""
    return Doubt("unreadable", f"{one.id}: {one.reason}{flagged}")


def unreadable_by_key(chart: Chart) -> dict[str, list[str]]:
    """Resources of which nobody can tell what they would have said, by the prefetch key they came in."""
    found: dict[str, list[str]] = {}
    for one in chart.unreadable:
        for key in ("medication_requests", "service_requests") if one.key == DRAFTS else (one.key,):
            if key is not None:
                found.setdefault(key, []).append(f"{one.resource}: {one.reason}")
    return found


def may_be_newer(date: Any, than: Any) -> bool:
    """Whether something of this date may be as new as, or newer than, something of that date."""
    return date is None or than is None or instants(date)[1] >= instants(than)[0]


def may_be_inside(date: Any, within: int | None, now: int) -> bool:
    """Whether something of this date may lie inside a window that ends now."""
    return date is None or within is None or instants(date)[1] >= now - within
