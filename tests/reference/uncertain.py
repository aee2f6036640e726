"""Making a chart less certain: facts that cannot be told, items that may be missing, values and dates known roughly.

What we say of such a chart with certainty must be what the engine says of the certain one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from math import inf
from typing import Any

import msgspec

from cds_service.chart.items import ABSENT, CANNOT_TELL, Undecided
from cds_service.fhir.uncertain import DAY, UNKNOWN, Interval, Span
from cds_service.knowledge.compile import AGE_IN_MONTHS, AGE_IN_YEARS

from .charts import RandomChart


def less_certain(chart: RandomChart, seed: str) -> dict[int, Any]:
    """The slots of a chart, some of them with less certain values; the same for the same seed."""
    blur = _Blur(random.Random(seed))
    return {**chart.given, **blur.ages(chart.given), **blur.facts(chart.facts)}


class _Blur:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.share = rng.choice((0.05, 0.2, 0.5))
        self.items: dict[str, Any] = {}

    def facts(self, certain: Mapping[int, Any]) -> dict[int, Any]:
        return {slot: self._fact(value) for slot, value in certain.items()}

    def ages(self, given: Mapping[int, Any]) -> dict[int, Any]:
        return {
            slot: Interval(given[slot] - self.rng.choice((0, 1, 30)), given[slot] + self.rng.choice((0, 1, 30)))
            for slot in (AGE_IN_YEARS, AGE_IN_MONTHS)
            if isinstance(given[slot], int) and self._now()
        }

    def _fact(self, value: Any) -> Any:
        if isinstance(value, list):
            return self._list(value)
        if self._now():
            return CANNOT_TELL
        return value if value is ABSENT else self._item(value)

    def _now(self) -> bool:
        return self.rng.random() < self.share

    def _list(self, value: list[Any]) -> Any:
        certain: list[object] = []
        maybe: list[object] = []
        for item in value:
            (maybe if self._now() else certain).append(self._item(item))
        if self._now():
            maybe.append(UNKNOWN)
        if value and self._now():
            maybe.append(msgspec.structs.replace(self._item(self.rng.choice(value)), id="perhaps/1"))
        if self._now():
            return Undecided([], [UNKNOWN])
        return Undecided(certain, maybe) if maybe else certain

    def _item(self, item: Any) -> Any:
        if item.id not in self.items:
            changes = {name: self._attribute(name, getattr(item, name)) for name in item.__struct_fields__}
            self.items[item.id] = msgspec.structs.replace(item, **changes)
        return self.items[item.id]

    def _attribute(self, name: str, value: Any) -> Any:
        if name == "id" or not self._now():
            return value
        if isinstance(value, float):
            below, above = self.rng.choice((0.1, 1.0, inf)), self.rng.choice((0.0, 0.1, 1.0, inf))
            return Interval(value - below, value + above, lo_open=True)
        if isinstance(value, int) and not isinstance(value, bool):
            before, after = self.rng.choice((0, DAY, 30 * DAY)), self.rng.choice((1, DAY, 30 * DAY))
            if name == "age":
                return Interval(value - before, value + after)
            return Span(value - before, value + after, "shifted")
        return UNKNOWN
