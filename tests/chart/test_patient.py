"""The patient, and whose resource is whose."""

from __future__ import annotations

import json
from typing import Any

import pytest
from charts import NOW, chart, condition, observation, project_codes, request

from cds_service.chart.chart import Chart, build_chart, read_bundle_chart
from cds_service.fhir.uncertain import UNKNOWN, Interval, Span


def person(**elements: Any) -> Chart:
    return chart({"resourceType": "Patient", "id": "p1", **elements})


@pytest.mark.parametrize(
    ("birth", "years", "months"),
    [
        ("1966-06-15", 60, 720),
        ("1966-06-16", 59, 719),
        ("2025-12-15", 0, 6),
        ("2025-12-16", 0, 5),
        ("2024-02-29", 2, 27),
        ("2026-06-15", 0, 0),
        ("1900-01-01", 126, 1517),
    ],
)
def test_age_is_in_completed_years_and_months(birth: str, years: int, months: int) -> None:
    found = person(birthDate=birth)
    assert (found.age_years, found.age_months) == (years, months)
    assert isinstance(found.birth, Span)


def test_a_month_or_year_of_birth_gives_an_interval_only_where_it_matters() -> None:
    assert person(birthDate="1966-01").age_years == 60
    around = person(birthDate="1966-06").age_years
    assert isinstance(around, Interval)
    assert (around.lo, around.hi) == (59, 60)
    year = person(birthDate="1966").age_months
    assert isinstance(year, Interval)
    assert (year.lo, year.hi) == (713, 725)


def test_what_is_not_said_of_the_patient_is_not_known() -> None:
    for found in (person(), chart(), person(_birthDate={"extension": []})):
        assert (found.gender, found.birth, found.age_years) == (None, None, None)
    assert person(gender="other").gender == "other"


def test_a_birth_date_that_cannot_be_read_is_unknown() -> None:
    found = person(birthDate="15/06/1966", gender="female")
    assert found.birth is UNKNOWN
    assert found.age_years is None
    assert found.gender == "female"
    assert [(one.resource, one.reason) for one in found.unreadable] == [
        ("Patient/p1", "a birth date that cannot be read")
    ]


@pytest.mark.parametrize("birth", ["2026-06-20", "2026-07", "2027"])
def test_a_birth_date_in_the_future_is_unknown(birth: str) -> None:
    found = person(birthDate=birth)
    assert found.birth is UNKNOWN
    assert (found.age_years, found.age_months) == (None, None)
    assert [(one.resource, one.reason) for one in found.unreadable] == [("Patient/p1", "a birth date in the future")]


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/p1"},
        {"reference": "Patient/p1/_history/4"},
        {"reference": "https://ehr.example/fhir/Patient/p1"},
        {"reference": "https://ehr.example/fhir/Patient/p1/_history/4"},
        {"reference": "#me"},
        {"identifier": {"value": "123"}},
        {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]},
        {},
        None,
    ],
)
def test_resources_of_this_patient_are_read(subject: Any) -> None:
    found = chart(observation(value=4.2, subject=subject))
    assert "potassium" in found.results
    assert not found.foreign


@pytest.mark.parametrize(
    "reference",
    ["Patient/p2", "Patient/P1", "https://ehr.example/fhir/Patient/p2", "urn:uuid:p2", "Group/p1", "p1", ""],
)
def test_resources_of_another_patient_are_refused_and_named(reference: str) -> None:
    subject = {"reference": reference}
    found = chart(
        observation(value=2.0, subject=subject),
        condition(subject=subject),
        request(subject=subject),
        observation("k2", value=4.0),
    )
    assert [result.id for result in found.results["potassium"]] == ["Observation/k2"]
    assert found.foreign == ["Observation/k1", "Condition/c1", "MedicationRequest/m1"]
    assert not found.conditions
    assert not found.medications


def test_another_patient_under_the_key_of_the_patient_is_refused() -> None:
    found = chart({"resourceType": "Patient", "id": "p2", "gender": "male"})
    assert found.gender is None
    assert found.foreign == ["Patient/p2"]


def whole(*entries: tuple[str, dict[str, Any]], **more: Any) -> Chart:
    text = json.dumps({"resourceType": "Bundle", "entry": [{"fullUrl": url, "resource": one} for url, one in entries]})
    return read_bundle_chart(text.encode(), codes=project_codes(), now=NOW, **more)


def test_in_a_whole_bundle_the_patient_may_be_meant_by_its_full_url() -> None:
    patient = {"resourceType": "Patient", "id": "p1", "gender": "male"}
    mine = observation(value=4.2, subject={"reference": "urn:uuid:aaa"})
    found = whole(("urn:uuid:aaa", patient), ("urn:uuid:bbb", mine))
    assert (found.patient_id, found.gender) == ("p1", "male")
    assert "potassium" in found.results


def test_a_patient_without_id_is_called_by_its_full_url() -> None:
    mine = observation(value=4.2, subject={"reference": "urn:uuid:aaa"})
    found = whole(("urn:uuid:aaa", {"resourceType": "Patient"}), ("urn:uuid:bbb", mine))
    assert found.patient_id == "aaa"
    assert "potassium" in found.results


def test_the_same_id_on_another_server_is_another_patient() -> None:
    here, there = "https://a.example/fhir", "https://b.example/fhir"
    found = whole(
        (f"{here}/Patient/p1", {"resourceType": "Patient", "id": "p1"}),
        (f"{here}/Observation/1", observation("1", value=4.1)),
        (f"{here}/Observation/2", observation("2", value=4.2, subject={"reference": f"{here}/Patient/p1"})),
        (f"{here}/Observation/3", observation("3", value=4.3, subject={"reference": f"{there}/Patient/p1"})),
        (f"{there}/Observation/4", observation("4", value=4.4)),
    )
    assert sorted(result.id for result in found.results["potassium"]) == ["Observation/1", "Observation/2"]
    assert found.foreign == ["Observation/3", "Observation/4"]


def test_the_server_of_the_request_is_the_patients_own() -> None:
    def ids(server: str | None) -> list[str]:
        text = json.dumps(observation(value=4.2, subject={"reference": "https://ehr.example/fhir/Patient/p1"})).encode()
        found = build_chart(
            codes=project_codes(), now=NOW, patient_id="p1", prefetch={"k": text}, not_supplied={}, hook="patient-view",
            server=server,
        )  # fmt: skip
        return found.foreign

    assert ids("https://ehr.example/fhir") == ids("http://ehr.example:80/fhir/") == ids(None) == []
    assert ids("https://other.example/fhir") == ["Observation/k1"]


def test_an_empty_bundle_has_an_empty_chart() -> None:
    found = whole()
    assert found.patient_id == ""
    assert not found.results
