"""One resource in several versions: the newest counts, whichever came first."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from charts import ago, chart, concept, condition, observation

WEAKNESS = "leg-symptom.motor"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def version(status: str, **meta: Any) -> dict[str, Any]:
    made = condition(clinicalStatus=concept(status, CLINICAL))
    return {**made, "meta": meta} if meta else made


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"lastUpdated": "2026-01-01T10:00:00Z"}, {"lastUpdated": "2026-01-01T12:00:00+01:00"}),
        ({"lastUpdated": "2026-01-01T10:00:00Z", "versionId": "9"}, {"lastUpdated": "2026-02-01T10:00:00Z"}),
        ({"versionId": "9"}, {"versionId": "10"}),
    ],
)
def test_the_newest_version_counts(older: dict[str, Any], newer: dict[str, Any]) -> None:
    for sent in permutations([version("active", **older), version("resolved", **newer)]):
        found = chart(*sent)
        assert [one.active for one in found.findings[WEAKNESS]] == [False]
        assert not found.unreadable
        assert "Condition/c1" not in found.raw, "what came in several versions is not changed by a suggestion"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({}, {"lastUpdated": "2026-01-01T10:00:00Z"}),
        ({"lastUpdated": "soon"}, {"lastUpdated": "2026-01-01T10:00:00Z"}),
        ({"versionId": "b"}, {"versionId": "1"}),
        ({"versionId": "9" * 5000}, {"versionId": "1"}),
        ({"lastUpdated": 5}, {"versionId": 7}),
    ],
)
def test_versions_that_differ_without_saying_which_is_newer_are_in_doubt(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    told = []
    for sent in permutations([version("active", **one), version("resolved", **other)]):
        found = chart(*sent)
        assert [(said.resource, said.reason, said.key) for said in found.unreadable] == [
            ("Condition/c1", "versions of it differ, and none is marked as newer", "conditions")
        ]
        told.append([finding.active for finding in found.findings[WEAKNESS]])
    assert told[0] == told[1]


def test_the_same_resource_twice_is_one_without_a_word() -> None:
    found = chart(version("active"), version("active"))
    assert len(found.findings[WEAKNESS]) == 1
    assert not found.unreadable


def test_a_result_that_was_withdrawn_since_no_longer_counts() -> None:
    old = observation(value=6.9, meta={"versionId": "1"})
    for sent in permutations([old, observation(value=6.9, status="entered-in-error", meta={"versionId": "2"})]):
        assert "potassium" not in chart(*sent).results
    for sent in permutations([old, observation(value=4.0, meta={"versionId": "2"})]):
        assert [one.value for one in chart(*sent).results["potassium"]] == [4.0]


def test_a_result_whose_versions_differ_is_unreadable() -> None:
    for sent in permutations([observation(value=2.2), observation(value=4.0)]):
        found = chart(*sent)
        assert "potassium" not in found.results
        assert [one.reason for one in found.unreadable_results["potassium"]] == [
            "versions of it differ, and none is marked as newer"
        ]


def test_a_version_of_another_patient_is_none_of_ours() -> None:
    stray = {**version("resolved", versionId="9"), "subject": {"reference": "Patient/other"}}
    for sent in permutations([version("active", versionId="1"), stray]):
        found = chart(*sent)
        assert [one.active for one in found.findings[WEAKNESS]] == [True]
        assert found.foreign == ["Condition/c1"]


def test_a_version_that_cannot_be_read_costs_only_itself() -> None:
    broken = {**version("active", versionId="9"), "code": 5}
    found = chart(version("active", versionId="1"), version("resolved", versionId="2"), broken)
    assert [one.active for one in found.findings[WEAKNESS]] == [False]
    assert [one.resource for one in found.unreadable] == ["Condition/c1"]


def test_many_versions_are_told_apart_in_one_pass() -> None:
    found = chart(*(version("active", versionId=str(number)) for number in range(2000)))
    assert len(found.findings[WEAKNESS]) == 1


def test_drafts_under_one_id_are_all_being_placed() -> None:
    one = {
        "resourceType": "MedicationRequest", "id": "m1", "status": "draft", "intent": "order",
        "subject": {"reference": "Patient/p1"}, "medicationCodeableConcept": {"text": "digoxin"},
    }  # fmt: skip
    other = {**one, "medicationCodeableConcept": {"text": "furosemide"}}
    for drafts in permutations([one, other]):
        found = chart(drafts=list(drafts))
        assert set(found.medications) >= {"digoxin", "loop"}
        assert "MedicationRequest/m1" not in chart({**one, "status": "active"}, drafts=list(drafts)).raw


def test_a_draft_comes_before_the_same_order_as_it_is_stored() -> None:
    stored = {
        "resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/p1"}, "authoredOn": ago(1), "medicationCodeableConcept": {"text": "digoxin"},
    }  # fmt: skip
    found = chart(stored, drafts=[{**stored, "status": "draft"}])
    assert json.loads(found.raw["MedicationRequest/m1"])["status"] == "draft"


def test_the_newest_version_of_a_medication_names_the_drug() -> None:
    order = {
        "resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/p1"}, "authoredOn": ago(1),
        "medicationReference": {"reference": "Medication/d1"},
    }  # fmt: skip
    old = {"resourceType": "Medication", "id": "d1", "code": {"text": "paracetamol"}, "meta": {"versionId": "1"}}
    new = {**old, "code": {"text": "furosemide"}, "meta": {"versionId": "2"}}
    for sent in permutations([old, new]):
        assert "loop" in chart(order, *sent).medications
