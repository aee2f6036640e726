"""What is true of every patient: worse is never milder, and order, units and unrelated data decide nothing."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Final

import pytest
from asked import HOLDS, Asked
from hypothesis import given, settings
from hypothesis import strategies as st
from patients import LEG
from test_select import ANSWERED, FIXTURES, FIXTURES_NOW, ITEMS

from cds_service.chart.groups import ResultGroup
from cds_service.knowledge.knowledge import Knowledge

SEVERITY: Final = {"info": 1, "warning": 2, "critical": 3}
DOWN, UP = "lower is worse", "higher is worse"
WORSE: Final[list[tuple[str, str, str, str, float, float]]] = [
    ("hypokalemia", "potassium", DOWN, "mmol/L", 1.5, 5.0),
    ("hyperkalemia", "potassium", UP, "mmol/L", 3.5, 8.5),
    ("hyponatremia", "sodium", DOWN, "mmol/L", 105, 140),
    ("hypernatremia", "sodium", UP, "mmol/L", 136, 175),
    ("hypocalcemia", "ionised-calcium", DOWN, "mmol/L", 0.6, 1.3),
    ("hypercalcemia", "ionised-calcium", UP, "mmol/L", 1.1, 2.0),
    ("hypomagnesemia", "magnesium", DOWN, "mmol/L", 0.2, 1.0),
    ("hypermagnesemia", "magnesium", UP, "mmol/L", 0.8, 4.0),
    ("hypoglycemia", "glucose", DOWN, "mg/dL", 25, 110),
    ("hyperglycemia", "glucose", UP, "mg/dL", 90, 900),
    ("anemia", "haemoglobin", DOWN, "g/L", 40, 150),
    ("iron-deficiency", "ferritin", DOWN, "ug/L", 2, 120),
    ("vitamin-d-deficiency", "vitamin-d", DOWN, "nmol/L", 8, 100),
    ("b12-deficiency", "b12", DOWN, "pmol/L", 60, 400),
    ("hypothyroidism", "tsh", UP, "mIU/L", 0.5, 90),
    ("hyperthyroidism", "tsh", DOWN, "mIU/L", 0.01, 4.0),
    ("myopathy-evaluation", "ck", UP, "U/L", 40, 20000),
    ("statin-muscle-symptoms", "ck", UP, "U/L", 40, 20000),
    ("diabetes-poor-control", "hba1c", UP, "%", 5.0, 14.0),
    ("cholesterol-high", "ldl", UP, "mg/dL", 40, 300),
    ("pad-evaluation", "abi", DOWN, "1", 0.2, 1.2),
    ("diuretic-hypokalemia-digoxin", "potassium", DOWN, "mmol/L", 1.5, 5.0),
    ("qt-drug-low-electrolyte", "potassium", DOWN, "mmol/L", 1.5, 5.0),
]  # fmt: skip
"""Card, result, which way is worse, its unit, and the range that is tried."""
WITH: Final[dict[str, dict[str, str]]] = {
    "qt-drug-low-electrolyte": {"qt-known-risk": "yes"},
    "hyperthyroidism": LEG,
    "diabetes-poor-control": {**LEG, "diabetes": "yes"},
    "diuretic-hypokalemia-digoxin": {"digoxin": "yes"},
    "statin-muscle-symptoms": {"statin": "simvastatin 20 mg daily, 40 days ago", "myalgia": "yes, 3 days ago"},
    "pad-evaluation": {"claudication": "yes, 3 days ago"},
    "b12-deficiency": LEG,
    "hypothyroidism": LEG,
    "myopathy-evaluation": LEG,
    "cholesterol-high": LEG,
    "iron-deficiency": LEG,
}
"""What a card needs beside the value."""
UNRELATED: Final[dict[str, dict[str, Any]]] = {
    "conditions": {
        "resourceType": "Condition", "onsetDateTime": "2026-11-01",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "65363002"}], "text": "Otitis media"},
    },
    "electrolytes": {
        "resourceType": "Observation", "status": "final", "effectiveDateTime": "2026-11-19T08:00:00Z",
        "code": {"coding": [{"system": "http://loinc.org", "code": "5767-9"}]}, "valueString": "clear",
    },
    "medication_requests": {
        "resourceType": "MedicationRequest", "status": "active", "intent": "order", "authoredOn": "2026-11-19",
        "medicationCodeableConcept": {"text": "paracetamol 500 mg"},
    },
    "procedures": {
        "resourceType": "Procedure", "status": "completed", "performedDateTime": "2026-11-19",
        "code": {"text": "Removal of ear wax"},
    },
    "service_requests": {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "authoredOn": "2026-11-19",
        "code": {"text": "Hearing test"},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def asked(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The application and what explains it, for all these tests."""
    return Asked(knowledge, tmp_path_factory.mktemp("properties"))


