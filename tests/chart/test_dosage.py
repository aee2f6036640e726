"""Daily doses."""

from __future__ import annotations

from typing import Any

import pytest
from charts import chart, quantity, request
from hypothesis import given
from hypothesis import strategies as st

from cds_service.chart.dosage import Dosage, daily_dose
from cds_service.fhir.uncertain import Interval


def dose(*dosages: Any, drug: str = "prednisone", group: str = "systemic-glucocorticoid") -> Any:
    return chart(request(drug=drug, dosageInstruction=list(dosages))).medications[group][0].dose


def structured(amount: Any, frequency: Any = 1, period: Any = 1, unit: str | None = "d", **more: Any) -> dict[str, Any]:
    repeat = {"frequency": frequency, "period": period, "periodUnit": unit}
    timing = {"repeat": {key: value for key, value in repeat.items() if value is not None}}
    return {"timing": timing, "doseAndRate": [amount], **more}


def milligrams(value: float) -> dict[str, Any]:
    return {"doseQuantity": quantity(value, "mg")}


@pytest.mark.parametrize(
    ("dosage", "daily"),
    [
        (structured(milligrams(20)), 20),
        (structured(milligrams(20), 2), 40),
        (structured(milligrams(20), 1, 12, "h"), 40),
        (structured(milligrams(20), 1, 2), 10),
        (structured(milligrams(70), 1, 1, "wk"), 10),
        (structured(milligrams(5), 3), 15),
        (structured(milligrams(20), None), 20),
        (structured({"doseQuantity": quantity(0.02, "g")}), 20),
        (structured({"doseQuantity": {"value": 500, "unit": "mcg"}}), 0.5),
        (structured({"doseQuantity": {"value": 20, "unit": "mg"}}), 20),
        (structured(milligrams(20), 1, 0), None),
        (structured(milligrams(20), 1, 1, None), None),
        (structured({"doseQuantity": quantity(5, "mL")}), None),
        (structured({"doseQuantity": quantity(20, "mg", "<")}), None),
        (structured({"rateQuantity": quantity(5, "mg/min")}), None),
        ({"doseAndRate": [milligrams(20)]}, None),
    ],
)
def test_a_structured_dose_is_the_amount_times_the_frequency(dosage: dict[str, Any], daily: float | None) -> None:
    assert dose(dosage) == daily


@pytest.mark.parametrize(
    ("text", "daily"),
    [
        ("20 mg daily", 20),
        ("Take 20 mg by mouth once daily", 20),
        ("20mg od", 20),
        ("20 mg qd", 20),
        ("20 MG PO BID", 40),
        ("5 mg twice daily", 10),
        ("5 mg tid", 15),
        ("2.5 mg daily", 2.5),
        ("2,5 mg daily", 2.5),
        ("take 1 tablet (20 mg) by mouth every morning", 20),
        ("500 mcg daily", 0.5),
        ("20 mg/day", 20),
        ("take one daily", None),
        ("20 mg every other day", None),
        ("20 mg weekly", None),
        ("10-20 mg daily", None),
        ("20 mg daily for 5 days, then 10 mg daily", None),
        ("Take 2 tablets (20 mg) daily", None),
        ("20 mg in 100 mL daily", None),
        ("120 mg/5 mL daily", None),
        ("20 mg dailyish", None),
    ],
)
def test_a_dose_in_words_counts_when_it_can_mean_only_one_thing(text: str, daily: float | None) -> None:
    assert dose({"text": text}) == daily


def test_as_needed_is_at_most_the_dose() -> None:
    for dosage in (
        structured(milligrams(20), asNeededBoolean=True),
        structured(milligrams(20), asNeededCodeableConcept={"text": "pain"}),
        {"text": "20 mg daily as needed"},
        {"text": "20 mg daily prn"},
    ):
        amount = dose(dosage)
        assert isinstance(amount, Interval)
        assert (amount.lo, amount.hi) == (0, 20)
    assert dose(structured(milligrams(20), asNeededBoolean=False, asNeededCodeableConcept=None)) == 20


