"""`cds-service explain` as a command: files, standard input, services, times, refusals, what people see."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from explaining import FIXTURES_NOW, REQUESTS, explain, lines_of, without_uuids

from cds_service.knowledge.knowledge import Knowledge


def test_each_request_gives_one_line_in_the_order_of_the_files() -> None:
    done = explain("nothing-at-all", "missing-required", "healthy-adult", "--json", "--now", FIXTURES_NOW)
    first, refused, last = lines_of(done)
    assert done.exit_code == 1
    assert refused.keys() == {"error"}
    assert refused["error"]["status"] == 412
    assert refused["error"]["outcome"]["resourceType"] == "OperationOutcome"
    assert "prefetch.electrolytes" in json.dumps(refused)
    assert [one["outcome"] for one in first["outcomes"]].count("unknown") >= 5
    assert last["cards"] == []


@pytest.mark.parametrize(
    ("sent", "status", "names"),
    [
        (b"", 400, "expected"),
        (b"cards, please", 400, "expected"),
        (b"[]", 400, "expected"),
        (b'{"hook": 5}', 404, "hook"),
        (b"{}", 400, "hook"),
        (b'{"hook": "medication-prescribe"}', 404, "hook"),
        (b'{"hook": "patient-view"}', 400, "hookInstance"),
    ],
)
def test_a_refused_request_is_one_line_and_exit_code_1(sent: bytes, status: int, names: str) -> None:
    done = explain("-", "--json", sent=sent)
    assert done.exit_code == 1
    (said,) = lines_of(done)
    assert said["error"]["status"] == status
    assert names in json.dumps(said["error"]["outcome"]["issue"])


def test_a_refused_request_is_told_to_people_without_json() -> None:
    done = explain("missing-required", "--now", FIXTURES_NOW)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[0] == f"{REQUESTS / 'missing-required.json'}: refused with status 412"
    assert "electrolytes" in done.stdout
    assert "Traceback" not in done.output


def test_another_service_may_be_asked() -> None:
    done = explain("healthy-adult", "--json", "--service", "leg-weakness-patient-view", "--now", FIXTURES_NOW)
    assert lines_of(done)[0]["service"] == "leg-weakness-patient-view"
    wrong = explain("healthy-adult", "--json", "--service", "leg-weakness-order-sign", "--now", FIXTURES_NOW)
    assert wrong.exit_code == 1
    assert lines_of(wrong)[0]["error"]["status"] == 400
    unknown = explain("healthy-adult", "--json", "--service", "leg-weakness", "--now", FIXTURES_NOW)
    assert unknown.exit_code == 1
    assert lines_of(unknown)[0]["error"]["status"] == 404
    assert "leg-weakness-patient-view" in unknown.stdout


def test_the_time_may_be_given_in_any_zone() -> None:
    said = [
        lines_of(explain("low-potassium-on-diuretic", "--json", "--now", now))[0]
        for now in (FIXTURES_NOW, "2026-11-20T11:00:00+01:00", "2026-11-20T10:00:00.000Z")
    ]
    assert {one["now"] for one in said} == {FIXTURES_NOW}
    assert without_uuids(said[0]) == without_uuids(said[1]) == without_uuids(said[2])


def test_without_a_time_it_is_now() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    said = lines_of(explain("healthy-adult", "--json"))[0]
    assert before <= datetime.fromisoformat(said["now"]) <= datetime.now(UTC)


@pytest.mark.parametrize("now", ["2026-11-20T10:00:00", "2026-11-20", "yesterday", ""])
def test_a_time_without_zone_is_refused_with_what_was_expected(now: str) -> None:
    done = explain("healthy-adult", "--now", now)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"--now: found '{now}'" in done.stderr
    assert "expected" in done.stderr


def test_a_file_that_is_not_there_is_named_before_anything_is_answered(tmp_path: Path) -> None:
    done = explain("healthy-adult", str(tmp_path / "none.json"), "--json")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == f"Error: {tmp_path / 'none.json'} cannot be read (No such file or directory)\n"


def test_no_request_is_a_wrong_call() -> None:
    assert explain().exit_code == 2


def test_cards_with_a_mistake_are_told_and_explain_nothing(tmp_path: Path) -> None:
    (tmp_path / "shared.yaml").write_text("facts: {", encoding="utf-8")
    done = explain("healthy-adult", "--json", "--cards", str(tmp_path))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"{tmp_path}" in done.stderr
    assert "Traceback" not in done.stderr


def test_people_see_each_card_once_with_its_outcome_and_reasons(knowledge: Knowledge) -> None:
    done = explain("several-causes-at-once", "--now", FIXTURES_NOW)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        f"{REQUESTS / 'several-causes-at-once.json'}: leg-weakness-patient-view at {FIXTURES_NOW}"
    )
    assert knowledge.version in lines[0]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    first = {row[0]: row for row in rows if row[0]}
    judged = {card.id for card in knowledge.cards.values() if card.status in ("active", "silent")}
    assert len([row for row in rows if row[0]]) == len(first)
    assert set(first) == judged
    assert first["hypokalemia"][1] == "shown critical"
    assert first["anemia"][1:3] == ["merged warning", "a line of leg-weakness-workup"]
    assert any("is false (line " in row[2] for row in rows)
    assert any("not-found within 90 days; could be critical" in row[3] for row in rows)
    assert [line for line in lines if line.startswith(("critical Potassium", "warning ", "info "))]


def test_people_see_what_was_not_read_and_that_there_are_no_cards() -> None:
    done = explain("only-unreadable-data", "--now", FIXTURES_NOW)
    assert "not read: Observation/sp-03-potassium-furlong: unit 'furlong' is not known for potassium" in done.stdout
    assert done.stdout.splitlines()[-1] == "no cards"


def test_it_reads_standard_input_as_a_program_of_its_own() -> None:
    body = (REQUESTS / "potassium-critical-with-digoxin.json").read_bytes()
    command = [sys.executable, "-m", "cds_service", "explain", "-", "--json", "--now", FIXTURES_NOW]
    done = subprocess.run(command, input=body, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    (line,) = done.stdout.decode().splitlines()
    assert json.loads(line)["cards"][0]["indicator"] == "critical"
