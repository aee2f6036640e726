"""The names that a refusal may repeat: those that CDS Hooks, FHIR R4 or we ourselves define.

Any other name came from the client, and may be patient data as much as a value.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from cds_service.fhir.other_types import OTHER_TYPES
from cds_service.fhir.resources import READ
from cds_service.knowledge.services import HOOKS

HOOK_NAMES: Final = frozenset({
    *HOOKS, "order-dispatch", "encounter-start", "appointment-book", "problem-list-item-create",
    "allergyintolerance-create", "medication-refill", "medication-prescribe", "order-review",
})  # fmt: skip
"""The hooks of the CDS Hooks library, with the two that it has replaced."""

FIELD_NAMES: Final = frozenset({
    "hook", "hookInstance", "fhirServer", "fhirAuthorization", "context", "prefetch", "extension",
    "access_token", "token_type", "expires_in", "scope", "subject", "patient",
    "userId", "patientId", "encounterId", "draftOrders", "selections",
    "feedback", "card", "outcome", "outcomeTimestamp", "acceptedSuggestions", "id", "overrideReason",
    "overrideReasons", "reason", "code", "system", "display", "userComment",
})  # fmt: skip
"""The members of requests and of feedback (CDS Hooks 2.0.1), with the plural that one vendor uses."""

RESOURCE_TYPES: Final = frozenset({*(kind.__name__ for kind in READ), *OTHER_TYPES, "Bundle", "OperationOutcome"})
"""Resource types of FHIR R4."""


def told(name: str, known: Collection[str], otherwise: str = "another") -> str:
    """`name` when it is one of `known`, else the word for any other."""
    return name if name in known else otherwise
