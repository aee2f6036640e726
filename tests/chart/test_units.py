"""Quantities: units, rounding, plausibility."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from charts import LOINC, UCUM, chart, concept, observation, quantity
from hypothesis import given
from hypothesis import strategies as st

from cds_service.chart.groups import ResultGroup, Unit
from cds_service.chart.units import Scale
from cds_service.fhir.resources import Quantity
from cds_service.fhir.uncertain import Interval


def scale(decimals: int = 1, **units: Unit) -> Scale:
    return Scale(
        ResultGroup(
            group="g",
            name="g",
            file="f",
            kind="quantity",
            unit="u",
            decimals=decimals,
            plausible=(-1e9, 1e9),
            units={"u": Unit(), **units},
        )
    )


def read(value: float, unit: str, group: str, code: str) -> object:
    """The value of one result of the project's codes; its reason when it cannot be read."""
    found = chart(observation(code=concept(code, LOINC), value=quantity(value, unit)))
    return found.results[group][0].value if found.results else found.unreadable_results[group][0].reason


@pytest.mark.parametrize(
    ("group", "code", "value", "unit", "canonical"),
    [
        ("potassium", "2823-3", 3.5, "meq/L", 3.5),
        ("potassium", "2823-3", 13.7, "mg/dL", 3.5),
        ("total-calcium", "17861-6", 8.5, "mg/dL", 2.12),
        ("total-calcium", "17861-6", 4.2, "meq/L", 2.1),
        ("albumin", "1751-7", 4.0, "g/dL", 40),
        ("magnesium", "19123-9", 1.7, "mg/dL", 0.70),
        ("glucose", "2345-7", 3.9, "mmol/L", 70),
        ("haemoglobin", "718-7", 12.5, "g/dL", 125),
        ("haemoglobin", "718-7", 7.5, "mmol/L", 121),
        ("hba1c", "4548-4", 48, "mmol/mol", 6.5),
        ("creatinine", "2160-0", 0.09, "mmol/L", 1.02),
        ("creatinine", "2160-0", 97, "umol/L", 1.10),
        ("tsh", "3016-3", 4.5, "m[IU]/L", 4.5),
        ("ck", "2157-6", 3.2, "ukat/L", 192),
        ("temperature", "8310-5", 98.6, "[degF]", 37.0),
    ],
)
def test_si_and_conventional_units_give_the_canonical_value(
    group: str, code: str, value: float, unit: str, canonical: float
) -> None:
    assert read(value, unit, group, code) == canonical


def test_the_unit_decides_and_not_the_property_of_the_code() -> None:
    assert read(1.1, "mg/dL", "creatinine", "14682-9") == 1.1
    assert read(95, "mg/dL", "glucose", "15074-8") == 95


def test_the_code_of_a_unit_comes_before_its_text() -> None:
    value = {"value": 3.1, "unit": "mg/dL", "system": UCUM, "code": "mmol/L"}
    assert chart(observation(value=value)).results["potassium"][0].value == 3.1


@pytest.mark.parametrize(
    "value",
    [
        {"value": 3.1, "unit": "mmol/L"},
        {"value": 3.1, "unit": " mmol/L "},
        {"value": 3.1, "unit": "mEq/L"},
        {"value": 3.1, "unit": "mmol/L", "system": "http://snomed.info/sct", "code": "258813002"},
        {"value": 3.1, "system": UCUM, "code": "mmol/L"},
        {"value": 3.1, "code": "mmol/L"},
        {"value": 3.1, "unit": "mEq/L", "system": UCUM, "code": "mEq/L"},
    ],
)
def test_without_a_ucum_code_the_text_of_the_unit_counts(value: dict[str, object]) -> None:
    assert chart(observation(value=value)).results["potassium"][0].value == 3.1


def test_a_ucum_code_that_is_not_known_is_not_replaced_by_a_text() -> None:
    value = {"value": 3.1, "unit": "mmol/L", "system": UCUM, "code": "mol/L"}
    assert not chart(observation(value=value)).results


