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


def test_a_correction_wins_over_a_day_that_overlaps_with_it() -> None:
    day = observation("day", value=2.0, effectiveDateTime="2026-06-14")
    corrected = observation("corrected", value=4.0, status="corrected", effectiveDateTime="2026-06-14T06:00:00Z")
    assert order(day, corrected)[0] == "corrected"


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
