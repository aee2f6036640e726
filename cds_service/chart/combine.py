"""Results that belong together: the halves of one blood pressure, the readings of one day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from cds_service.chart.groups import ResultGroup
from cds_service.chart.items import Result
from cds_service.chart.units import Scale
from cds_service.fhir.uncertain import DAY, Span

_HALVES: Final = ("systolic", "diastolic")


def combine(results: list[Result], group: ResultGroup) -> list[Result]:
    """The results, newest first, with halves of one moment joined and, where the group says so, one result for each
    day.

    The result of a day carries the date and id of the newest one.
    """
    if group.kind == "pressure":
        results = _joined(results)
    if group.same_day is None or len(results) < 2:
        return results
    days: dict[Any, list[Result]] = defaultdict(list)
    for result in results:
        days[_day(result)].append(result)
    if len(days) == len(results):
        return results
    scale = Scale(group)
    return [_of_day(of_day, group, scale) for of_day in days.values()]


def _joined(results: list[Result]) -> list[Result]:
    whole: list[Result] = []
    halves: dict[int, Result] = {}
    for result in results:
        missing = [half for half in _HALVES if getattr(result, half) is None]
        if len(missing) == 1 and isinstance(result.date, int):
            other = halves.get(result.date)
            if other is None:
                halves[result.date] = result
            elif getattr(other, missing[0]) is not None and getattr(other, _other(missing[0])) is None:
                setattr(other, _other(missing[0]), getattr(result, _other(missing[0])))
                continue
        whole.append(result)
    return whole


def _other(half: str) -> str:
    return "diastolic" if half == "systolic" else "systolic"


def _day(result: Result) -> object:
    date = result.date
    if isinstance(date, int):
        return date // DAY
    if isinstance(date, Span) and date.precision == "day":
        return date.lo // DAY
    return id(result)


def _of_day(results: list[Result], group: ResultGroup, scale: Scale) -> Result:
    newest = results[0]
    if len(results) == 1:
        return newest
    if group.same_day == "lowest":
        numbers = [result for result in results if isinstance(result.value, (int, float))]
        return min(numbers, key=lambda result: result.value) if numbers else newest  # type: ignore[arg-type, return-value]
    if group.kind == "pressure":
        return replace(
            newest, **{half: _mean([getattr(result, half) for result in results], scale) for half in _HALVES}
        )
    exact = _mean([result.exact for result in results], None)
    return replace(newest, value=_mean([result.exact for result in results], scale), exact=exact)


def _mean(values: Sequence[Any], scale: Scale | None) -> Any:
    """The mean of the numbers among the values; without any number, the first value that is there."""
    numbers = [value for value in values if isinstance(value, (int, float))]
    if not numbers:
        return next((value for value in values if value is not None), None)
    mean = sum(numbers) / len(numbers)
    return scale.round(mean) if scale else mean
