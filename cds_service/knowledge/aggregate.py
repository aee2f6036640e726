"""Counting, extremes and unions of lists whose items, or values, may be uncertain."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Final

from cds_service.chart.items import Undecided
from cds_service.fhir.uncertain import EVER, UNKNOWN, Interval, Span, Unknown, instants


def distinct(values: list[Any]) -> list[Any]:
    """The values, each once, in their order; values that are not exact may equal others and are all kept."""
    seen: set[Any] = set()
    kept = []
    for value in values:
        if isinstance(value, (Unknown, Interval)):
            kept.append(value)
            continue
        key = (value.lo, value.hi) if isinstance(value, Span) else value
        if key not in seen:
            seen.add(key)
            kept.append(value)
    return kept


def count(value: Any) -> Any:
    """How many; an Interval when some are uncertain."""
    if value is UNKNOWN:
        return UNKNOWN
    certain, maybe = (value.certain, value.maybe) if isinstance(value, Undecided) else (value, [])
    sure = [one for one in certain if one is not None]
    exact = sum(1 for one in sure if not isinstance(one, (Unknown, Interval)))
    if not maybe and exact == len(sure):
        return exact
    least = exact or min(sum(1 for one in sure if isinstance(one, Interval)), 1)
    return Interval(least, float("inf") if _identities(maybe) else len(sure) + len(maybe))


def minimum(value: Any) -> Any:
    """The least value; null for none."""
    return _extreme(value, min)


def maximum(value: Any) -> Any:
    """The greatest value; null for none."""
    return _extreme(value, max)


def median(value: Any) -> Any:
    """The median of exact numbers; null for none."""
    if isinstance(value, (Unknown, Undecided)):
        return UNKNOWN
    numbers = [one for one in value if one is not None]
    if not all(isinstance(one, (int, float)) for one in numbers):
        return UNKNOWN
    return round(statistics.median(numbers), 8) if numbers else None


def absolute(value: Any) -> Any:
    """The absolute value."""
    return None if value is None else abs(value)


def union(first: Any, second: Any) -> Any:
    """The items of both lists, each once."""
    if first is UNKNOWN or second is UNKNOWN:
        known = second if first is UNKNOWN else first
        if known is UNKNOWN:
            return UNKNOWN
        return Undecided(list(known.certain if isinstance(known, Undecided) else known), [UNKNOWN])
    certain: list[Any] = []
    maybe: list[Any] = []
    for value in (first, second):
        undecided = isinstance(value, Undecided)
        certain += [one for one in (value.certain if undecided else value) if not _among(one, certain)]
        maybe += value.maybe if undecided else []
    return Undecided(certain, maybe) if maybe else certain


def _among(item: Any, items: list[Any]) -> bool:
    return any(item is one for one in items)


def _identities(values: list[Any]) -> list[Any]:
    return [value for value in values if value is UNKNOWN]


def _ends(value: Any) -> tuple[Any, Any]:
    if isinstance(value, Interval):
        return value.lo, value.hi
    return instants(value)


def _extreme(value: Any, pick: Callable[..., Any]) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    certain, maybe = (value.certain, value.maybe) if isinstance(value, Undecided) else (value, [])
    sure = [one for one in certain if one is not None and one is not UNKNOWN]
    perhaps = [one for one in maybe if one is not None]
    if not sure:
        return UNKNOWN if perhaps or UNKNOWN in _identities(certain) else None
    ends = [_ends(one) for one in sure]
    lo, hi = pick(e[0] for e in ends), pick(e[1] for e in ends)
    boundless = Interval(float("-inf"), float("inf")) if isinstance(sure[0], (float, Interval)) else EVER
    for other in (*perhaps, *_identities(certain)):
        ends_of_other = _ends(boundless if other is UNKNOWN else other)
        lo, hi = min(lo, pick(lo, ends_of_other[0])), max(hi, pick(hi, ends_of_other[1]))
    for one, end in zip(sure, ends, strict=True):
        if end == (lo, hi):
            return one
    return Interval(lo, hi) if isinstance(sure[0], (float, Interval)) else Span(lo, hi, "shifted")


FUNCTIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "Count": count, "Min": minimum, "Max": maximum, "Median": median, "Abs": absolute,
}  # fmt: skip
