"""Whatever is sent, there is a chart."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from charts import (
    ICD10CM,
    LOINC,
    NOW,
    RXNORM,
    ago,
    chart,
    concept,
    condition,
    observation,
    project_codes,
    quantity,
    request,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.chart.chart import Chart, build_chart, read_bundle_chart
from cds_service.fhir.resources import READ

PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1966-06-15"}
ENCOUNTER = {"reference": "Encounter/e1"}
STEROID = request(
    "m2", drug={**concept("8640", RXNORM), "text": "prednisone"}, dosageInstruction=[{"text": "20 mg daily"}]
)
DOSAGE = {
    "text": "as directed",
    "timing": {
        "repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": {"start": ago(9), "end": ago(1)}}
    },
    "doseAndRate": [{"doseQuantity": quantity(20, "mg")}],
    "route": concept("26643006", display="Oral route"),
}
PRESSURE = [
    {"code": concept("8480-6", LOINC), "valueQuantity": quantity(150, "mm[Hg]")},
    {"code": concept("8462-4", LOINC), "valueQuantity": quantity(90, "mm[Hg]")},
]
MINE = {"subject": {"reference": "Patient/p1"}}
SOUND: list[dict[str, Any]] = [
    PATIENT,
    observation(value=4.2, specimen={"reference": "Specimen/s1"}, note=[{"text": "ok"}]),
    observation("k2", value=quantity(2.5, "mmol/L", "<"), referenceRange=[{"low": quantity(3.5, "mmol/L")}]),
    observation("k3", value=2.2, status="preliminary", interpretation=[concept("LL", "urn:x")]),
    observation("ca", code="17861-6", value=quantity(8.1, "mg/dL"), effectiveDateTime="2026-06-14"),
    observation("alb", code="1751-7", value=quantity(3.1, "g/dL")),
    observation("hi", code="46424-8", value={"value": 80}, referenceRange=[{"high": {"value": 50}}]),
    observation("bp", code="85354-9", component=PRESSURE),
    observation("sys", code="8480-6", value=quantity(140, "mm[Hg]")),
    observation("smoke", code="72166-2", valueCodeableConcept=concept("449868002")),
    observation("due", code="11778-8", valueDateTime="2026-09-01"),
    observation("sign", code=concept("102568007"), valueBoolean=True, bodySite=concept("7771000")),
    condition(severity=concept("24484000"), bodySite=[concept("61685007")], encounter=ENCOUNTER, recordedDate=ago(1)),
    condition("c2", code={"text": "heavy legs"}, onsetDateTime=None, onsetPeriod={"start": "2026-05"}),
    condition("c3", code=concept("E11.9", ICD10CM), abatementDateTime=ago(1)),
    request(dosageInstruction=[DOSAGE]),
    STEROID,
    request("m3", medicationCodeableConcept=None, medicationReference={"reference": "Medication/med", "display": "x"}),
    {"resourceType": "Medication", "id": "med", "code": concept("83367", RXNORM), "form": {"text": "tablet"}},
    {"resourceType": "MedicationStatement", "id": "ms", "status": "active", **MINE,
     "effectivePeriod": {"start": ago(50)},
     "medicationCodeableConcept": concept(text="furosemide 40 mg"), "dosage": [DOSAGE]},
    {"resourceType": "MedicationAdministration", "id": "ma", "status": "completed", **MINE,
     "effectiveDateTime": ago(0.5),
     "medicationCodeableConcept": concept(text="digoxin")},
    {"resourceType": "ServiceRequest", "id": "sr", "status": "active", "intent": "order", **MINE, "authoredOn": ago(1),
     "code": concept("24321-2", LOINC), "reasonCode": [{"text": "leg weakness"}], "occurrenceDateTime": ago(-3)},
    {"resourceType": "Procedure", "id": "pr", "status": "completed", **MINE, "performedPeriod": {"end": ago(3)},
     "code": concept("24968-0", LOINC)},
    {"resourceType": "DiagnosticReport", "id": "dr", "status": "final", **MINE, "issued": ago(3),
     "code": concept("24968-0", LOINC), "result": [{"reference": "Observation/k1"}]},
    {"resourceType": "Encounter", "id": "e1", "status": "in-progress", **MINE, "period": {"start": ago(1)},
     "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
     "serviceType": concept("394591006"), "reasonCode": [concept("102568007")],
     "reasonReference": [{"reference": "Condition/c1"}]},
    {"resourceType": "Specimen", "id": "s1", "condition": [concept("HEM", "http://terminology.hl7.org/CodeSystem/v2-0493")]},
]  # fmt: skip
"""One sound resource of every kind that is read."""

pieces: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, "", "x", "2026-06-01", "2026-05", "2020", "2026-06-14T08:00:00Z", "9999-12-31T23:59:59-14:00", "0001",
        "soon", "final", "preliminary", "active", "draft", "<", "furlong", "mmol/L", "mg", "nan", "4.2", "#a",
        "Patient/p2", "LL", "haemolysed", "20 mg daily prn", 0, 1, -5, 4.2, 1e308, -1e308, 5e-324, 10**30,
        True, False, [], {},
        [{}], [None], {"text": "leg weakness"}, {"coding": [{}]}, {"coding": None}, {"value": 1},
        {"reference": "#a"}, {"start": "x"},
    ]
)  # fmt: skip
"""What may stand in any place, right or wrong."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in inner for place in [(*path, key), *places(one, (*path, key))]]


