"""The OpenAPI document says what the application does: its addresses, its methods, and examples that are answered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.folders import data_folder
from cds_service.knowledge.knowledge import Knowledge
from cds_service.openapi import document

UNSAID = {"HEAD", "OPTIONS"}
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def told(client: FlaskClient) -> Any:
    """The document, as it is served."""
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    return answer.get_json()


def test_it_is_openapi_3_1(told: Any) -> None:
    assert told["openapi"] == "3.1.0"


def test_it_names_every_address_and_method_and_no_other(told: Any, app: Flask) -> None:
    served = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - UNSAID
    }
    assert {(path, method) for path, found in told["paths"].items() for method in found if method in METHODS} == served


def test_a_service_id_is_one_of_those_in_discovery(told: Any, client: FlaskClient) -> None:
    services = client.get("/cds-services").get_json()["services"]
    for path in ("/cds-services/{service_id}", "/cds-services/{service_id}/feedback"):
        (parameter,) = told["paths"][path]["post"]["parameters"]
        assert parameter["schema"]["enum"] == [service["id"] for service in services]


def test_every_example_is_answered_with_200(told: Any, client: FlaskClient) -> None:
    examples = told["paths"]["/cds-services/{service_id}"]["post"]["requestBody"]["content"]["application/json"]
    assert len(examples["examples"]) == 4
    for service, example in examples["examples"].items():
        answer = client.post(f"/cds-services/{service}", json=example["value"])
        assert (answer.status_code, "cards" in answer.get_json()) == (200, True), answer.get_json()
    body = told["paths"]["/cds-services/{service_id}/feedback"]["post"]["requestBody"]["content"]["application/json"]
    (example,) = body["examples"].values()
    assert client.post(f"/cds-services/{service}/feedback", json=example["value"]).status_code == 200


def test_every_reference_is_there_and_every_component_is_used(told: Any) -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert references(told) == {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}


def test_no_schema_names_a_field_that_the_code_does_not_read(told: Any) -> None:
    schemas = told["components"]["schemas"]
    assert set(schemas["PatientViewRequest"]["properties"]) == {
        "hook", "hookInstance", "context", "prefetch", "fhirServer", "fhirAuthorization", "extension",
    }  # fmt: skip
    assert set(schemas["OrderSelectContext"]["required"]) == {"userId", "patientId", "draftOrders", "selections"}
    assert set(schemas["Entry"]["required"]) == {"card", "outcome", "outcomeTimestamp"}


def test_without_registered_clients_no_jwt_is_asked_for(told: Any) -> None:
    assert "securitySchemes" not in told["components"]
    assert "401" not in told["paths"]["/cds-services"]["get"]["responses"]


def test_with_registered_clients_the_addresses_of_cds_hooks_ask_for_a_jwt(tmp_path: Path, knowledge: Knowledge) -> None:
    config = read_config(
        {
            "CDS_SERVICE_DATABASE": f"sqlite:///{tmp_path / 'state.sqlite3'}",
            "CDS_SERVICE_CLIENTS": str(data_folder("fixtures") / "clients" / "sandbox.yaml"),
        }
    )
    client = create_app(config, knowledge).test_client()
    told = client.get("/openapi.json").get_json()
    assert told["components"]["securitySchemes"]["jwt"]["scheme"] == "bearer"
    for path, operations in told["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == path.startswith("/cds-services")
            assert ("401" in operation["responses"]) == path.startswith("/cds-services")
    refused = client.get("/cds-services")
    assert (refused.status_code, refused.data) == (401, b"")
    assert "content" not in told["paths"]["/cds-services"]["get"]["responses"]["401"]


def test_it_is_made_from_the_services_it_is_given(knowledge: Knowledge) -> None:
    found = document(knowledge.services[:1], secured=False)
    (parameter,) = found["paths"]["/cds-services/{service_id}"]["post"]["parameters"]
    assert parameter["schema"]["enum"] == [knowledge.services[0].id]
