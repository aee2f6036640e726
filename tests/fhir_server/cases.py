"""The requests that are asked again with less prefetch, and the data that their FHIR servers hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

FIXTURES: Final = Path(__file__).parents[2] / "fixtures"
SERVER: Final = "https://ehr.example.org/fhir"
"""The server that the fixtures name."""
BY_REFERENCE: Final = "-by-reference"
"""Ends the name of a server that has drugs as Medications of their own."""
REFUSED: Final = {
    "only-unreadable-data": {
        "Condition/sp-03-status-is-an-object",
        "Observation/sp-03-date-is-an-object",
        "Observation/sp-03-no-code",
        "Observation/sp-03-quantity-is-a-string",
    }
}
"""The patients that are left out, with the resources that Medplum's validator refuses."""


OTHER_VERSIONS: Final = ("strict-3.0-", "version-1.0-")
"""How the names of requests begin that are not of CDS Hooks 2.0.1: their keys and drafts are others."""


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _records() -> dict[str, list[dict[str, Any]]]:
    """The resources of each synthetic patient, by the id of the patient."""
    found = {}
    for path in sorted((FIXTURES / "patients").glob("*.json")):
        bundle = _read(path)
        found[_read(FIXTURES / "requests" / path.name)["context"]["patientId"]] = [
            entry["resource"] for entry in bundle["entry"]
        ]
    return found


RECORDS: Final = _records()


def _cases() -> dict[str, dict[str, Any]]:
    """The requests about a synthetic patient that send a whole prefetch, from the server above, in our own words."""
    found = {}
    for path in sorted((FIXTURES / "requests").glob("*.json")):
        request = _read(path)
        whole = {"patient", "conditions", "vital_signs", "medication_requests", "electrolytes", "glucose_kidney"}
        sent = request.get("prefetch") or {}
        known = request["context"].get("patientId") in RECORDS and request.get("fhirServer") == SERVER
        known = known and request["hook"].startswith("order") == ("draftOrders" in request["context"])
        answered = all(one is None or one.get("resourceType") in ("Patient", "Bundle") for one in sent.values())
        if known and answered and whole <= sent.keys() and not path.stem.startswith((*REFUSED, *OTHER_VERSIONS)):
            found[path.stem] = request
    return found


CASES: Final = _cases()
"""The requests that are asked again, by name."""


def patient_of(request: dict[str, Any]) -> str:
    """The id of the patient of a request, which is also the name of its FHIR server."""
    found: str = request["context"]["patientId"]
    return found


def data_by_name() -> dict[str, list[dict[str, Any]]]:
    """The resources of each FHIR server: the patient of the name, and another one beside."""
    names = sorted(RECORDS)
    found = {}
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        found[name] = [*RECORDS[name], *RECORDS[other]]
        found[name + BY_REFERENCE] = by_reference(RECORDS[name])
    return found


def by_reference(resources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The resources with each drug as a Medication of its own, to which the order points."""
    found = []
    for resource in resources:
        concept = resource.get("medicationCodeableConcept")
        if concept is None:
            found.append(resource)
            continue
        medication = {"resourceType": "Medication", "id": f"{resource['id']}-drug", "code": concept}
        kept = {name: value for name, value in resource.items() if name != "medicationCodeableConcept"}
        found += [medication, {**kept, "medicationReference": {"reference": f"Medication/{medication['id']}"}}]
    return found