def test_a_range_of_doses_is_an_interval() -> None:
    amount = dose(structured({"doseRange": {"low": quantity(10, "mg"), "high": quantity(20, "mg")}}, 2))
    assert (amount.lo, amount.hi) == (20, 40)
    assert dose(structured({"doseRange": {"low": quantity(10, "mg")}})) is None


def test_doses_given_side_by_side_add_up_and_steps_do_not() -> None:
    morning, evening = structured(milligrams(20)), structured(milligrams(10))
    assert dose(morning, evening) == 30
    assert dose({**morning, "sequence": 1}, {**evening, "sequence": 1}) == 30
    assert dose({**morning, "sequence": 1}, {**evening, "sequence": 2}) is None
    assert dose(morning, {"text": "as directed"}) is None


STATIN = {"drug": "atorvastatin 40 MG Oral Tablet", "group": "statin"}


@pytest.mark.parametrize(
    ("dosages", "daily"),
    [
        ([], 40),
        ([{"text": "take one tablet daily"}], 40),
        ([{"text": "Take 1 tablet (40 mg) nightly"}], 40),
        ([{"text": "one 40 mg tablet"}], 40),
        ([structured({"doseQuantity": {"value": 1}})], 40),
        ([structured({"doseQuantity": {"value": 2}})], 80),
        ([structured({"doseQuantity": {"value": 2, "unit": "tablet"}})], 80),
        ([structured({"doseQuantity": {"value": 0.5, "unit": "TAB"}})], 20),
        ([structured({"doseQuantity": {"value": 1, "unit": "tablet"}}, 1, 2)], 20),
        ([structured(milligrams(20))], 20),
        ([{"text": "take 2 tablets daily"}], None),
        ([{"text": "half tablet daily"}], None),
        ([{"text": "1 tablet every other day"}], None),
        ([{"text": "80 mg as directed"}], None),
    ],
)
def test_a_statin_is_one_tablet_a_day_of_its_strength_unless_the_order_says_otherwise(dosages: Any, daily: Any) -> None:
    assert dose(*dosages, **STATIN) == daily


def test_other_drugs_are_not_dosed_by_their_strength() -> None:
    assert dose(drug="prednisone 20 MG Oral Tablet") is None
    assert dose(structured({"doseQuantity": {"value": 1}}), drug="prednisone 20 MG Oral Tablet") is None
    assert dose(structured({"doseQuantity": {"value": 2, "unit": "tablet"}}), drug="prednisone 20 MG Oral Tablet") == 40


@pytest.mark.parametrize(
    ("drug", "daily"),
    [
        ("amlodipine 5 MG / atorvastatin 10 MG Oral Tablet", 10),
        ("atorvastatin 10 MG / ezetimibe 20 MG Oral Tablet", 10),
        ("Atorvastatin 20mg tablets", 20),
        ("atorvastatin 4 MG/ML Oral Suspension", None),
        ("atorvastatin", None),
    ],
)
def test_the_strength_is_that_of_the_ingredient(drug: str, daily: float | None) -> None:
    assert dose(drug=drug, group="statin") == daily


@pytest.mark.parametrize("dosage", ["text", 7, [7], {"timing": "daily"}, {"doseAndRate": {}}, None])
def test_a_dosage_that_cannot_be_read_leaves_the_order_alone(dosage: Any) -> None:
    found = chart({**request(drug="prednisone"), "dosageInstruction": dosage})
    assert found.medications["systemic-glucocorticoid"][0].dose is None


@given(st.text(max_size=60) | st.from_regex(r"[0-9., ]{1,6} ?(mg|g|mcg) (daily|bid|od|prn|/d| x){1,2}", fullmatch=True))
def test_any_text_is_a_positive_dose_or_none(text: str) -> None:
    amount = daily_dose([Dosage(text=text)], None, False)
    most = amount.hi if isinstance(amount, Interval) else amount
    assert most is None or most >= 0