@pytest.mark.parametrize(
    ("value", "decimals", "rounded"),
    [
        (3.45, 1, 3.5),
        (3.4499999, 1, 3.4),
        (3.449999999, 1, 3.5),
        (2.675, 2, 2.68),
        (1.005, 2, 1.01),
        (0.285, 2, 0.29),
        (2.5, 0, 3),
        (-2.5, 0, -3),
        (-0.4, 0, 0),
        (3.7031, 1, 3.7),
        (99.5, 0, 100),
    ],
)
def test_halves_are_rounded_up_as_a_person_would(value: float, decimals: int, rounded: float) -> None:
    assert scale(decimals).round(value) == rounded


@given(st.integers(-10_000_000, 10_000_000), st.integers(0, 6), st.integers(0, 4))
def test_decimal_input_is_rounded_exactly(digits: int, places: int, decimals: int) -> None:
    exact = Decimal(digits).scaleb(-places)
    expected = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    assert scale(decimals).round(float(exact)) == float(expected)


@given(st.floats(0.01, 1000), st.sampled_from([0.2558, 0.2495, 10, 18.016, 0.4114]), st.integers(0, 2))
def test_a_value_in_another_unit_is_the_product_before_rounding(value: float, factor: float, decimals: int) -> None:
    exact, rounded = scale(decimals, v=Unit(factor=factor)).read(Quantity(value=value, code="v"))
    assert exact == value * factor
    assert isinstance(rounded, float)
    assert abs(rounded - value * factor) <= 0.5 / 10**decimals + 1e-8


@given(st.decimals(1, 12, places=1))
def test_a_threshold_is_the_same_in_both_units(threshold: Decimal) -> None:
    """A value converted there and back is not moved across a threshold by the noise of floating point."""
    _, rounded = scale(1, v=Unit(factor=0.2558)).read(Quantity(value=float(threshold) / 0.2558, code="v"))
    assert rounded == float(threshold)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_is_read_or_refused(value: float) -> None:
    try:
        _, rounded = scale().read(Quantity(value=value, code="u"))
    except ValueError:
        return
    assert isinstance(rounded, float)


def test_a_unit_may_shift_before_and_after() -> None:
    fahrenheit = Unit(before=-32, factor=5 / 9)
    assert scale(1, F=fahrenheit).read(Quantity(value=212, code="F"))[1] == 100.0


def test_both_ends_of_the_plausible_range_are_allowed() -> None:
    assert read(1.0, "mmol/L", "potassium", "2823-3") == 1.0
    assert read(12.0, "mmol/L", "potassium", "2823-3") == 12.0
    assert read(12.04, "mmol/L", "potassium", "2823-3") == 12.0
    assert read(12.05, "mmol/L", "potassium", "2823-3") == "12.1 is outside the plausible range of potassium (1 to 12)"


def test_a_code_may_have_units_of_its_own() -> None:
    assert read(28, "mg/dL", "bun", "3094-0") == 28
    assert read(60, "mg/dL", "bun", "22664-7") == 28
    assert read(10, "mmol/L", "bun", "22664-7") == read(10, "mmol/L", "bun", "3094-0") == 28


@pytest.mark.parametrize(
    ("comparator", "value", "bound"),
    [(">", 6.49, 6.4), (">=", 6.49, 6.4), (">", 6.5, 6.5), ("<", 2.46, 2.5), ("<=", 2.41, 2.5), ("<", 2.5, 2.5)],
)
def test_the_bound_of_a_comparator_is_never_rounded_inward(comparator: str, value: float, bound: float) -> None:
    found = scale(1).read(Quantity(value=value, code="u", comparator=comparator))[1]
    assert isinstance(found, Interval)
    assert (found.hi if comparator.startswith("<") else found.lo) == bound
    assert (found.lo if comparator.startswith("<") else found.hi) in (float("inf"), float("-inf"))


def test_a_bound_that_was_converted_is_not_moved_by_the_noise_of_floating_point() -> None:
    found = scale(1, v=Unit(factor=0.1)).read(Quantity(value=63, code="v", comparator=">"))[1]
    assert isinstance(found, Interval)
    assert found.lo == 6.3
