"""Synthetic patients keep their distance to now when a demonstration runs on another day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cds_service.sandbox_dates import shift_dates

REFERENCE = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2026-11-18", "2026-11-28"),
        ("2026-11-18T07:40", "2026-11-28T07:40"),
        ("2026-11-18T07:40:00Z", "2026-11-28T07:40:00Z"),
        ("2026-12-30T23:59:59.123456-06:00", "2027-01-09T23:59:59.123456-06:00"),
        ("2028-02-19", "2028-02-29"),
        ("2026-11", "2026-11"),
        ("2026", "2026"),
        ("2026-02-31", "2026-02-31"),
    ],
)
def test_a_date_moves_by_whole_days_and_keeps_its_precision(before: str, after: str) -> None:
    later = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    assert shift_dates({"onsetDateTime": before}, REFERENCE, later) == {"onsetDateTime": after}


def test_a_month_and_a_year_move_with_their_middle() -> None:
    in_ten_months = datetime(2027, 9, 20, 10, 0, tzinfo=UTC)
    shifted = shift_dates({"recordedDate": "2026-11", "birthDate": "1953"}, REFERENCE, in_ten_months)
    assert shifted == {"recordedDate": "2027-09", "birthDate": "1954"}


def test_dates_are_found_in_lists_and_in_nested_elements() -> None:
    bundle = {
        "timestamp": "2026-11-20T10:00:00Z",
        "entry": [{"resource": {"timing": {"event": ["2026-11-20", "2026-11-21"]}, "period": {"start": "2026"}}}],
    }
    next_year = datetime(2027, 11, 20, 10, 0, tzinfo=UTC)
    assert shift_dates(bundle, REFERENCE, next_year) == {
        "timestamp": "2027-11-20T10:00:00Z",
        "entry": [{"resource": {"timing": {"event": ["2027-11-20", "2027-11-21"]}, "period": {"start": "2027"}}}],
    }


def test_a_moment_before_the_reference_stays_before_now() -> None:
    almost_a_day_later = datetime(2026, 11, 21, 9, 59, tzinfo=UTC)
    almost_a_day_earlier = datetime(2026, 11, 19, 10, 1, tzinfo=UTC)
    glucose = {"effectiveDateTime": "2026-11-20T09:55:00Z"}
    assert shift_dates(glucose, REFERENCE, almost_a_day_later) == glucose
    assert shift_dates(glucose, REFERENCE, almost_a_day_earlier) == {"effectiveDateTime": "2026-11-19T09:55:00Z"}


def test_codes_numbers_and_words_are_no_dates() -> None:
    resource = {
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}, {"code": "8640", "display": "2026-11"}]},
        "valueQuantity": {"value": 2026},
        "active": True,
        "birthDate": None,
        "note": [{"text": "since 2026-11-18"}],
    }
    assert shift_dates(resource, REFERENCE, datetime(2030, 1, 1, tzinfo=UTC)) == resource


def test_the_given_bundle_is_left_as_it_was() -> None:
    bundle = {"entry": [{"resource": {"birthDate": "1953-03-14"}}]}
    shift_dates(bundle, REFERENCE, datetime(2027, 11, 20, tzinfo=UTC))
    assert bundle == {"entry": [{"resource": {"birthDate": "1953-03-14"}}]}


def test_a_date_past_the_calendar_is_refused() -> None:
    with pytest.raises(OverflowError):
        shift_dates({"end": "9999-12-31"}, REFERENCE, datetime(2027, 11, 20, tzinfo=UTC))
