"""The demonstration, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cds_service.demo import DEFAULT_PATIENT, DemoError, as_text, read_patient, running_service
from cds_service.folders import patients_folder

DEMO = [sys.executable, "-m", "cds_service", "demo"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DEMO, *arguments], capture_output=True, text=True, timeout=120, check=False)


def printed(answer: dict[str, Any]) -> str:
    written = StringIO()
    Console(width=100, file=written).print(as_text(answer))
    return written.getvalue()


def test_it_shows_the_cards_of_a_patient_and_exits_with_0() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "GET http://127.0.0.1:" in done.stdout
    assert "CRITICAL" in done.stdout
    assert "Suggestions" in done.stdout
    assert "Source: " in done.stdout


def test_any_bundle_can_be_sent_and_neither_proxy_nor_settings_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("CDS_SERVICE_CLIENTS", __file__)
    file = tmp_path / "mine.json"
    file.write_text(
        json.dumps({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}]})
    )
    done = run(str(file))
    assert done.returncode == 0
    assert "No cards." in done.stdout


def test_an_unknown_patient_is_refused_with_the_known_ones() -> None:
    done = run("nobody")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: nobody: No such file or directory. Expected a file with a Bundle, or one of ")
    assert DEFAULT_PATIENT in done.stderr


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"entry": [5]}', '{"entry": [{"resource": {"resourceType": "Patient"}}]}']
)
def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(text)
    with pytest.raises(DemoError, match="expected a FHIR Bundle with a Patient"):
        read_patient(str(file))


def test_a_service_that_does_not_start_says_why() -> None:
    with pytest.raises(DemoError, match=r"CDS_SERVICE_MAX_BODY: found 'much'"), running_service(MAX_BODY="much"):
        pytest.fail("it started")


def test_every_patient_can_be_read() -> None:
    for file in patients_folder().glob("*.json"):
        assert read_patient(file.stem)["resourceType"] == "Bundle"


def test_a_card_is_printed_with_all_its_parts() -> None:
    card = {
        "summary": "Potassium 2.4 mmol/L",
        "indicator": "critical",
        "detail": "Check **magnesium**.\n\n- one\n- two",
        "suggestions": [{"label": "Order potassium"}],
        "links": [{"label": "Guideline", "url": "https://example.org/g", "type": "absolute"}],
        "source": {"label": "A guideline", "url": "https://example.org/"},
    }
    text = printed({"cards": [card]})
    for part in ("CRITICAL", "Potassium 2.4 mmol/L", "Check magnesium.", " • one", "[ ] Order potassium"):
        assert part in text
    assert "Guideline: https://example.org/g" in text
    assert "Source: A guideline https://example.org/" in text


def test_no_cards_are_said_to_be_none() -> None:
    assert printed({"cards": []}) == "No cards.\n"


def test_what_could_not_be_judged_is_printed() -> None:
    answer = {"cards": [], "extension": {"org.leg-weakness-cds.not-judged": ["Low potassium: Potassium (unreadable)"]}}
    assert "Not judged\n  Low potassium: Potassium (unreadable)" in printed(answer)
