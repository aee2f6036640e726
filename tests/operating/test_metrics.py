"""GET /metrics: the sum of all workers, labels from closed sets."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from served import BODY, NAME, Served, served, until

from cds_service.app import create_app
from cds_service.config import Config
from cds_service.folders import data_folder
from cds_service.knowledge.knowledge import Knowledge
from cds_service.operating.reasons import Reason, reason_kind

SERVICE = NAME.rpartition("/")[2]
CALLS = f'cds_calls_total{{client="local",kind="call",service="{SERVICE}",status="200"}}'
ENTRY = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}


def values(text: str) -> dict[str, float]:
    """The samples of a page of metrics, by name and labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def shown(client: FlaskClient) -> dict[str, float]:
    return values(client.get("/metrics").get_data(as_text=True))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("metrics"), WORKERS="2", LOG_LEVEL="warning") as service:
        yield service


def test_the_counts_of_all_workers_are_added_and_outlive_them(service: Served) -> None:
    for _ in range(30):
        assert service.post().status_code == 200
    assert values(service.get("/metrics").text)[CALLS] == 30

    worker = service.workers()[0]
    os.kill(worker, signal.SIGTERM)
    until(partial(_is_gone, service, worker), "the worker has ended")
    until(lambda: len(service.workers()) == 2, "a new worker is there")
    for _ in range(10):
        assert service.post().status_code == 200
    found = values(service.get("/metrics").text)
    assert found[CALLS] == 40
    assert found[f'cds_call_seconds_count{{kind="call",service="{SERVICE}"}}'] == 40


def test_the_files_of_workers_that_ended_are_joined(service: Served) -> None:
    assert service.post().status_code == 200
    folder = service.counts()
    for worker in service.workers():
        os.kill(worker, signal.SIGTERM)
        until(partial(_is_gone, service, worker), "the worker has ended")
    until(lambda: len(service.workers()) == 2, "new workers are there")
    until(lambda: {"counter_ended.db", "histogram_ended.db"} <= _files(folder), "the files are joined")
    pids = {int(found[1]) for name in _files(folder) if (found := re.search(r"_(\d+)\.db", name))}
    assert pids <= {service.process.pid, *service.workers()}


def _is_gone(service: Served, worker: int) -> bool:
    return worker not in service.workers()


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.db")}


def test_the_media_type_is_that_of_prometheus(client: FlaskClient) -> None:
    assert client.get("/metrics").headers["Content-Type"].startswith("text/plain; version=")


def test_cards_outcomes_steps_and_feedback_are_counted(client: FlaskClient) -> None:
    cards = client.post(NAME, data=BODY, content_type="application/json").get_json()["cards"]
    client.post(f"{NAME}/feedback", json={"feedback": [ENTRY]})
    found = shown(client)
    assert sum(value for name, value in found.items() if name.startswith("cds_cards_total")) == len(cards)
    assert found['cds_outcomes_total{outcome="shown"}'] == len(cards)
    assert found['cds_feedback_total{outcome="overridden"}'] == 1
    for step in ("request", "chart", "outcomes", "selection", "cards"):
        assert found[f'cds_step_seconds_count{{step="{step}"}}'] == 1


def test_applications_in_one_process_count_for_themselves(
    app: Flask, config: Config, knowledge: Knowledge, client: FlaskClient
) -> None:
    client.post(NAME, data=BODY, content_type="application/json")
    other = create_app(config, knowledge).test_client()
    assert CALLS in shown(client)
    assert CALLS not in shown(other)


def test_what_a_client_makes_up_is_no_label(client: FlaskClient) -> None:
    client.post("/cds-services/Smith", json={})
    client.post(NAME, json=json.loads(BODY) | {"hook": "Smith", "hookInstance": "Smith"})
    client.post(f"{NAME}/feedback", json={"feedback": [ENTRY | {"card": "Smith", "outcome": "Smith"}]})
    text = client.get("/metrics").get_data(as_text=True)
    assert "Smith" not in text
    assert 'kind="call",service="none",status="404"' in text


def test_what_cannot_be_read_is_counted_by_kind_for_every_fixture(client: FlaskClient) -> None:
    for path in sorted((data_folder("fixtures") / "requests").glob("*.json")):
        body = path.read_bytes()
        hook = json.loads(body)["hook"]
        client.post(f"/cds-services/leg-weakness-{hook}", data=body, content_type="application/json")
    found = {name: value for name, value in shown(client).items() if name.startswith("cds_unreadable_total")}
    assert found['cds_unreadable_total{reason="unknown-unit"}'] > 0
    assert 'cds_unreadable_total{reason="other"}' not in found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("no unit for potassium", "no-unit"),
        ("a value without a unit for potassium", "no-unit"),
        ("unit 'no date' is not known for potassium", "unknown-unit"),
        ("99 is outside the plausible range of potassium (1 to 12 mmol/L)", "implausible"),
        ("not a number that potassium can have", "not-a-number"),
        ("a comparator that is not known", "unknown-comparator"),
        ("no value", "no-value"),
        ("no value: unknown", "no-value"),
        ("no value that says whether it is present", "no-value"),
        ("neither a systolic nor a diastolic value", "no-value"),
        ("a text where another kind of value was expected", "wrong-kind"),
        ("an answer that is not known for urine glucose", "unknown-answer"),
        ("no date", "no-date"),
        ("a date that cannot be read: expected a day that exists", "bad-date"),
        ("a birth date that cannot be read", "bad-date"),
        ("dated in the future", "future"),
        ("dated in the future: LDL is not used", "future"),
        ("a birth date in the future", "future"),
        ("status 'odd'", "status"),
        ("no status", "status"),
        ("a clinicalStatus that is not known", "status"),
        ("versions of it differ, and none is marked as newer", "disputed"),
        ("a code without its system", "no-code-system"),
        ("it is about another patient", "another-patient"),
        ("nested too deeply", "malformed"),
        ("text that is not UTF-8", "malformed"),
        ("valueQuantity.value: expected `float | null`, got `str`", "malformed"),
        ("valueQuantity.value: number out of range", "malformed"),
        ("JSON is malformed: invalid character (byte 0)", "malformed"),
        ("something new", "other"),
    ],
)
def test_a_reason_has_a_kind(text: str, kind: Reason) -> None:
    assert reason_kind(text) == kind