@pytest.fixture(scope="module")
def of_fixtures(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The same at the moment of the synthetic requests."""
    return Asked(knowledge, tmp_path_factory.mktemp("fixtures"), int(FIXTURES_NOW.timestamp() * 1000))


def severity(one: dict[str, Any]) -> int:
    """How urgent an outcome is, 0 when it does not hold."""
    return SEVERITY[one["indicator"]] if one["outcome"] in HOLDS else 0


def without_uuids(body: dict[str, Any]) -> dict[str, Any]:
    """An answer as it would be if nothing in it were new each time."""
    plain = copy.deepcopy(body)
    for card in plain["cards"]:
        del card["uuid"]
        for suggestion in card.get("suggestions", ()):
            del suggestion["uuid"]
    return plain


CONTEXT: Final = st.sets(st.sampled_from(ITEMS), max_size=5)


@pytest.mark.parametrize(("card", "group", "direction", "unit", "low", "high"), WORSE)
@settings(deadline=None, max_examples=25, derandomize=True)
@given(data=st.data(), context=CONTEXT, days=st.sampled_from([0, 2, 10]), gender=st.sampled_from(["male", "female"]))
def test_a_worse_value_never_gives_a_milder_card(
    asked: Asked, card: str, group: str, direction: str, unit: str, low: float, high: float,
    data: st.DataObject, context: set[str], days: int, gender: str,
) -> None:  # fmt: skip
    decimals = asked.knowledge.codes.results[group].decimals
    values = st.floats(low, high).map(lambda value: round(value, decimals))
    first, second = sorted((data.draw(values), data.draw(values)), reverse=direction == DOWN)
    found = []
    for value in (first, second):
        facts = {name: "yes" if "order of" in name else "yes, 3 days ago" for name in context}
        facts |= WITH.get(card, {})
        facts[group] = f"{value} {unit}, {days} days ago"
        found.append(severity(asked.outcomes(asked.request(facts, gender=gender))[card]))
    assert found[0] <= found[1], f"{first} {unit} then {second} {unit}"


@pytest.mark.parametrize(("card", "group", "direction", "unit", "low", "high"), WORSE)
def test_the_worst_value_gives_each_of_these_cards(
    asked: Asked, card: str, group: str, direction: str, unit: str, low: float, high: float
) -> None:
    facts = {**WITH.get(card, {}), group: f"{low if direction == DOWN else high} {unit}, 0 days ago"}
    assert severity(asked.outcomes(asked.request(facts))[card]) > 0


def groups_with_units(knowledge: Knowledge) -> list[tuple[ResultGroup, str]]:
    """Each result group with each of its units that is not the canonical one."""
    return [
        (group, unit)
        for group in knowledge.codes.results.values()
        if group.kind == "quantity" and group.codes and not group.codes[0].units and group.plausible
        for unit in group.units
        if unit != group.unit
    ]


@settings(deadline=None, max_examples=400, derandomize=True)
@given(data=st.data(), context=CONTEXT)
def test_a_conversion_of_the_unit_never_changes_an_outcome(
    knowledge: Knowledge, asked: Asked, data: st.DataObject, context: set[str]
) -> None:
    group, unit = data.draw(st.sampled_from(groups_with_units(knowledge)))
    assert group.plausible is not None
    value = round(data.draw(st.floats(*group.plausible)), group.decimals)
    how = group.units[unit]
    converted = (value - how.after) / how.factor - how.before
    facts = {name: "yes, 3 days ago" for name in context if "order of" not in name}
    told = []
    for number, of in ((f"{value:.6f}", group.unit), (f"{converted:.12f}", unit)):
        sent = asked.request({**LEG, **facts, group.group: f"{number} {of}, 1 day ago"})
        told.append({id_: (one["outcome"], one.get("indicator")) for id_, one in asked.outcomes(sent).items()})
    assert told[0] == told[1], f"{value} {group.unit} is {converted} {unit}"


@pytest.mark.parametrize("name", ANSWERED)
def test_the_order_of_resources_never_matters(of_fixtures: Asked, name: str) -> None:
    sent = json.loads((FIXTURES / "requests" / f"{name}.json").read_bytes())
    expected = without_uuids(of_fixtures.send(sent))
    for seed in range(3):
        shuffled = copy.deepcopy(sent)
        bundles = [one for one in (shuffled.get("prefetch") or {}).values() if isinstance(one, dict)]
        for bundle in (*bundles, shuffled["context"].get("draftOrders") or {}):
            if isinstance(bundle.get("entry"), list):
                random.Random(seed).shuffle(bundle["entry"])
        assert without_uuids(of_fixtures.send(shuffled)) == expected


@pytest.mark.parametrize("name", ANSWERED)
def test_unrelated_resources_change_nothing(of_fixtures: Asked, name: str) -> None:
    sent = json.loads((FIXTURES / "requests" / f"{name}.json").read_bytes())
    expected = without_uuids(of_fixtures.send(sent))
    patient = sent["context"]["patientId"]
    for number, (key, resource) in enumerate(UNRELATED.items()):
        bundle = (sent.get("prefetch") or {}).get(key)
        if isinstance(bundle, dict) and bundle.get("resourceType") == "Bundle":
            who = {"reference": f"Patient/{patient}"}
            added = {**resource, "id": f"unrelated-{number}", "subject": who}
            bundle.setdefault("entry", []).append({"resource": added})
    assert without_uuids(of_fixtures.send(sent)) == expected


@settings(deadline=None, max_examples=200, derandomize=True)
@given(data=st.data(), context=CONTEXT)
def test_a_summary_has_at_most_139_characters_whatever_the_values(
    knowledge: Knowledge, asked: Asked, data: st.DataObject, context: set[str]
) -> None:
    groups = [group for group in knowledge.codes.results.values() if group.kind == "quantity" and group.plausible]
    facts: dict[str, str] = {name: "yes, 3 days ago" for name in context if "order of" not in name}
    for group in data.draw(st.lists(st.sampled_from(groups), min_size=1, max_size=12, unique_by=lambda one: one.group)):
        if group.codes and group.plausible is not None:
            sign = data.draw(st.sampled_from(["", "<", ">"]))
            value = data.draw(st.sampled_from(group.plausible))
            when = data.draw(st.sampled_from(["1 hour ago", "29 days ago", "364 days ago"]))
            facts[group.group] = f"{sign}{value} {group.unit}, {when}"
    for card in asked.send(asked.request(facts))["cards"]:
        assert len(card["summary"]) <= 139
