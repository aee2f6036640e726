"""Three-valued logic: True, False, and what is neither, `None` (null) or `UNKNOWN` (cannot tell)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cds_service.fhir.uncertain import UNKNOWN
from cds_service.knowledge.syntax import Run

Frame = list[Any]


def every(values: Sequence[Any]) -> Any:
    """Three-valued AND: False when one is False, True when all are True, else UNKNOWN or None."""
    worst: Any = True
    for value in values:
        if value is False:
            return False
        if value is not True:
            worst = UNKNOWN if value is UNKNOWN or worst is UNKNOWN else None
    return worst


def all_of(parts: list[Run]) -> Run:
    """The closure of a chain of `and`: stops at the first False."""

    def conjunction(frame: Frame) -> Any:
        worst: Any = True
        for part in parts:
            value = part(frame)
            if value is False:
                return False
            if value is not True:
                worst = UNKNOWN if value is UNKNOWN or worst is UNKNOWN else None
        return worst

    return conjunction


def any_of(parts: list[Run]) -> Run:
    """The closure of a chain of `or`: stops at the first True."""

    def disjunction(frame: Frame) -> Any:
        best: Any = False
        for part in parts:
            value = part(frame)
            if value is True:
                return True
            if value is not False:
                best = UNKNOWN if value is UNKNOWN or best is UNKNOWN else None
        return best

    return disjunction
