"""SEC-04: a record of each call, without patient data, that an unwritable file does not stop."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from served import BODY, NAME

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.knowledge.knowledge import Knowledge

SENT = json.loads(BODY)


def client_of(folder: Path, audit: Path, knowledge: Knowledge) -> FlaskClient:
    settings = {"DATABASE": f"sqlite:///{folder / 'db.sqlite3'}", "AUDIT": str(audit)}
    config = read_config({f"CDS_SERVICE_{name}": value for name, value in settings.items()})
    return create_app(config, knowledge).test_client()


def call(client: FlaskClient) -> Any:
    return client.post(NAME, data=BODY, content_type="application/json")


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_SEC_04_each_call_of_a_client_leaves_a_record(tmp_path: Path, knowledge: Knowledge) -> None:
    path = tmp_path / "audit.jsonl"
    client = client_of(tmp_path, path, knowledge)
    client.get("/cds-services")
    answer = call(client)
    client.post("/cds-services/unknown", json={})
    client.get("/health/live")
    discovery, called, refused = records(path)
    assert (discovery["kind"], discovery["status"], discovery["client"]) == ("discovery", 200, "local")
    assert called["correlation_id"] == answer.headers["X-Correlation-ID"]
    assert (called["kind"], called["service"], called["status"]) == ("call", NAME.rpartition("/")[2], 200)
    assert called["hook_instance"] == SENT["hookInstance"]
    assert len(called["cards"]) == len(answer.get_json()["cards"])
    assert called["time"].endswith("Z")
    assert (refused["status"], refused["service"]) == (404, None)


def test_SEC_04_patient_and_clinician_are_told_apart_and_not_named(tmp_path: Path, knowledge: Knowledge) -> None:
    path = tmp_path / "audit.jsonl"
    client = client_of(tmp_path, path, knowledge)
    call(client)
    call(client)
    one, again = records(path)
    assert one["patient"] == again["patient"] != one["clinician"]
    assert len(one["patient"]) == len(one["clinician"]) == 64
    text = path.read_text(encoding="utf-8")
    assert SENT["context"]["patientId"] not in text
    assert SENT["context"]["userId"] not in text


def test_the_file_is_for_its_owner_alone_and_made_again_when_it_was_moved(tmp_path: Path, knowledge: Knowledge) -> None:
    path = tmp_path / "state" / "audit.jsonl"
    client = client_of(tmp_path, path, knowledge)
    call(client)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.rename(tmp_path / "audit.jsonl.1")
    call(client)
    assert len(records(path)) == len(records(tmp_path / "audit.jsonl.1")) == 1


@pytest.mark.parametrize(
    ("place", "why"), [("/dev/full", "No space left on device"), ("/proc/none/audit", "No such file or directory")]
)
def test_a_file_that_cannot_be_written_is_counted_told_once_and_stops_nothing(
    tmp_path: Path, knowledge: Knowledge, caplog: pytest.LogCaptureFixture, place: str, why: str
) -> None:
    path = Path(place)
    client = client_of(tmp_path, path, knowledge)
    with caplog.at_level(logging.ERROR, "cds_service.operating.audit"):
        assert [call(client).status_code for _ in range(3)] == [200] * 3
    assert 'cds_failures_total{part="audit"} 3.0' in client.get("/metrics").get_data(as_text=True)
    (told,) = [record.getMessage() for record in caplog.records if record.name == "cds_service.operating.audit"]
    assert told == f"audit records were lost: 1; {path}: {why}"
