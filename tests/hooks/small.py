"""A small service and a request that it answers, for tests of one rule at a time."""

from __future__ import annotations

import json
from typing import Any

from cds_service.knowledge.services import Hook, Service

PREFETCH = {
    "patient": "Patient/{{context.patientId}}",
    "conditions": "Condition?patient={{context.patientId}}",
    "electrolytes": "Observation?patient={{context.patientId}}&code=http://loinc.org|2823-3",
    "vital_signs": "Observation?patient={{context.patientId}}&code=http://loinc.org|85354-9",
}


def a_service(hook: Hook = "patient-view") -> Service:
    """A service whose patient, conditions and electrolytes are required and whose vital signs are not."""
    return Service(
        id=f"small-{hook}",
        hook=hook,
        title="Small",
        description="A small service.",
        usage_requirements="None.",
        prefetch=PREFETCH,
        required=frozenset({"patient", "conditions", "electrolytes"}),
    )


def a_bundle(*resources: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A search result with these resources; empty as servers send it when there are none."""
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        **({"entry": entries} if entries else {"total": 0}),
        **members,
    }


def a_request(hook: Hook = "patient-view") -> dict[str, Any]:
    """A request that holds everything its hook requires, and nothing more."""
    context: dict[str, Any] = {"userId": "Practitioner/pr-1", "patientId": "pat-1"}
    if hook in ("order-select", "order-sign"):
        order = {"resourceType": "MedicationRequest", "id": "d1", "status": "draft", "intent": "order"}
        context["draftOrders"] = a_bundle(order)
    if hook == "order-select":
        context["selections"] = ["MedicationRequest/d1"]
    if hook == "encounter-discharge":
        context["encounterId"] = "enc-1"
    return {
        "hook": hook,
        "hookInstance": "7c1f0f0e-4b0e-4c58-9d6b-0c2a6d1b9a11",
        "context": context,
        "prefetch": {
            "patient": {"resourceType": "Patient", "id": "pat-1"},
            "conditions": a_bundle(),
            "electrolytes": a_bundle(),
        },
    }


def with_changes(request: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of a request with members set by path (`context.patientId`), or left out where the value is `...`."""
    changed: dict[str, Any] = json.loads(json.dumps(request))
    for path, value in changes.items():
        *parents, name = path.split(".")
        place = changed
        for parent in parents:
            place = place[parent]
        if value is ...:
            del place[name]
        else:
            place[name] = value
    return changed
