"""The log: one JSON object a line, one line a call, nothing of what a client sent."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
from served import BODY, NAME, Served, served, until

from cds_service.operating.logs import Line

SENT = json.loads(BODY)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("logs"), WORKERS="1", LOG_LEVEL="debug") as service:
        yield service


def calls(service: Served, id_: str) -> list[dict[str, object]]:
    """The lines about a call, once there is one."""
    found: list[dict[str, object]] = until(
        lambda: [line for line in service.lines() if line.get("correlation_id") == id_], "the call is logged"
    )
    return found


def test_a_call_is_one_line_with_what_came_of_it_and_how_long_it_took(service: Served) -> None:
    answer = service.post()
    (line,) = calls(service, answer.headers["X-Correlation-ID"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line["time"]))
    assert (line["level"], line["logger"], line["message"]) == ("info", "cds_service.calls", "call")
    assert (line["client"], line["service"], line["status"]) == ("local", NAME.rpartition("/")[2], 200)
    assert line["hook_instance"] == SENT["hookInstance"]
    assert isinstance(line["cards"], list)
    assert len(line["cards"]) == len(answer.json()["cards"])
    assert isinstance(line["outcomes"], dict)
    assert line["outcomes"]["shown"] == len(line["cards"])
    assert isinstance(line["milliseconds"], dict)
    assert {"request", "chart", "outcomes", "selection", "cards"} <= set(line["milliseconds"])
    assert all(round(one, 1) == one >= 0 for one in line["milliseconds"].values())


def test_a_refused_call_says_why_and_repeats_nothing(service: Served) -> None:
    body = json.dumps(SENT | {"hook": "Smith\nfaked line"}).encode()
    (line,) = calls(service, service.post(body).headers["X-Correlation-ID"])
    assert line["status"] == 400
    assert "hook: expected patient-view" in str(line["reason"])


def test_nothing_that_was_sent_is_in_the_log(service: Served) -> None:
    service.post()
    service.get("/cds-services/Smith%0A%7B%22level%22%3A%22faked%22%7D%E2%80%A8%1B%5B31m?name=Smith")
    service.get("/Smith%0D%0A")
    service.get("/health/live")
    text = service.log.read_text(encoding="ascii")
    assert service.lines()
    assert "Smith" not in text
    assert "faked" not in text
    sent = [SENT["context"]["patientId"], SENT["context"]["userId"].rpartition("/")[2]]
    sent += [entry["resource"]["id"] for entry in SENT["prefetch"]["electrolytes"].get("entry", ())]
    assert [one for one in sent if f'"{one}"' in text or f"/{one}" in text] == []


def test_the_server_logs_in_the_same_way(service: Served) -> None:
    assert [line["logger"] for line in service.said("Listening at")] == ["gunicorn.error"]


@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\x7f", "\x85", "\u2028", "\ud800", "\x00"])
def test_no_character_breaks_a_line(character: str) -> None:
    record = logging.makeLogRecord({"msg": f"a{character}b", "fields": {"what": character}})
    line = Line().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert (json.loads(line)["message"], json.loads(line)["what"]) == (f"a{character}b", character)


def test_of_an_error_the_type_and_the_lines_of_code_are_told_and_never_its_text() -> None:
    try:
        raise ValueError("Smith")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    line = json.loads(Line().format(record))
    assert line["error"] == "ValueError"
    assert line["at"][0].startswith(f"{__file__}:")
    assert "Smith" not in json.dumps(line)
