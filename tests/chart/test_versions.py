"""One resource in several versions: the newest counts, whichever came first."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from charts import ago, chart, concept, condition

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
        ({}, {"lastUpdated": "2026-01-01T10:00:00Z"}),
        ({"lastUpdated": "soon"}, {"lastUpdated": "2026-01-01T10:00:00Z"}),
    ],
)
def test_the_newest_version_counts(older: dict[str, Any], newer: dict[str, Any]) -> None:
    for sent in permutations([version("active", **older), version("resolved", **newer)]):
        found = chart(*sent)
        assert [one.active for one in found.findings[WEAKNESS]] == [False]
        assert not found.unreadable
        assert json.loads(found.raw["Condition/c1"]) == version("resolved", **newer)


def test_versions_that_differ_without_saying_which_is_newer_are_named() -> None:
    told = []
    for sent in permutations([version("active"), version("resolved"), version("active")]):
        found = chart(*sent)
        assert [(one.resource, one.reason) for one in found.unreadable] == [
            ("Condition/c1", "versions of it differ, and none is marked as newer")
        ]
        told.append([one.active for one in found.findings[WEAKNESS]])
    assert all(one == told[0] for one in told)


def test_the_same_resource_twice_is_one_without_a_word() -> None:
    found = chart(version("active"), version("active"))
    assert len(found.findings[WEAKNESS]) == 1
    assert not found.unreadable


def test_a_draft_comes_before_the_same_order_as_it_is_stored() -> None:
    stored = {
        "resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/p1"}, "authoredOn": ago(1), "medicationCodeableConcept": {"text": "digoxin"},
        "meta": {"versionId": "7"},
    }  # fmt: skip
    draft = {**stored, "status": "draft", "meta": {"versionId": "1"}}
    found = chart(stored, drafts=[draft])
    assert json.loads(found.raw["MedicationRequest/m1"])["status"] == "draft"
    assert json.loads(chart(stored, drafts=[draft, {**draft, "note": []}]).raw["MedicationRequest/m1"])["note"] == []
