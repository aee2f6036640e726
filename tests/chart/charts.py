"""Small FHIR resources and charts made of them. Their time is 2026-06-15T12:00:00Z."""

from __future__ import annotations

import datetime
import json
from functools import cache
from typing import Any, Final

from cds_service.chart.chart import Chart, build_chart
from cds_service.chart.codes import Codes
from cds_service.fhir.uncertain import DAY, HOUR
from cds_service.folders import cards_folder
from cds_service.knowledge.codes import load_codes
from cds_service.knowledge.derived import compile_derived
from cds_service.knowledge.reading import Problems

NOW: Final = 1_781_524_800_000
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
ICD10CM: Final = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC: Final = "http://www.whocc.no/atc"
UCUM: Final = "http://unitsofmeasure.org"
POTASSIUM: Final = "2823-3"

Resource = dict[str, Any]


@cache
def project_codes() -> Codes:
    """The code groups of the project, with their computed results."""
    problems = Problems()
    codes = compile_derived(load_codes(cards_folder() / "codes", problems), problems)
    problems.check()
    return codes


def ago(days: float) -> str:
    """A dateTime so many days before the time of these tests."""
    moment = datetime.datetime.fromtimestamp((NOW - days * DAY) / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def concept(
    code: str | None = None, system: str = SNOMED, *, display: str | None = None, text: str | None = None
) -> Resource:
    """A CodeableConcept."""
    found: Resource = {}
    if code is not None or display is not None:
        coding = {"system": system, "code": code, "display": display}
        found["coding"] = [{key: value for key, value in coding.items() if value is not None}]
    if text is not None:
        found["text"] = text
    return found


def quantity(value: float, unit: str, comparator: str | None = None) -> Resource:
    """A quantity in a UCUM unit."""
    found = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return found if comparator is None else {**found, "comparator": comparator}


def observation(
    name: str = "k1", code: Resource | str = POTASSIUM, value: Any = None, days: float = 1, **more: Any
) -> Resource:
    """An Observation with a LOINC code; `value` is mmol/L or a valueQuantity; None leaves an element out."""
    if isinstance(value, (int, float)):
        value = quantity(value, "mmol/L")
    found = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": concept(code, LOINC) if isinstance(code, str) else code,
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": ago(days),
        "valueQuantity": value,
        **more,
    }
    return {key: element for key, element in found.items() if element is not None}


def condition(name: str = "c1", code: Resource | str = "102568007", **more: Any) -> Resource:
    """A Condition, by default of leg weakness, active, since two days."""
    found = {
        "resourceType": "Condition",
        "id": name,
        "clinicalStatus": concept("active", "http://terminology.hl7.org/CodeSystem/condition-clinical"),
        "code": concept(code) if isinstance(code, str) else code,
        "subject": {"reference": "Patient/p1"},
        "onsetDateTime": ago(2),
        **more,
    }
    return {key: element for key, element in found.items() if element is not None}


def request(name: str = "m1", drug: Resource | str = "atorvastatin 40 MG Oral Tablet", **more: Any) -> Resource:
    """A MedicationRequest, active, authored thirty days ago."""
    found = {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept(text=drug) if isinstance(drug, str) else drug,
        "subject": {"reference": "Patient/p1"},
        "authoredOn": ago(30),
        **more,
    }
    return {key: element for key, element in found.items() if element is not None}


def bundle(*resources: Resource) -> bytes:
    """A search result."""
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}).encode()


def chart(*resources: Resource, codes: Codes | None = None, drafts: list[Resource] | None = None, **more: Any) -> Chart:
    """The chart of patient p1 with these resources."""
    return build_chart(
        codes=codes or project_codes(),
        now=NOW,
        patient_id="p1",
        prefetch={"data": bundle(*resources)},
        not_supplied={},
        hook="patient-view" if drafts is None else "order-sign",
        draft_orders=None if drafts is None else bundle(*drafts),
        **more,
    )


def hours(number: float) -> float:
    """Hours in days."""
    return number * HOUR / DAY
