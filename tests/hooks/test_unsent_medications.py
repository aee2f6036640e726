"""Medications that orders point to and that nobody sent are fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ehr import (
    FAILURES,
    Asked,
    Ehr,
    Script,
    not_supplied,
    question,
    sends,
    serving,
    waits,
    words,
)

from cds_service.hooks.clients import Profile
from cds_service.knowledge.knowledge import Knowledge

MEDICATION_CASE = "statin-muscle-ck-ten-times"


def pointing(prefetch: Mapping[str, Any], reference: str, **changed: Any) -> dict[str, Any]:
    """The orders of a prefetch, whose drug is a reference to a Medication."""
    orders = json.loads(json.dumps(prefetch["medication_requests"]))
    for entry in orders["entry"]:
        del entry["resource"]["medicationCodeableConcept"]
        entry["resource"] |= {"medicationReference": {"reference": reference}, **changed}
    return {**prefetch, "medication_requests": orders}


def a_medication(prefetch: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The Medication that an order of a prefetch names by its code."""
    order = prefetch["medication_requests"]["entry"][0]["resource"]
    return {"resourceType": "Medication", "id": name, "code": order["medicationCodeableConcept"]}


@pytest.fixture
def pharmacy(knowledge: Knowledge) -> Iterator[Ehr]:
    """A FHIR server with a patient on simvastatin, which it has as a Medication."""
    with serving(knowledge, MEDICATION_CASE) as running:
        medication = a_medication(running.case["prefetch"], "m1")
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": medication}]}
        running.scripts["Medication?"] = sends(bundle)
        yield running


@pytest.fixture
def asked(tmp_path: Path, knowledge: Knowledge, pharmacy: Ehr) -> Asked:
    return Asked(tmp_path, knowledge, pharmacy)


def ids_asked(ehr: Ehr) -> list[list[str]]:
    """The ids of each search for Medications."""
    found = [question(one.target) for one in ehr.heard]
    return [asked["_id"][0].split(",") for path, asked in found if path == "/fhir/Medication"]


@pytest.mark.parametrize("reference", ["Medication/m1", "{url}/Medication/m1", "Medication/m1/_history/7"])
def test_PRE_11_FHIR_01_a_medication_that_nobody_sent_is_fetched(asked: Asked, pharmacy: Ehr, reference: str) -> None:
    full = words(asked())
    answered = asked(pointing(asked.sent(), reference.format(url=pharmacy.url)))
    assert words(answered) == full
    assert "statin" in json.dumps(full)
    assert ids_asked(pharmacy) == [["m1"]]
    assert [one.key for one in pharmacy.heard] == [None]


def test_PRE_01_PRE_11_orders_and_their_medications_are_both_fetched(asked: Asked, pharmacy: Ehr) -> None:
    pharmacy.data |= pointing(asked.sent(), "Medication/m1")
    assert words(asked({})) == words(asked())
    assert ids_asked(pharmacy) == [["m1"]]
    assert set(pharmacy.keys) == {*asked.sent(), None}


@pytest.mark.parametrize("script", [waits(), FAILURES["403"], FAILURES["an outcome"], FAILURES["html"]])
def test_FHIR_10_a_medication_that_cannot_be_fetched_is_a_doubt(asked: Asked, pharmacy: Ehr, script: Script) -> None:
    asked.settings["FHIR_SECONDS"] = "1"
    pharmacy.scripts["Medication?"] = script
    pointed = pointing(asked.sent(), "Medication/m1")
    answered = asked(pointed)
    assert words(answered) == words(asked(pointed, fhirAuthorization=None)) != words(asked())
    assert ids_asked(pharmacy) == [["m1"]]


@pytest.mark.parametrize(
    ("reference", "changed"),
    [
        ("https://elsewhere.example.org/fhir/Medication/m1", {}),
        ("Medication/m1", {"status": "entered-in-error"}),
        ("Medication/m1", {"status": "cancelled"}),
        ("Medication/m1", {"doNotPerform": True}),
        ("#m1", {"contained": [{"resourceType": "Medication", "id": "m1"}]}),
        ("urn:uuid:7c1f0f0e-4b0e-4c58-9d6b-0c2a6d1b9a11", {}),
        ("Medication?code=1", {}),
        ("Substance/m1", {}),
        ("Medication/../Patient", {}),
    ],
)
def test_FHIR_06_medications_that_are_elsewhere_or_decide_nothing_are_not_asked(
    asked: Asked, pharmacy: Ehr, reference: str, changed: dict[str, Any]
) -> None:
    assert asked(pointing(asked.sent(), reference, **changed))[0] == 200
    assert pharmacy.heard == []


def test_PRE_11_a_medication_that_was_sent_is_not_asked(asked: Asked, pharmacy: Ehr) -> None:
    sent = pointing(asked.sent(), "Medication/m1")
    sent["medication_requests"]["entry"].append({"resource": a_medication(asked.sent(), "m1")})
    assert words(asked(sent)) == words(asked())
    assert pharmacy.heard == []


def test_FHIR_01_many_medications_are_asked_in_pieces_those_in_use_first(asked: Asked, pharmacy: Ehr) -> None:
    sent = pointing(asked.sent(), "Medication/m1")
    order = sent["medication_requests"]["entry"][0]["resource"]
    names = [f"old-{n}" for n in range(99)]
    old = [
        {**order, "id": name, "status": "stopped", "medicationReference": {"reference": f"Medication/{name}"}}
        for name in names
    ]
    sent["medication_requests"]["entry"] = [{"resource": one} for one in [*old, order]]
    assert asked(sent)[0] == 200
    pieces = ids_asked(pharmacy)
    assert sorted(map(len, pieces)) == [20, 40, 40]
    assert "m1" in [ids[0] for ids in pieces]
    assert sorted(name for ids in pieces for name in ids) == sorted(["m1", *names])


@pytest.mark.parametrize("profile", ["2.0.1", "3.0"])
@pytest.mark.parametrize("fetched", [True, False], ids=["fetched", "not fetched"])
def test_PRE_01_FHIR_08_the_medications_of_drafts_are_fetched(
    tmp_path: Path, knowledge: Knowledge, profile: Profile, fetched: bool
) -> None:
    with serving(knowledge, "order-sign-furosemide-with-digoxin") as ehr:
        asked = Asked(tmp_path, knowledge, ehr)
        asked.registered["profile"] = profile
        expected = words(asked(fhirAuthorization=None))
        context = json.loads(json.dumps(ehr.case["context"]))
        draft = context["draftOrders"]["entry"][0]["resource"]
        medication = {"resourceType": "Medication", "id": "m1", "code": draft.pop("medicationCodeableConcept")}
        draft["medicationReference"] = {"reference": "Medication/m1"}
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": medication}]}
        ehr.scripts["Medication?"] = sends(bundle) if fetched else FAILURES["403"]
        answered = asked(context=context)
        assert ids_asked(ehr) == [["m1"]]
        assert (words(answered) == expected) == fetched
        assert not_supplied(answered) == (["draft_medications"] if profile == "3.0" and not fetched else [])


def test_PRE_01_without_references_in_drafts_there_is_nothing_to_fetch_for_them(
    tmp_path: Path, knowledge: Knowledge
) -> None:
    with serving(knowledge, "order-sign-furosemide-with-digoxin") as ehr:
        asked = Asked(tmp_path, knowledge, ehr)
        asked.registered["profile"] = "3.0"
        assert not_supplied(asked()) == []
        assert ehr.heard == []
