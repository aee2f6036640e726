"""Refusals as OperationOutcomes."""

from __future__ import annotations

import json

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome

from cds_service.hooks.errors import (
    BadRequest,
    DataMissing,
    Encoded,
    Failed,
    Forbidden,
    Issue,
    MethodNotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
    WrongMediaType,
    operation_outcome,
)

EACH: list[tuple[Refused, int]] = [
    (BadRequest([Issue("value", "hook: expected another.", "hook"), Issue("structure", "and more")]), 400),
    (Forbidden("This client may not call this service."), 403),
    (NotFound("No service has this id."), 404),
    (MethodNotAllowed("PUT", ["POST", "OPTIONS"]), 405),
    (DataMissing(["conditions"], ["electrolytes"]), 412),
    (TooLarge(10_000_000), 413),
    (WrongMediaType(["application/json"]), 415),
    (Encoded(), 415),
    (Failed(), 500),
    (Unavailable(["The database cannot be written."]), 503),
]


@pytest.mark.parametrize(("refused", "status"), EACH)
def test_ERR_01_ERR_02_RESP_05_every_refusal_is_a_valid_operation_outcome(refused: Refused, status: int) -> None:
    body = operation_outcome(refused, "7c1f0f0e-4b0e-4c58-9d6b-0c2a6d1b9a11")
    outcome = OperationOutcome.model_validate_json(body)
    assert outcome.id == "7c1f0f0e-4b0e-4c58-9d6b-0c2a6d1b9a11"
    assert refused.status == status
    assert [issue["details"]["text"] for issue in json.loads(body)["issue"]] == [one.text for one in refused.issues]
    assert all(issue["severity"] == "error" for issue in json.loads(body)["issue"])


def test_ERR_02_the_field_is_its_expression() -> None:
    issue = json.loads(operation_outcome(EACH[0][0], "x"))["issue"]
    assert issue[0]["expression"] == ["hook"]
    assert "expression" not in issue[1]
