"""An application with registered clients, and what a call of each of its addresses is answered with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from keys import NOW, register
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.folders import data_folder
from cds_service.knowledge.knowledge import Knowledge

BASE = "http://localhost"
SERVICE = "leg-weakness-patient-view"
BODY = (data_folder("fixtures") / "requests" / "several-causes-at-once.json").read_bytes()
FEEDBACK = json.dumps(
    {"feedback": [{"card": "c-1", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}]}
).encode()
PATHS = {
    "discovery": "/cds-services",
    "service": f"/cds-services/{SERVICE}",
    "feedback": f"/cds-services/{SERVICE}/feedback",
}


class Place:
    """An application with registered clients, at a time that a test may move."""

    def __init__(self, folder: Path, knowledge: Knowledge, *clients: Mapping[str, Any], **members: Any) -> None:
        self.now: float = NOW
        self._config = read_config(
            {
                "CDS_SERVICE_DATABASE": f"sqlite:///{folder / 'service.sqlite3'}",
                "CDS_SERVICE_CLIENTS": str(register(folder, *clients, **members)),
            }
        )
        self._knowledge = knowledge
        self.start()

    def start(self) -> None:
        """A new process of the same installation."""
        app = create_app(self._config, self._knowledge, lambda: int(self.now * 1000))
        self.client: FlaskClient = app.test_client()

    def ask(self, address: str, authorization: str | None, base: str = BASE) -> TestResponse:
        headers = {} if authorization is None else {"Authorization": authorization}
        if address == "discovery":
            return self.client.get(PATHS[address], base_url=base, headers=headers)
        body = BODY if address == "service" else FEEDBACK
        return self.client.post(
            PATHS[address], base_url=base, data=body, headers=headers, content_type="application/json"
        )

    def status(self, address: str, token: str, base: str = BASE) -> int:
        return self.ask(address, f"Bearer {token}", base).status_code


def url(address: str) -> str:
    return BASE + PATHS[address]


def reason(caplog: pytest.LogCaptureFixture) -> str:
    """Why the last call was refused, as its line in the log has it."""
    line = next(record for record in reversed(caplog.records) if record.name == "cds_service.calls")
    return str(vars(line)["fields"]["reason"])


def assert_plainly_refused(answer: TestResponse) -> None:
    headers = {name: value for name, value in answer.headers.items() if name != "X-Correlation-ID"}
    assert (answer.status_code, answer.data) == (401, b"")
    assert headers == {"WWW-Authenticate": "Bearer", "Content-Length": "0", "Cache-Control": "no-store"}
