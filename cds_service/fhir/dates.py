"""FHIR dates and times as whole milliseconds since 1970 UTC, or as a `Span` when only the day, month or year is known.

https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Final

from cds_service.fhir.uncertain import DAY, HOUR, Span

_MINUTE: Final = 60_000
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: the zone is added as an offset
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_from_iso: Final = datetime.fromisoformat

_OFFSETS: Final[dict[str, int]] = {
    "Z": 0,
    **{
        f"{sign}{hours:02}:{minutes:02}": (-1 if sign == "+" else 1) * (hours * HOUR + minutes * _MINUTE)
        for sign in "+-"
        for hours in range(15)
        for minutes in range(60 if hours < 14 else 1)
    },
}
"""What to add to a local time to get UTC, by the zone as FHIR writes it."""
_FRACTION: Final = re.compile(r"\.([0-9]+)(Z|[+-][0-9]{2}:[0-9]{2})")
_DATE: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")

EXPECTED: Final = "a FHIR date such as 2026-05-31 or a time with its zone such as 2026-05-31T08:30:00Z"


def parse_date(text: str) -> int | Span:
    """The instant in milliseconds of a FHIR instant or dateTime with a time, or the Span of a year, month or day.

    A plain date means that calendar day in UTC. A leap second counts as the second after it. Raises ValueError, saying
    what was expected, for anything that FHIR R4 does not allow: a time without zone or seconds, 24:00, a day that does
    not exist. The message does not repeat the text.
    """
    if text[4:19:3] == "--T::" and text[11:13] != "24":
        offset = _OFFSETS.get(text[19:])
        if offset is not None:
            try:
                since = _from_iso(text[:19]) - _EPOCH
            except ValueError:
                return _leap_second(text, text[17:19], offset)
            return since.days * DAY + since.seconds * 1000 + offset
        fraction = _FRACTION.fullmatch(text, 19)
        if fraction and fraction[2] in _OFFSETS:
            whole = parse_date(text[:19] + fraction[2])
            return start_of(whole) + int((fraction[1] + "00")[:3])
        raise ValueError(f"expected {EXPECTED}")
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected {EXPECTED}")
    return _span(found[1], found[2], found[3])


def start_of(value: int | Span) -> int:
    """The first instant that a date may stand for."""
    return value.lo if isinstance(value, Span) else value


def end_of(value: int | Span) -> int:
    """The last instant that a date may stand for."""
    return value.hi if isinstance(value, Span) else value


def day_of(instant: int) -> date:
    """The calendar day, in UTC, of an instant."""
    return date.fromordinal(instant // DAY + _EPOCH_DAY)


def milliseconds(moment: datetime) -> int:
    """The instant of a datetime that has a zone. Raises TypeError when it has none."""
    return (moment - _EPOCH.replace(tzinfo=UTC)) // timedelta(milliseconds=1)


def written(instant: int, precision: str = "seconds") -> str:
    """An instant as FHIR writes it, in UTC: `2026-06-15T12:00:00Z`; `precision` may be `milliseconds`."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _leap_second(text: str, seconds: str, offset: int) -> int:
    if seconds != "60":
        raise ValueError(f"expected {EXPECTED}")
    try:
        since = _from_iso(text[:17] + "59") - _EPOCH
    except ValueError:
        raise ValueError(f"expected {EXPECTED}") from None
    return since.days * DAY + since.seconds * 1000 + 1000 + offset


def _span(year: str, month: str | None, day: str | None) -> Span:
    try:
        first = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        raise ValueError("expected a day that exists") from None
    start = (first.toordinal() - _EPOCH_DAY) * DAY
    if day is not None:
        return Span(start, start + DAY - 1, "day")
    last = date(first.year, first.month, monthrange(first.year, first.month)[1]) if month else date(first.year, 12, 31)
    return Span(start, (last.toordinal() - _EPOCH_DAY + 1) * DAY - 1, "month" if month else "year")
