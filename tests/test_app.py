"""The application: what is at which address, and when it is ready."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient

from cds_service.folders import data_folder
from cds_service.knowledge.knowledge import Knowledge


def test_every_address_is_known(app: Flask) -> None:
    assert {rule.rule for rule in app.url_map.iter_rules()} == {
        "/cds-services",
        "/cds-services/<service_id>",
        "/cds-services/<service_id>/feedback",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
    }


def test_the_database_is_not_opened_before_it_is_needed(app: Flask, tmp_path: Path) -> None:
    app.test_client().get("/cds-services")
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "audit.jsonl"}


def test_it_lives(client: FlaskClient) -> None:
    assert client.get("/health/live").get_json() == {"status": "live"}


def test_it_is_ready_when_the_database_can_be_written(client: FlaskClient, knowledge: Knowledge) -> None:
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ready", "knowledge": knowledge.version})
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_the_database_it_is_degraded_and_says_why_and_cards_flow(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "feedback.sqlite3").mkdir()
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "degraded")
    assert answer.get_json()["problems"] == [
        "The database cannot be written: feedback is refused, nothing is remembered."
    ]
    assert client.get("/health/live").status_code == 200
    sent = (data_folder("fixtures") / "requests" / "several-causes-at-once.json").read_bytes()
    called = client.post("/cds-services/leg-weakness-patient-view", data=sent, content_type="application/json")
    assert len(called.get_json()["cards"]) == 3
    (tmp_path / "feedback.sqlite3").rmdir()
    assert client.get("/health/ready").get_json()["status"] == "ready"


def test_every_answer_has_a_correlation_id_of_its_own(client: FlaskClient) -> None:
    addresses = ("/cds-services", "/health/live", "/nowhere")
    ids = {client.get(address).headers["X-Correlation-ID"] for address in addresses}
    assert len(ids) == 3
    assert all(str(UUID(one)) == one for one in ids)
