"""Computed results."""

from __future__ import annotations

from typing import Any

import pytest
from charts import chart, hours, observation, project_codes, quantity

from cds_service.chart.groups import Derived
from cds_service.chart.items import ABSENT
from cds_service.fhir.uncertain import Interval

MAN = {"resourceType": "Patient", "id": "p1", "gender": "male", "birthDate": "1966-06-15"}


def calcium(value: float, name: str = "ca", days: float = 1, **more: Any) -> dict[str, Any]:
    return observation(name, code="17861-6", value=quantity(value, "mmol/L"), days=days, **more)


def albumin(value: float, name: str = "alb", days: float = 1) -> dict[str, Any]:
    return observation(name, code="1751-7", value=quantity(value, "g/L"), days=days)


def test_calcium_is_corrected_from_unrounded_input_and_rounded_once() -> None:
    total = observation("ca", code="17861-6", value=quantity(8.0, "mg/dL"))
    (corrected,) = chart(total, albumin(30)).results["corrected-calcium"]
    assert corrected.value == 2.2
    assert isinstance(corrected.exact, float)
    assert abs(corrected.exact - (8.0 * 0.2495 + 0.2)) < 1e-9
    assert (corrected.id, corrected.computed) == ("Observation/ca", True)


def test_there_is_one_computed_result_for_each_it_starts_from_newest_first() -> None:
    found = chart(calcium(2.0, "a", 3), calcium(2.1, "b", 1), albumin(40, days=2)).results["corrected-calcium"]
    assert [(one.id, one.value) for one in found] == [("Observation/b", 2.1), ("Observation/a", 2.0)]


def test_the_input_nearest_in_time_counts() -> None:
    found = chart(calcium(2.0, days=5), albumin(40, "near", 6), albumin(20, "far", 3)).results["corrected-calcium"]
    assert [one.value for one in found] == [2.0]


@pytest.mark.parametrize(("days", "expected"), [(8, 1), (8 + hours(0.1), 0)])
def test_an_input_outside_its_window_does_not_count(days: float, expected: int) -> None:
    assert len(chart(calcium(2.0), albumin(40, days=days)).results.get("corrected-calcium", [])) == expected


@pytest.mark.parametrize(("grams", "expected"), [(19, 0), (20, 1), (50, 1), (51, 0)])
def test_outside_its_range_of_validity_nothing_is_computed(grams: float, expected: int) -> None:
    assert len(chart(calcium(2.0), albumin(grams)).results.get("corrected-calcium", [])) == expected


def test_a_reported_result_of_the_same_moment_wins() -> None:
    reported = observation("cc", code="29265-6", value=quantity(2.5, "mmol/L"))
    (one,) = chart(calcium(2.0), albumin(30), reported).results["corrected-calcium"]
    assert (one.value, one.computed) == (2.5, False)


def test_egfr_is_computed_from_creatinine_age_and_sex() -> None:
    creatinine = observation("cr", code="2160-0", value=quantity(1.5, "mg/dL"))
    (one,) = chart(MAN, creatinine).results["egfr"]
    assert one.value == round(142 * (1.5 / 0.9) ** -1.2 * 0.9938**60)
    assert "egfr" not in chart(creatinine).results


def test_an_interval_stays_an_interval() -> None:
    total = observation("ca", code="17861-6", value=quantity(1.5, "mmol/L", "<"))
    (one,) = chart(total, albumin(40)).results["corrected-calcium"]
    assert isinstance(one.value, Interval)
    assert repr(one.value) == "<1.5"


def test_a_sample_before_dialysis_is_a_potassium_too() -> None:
    found = chart(observation("pre", code="51618-7", value=4.9, days=1), observation("k", value=4.0, days=2))
    assert [one.id for one in found.results["potassium"]] == ["Observation/pre", "Observation/k"]


def test_the_frame_holds_time_patient_hook_base_and_inputs() -> None:
    frames: list[list[Any]] = []

    def value(frame: list[Any]) -> float:
        frames.append(frame)
        return 1.0

    spec = (("Albumin", "albumin", 1000), ("Glucose", "glucose", 1000))
    codes = project_codes().with_derived({"corrected-calcium": Derived("total-calcium", spec, value)})
    found = chart(MAN, calcium(2.004), albumin(40), codes=codes)
    (frame,) = frames
    assert frame[:5] == [found.now, "male", 60, 720, "patient-view"]
    assert (frame[5].value, frame[6].value, frame[7]) == (2.004, 40, ABSENT)


def test_a_division_by_zero_is_no_result() -> None:
    codes = project_codes().with_derived({"corrected-calcium": Derived("total-calcium", (), lambda _: 1 / 0)})
    assert "corrected-calcium" not in chart(calcium(2.0), codes=codes).results
