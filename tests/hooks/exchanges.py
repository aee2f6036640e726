"""Calls of the whole application: the fixture requests, and what is true of every answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fhir.resources.R4B.operationoutcome import OperationOutcome
from werkzeug.test import TestResponse

from cds_service.folders import data_folder

REQUESTS = data_folder("fixtures") / "requests"
NAMED = sorted(path.stem for path in REQUESTS.glob("*.json"))
URL = "/cds-services/leg-weakness-patient-view"
SEVERAL = json.loads((REQUESTS / "several-causes-at-once.json").read_bytes())
"""A request that five cards answer."""
PATIENT = SEVERAL["context"]["patientId"]


def sent(name: str) -> dict[str, Any]:
    """A fixture request."""
    request: dict[str, Any] = json.loads((REQUESTS / f"{name}.json").read_bytes())
    return request


def url_of(request: dict[str, Any]) -> str:
    """The address of the service for a request's hook."""
    return f"/cds-services/leg-weakness-{request['hook']}"


def answered(answer: TestResponse) -> dict[str, Any]:
    """The body of a 200, with what must be true of every one."""
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = answer.get_json()
    assert isinstance(body["cards"], list)
    return body


def refused(answer: TestResponse, status: int) -> str:
    """The text of a refusal, with what must be true of every one."""
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.mimetype == "application/json"
    outcome = OperationOutcome.model_validate_json(answer.get_data())
    assert outcome.id == answer.headers["X-Correlation-ID"]
    return answer.get_data(as_text=True)


def parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document with its path."""
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in children:
        yield from parts(inner, f"{path}.{name}")


def replaced(document: Any, path: list[str], value: Any) -> Any:
    """A copy with the value at a path replaced; numbers are places of arrays."""
    if not path:
        return value
    if isinstance(document, list):
        return [replaced(one, path[1:], value) if str(at) == path[0] else one for at, one in enumerate(document)]
    return {name: replaced(one, path[1:], value) if name == path[0] else one for name, one in document.items()}