@st.composite
def altered(draw: st.DrawFn) -> dict[str, Any]:
    """A sound resource in which up to three places hold something else, or nothing."""
    resource: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(SOUND)))
    for _ in range(draw(st.integers(0, 3))):
        *path, last = draw(
            st.sampled_from([place for place in places(resource) if place != ("resourceType",)] or [("x",)])
        )
        holder: Any = resource
        for key in path:
            holder = holder[key]
        if isinstance(holder, dict) and draw(st.booleans()):
            holder.pop(last, None)
        else:
            holder[last] = copy.deepcopy(draw(pieces))
    return resource


bundles = st.lists(altered(), max_size=8)


def check(found: Chart) -> None:
    """What must hold of any chart."""
    for group, results in {**found.results, **found.preliminary}.items():
        assert results
        assert all(result.group == group and result.date is not None for result in results)
    for items in (found.findings, found.medications, found.orders, found.procedures, found.encounters):
        assert all(item.group == group for group, many in items.items() for item in many)
    for unreadable in found.unreadable:
        assert unreadable.resource
        assert unreadable.reason


@settings(deadline=None)
@given(bundles, bundles)
def test_any_resources_make_a_chart(stored: list[dict[str, Any]], drafts: list[dict[str, Any]]) -> None:
    check(chart(*stored, drafts=drafts, encounter_id="e1"))


def test_sound_resources_of_every_kind_are_read() -> None:
    assert {resource["resourceType"] for resource in SOUND} == {kind.__name__ for kind in READ}
    found = chart(*SOUND, encounter_id="e1")
    check(found)
    assert not found.unreadable
    assert not found.foreign
    assert found.results
    assert found.preliminary
    assert found.findings
    assert found.medications
    assert found.orders
    assert found.procedures
    assert found.encounters


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_make_a_chart(stored: bytes, drafts: bytes) -> None:
    check(
        build_chart(
            codes=project_codes(),
            now=NOW,
            patient_id="p1",
            prefetch={"a": stored, "b": None},
            not_supplied={"c": "not sent"},
            hook="order-sign",
            draft_orders=drafts,
        )
    )
    check(read_bundle_chart(stored, codes=project_codes(), now=NOW))


@settings(deadline=None)
@given(st.permutations([observation(value=4.2), observation("k2", value=2.0, days=3), condition(), request()]))
def test_the_order_of_arrival_does_not_matter(arrived: list[dict[str, Any]]) -> None:
    found = chart(*arrived)
    assert [result.value for result in found.results["potassium"]] == [4.2, 2.0]
    assert len(found.findings["leg-symptom.motor"]) == 1
    assert len(found.medications["statin"]) == 1


@pytest.mark.parametrize("other", ["[" * 50_000, '{"x":' * 50_000])
def test_deep_nesting_costs_only_its_key(other: str) -> None:
    found = build_chart(
        codes=project_codes(),
        now=NOW,
        patient_id="p1",
        prefetch={"deep": other.encode(), "good": json.dumps(observation(value=4.2)).encode()},
        not_supplied={},
        hook="patient-view",
    )
    assert "potassium" in found.results
    assert [one.key for one in found.unreadable] == ["deep"]


def test_what_was_not_supplied_is_passed_on() -> None:
    found = build_chart(
        codes=project_codes(),
        now=NOW,
        patient_id="p1",
        prefetch={},
        not_supplied={"lipids": "not sent"},
        hook="patient-view",
    )
    assert found.not_supplied == {"lipids": "not sent"}
    assert found.hook == "patient-view"
