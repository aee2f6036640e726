"""docs/odd-data.md: what becomes of odd data, each row proved by the case it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from asked import Asked
from patients import CRITICAL, LEG

from cds_service.check import all_cases, run_case
from cds_service.knowledge.cases import Case
from cds_service.knowledge.knowledge import Knowledge

PAGE: Final = Path("docs/odd-data.md").read_text(encoding="utf-8")
ROWS: Final = re.findall(r"^\| (?!the record|---)(.+?) \| .+? \| (\S+): (.+?) \| (\S+) \|$", PAGE, re.MULTILINE)
DRUGS: Final = {"statin": "atorvastatin", "loop": "furosemide", "digoxin": "digoxin", "metformin": "metformin"}


@pytest.fixture(scope="module")
def cases(knowledge: Knowledge) -> dict[tuple[str, str], Case]:
    """All cases by card and name."""
    return {(case.card, case.name): case for case in all_cases(knowledge)}


@pytest.fixture(scope="module")
def asked(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The application and what explains it, for all these tests."""
    return Asked(knowledge, tmp_path_factory.mktemp("odd"))


def test_the_page_has_its_rows() -> None:
    assert len(ROWS) == len(re.findall(r"^\| ", PAGE, re.MULTILINE)) - 1 >= 14


@pytest.mark.parametrize(("record", "card", "name", "outcome"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_is_proved_by_its_case(
    knowledge: Knowledge, cases: dict[tuple[str, str], Case], record: str, card: str, name: str, outcome: str
) -> None:
    case = cases[card, name]
    assert case.expect == outcome
    assert run_case(case, knowledge) == []


@pytest.mark.parametrize("hook", ["patient-view", "order-select", "order-sign", "encounter-discharge"])
@pytest.mark.parametrize(
    ("facts", "about"),
    [
        ({}, {"gender": None}),
        ({}, {"age": 200}),
        ({"potassium": "2.2 mmol/L, in 3 days"}, {}),
        ({"potassium": "2.2 mmol/L, on 2026", "ck": "9000 U/L, on 2025"}, {}),
        ({"potassium": "2.2 mmol/L, no date"}, {}),
        ({"potassium": ["2.2 mmol/L, 1 hour ago", "5.9 mmol/L, 1 hour ago"]}, {}),
        (DRUGS, {}),
        ({name: f"{drug}, no date" for name, drug in DRUGS.items()}, {}),
        ({name: f"{drug}, 90 days ago, ended 2 days ago" for name, drug in DRUGS.items()}, {}),
        ({"ms": "yes, 90 days ago, resolved", "pad": "yes, no date, resolved"}, {}),
        ({"pregnancy": "yes, recorded 30 days ago", "haemoglobin": "80 g/L, 1 day ago"}, {"age": 30}),
        ({"leg-symptom.motor": "yes, on 2026"}, {}),
    ],
)
def test_odd_data_is_answered_and_every_card_has_its_outcome(
    asked: Asked, facts: dict[str, Any], about: dict[str, Any], hook: str
) -> None:
    for others in ({}, LEG, {**LEG, **CRITICAL}):
        sent = asked.request(
            {**others, **facts}, hook=hook, drafts={"loop": "furosemide"} if "order" in hook else None, **about
        )
        asked.checked(sent)
        cards = [card.id for card in asked.knowledge.order if card.status in ("active", "silent")]
        assert sorted(asked.outcomes(sent)) == sorted(cards)


@pytest.mark.parametrize(
    "drug",
    [
        {"resourceType": "MedicationRequest", "status": "active", "intent": "plan", "authoredOn": "2026-06-01"},
        {"resourceType": "MedicationRequest", "status": "active", "intent": "proposal"},
        {"resourceType": "MedicationStatement", "status": "not-taken"},
    ],
    ids=lambda drug: f"{drug['resourceType']} {drug.get('intent', drug['status'])}",
)
def test_a_drug_that_was_only_planned_or_not_taken_leaves_nothing_in_doubt(asked: Asked, drug: dict[str, Any]) -> None:
    who = {"id": "m1", "subject": {"reference": "Patient/case-patient"}}
    key = "medication_requests" if drug["resourceType"] == "MedicationRequest" else "medication_statements"
    resource = {**drug, **who, "medicationCodeableConcept": {"text": "atorvastatin 40 mg"}}
    sent = asked.request({"myalgia": "yes, 3 days ago", "ck": "900 U/L, 1 day ago"}, resources=[(key, resource)])
    assert asked.outcomes(sent)["statin-muscle-symptoms"]["outcome"] == "quiet"


def test_a_range_of_doses_that_straddles_a_limit_is_told_as_uncertain(asked: Asked) -> None:
    dose = {"doseAndRate": [{"doseRange": {"low": {"value": 4, "unit": "mg"}, "high": {"value": 24, "unit": "mg"}}}],
            "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}  # fmt: skip
    resource = {
        "resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/case-patient"}, "authoredOn": "2026-06-01",
        "medicationCodeableConcept": {"text": "methylprednisolone"}, "dosageInstruction": [dose],
    }  # fmt: skip
    facts = {"loop": "furosemide, 30 days ago", "potassium": "3.2 mmol/L, 1 day ago"}
    one = asked.outcomes(asked.request(facts, resources=[("medication_requests", resource)]))["steroid-hypokalemia"]
    assert one["outcome"] == "unknown"
    assert "uncertain" in {lack["reason"] for lack in one["missing"]}


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [("recorded 1 day ago", "shown"), ("recorded 90 days ago", "shown"), ("recorded 91 days ago", "quiet")],
)
def test_an_old_complaint_counts_when_it_was_recorded_lately(asked: Asked, recorded: str, expected: str) -> None:
    sent = asked.request({"leg-symptom.motor": f"yes, 200 days ago, {recorded}"})
    assert asked.outcomes(sent)["leg-weakness-workup"]["outcome"] == expected
