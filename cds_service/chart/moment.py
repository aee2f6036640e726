"""The time at which a chart is read: ages, and dates parsed once."""

from __future__ import annotations

from typing import Final

from cds_service.chart.items import Age, Date
from cds_service.fhir.dates import parse_date
from cds_service.fhir.resources import Period
from cds_service.fhir.uncertain import DAY, HOUR, UNKNOWN, Interval, Span, Unknown

_AHEAD: Final = HOUR
_EARLIEST_ZONE: Final = 14 * HOUR


class Moment:
    """`now` in milliseconds, and the dates of this chart by their text."""

    __slots__ = ("dates", "latest", "now", "today")

    def __init__(self, now: int) -> None:
        self.now = now
        self.latest = now + _AHEAD
        self.today = now // DAY
        self.dates: dict[str, int | Span] = {}

    def date(self, text: str) -> int | Span:
        """The date of a FHIR text. Raises ValueError as `parse_date` does."""
        found = self.dates.get(text)
        if found is None:
            found = self.dates[text] = parse_date(text)
        return found

    def read(self, text: str | None) -> Date:
        """The date of a text; None without a text, UNKNOWN when it cannot be read."""
        if text is None:
            return None
        try:
            return self.date(text)
        except ValueError:
            return UNKNOWN

    def first(self, *texts: str | None) -> Date:
        """The date of the first text that is there."""
        for text in texts:
            if text is not None:
                return self.read(text)
        return None

    def age(self, date: Date) -> Age:
        """How long ago: elapsed milliseconds of an instant, whole calendar days of a plain date, else an interval."""
        if isinstance(date, int):
            return self.now - date
        if isinstance(date, Span):
            newest = max(0, self.today - date.hi // DAY) * DAY
            if date.precision == "day":
                return newest
            return Interval(newest, max(0, self.today - date.lo // DAY) * DAY)
        return date

    def is_future(self, date: int | Span) -> bool:
        """More than an hour ahead; a plain date only when that day has begun nowhere on earth."""
        if isinstance(date, int):
            return date > self.latest
        return date.lo - _EARLIEST_ZONE > self.now

    def is_past(self, date: Date) -> bool:
        """Certainly over: an instant that is reached, a day, month or year that has ended."""
        if isinstance(date, Span):
            return date.hi < self.now
        return isinstance(date, int) and date <= self.now


def last(date: Date) -> float:
    """The last instant that a date may stand for; minus infinity when nothing is known. For ordering."""
    if isinstance(date, Span):
        return date.hi
    return float("-inf") if date is None or isinstance(date, Unknown) else date


def is_before(date: str | None, day: str | None) -> bool:
    """Whether a date as written is certainly before a day (ISO 8601); a date without its day, or none, is not."""
    return date is not None and day is not None and date < day and len(date) >= len(day)


def period_end(period: Period | None) -> str | None:
    """The end of a period as written."""
    return period.end if period else None


def period_start(period: Period | None) -> str | None:
    """The start of a period as written."""
    return period.start if period else None
