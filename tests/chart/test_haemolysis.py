"""Haemolysed samples."""

from __future__ import annotations

from typing import Any

import pytest
from charts import LOINC, ago, chart, concept, hours, observation, quantity

HEM = concept("HEM", "http://terminology.hl7.org/CodeSystem/v2-0493")


def haemolysed(*others: Any, code: str = "2823-3", group: str = "potassium", **more: Any) -> object:
    """Whether a potassium of 6.0 is said to be haemolysed."""
    value = quantity(6.0, "mmol/L") if group == "potassium" else quantity(140, "mmol/L")
    return chart(observation("k1", code=code, value=value, **more), *others).results[group][0].haemolysed


def specimen(condition: Any, name: str = "s1") -> dict[str, Any]:
    return {"resourceType": "Specimen", "id": name, "condition": [condition]}


def index(value: float, days: float = 1, **more: Any) -> dict[str, Any]:
    limit = [{"high": {"value": 50}}]
    return observation("hi", code="46424-8", days=days, value={"value": value}, referenceRange=limit, **more)


def test_without_a_sign_a_sample_is_not_haemolysed() -> None:
    assert haemolysed() is False
    assert haemolysed(specimen(concept("CLOT")), specimen=[{"reference": "Specimen/s1"}][0]) is False


@pytest.mark.parametrize("reference", ["Specimen/s1", "https://ehr.example/fhir/Specimen/s1"])
def test_the_condition_of_the_specimen_says_so(reference: str) -> None:
    assert haemolysed(specimen(HEM), specimen={"reference": reference}) is True
    assert haemolysed(specimen(HEM, "other"), specimen={"reference": reference}) is False


def test_the_specimen_may_be_contained() -> None:
    assert haemolysed(contained=[specimen(HEM)], specimen={"reference": "#s1"}) is True


def test_the_specimen_may_say_it_in_words() -> None:
    assert haemolysed(specimen({"text": "Grossly hemolyzed"}), specimen={"reference": "Specimen/s1"}) is True


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hemolyzed specimen", True),
        ("HAEMOLYSED", True),
        ("moderate hemolysis, interpret with care", True),
        ("not haemolysed", False),
        ("Non-hemolyzed sample", False),
        ("No visible hemolysis", False),
        ("no evidence of gross haemolysis", False),
        ("drawn from the left arm", False),
        ("Hemolysis not present", False),
        ("Hemolysis was not detected in this sample.", False),
        ("Hemolysis: none", False),
        ("Hemolysis: None seen. Lipemia: moderate", False),
        ("Hemolysis index: 0", False),
        ("Haemolysis index = 0 mg/dL", False),
        ("hemolysis negative", False),
        ("HEMOLYSIS - ABSENT", False),
        ("hemolysis (none), icterus (none)", False),
        ("checked for hemolysis, OK", False),
        ("hemolysis-free", False),
        ("Hemolysis: slight", True),
        ("Hemolysis index: 0.5", True),
        ("Hemolysis: no interpretation possible", True),
        ("Hemolysis: none in tube 1; tube 2 hemolyzed", True),
        ("No lipemia, hemolysis present", True),
        ("Not reported due to hemolysis", True),
        ("hemolyzed, not recollected", True),
        ("hemolysis cannot be excluded", True),
    ],
)
def test_notes_interpretation_and_reason_say_it_in_words(text: str, said: bool) -> None:
    assert haemolysed(note=[{"text": text}]) is said
    assert haemolysed(interpretation=[{"text": text}]) is said
    assert haemolysed(interpretation=[concept("X", LOINC, display=text)]) is said


def test_an_index_above_its_limit_counts_for_the_samples_of_five_minutes() -> None:
    assert haemolysed(index(80)) is True
    assert haemolysed(index(80, days=1 + hours(5 / 60))) is True
    assert haemolysed(index(80, days=1 + hours(6 / 60))) is False
    assert haemolysed(index(50)) is False
    assert haemolysed(index(80, status="entered-in-error")) is False


def test_an_index_of_the_same_specimen_counts_at_any_time() -> None:
    same: dict[str, Any] = {"specimen": {"reference": "Specimen/s1"}}
    assert haemolysed(index(80, days=2, **same), **same) is True


def test_an_index_without_a_limit_counts_when_it_is_flagged_high() -> None:
    flag = [concept("H", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")]
    assert haemolysed(observation("hi", code="46424-8", value={"value": 80}, interpretation=flag)) is True
    assert haemolysed(observation("hi", code="46424-8", value={"value": 80})) is False


def test_haemolysis_that_was_seen_counts() -> None:
    yes = concept("10828004", "http://snomed.info/sct")
    no = concept("260385009", "http://snomed.info/sct")
    assert haemolysed(observation("seen", code="20393-5", valueCodeableConcept=yes)) is True
    assert haemolysed(observation("seen", code="20393-5", valueString="Positive")) is True
    assert haemolysed(observation("seen", code="20393-5", valueCodeableConcept=no)) is False
    assert haemolysed(observation("seen", code="20393-5", valueBoolean=True)) is True


def test_a_date_without_time_is_not_within_five_minutes_of_anything() -> None:
    assert haemolysed(index(80), effectiveDateTime=ago(1)[:10]) is False


def test_results_that_haemolysis_does_not_distort_are_left_alone() -> None:
    assert haemolysed(index(80), code="2951-2", group="sodium", note=[{"text": "hemolyzed"}]) is None
