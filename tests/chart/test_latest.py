"""Which of several results is first."""

from __future__ import annotations

from typing import Any

import pytest
from charts import ago, chart, observation, quantity
from hypothesis import given
from hypothesis import strategies as st


def order(*resources: Any, group: str = "potassium") -> list[str]:
    """The ids of the results of a group, newest first."""
    return [result.id.removeprefix("Observation/") for result in chart(*resources).results[group]]


def test_the_newest_is_first_in_whatever_order_they_come() -> None:
    assert order(
        observation("a", value=4.0, days=9), observation("b", value=4.1, days=1), observation("c", value=4.2, days=3)
    ) == ["b", "c", "a"]


def test_a_later_normal_result_comes_before_an_earlier_abnormal_one() -> None:
    assert order(observation("low", value=2.0, days=2), observation("normal", value=4.0, days=1)) == ["normal", "low"]


def test_equivalent_codes_are_one_sequence() -> None:
    blood = observation("blood", code="6298-4", value=4.0, days=1)
    assert order(observation("serum", value=2.0, days=2), blood) == ["blood", "serum"]


def test_of_one_moment_corrected_beats_amended_beats_final() -> None:
    same = [
        observation("final", value=2.0),
        observation("corrected", value=4.0, status="corrected"),
        observation("amended", value=3.0, status="amended"),
    ]
    assert order(*same) == ["corrected", "amended", "final"]


def test_of_one_moment_the_laboratory_beats_the_point_of_care() -> None:
    poc = observation("poc", code="41653-7", value=quantity(45, "mg/dL"))
    laboratory = observation("laboratory", code="2345-7", value=quantity(90, "mg/dL"))
    assert order(poc, laboratory, group="glucose") == ["laboratory", "poc"]


def test_of_one_moment_a_correction_at_the_point_of_care_beats_a_final_laboratory_result() -> None:
    poc = observation("poc", code="41653-7", value=quantity(45, "mg/dL"), status="corrected")
    laboratory = observation("laboratory", code="2345-7", value=quantity(90, "mg/dL"))
    assert order(poc, laboratory, group="glucose") == ["poc", "laboratory"]


@pytest.mark.parametrize(("first", "second"), [(2.9, 4.0), (6.5, 4.0), (6.9, 3.4), (2.5, 5.1)])
def test_of_one_moment_the_more_abnormal_is_first(first: float, second: float) -> None:
    assert order(observation("b", value=second), observation("a", value=first)) == ["a", "b"]
    assert order(observation("a", value=first), observation("b", value=second)) == ["a", "b"]


def test_an_interval_is_as_abnormal_as_its_limit() -> None:
    below = observation("below", value=quantity(2.5, "mmol/L", "<"))
    assert order(observation("normal", value=4.0), below) == ["below", "normal"]


def test_a_day_may_be_later_than_any_time_of_it() -> None:
    day = observation("day", value=2.9, effectiveDateTime="2026-06-14")
    time = observation("time", value=4.0, effectiveDateTime="2026-06-14T18:00:00Z")
    assert order(day, time) == ["day", "time"]
    day["valueQuantity"], time["valueQuantity"] = time["valueQuantity"], day["valueQuantity"]
    assert order(day, time) == ["time", "day"]


def test_a_correction_wins_over_the_same_day_as_written() -> None:
    day = observation("day", value=2.0, effectiveDateTime="2026-06-14")
    corrected = observation("corrected", value=4.0, status="corrected", effectiveDateTime="2026-06-14")
    assert order(day, corrected) == ["corrected", "day"]


@pytest.mark.parametrize("date", ["2026-06-14", "2026-06", "2026"])
def test_a_correction_without_a_time_does_not_hide_a_more_abnormal_result_that_may_be_newer(date: str) -> None:
    exact = observation("exact", value=2.0, effectiveDateTime="2026-06-14T06:00:00Z")
    corrected = observation("corrected", value=4.0, status="corrected", effectiveDateTime=date)
    assert order(corrected, exact)[0] == order(exact, corrected)[0] == "exact"


def test_a_month_is_older_than_a_result_after_it() -> None:
    month = observation("month", value=2.0, status="corrected", effectiveDateTime="2026-05")
    assert order(month, observation("exact", value=4.0, effectiveDateTime="2026-06-01T00:00:00Z"))[0] == "exact"


def test_a_year_does_not_bring_back_a_result_that_another_has_followed() -> None:
    year = observation("year", value=4.0, effectiveDateTime="2026")
    old = observation("old", value=2.0, effectiveDateTime="2026-02-01T00:00:00Z")
    new = observation("new", value=4.1, effectiveDateTime="2026-06-01T00:00:00Z")
    assert order(year, old, new)[0] == "new"


def test_of_equally_abnormal_results_the_exact_one_is_first() -> None:
    month = observation("month", value=4.0, status="corrected", effectiveDateTime="2026-06")
    assert order(month, observation("exact", value=4.1, effectiveDateTime="2026-06-01T09:00:00Z"))[0] == "exact"


def test_a_day_does_not_reach_into_the_next() -> None:
    day = observation("day", value=2.0, effectiveDateTime="2026-06-13")
    assert order(day, observation("time", value=4.0, effectiveDateTime="2026-06-14T00:00:00Z"))[0] == "time"


@given(st.permutations([("a", 4.0, 1.0), ("b", 2.0, 1.0), ("c", 7.0, 3.0), ("d", 4.1, 2.0), ("e", 4.0, 2.0)]))
def test_the_order_of_arrival_never_matters(results: list[tuple[str, float, float]]) -> None:
    arrived = [observation(name, value=value, days=days) for name, value, days in results]
    assert order(*arrived)[:2] == ["b", "a"]
    assert order(*arrived)[-1] == "c"


def test_dates_with_zones_are_compared_as_instants() -> None:
    east = observation("east", value=4.0, effectiveDateTime="2026-06-14T10:00:00+05:30")
    west = observation("west", value=4.1, effectiveDateTime="2026-06-14T02:00:00-07:00")
    assert order(east, west) == ["west", "east"]
    assert ago(0) == "2026-06-15T12:00:00.000Z"


def nameless(value: float | dict[str, Any], **more: Any) -> dict[str, Any]:
    """An Observation without an id."""
    return {key: element for key, element in observation(value=value, **more).items() if key != "id"}


def test_results_without_an_id_are_told_apart_by_what_they_say() -> None:
    sent = [nameless(4.0, days=9), nameless(2.0, days=1), nameless(2.0, days=1), nameless(4.0, days=3)]
    assert [result.value for result in chart(*sent).results["potassium"]] == [2.0, 4.0, 4.0]


def test_inexact_results_without_an_id_are_told_apart_too() -> None:
    below = quantity(2.5, "mmol/L", "<")
    days = [nameless(below, effectiveDateTime=f"2026-06-{day}") for day in (13, 14, 14)]
    assert len(chart(*days).results["potassium"]) == 2


def test_halves_of_a_pressure_without_an_id_are_two() -> None:
    halves = [nameless(quantity(value, "mm[Hg]"), code=code) for code, value in (("8480-6", 150), ("8462-4", 90))]
    (pressure,) = chart(*halves).results["blood-pressure"]
    assert (pressure.systolic, pressure.diastolic) == (150, 90)
