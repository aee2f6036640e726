"""Which of several results is the newest, and which wins when they are of one moment."""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from cds_service.chart.groups import ResultGroup
from cds_service.chart.items import Result
from cds_service.fhir.dates import end_of, start_of
from cds_service.fhir.uncertain import Interval, Span, Unknown

Ranked = tuple[float, int, Result]
"""The last instant a result may be of, its rank (corrected > amended > final, then laboratory > point of care),
itself.
"""
_by_first_two: Final = itemgetter(0, 1)
_NAMELESS: Final = "Observation"
"""What a result is called that has neither an id nor an address."""


def newest_first(ranked: list[Ranked], group: ResultGroup) -> list[Result]:
    """The results in order. Of one moment the higher rank is first, then the more abnormal value.

    A date without time may be any moment of its day, month or year: among the results of which none is certainly later
    the more abnormal is first. Rank decides between those of the same date only, as precise as each other.
    """
    if len(ranked) == 1:
        return [ranked[0][2]]
    ranked.sort(key=_by_first_two, reverse=True)
    if any(ranked[i][0] == ranked[i + 1][0] for i in range(len(ranked) - 1)):
        ranked.sort(key=lambda one: (one[0], one[1], _abnormality(one[2], group)), reverse=True)
    ranked = _once(ranked)
    results = [result for _, _, result in ranked]
    if any(isinstance(result.date, Span) for result in results):
        _settle_first(ranked, results, group)
    return results


def _once(ranked: list[Ranked]) -> list[Ranked]:
    """Without what came twice: the same resource under two keys, or the same value of the same moment.

    A resource without id and address is known by what it says.
    """
    seen: set[object] = set()
    kept = []
    for one in ranked:
        result = one[2]
        key: object = result.id
        if result.id == _NAMELESS:
            halves = (result.systolic, result.diastolic)
            key = (result.id, *map(_said, (result.date, result.value, *halves, result.haemolysed)))
        if key in seen:
            continue
        seen.add(key)
        if isinstance(result.date, int) and isinstance(result.value, (int, float)):
            said = (result.date, result.value, result.haemolysed)
            if said in seen:
                continue
            seen.add(said)
        kept.append(one)
    return kept


def _said(value: object) -> object:
    """A date or value as something that is the same or not."""
    if isinstance(value, (Interval, Span)):
        return type(value), value.lo, value.hi
    return str(value) if isinstance(value, Unknown) else value


def _settle_first(ranked: list[Ranked], results: list[Result], group: ResultGroup) -> None:
    """Put the most abnormal of those first of which none is certainly later than another."""
    latest = max(start_of(result.date) for result in results)  # type: ignore[arg-type]
    best: dict[tuple[int, int], tuple[int, float, Result]] = {}
    for _, rank, result in ranked:
        start, end = start_of(result.date), end_of(result.date)  # type: ignore[arg-type]
        if end >= latest:
            rival = rank, _abnormality(result, group), result
            best[start, end] = max(rival, best.get((start, end), rival), key=_by_first_two)
    _, (_, _, winner) = max(best.items(), key=lambda one: (one[1][1], one[0][0], one[1][0]))
    results[:] = [winner, *(result for result in results if result is not winner)]


def _abnormality(result: Result, group: ResultGroup) -> float:
    """How far outside the normal range, as a part of its width; 0 inside, or when nothing is known of either."""
    value = result.value
    if isinstance(value, Interval):
        value = value.hi if value.lo == float("-inf") else value.lo
    if group.normal is None or not isinstance(value, (int, float)):
        return 0.0
    low, high = group.normal
    return max(low - value, value - high, 0.0) / ((high - low) or 1.0)
