"""A card that was overridden stays away, over HTTP; `explain` tells why with the date, from the same database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from asked import id_of
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.cli import main
from cds_service.config import read_config
from cds_service.demo import FIXTURES_NOW
from cds_service.folders import data_folder
from cds_service.knowledge.knowledge import Knowledge

REQUEST = data_folder("fixtures") / "requests" / "low-potassium-on-diuretic.json"
HOUR = 3_600_000
LATER = "2026-11-20T11:00:00Z"


class Ward:
    """An application with a database of its own, and a clinician who calls it and answers its cards."""

    def __init__(self, folder: Path, knowledge: Knowledge, **settings: str) -> None:
        self.settings = {f"CDS_SERVICE_{name}": value for name, value in settings.items()}
        self.settings.setdefault("CDS_SERVICE_DATABASE", f"sqlite:///{folder / 'service.sqlite3'}")
        self.now = int(FIXTURES_NOW.timestamp() * 1000)
        self.client: FlaskClient = create_app(read_config(self.settings), knowledge, lambda: self.now).test_client()
        self.sent: dict[str, Any] = json.loads(REQUEST.read_bytes())

    def call(self, **changes: Any) -> dict[str, dict[str, Any]]:
        """The cards of a call, by id."""
        sent = {**self.sent, "hookInstance": str(uuid4()), **changes}
        answer = self.client.post("/cds-services/leg-weakness-patient-view", json=sent)
        assert answer.status_code == 200
        return {id_of(card): card for card in answer.get_json()["cards"]}

    def override(self, card: dict[str, Any], at: str = "2026-11-20T10:05:00Z") -> None:
        entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": at}
        url = "/cds-services/leg-weakness-patient-view/feedback"
        assert self.client.post(url, json={"feedback": [entry]}).status_code == 200

    def by(self, user: str) -> dict[str, Any]:
        return {"context": {**self.sent["context"], "userId": user}}

    def explain(self, *options: str) -> Result:
        runner = CliRunner(env=self.settings)
        return runner.invoke(main, ["explain", str(REQUEST), "--now", LATER, "--json", *options])


@pytest.fixture
def ward(tmp_path: Path, knowledge: Knowledge) -> Ward:
    return Ward(tmp_path, knowledge)


def test_an_overridden_card_does_not_come_back_until_its_time_is_over(ward: Ward) -> None:
    assert list(ward.call()) == ["hypokalemia"]
    card = ward.call()["hypokalemia"]
    assert card["indicator"] == "warning"
    ward.override(card)
    ward.now += HOUR
    assert ward.call() == {}
    ward.now += 30 * 24 * HOUR
    assert list(ward.call()) == ["hypokalemia"]


def test_another_clinician_and_another_patient_are_shown_it(ward: Ward) -> None:
    ward.override(ward.call()["hypokalemia"])
    ward.now += HOUR
    assert list(ward.call(**ward.by("Practitioner/another"))) == ["hypokalemia"]
    text = json.dumps(ward.sent).replace(ward.sent["context"]["patientId"], "another-patient")
    assert list(ward.call(**json.loads(text))) == ["hypokalemia"]
    assert ward.call() == {}


def test_REQ_05_the_same_call_again_gets_the_same_cards_though_they_were_overridden(ward: Ward) -> None:
    card = ward.call(hookInstance=ward.sent["hookInstance"])["hypokalemia"]
    ward.override(card)
    ward.now += HOUR
    assert list(ward.call(hookInstance=ward.sent["hookInstance"])) == ["hypokalemia"]


def test_an_override_that_a_client_dates_in_the_future_ends_as_if_it_were_of_now(ward: Ward) -> None:
    ward.override(ward.call()["hypokalemia"], "2036-01-01T00:00:00Z")
    ward.now += HOUR
    assert ward.call() == {}
    ward.now += 30 * 24 * HOUR
    assert list(ward.call()) == ["hypokalemia"]


def test_explain_shows_it_as_withheld_with_the_date_of_the_override(ward: Ward) -> None:
    ward.override(ward.call()["hypokalemia"])
    ward.now += HOUR
    assert ward.call() == {}
    done = ward.explain("--memory")
    assert done.exit_code == 0, done.output
    outcomes = {one["card"]: one for one in json.loads(done.stdout)["outcomes"]}
    assert outcomes["hypokalemia"]["outcome"] == "withheld"
    assert outcomes["hypokalemia"]["reason"] == "it was overridden on 2026-11-20 and nothing is new since"
    without = {one["card"]: one["outcome"] for one in json.loads(ward.explain().stdout)["outcomes"]}
    assert without["hypokalemia"] == "shown"


def test_memory_can_be_switched_off(tmp_path: Path, knowledge: Knowledge) -> None:
    ward = Ward(tmp_path, knowledge, MEMORY="off")
    ward.override(ward.call()["hypokalemia"])
    ward.now += HOUR
    assert list(ward.call()) == ["hypokalemia"]


def test_cards_flow_while_the_database_is_away_and_feedback_is_asked_to_come_again(
    tmp_path: Path, knowledge: Knowledge, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "service.sqlite3").mkdir()
    ward = Ward(tmp_path, knowledge)
    ward.call()
    card = ward.call()["hypokalemia"]
    entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": LATER}
    url = "/cds-services/leg-weakness-patient-view/feedback"
    refused = ward.client.post(url, json={"feedback": [entry]})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    metrics = ward.client.get("/metrics").get_data(as_text=True)
    assert 'cds_failures_total{part="memory"}' in metrics
    assert 'cds_failures_total{part="feedback"} 1.0' in metrics
    assert [record.getMessage() for record in caplog.records if "database" in record.getMessage()] == [
        "the database could not be used for memory: OperationalError SQLITE_CANTOPEN",
        "the database could not be used for feedback: OperationalError SQLITE_CANTOPEN",
    ]


def test_explain_says_when_the_database_or_the_client_is_not_there(tmp_path: Path, knowledge: Knowledge) -> None:
    ward = Ward(tmp_path, knowledge)
    unknown = ward.explain("--client", "nobody")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "--client: found 'nobody', expected a registered client: none; see --clients" in unknown.stderr
    (tmp_path / "service.sqlite3").mkdir()
    away = ward.explain("--memory")
    assert away.exit_code == 2
    assert "the database cannot be read" in away.stderr


def test_explain_makes_no_installation_of_its_own(tmp_path: Path) -> None:
    settings = {"CDS_SERVICE_DATABASE": f"sqlite:///{tmp_path / 'none' / 'service.sqlite3'}"}
    done = CliRunner(env=settings).invoke(main, ["explain", str(REQUEST), "--memory"])
    assert done.exit_code == 2
    assert f"--memory: found no installation in {tmp_path / 'none'}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_SEC_04_a_refused_call_stands_in_the_audit_trail_with_whom_it_was_about(ward: Ward, tmp_path: Path) -> None:
    ward.call()
    del ward.sent["prefetch"]["electrolytes"]
    sent = {**ward.sent, "hookInstance": str(uuid4())}
    refused = ward.client.post("/cds-services/leg-weakness-patient-view", json=sent)
    assert refused.status_code == 412
    before, after = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (after["status"], after["cards"], after["hook_instance"]) == (412, [], sent["hookInstance"])
    assert (after["patient"], after["clinician"]) == (before["patient"], before["clinician"])
    assert after["patient"]
