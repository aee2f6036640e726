"""The client in small answers reads and searches as a FHIR server does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cds_service.folders import patients_folder
from cds_service.hooks.templates import fill
from cds_service.sandbox import Records, prefetch, request

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
PATIENT = {"resourceType": "Patient", "id": "p1"}


def an_observation(id_: str, *codings: tuple[str, str], subject: str = "Patient/p1", **members: Any) -> dict[str, Any]:
    coding = [{"code": code, **({"system": system} if system else {})} for system, code in codings]
    return {
        "resourceType": "Observation",
        "id": id_,
        "code": {"coding": coding},
        "subject": {"reference": subject},
        **members,
    }


def a_bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource} for resource in resources]}


def found(bundle: dict[str, Any], query: str) -> list[str]:
    """The ids that a search finds."""
    answer = Records(bundle).answer(query)
    assert answer is not None
    assert answer["total"] == len(answer.get("entry", []))
    return [entry["resource"]["id"] for entry in answer.get("entry", [])]


def test_a_read_gives_the_resource_or_nothing() -> None:
    records = Records(a_bundle(PATIENT))
    assert records.answer("Patient/p1") == PATIENT
    assert records.answer("Patient/p2") is None
    assert records.answer("Observation/p1") is None


def test_a_search_without_hits_is_a_bundle_without_entries() -> None:
    assert Records(a_bundle(PATIENT)).answer("Condition?patient=p1") == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
    }


def test_entries_say_where_they_are_and_that_they_match() -> None:
    answer = Records(a_bundle(PATIENT, an_observation("o1", (LOINC, "2823-3")))).answer("Observation?patient=p1")
    assert answer is not None
    assert answer["entry"][0]["fullUrl"] == "https://ehr.example.org/fhir/r4/Observation/o1"
    assert answer["entry"][0]["search"] == {"mode": "match"}


@pytest.mark.parametrize(
    ("subject", "hit"),
    [
        ("Patient/p1", True),
        ("https://ehr.example.org/fhir/Patient/p1", True),
        ("Patient/p1/_history/2", True),
        ("Patient/p12", False),
        ("Group/p1", False),
        ("urn:uuid:p1", False),
    ],
)
def test_patient_follows_every_literal_form_of_reference(subject: str, hit: bool) -> None:
    bundle = a_bundle(PATIENT, an_observation("o1", (LOINC, "2823-3"), subject=subject))
    for value in ("p1", "Patient/p1"):
        assert found(bundle, f"Observation?patient={value}") == (["o1"] if hit else [])


def test_urn_references_become_relative_ones_as_in_a_transaction() -> None:
    observation = an_observation("o1", (LOINC, "2823-3"), subject="urn:uuid:1")
    bundle = {
        "entry": [{"fullUrl": "urn:uuid:1", "resource": PATIENT}, {"fullUrl": "urn:uuid:2", "resource": observation}]
    }
    assert found(bundle, "Observation?patient=p1") == ["o1"]
    assert observation["subject"] == {"reference": "urn:uuid:1"}


@pytest.mark.parametrize(
    ("tokens", "ids"),
    [
        (f"{LOINC}|2823-3", ["both", "loinc"]),
        ("2823-3", ["both", "loinc", "none", "other"]),
        ("|2823-3", ["none"]),
        (f"{LOINC}|", ["both", "loinc", "sodium"]),
        (f"{SNOMED}|365760004", ["both"]),
        (f"{LOINC}|2951-2,urn:local|2823-3", ["other", "sodium"]),
        (f"{LOINC}|2951-2,{LOINC}|9999-9", ["sodium"]),
        ("http%3A%2F%2Floinc.org%7C2951-2", ["sodium"]),
        (f"{LOINC}|2823", []),
    ],
)
def test_code_takes_a_list_of_tokens_any_of_which_may_match(tokens: str, ids: list[str]) -> None:
    bundle = a_bundle(
        PATIENT,
        an_observation("loinc", (LOINC, "2823-3")),
        an_observation("both", (SNOMED, "365760004"), (LOINC, "2823-3")),
        an_observation("other", ("urn:local", "2823-3")),
        an_observation("none", ("", "2823-3")),
        an_observation("sodium", (LOINC, "2951-2")),
        {
            "resourceType": "Observation",
            "id": "text",
            "code": {"text": "potassium"},
            "subject": {"reference": "Patient/p1"},
        },
    )
    assert sorted(found(bundle, f"Observation?patient=p1&code={tokens}")) == ids


def test_code_looks_at_the_code_of_a_panel_not_at_its_components() -> None:
    component = {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}}
    bundle = a_bundle(PATIENT, an_observation("bp", (LOINC, "85354-9"), component=[component]))
    assert found(bundle, f"Observation?patient=p1&code={LOINC}|85354-9") == ["bp"]
    assert found(bundle, f"Observation?patient=p1&code={LOINC}|8480-6") == []


def test_code_of_a_medication_request_is_that_of_its_medication() -> None:
    order = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"coding": [{"system": "urn:rx", "code": "83367"}]},
    }
    bundle = a_bundle(PATIENT, order)
    assert found(bundle, "MedicationRequest?patient=p1&code=urn:rx|83367&status=active,on-hold") == ["m1"]
    assert found(bundle, "MedicationRequest?patient=p1&status=stopped") == []
    assert found(bundle, "MedicationRequest?_id=m1,m2") == ["m1"]


@pytest.mark.parametrize(
    "query", ["Observation?patient=p1&date=ge2026", "Observation?code:in=x", "http://x/Patient/1", ""]
)
def test_what_is_not_understood_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Records(a_bundle(PATIENT, an_observation("o1"))).answer(query)


def test_a_bundle_without_patient_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a Bundle with a Patient"):
        Records(a_bundle(an_observation("o1")))


def test_templates_are_filled_from_the_context() -> None:
    context = {"patientId": "p1", "userId": "Practitioner/d1", "draftOrders": {}}
    assert fill("Patient/{{context.patientId}}", context) == "Patient/p1"
    assert fill("{{ context.userId }}", context) == "Practitioner/d1"
    assert fill("Encounter/{{context.encounterId}}", context) is None
    assert fill("X?_id={{context.draftOrders}}", context) is None


def test_a_template_that_cannot_be_filled_is_left_out() -> None:
    templates = {"patient": "Patient/{{context.patientId}}", "encounter": "Encounter/{{context.encounterId}}"}
    assert prefetch(templates, Records(a_bundle(PATIENT)), {"patientId": "p1"}) == {"patient": PATIENT}


def test_a_request_names_the_patient_of_the_bundle() -> None:
    service = {"hook": "order-sign", "id": "s", "prefetch": {"patient": "Patient/{{context.patientId}}"}}
    asked = request(service, a_bundle(PATIENT), {"draftOrders": a_bundle()})
    assert asked["hook"] == "order-sign"
    assert asked["context"] == {"userId": "Practitioner/example", "patientId": "p1", "draftOrders": a_bundle()}
    assert asked["prefetch"] == {"patient": PATIENT}
    assert asked["hookInstance"] != request(service, a_bundle(PATIENT))["hookInstance"]


@pytest.mark.parametrize("file", sorted(patients_folder().glob("*.json")), ids=lambda file: file.stem)
def test_every_synthetic_patient_can_be_asked_about(file: Any) -> None:
    records = Records(json.loads(file.read_bytes()))
    assert records.answer(f"Patient/{records.patient_id}") is not None
