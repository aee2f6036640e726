"""Whether our value of an expression and the reference engine's say the same."""

from __future__ import annotations

from typing import Any, Final, Literal

from cds_service.chart.items import ABSENT, CANNOT_TELL, Undecided
from cds_service.fhir.dates import parse_date, start_of
from cds_service.fhir.uncertain import DAY, UNKNOWN, Interval, Span

Agreement = Literal["equal", "unknown", "different"]
_ROUNDING: Final = 1e-7


def agreement(ours: Any, theirs: Any) -> Agreement:
    """Compare our value with what `run.mjs` wrote.

    "unknown" when ours is null or cannot be told; then theirs may be anything. An interval or an undecided list is
    "unknown" too, but only when theirs lies in it.
    """
    if isinstance(ours, Undecided):
        return "unknown" if _lies_in(ours, theirs) else "different"
    if isinstance(ours, Interval):
        number = _plain(theirs)
        lies_in = number is None or ours.lo - _ROUNDING <= number <= ours.hi + _ROUNDING
        return "unknown" if lies_in else "different"
    if ours is None or ours is ABSENT:
        return "equal" if theirs is None else "unknown"
    if ours is UNKNOWN or ours is CANNOT_TELL or (isinstance(ours, Span) and ours.precision == "shifted"):
        return "unknown"
    return "equal" if _key(_ours(ours)) == _key(_plain(theirs)) else "different"


def _lies_in(ours: Undecided, theirs: Any) -> bool:
    certain = {_key(_ours(one)) for one in ours.certain if one is not None}
    perhaps = {_key(_ours(one)) for one in ours.maybe if one is not UNKNOWN and one is not None}
    found = {_key(_plain(one)) for one in theirs or () if one is not None}
    return certain <= found and (UNKNOWN in [one for one in ours.maybe if one is UNKNOWN] or found <= certain | perhaps)


def _ours(value: Any) -> Any:
    if isinstance(value, list):
        return [_ours(one) for one in value if one is not None]
    if isinstance(value, Span):
        return value.lo
    return getattr(value, "id", value)


def _plain(theirs: Any) -> Any:
    """Numbers as they are, quantities in their unit, ages in milliseconds, dates as the milliseconds they begin at."""
    if isinstance(theirs, list):
        return [_plain(one) for one in theirs if one is not None]
    if not isinstance(theirs, dict):
        return theirs
    if "time" in theirs:
        return start_of(parse_date(theirs["time"]))
    if "unit" in theirs:
        return round(theirs["value"] * DAY) if theirs["unit"] in ("d", "days") else theirs["value"]
    return theirs.get("least")


def _key(value: Any) -> Any:
    if isinstance(value, list):
        return frozenset(map(_key, value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:.6g}"
    return value
