"""Which of several results is the newest, and which wins when they are of one moment."""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from cds_service.chart.groups import ResultGroup
from cds_service.chart.items import Result
from cds_service.fhir.dates import end_of, start_of
from cds_service.fhir.uncertain import Interval, Span

Ranked = tuple[float, int, Result]
"""The last instant a result may be of, its rank (corrected > amended > final, then laboratory > point of care),
itself.
"""
_by_time_and_rank: Final = itemgetter(0, 1)


def newest_first(ranked: list[Ranked], group: ResultGroup) -> list[Result]:
    """The results in order. Of one moment the higher rank is first, then the more abnormal value.

    A date without time may be any moment of its day: among the results whose dates overlap with the newest one, rank
    and abnormality decide which is first, since none of them is certainly later.
    """
    if len(ranked) == 1:
        return [ranked[0][2]]
    ranked.sort(key=_by_time_and_rank, reverse=True)
    if any(ranked[i][0] == ranked[i + 1][0] for i in range(len(ranked) - 1)):
        ranked.sort(key=lambda one: (one[0], one[1], _abnormality(one[2], group)), reverse=True)
    ranked = _once(ranked)
    results = [result for _, _, result in ranked]
    if any(isinstance(result.date, Span) for result in results):
        _settle_first(ranked, results, group)
    return results


def _once(ranked: list[Ranked]) -> list[Ranked]:
    """Without what came twice: the same resource under two keys, or the same value of the same moment."""
    seen: set[object] = set()
    kept = []
    for one in ranked:
        result = one[2]
        if result.id in seen:
            continue
        seen.add(result.id)
        if isinstance(result.date, int) and isinstance(result.value, (int, float)):
            said = (result.date, result.value, result.haemolysed)
            if said in seen:
                continue
            seen.add(said)
        kept.append(one)
    return kept


def _settle_first(ranked: list[Ranked], results: list[Result], group: ResultGroup) -> None:
    """Put the winner of those that overlap with the newest result first."""
    earliest = start_of(results[0].date)  # type: ignore[arg-type]
    rivals = [one for one in ranked if end_of(one[2].date) >= earliest]  # type: ignore[arg-type]
    winner = max(rivals, key=lambda one: (one[1], _abnormality(one[2], group)))[2]
    results.remove(winner)
    results.insert(0, winner)


def _abnormality(result: Result, group: ResultGroup) -> float:
    """How far outside the normal range, as a part of its width; 0 inside, or when nothing is known of either."""
    value = result.value
    if isinstance(value, Interval):
        value = value.hi if value.lo == float("-inf") else value.lo
    if group.normal is None or not isinstance(value, (int, float)):
        return 0.0
    low, high = group.normal
    return max(low - value, value - high, 0.0) / ((high - low) or 1.0)
