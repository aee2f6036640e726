"""Reference ranges."""

from __future__ import annotations

from typing import Any

import pytest
from charts import SNOMED, chart, concept, observation, quantity

WOMAN = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1966-06-15"}
MEANING = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"


def limits(*ranges: Any, patient: Any = WOMAN, unit: str = "U/L") -> tuple[object, object]:
    """The limits of a creatine kinase of 100 U/L."""
    found = chart(patient, observation("ck", code="2157-6", value=quantity(100, unit), referenceRange=list(ranges)))
    result = found.results["ck"][0]
    return result.low, result.high


def between(low: float | None, high: float | None, unit: str = "U/L", **more: Any) -> dict[str, Any]:
    found = {"low": low, "high": high}
    return {name: quantity(value, unit) for name, value in found.items() if value is not None} | more


def test_a_range_has_a_low_and_a_high_limit() -> None:
    assert limits(between(30, 170)) == (30, 170)


def test_a_range_may_be_open_on_one_side() -> None:
    assert limits(between(None, 170)) == (None, 170)


@pytest.mark.parametrize("huge", [1e15, 1e300, 1.7e308])
def test_a_limit_that_no_result_reaches_is_none(huge: float) -> None:
    assert limits(between(-huge, huge)) == (None, None)
    assert limits(between(30, huge)) == (30, None)


def test_a_range_in_another_unit_is_converted() -> None:
    assert limits(between(None, 3, "ukat/L")) == (None, 180)


@pytest.mark.parametrize(
    "unusable",
    [
        {"text": "30 to 170"},
        {"high": {"value": 170}},
        {"high": {"value": 170, "unit": "furlong"}},
        {"high": {"value": 170, "unit": "U/L", "comparator": "<"}},
        {"low": quantity(170, "U/L"), "high": quantity(30, "U/L")},
        between(None, 170, type=concept("treatment", MEANING)),
        between(None, 170, appliesTo=[concept("248153007", SNOMED)]),
        between(None, 170, appliesTo=[concept(text="children")]),
        between(None, 170, age={"high": {"value": 18, "code": "a"}}),
        between(None, 170, age={"low": {"value": 65, "unit": "a"}}),
        between(None, 170, age={"low": {"value": 65, "unit": "summers"}}),
    ],
)
def test_a_range_that_is_text_or_for_somebody_else_does_not_count(unusable: dict[str, Any]) -> None:
    assert limits(unusable) == (None, None)
    assert limits(unusable, between(20, 160)) == (20, 160)


def test_the_range_for_this_sex_and_age_wins_over_one_for_all() -> None:
    women = between(25, 150, appliesTo=[concept("248152002", SNOMED)])
    assert limits(between(30, 170), women) == (25, 150)
    adults = between(
        20, 140, appliesTo=[concept(text="Female")], age={"low": quantity(18, "a"), "high": quantity(64, "a")}
    )
    assert limits(between(30, 170), women, adults) == (20, 140)


def test_a_range_of_the_type_normal_counts() -> None:
    assert limits(between(30, 170, type=concept("normal", MEANING))) == (30, 170)


def test_two_ranges_that_fit_and_differ_are_no_range() -> None:
    assert limits(between(30, 170), between(30, 200)) == (None, None)
    assert limits(between(30, 170), between(30, 170)) == (30, 170)


def test_without_knowing_the_patient_only_a_range_for_all_counts() -> None:
    nobody = {"resourceType": "Patient", "id": "p1"}
    women = between(25, 150, appliesTo=[concept("248152002", SNOMED)])
    assert limits(women, between(30, 170), patient=nobody) == (30, 170)
    assert limits(between(30, 170, age={"low": quantity(18, "a")}), patient=nobody) == (None, None)


@pytest.mark.parametrize("ranges", ["text", 7, {"high": "x"}, [7], None])
def test_ranges_that_cannot_be_read_leave_the_result_alone(ranges: Any) -> None:
    found = chart(WOMAN, {**observation("ck", code="2157-6", value=quantity(100, "U/L")), "referenceRange": ranges})
    assert found.results["ck"][0].value == 100
    assert found.results["ck"][0].high is None
