"""FHIR dates and times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.dates import day_of, end_of, milliseconds, parse_date, start_of
from cds_service.fhir.uncertain import DAY, HOUR, Span

NOON = 1_780_228_800_000
"""2026-05-31T12:00:00Z"""


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-31T12:00:00Z", NOON),
        ("2026-05-31T12:00:00+00:00", NOON),
        ("2026-05-31T12:00:00-00:00", NOON),
        ("2026-05-31T14:00:00+02:00", NOON),
        ("2026-05-31T17:30:00+05:30", NOON),
        ("2026-05-31T05:00:00-07:00", NOON),
        ("2026-06-01T02:00:00+14:00", NOON),
        ("2026-05-31T12:00:00.5Z", NOON + 500),
        ("2026-05-31T12:00:00.123456789Z", NOON + 123),
        ("2026-05-31T14:00:00.001+02:00", NOON + 1),
        ("1969-12-31T23:59:59Z", -1000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
    ],
)
def test_a_time_is_an_instant_in_milliseconds(text: str, instant: int) -> None:
    assert parse_date(text) == instant


def test_a_leap_second_is_the_second_after_it() -> None:
    assert parse_date("2016-12-31T23:59:60Z") == parse_date("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "first", "last", "precision"),
    [
        ("2026-05-31", "2026-05-31T00:00:00Z", "2026-06-01T00:00:00Z", "day"),
        ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", "month"),
        ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", "month"),
        ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "year"),
    ],
)
def test_a_date_is_all_instants_of_its_day_month_or_year(text: str, first: str, last: str, precision: str) -> None:
    span = parse_date(text)
    assert isinstance(span, Span)
    assert (span.lo, span.hi + 1, span.precision) == (parse_date(first), parse_date(last), precision)


def test_the_last_year_has_an_end_too() -> None:
    span = parse_date("9999-12")
    assert end_of(span) - start_of(span) == 31 * DAY - 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-5-31",
        "20260531",
        "2026-13",
        "2026-02-30",
        "0000",
        "31.05.2026",
        "2026-W22-7",
        "2026-05-31T12:00:00",
        "2026-05-31T12:00Z",
        "2026-05-31T12Z",
        "2026-05-31 12:00:00Z",
        "2026-05-31T12:00:00z",
        "2026-05-31T24:00:00Z",
        "2026-05-31T12:60:00Z",
        "2026-05-31T12:00:61Z",
        "2026-05-31T12:00:00,5Z",
        "2026-05-31T12:00:00+1:00",
        "2026-05-31T12:00:00+15:00",
        "2026-05-31T12:00:00+14:30",
        "2026-05-31T120000Z",
        "2026-02-30T12:00:00Z",
        "2026-W22-7T12:00:00Z",
        " 2026-05-30",
        "2026-05-30\n",
        "２０２６-05-31",
        "２０２６-05-31T12:00:00Z",
        "2026-05-31T12:00:00.Z",
        "2026-05-31T12:00:60.5",
    ],
)
def test_what_fhir_does_not_allow_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected ") as refusal:
        parse_date(text)
    assert text == "" or text not in str(refusal.value)


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2199, 12, 31)),  # noqa: DTZ001 - the zone is drawn
    st.integers(-14 * 60, 14 * 60),
    st.integers(0, 999),
)
def test_every_instant_reads_as_the_standard_library_reads_it(local: datetime, minutes: int, ms: int) -> None:
    moment = local.replace(microsecond=ms * 1000, tzinfo=timezone(timedelta(minutes=minutes)))
    for text in (moment.isoformat(timespec="milliseconds"), moment.replace(microsecond=0).isoformat()):
        assert parse_date(text) == milliseconds(datetime.fromisoformat(text))


@given(st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 31)))
def test_every_day_begins_and_ends_at_midnight_utc(day: date) -> None:
    span = parse_date(day.isoformat())
    assert isinstance(span, Span)
    assert span.lo % DAY == 0
    assert span.hi == span.lo + DAY - 1
    assert day_of(span.lo) == day_of(span.hi) == day


@given(st.text(max_size=40) | st.from_regex(r"[0-9T:Z+. -]{1,40}"))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        value = parse_date(text)
    except ValueError:
        return
    assert isinstance(value, int | Span)


def test_milliseconds_of_a_datetime() -> None:
    assert milliseconds(datetime(2026, 5, 31, 12, tzinfo=UTC)) == NOON
    assert milliseconds(datetime(2026, 5, 31, 13, tzinfo=timezone(timedelta(hours=1)))) == NOON
    assert NOON % HOUR == 0
