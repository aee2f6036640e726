"""Moving synthetic patients in time: their files keep fixed dates, but a demonstration runs today."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any, Final

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?")
_MONTH_OR_YEAR: Final = re.compile(r"\d{4}(-\d{2})?")
_DATE_ELEMENT: Final = re.compile(r"\w*(Date|DateTime)|date|start|end|authoredOn|issued")
"""Elements in which four digits are a year; elsewhere they may be a code."""


def shift_dates(bundle: dict[str, Any], from_now: datetime, to_now: datetime) -> dict[str, Any]:
    """A copy of a Bundle, or of any FHIR resource or JSON object, whose dates keep their distance to now.

    Every FHIR date, dateTime and instant moves by the days from `from_now` to `to_now`, rounded down to whole ones, so
    that nothing past becomes future. Precision, time of day and zone stay; a year or month moves with its middle.
    Raises OverflowError when a date would leave the years 1 to 9999.
    """
    by = timedelta(days=(to_now - from_now).days)
    return {name: _shift(inner, by, _is_date(name)) for name, inner in bundle.items()}


def _shift(value: Any, by: timedelta, in_date: bool) -> Any:
    if isinstance(value, dict):
        return {name: _shift(inner, by, _is_date(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shift(inner, by, in_date) for inner in value]
    if not isinstance(value, str):
        return value
    if _DAY.fullmatch(value):
        return _moved(value[:10], by) + value[10:]
    if in_date and _MONTH_OR_YEAR.fullmatch(value):
        middle = f"{value}-15" if len(value) == len("2026-11") else f"{value}-07-02"
        return _moved(middle, by)[: len(value)]
    return value


def _is_date(element: str) -> bool:
    return _DATE_ELEMENT.fullmatch(element) is not None


def _moved(day: str, by: timedelta) -> str:
    try:
        return (date.fromisoformat(day) + by).isoformat()
    except ValueError:  # the 31st of February: leave what is no date
        return day
