"""FHIR servers that fail, drip, lie and lead elsewhere: what they cost, and what they never get."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ehr import (
    FAILURES,
    GRANTED,
    OPTIONAL,
    OUTCOME,
    PATIENT,
    REQUIRED,
    SERVICE,
    TOKEN,
    Asked,
    Ehr,
    Script,
    a_page,
    cards,
    drips,
    not_supplied,
    refused_keys,
    sends,
    serving,
    waits,
)
from loopback import listening

from cds_service.hooks.completion import AT_ONCE
from cds_service.hooks.request import read_request
from cds_service.knowledge.knowledge import Knowledge


@pytest.fixture
def ehr(knowledge: Knowledge) -> Iterator[Ehr]:
    """A FHIR server that has all data of the case."""
    with serving(knowledge) as running:
        yield running


@pytest.fixture
def asked(tmp_path: Path, knowledge: Knowledge, ehr: Ehr) -> Asked:
    return Asked(tmp_path, knowledge, ehr)


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("key", ["patient", REQUIRED, OPTIONAL])
def test_FHIR_10_PRE_03_PRE_04_a_call_that_fails_is_412_when_required_and_told_otherwise(
    asked: Asked, ehr: Ehr, key: str, kind: str
) -> None:
    ehr.scripts[key] = FAILURES[kind]
    answered = asked(without=[key, "lipids"])
    if key == OPTIONAL:
        assert not_supplied(answered) == [OPTIONAL]
    else:
        assert refused_keys(answered) == [key]
        assert "found nothing, and it could not be fetched." in json.dumps(answered[1])
        assert "stack trace" not in json.dumps(answered[1])
    assert set(ehr.keys) == {key, "lipids"}


def test_FHIR_10_a_patient_read_that_brings_a_bundle_fails(asked: Asked, ehr: Ehr) -> None:
    ehr.scripts["patient"] = sends({"resourceType": "Bundle", "type": "searchset", "total": 0})
    assert refused_keys(asked(without=["patient"])) == ["patient"]


def test_FHIR_10_warnings_beside_the_matches_are_no_failure(asked: Asked, ehr: Ehr) -> None:
    warning = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}
    ehr.data[REQUIRED]["entry"].append({"resource": warning, "search": {"mode": "outcome"}})
    answered = asked(without=[REQUIRED])
    assert cards(answered) == cards(asked())
    assert not_supplied(answered) == []


def test_FHIR_10_an_error_beside_the_matches_leaves_a_part(asked: Asked, ehr: Ehr) -> None:
    ehr.data[REQUIRED]["entry"].append({"resource": OUTCOME, "search": {"mode": "outcome"}})
    assert not_supplied(asked(without=[REQUIRED])) == [REQUIRED]


def test_FHIR_10_a_resource_that_cannot_be_read_costs_only_itself(asked: Asked, ehr: Ehr) -> None:
    broken = {"resource": {"resourceType": "Observation", "id": "broken", "code": {"text": 5}}}
    whole = ehr.data[OPTIONAL]
    first = a_page(whole, 0, 1, "more?page=2")
    first["entry"].append(broken)
    ehr.scripts[OPTIONAL] = sends(first)
    ehr.scripts["page=2"] = sends(a_page(whole, 1, 1000, None))
    answered = asked(without=[OPTIONAL])
    assert not_supplied(answered) == []
    assert "broken" in json.dumps(answered[1]["extension"])
    assert len(ehr.heard) == 2


def test_FHIR_06_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(asked: Asked, ehr: Ehr) -> None:
    with listening() as trap:
        ehr.scripts[REQUIRED] = sends(b"", status=307, Location=f"{trap.origin}/fhir/Observation")
        assert refused_keys(asked(without=[REQUIRED])) == [REQUIRED]
        assert trap.connections == 0
    assert ehr.keys == [REQUIRED]


@pytest.mark.parametrize(
    "named",
    [
        "http://127.0.0.1:{trap}/fhir",
        "http://127.0.0.1:{trap}",
        "http://localhost:{trap}/fhir",
        "http://localhost.:{trap}/fhir",
        "http://LOCALHOST:{trap}/fhir",
        "http://[::ffff:127.0.0.1]:{trap}/fhir",
        "http://[::1]:{trap}/fhir",
        "http://127.1:{trap}/fhir",
        "http://2130706433:{trap}/fhir",
        "http://0x7f.0.0.1:{trap}/fhir",
        "http://0.0.0.0:{trap}/fhir",
        "http://169.254.169.254/fhir",
        "http://127.0.0.1:{own}@127.0.0.1:{trap}/fhir",
        "http://127.0.0.1:{trap}\\@127.0.0.1:{own}/fhir",
        "http://127.0.0.1:{trap}/fhir#http://127.0.0.1:{own}/fhir",
        "http://127.0.0.1:{trap}/fhir?http://127.0.0.1:{own}/fhir",
        "https://127.0.0.1:{own}/fhir",
        "http://127.0.0.1.:{own}/fhir",
        "http://127.0.0.1:{own}/fhir/..",
        "http://127.0.0.1:{own}/fhir/../fhir",
        "http://127.0.0.1:{own}/fhir/../../admin",
        "http://127.0.0.1:{own}/FHIR",
        "http://127.0.0.1:{own}/fhir//",
        "http://127.0.0.1:{own}/",
        "file:///fhir",
    ],
)
def test_FHIR_07_a_server_that_is_not_registered_is_not_asked(asked: Asked, ehr: Ehr, named: str) -> None:
    with listening() as trap:
        url = named.format(trap=trap.port, own=urlsplit(ehr.url).port)
        assert asked(without=[REQUIRED], fhirServer=url)[0] in (400, 412)
        assert trap.connections == 0
    assert ehr.heard == []


@pytest.mark.parametrize("patient", [".", "..", "...", "Patient/.."])
def test_FHIR_07_an_id_of_dots_climbs_to_no_other_folder(asked: Asked, ehr: Ehr, patient: str) -> None:
    status, _ = asked({}, context={"userId": "Practitioner/1", "patientId": patient})
    assert status in (400, 412)
    assert ehr.heard == []


@pytest.mark.parametrize("named", ["{origin}/fhir", "{origin}/fhir/", "HTTP://127.0.0.1:{own}/fhir"])
def test_FHIR_07_a_registered_server_is_known_in_each_spelling(asked: Asked, ehr: Ehr, named: str) -> None:
    url = named.format(origin=ehr.origin, own=urlsplit(ehr.url).port)
    assert cards(asked(without=[REQUIRED], fhirServer=url)) == cards(asked())
    assert ehr.keys == [REQUIRED]


def test_FHIR_07_of_several_registered_servers_the_one_of_the_request_is_asked(asked: Asked, ehr: Ehr) -> None:
    with listening() as other:
        asked.registered["fhir_servers"] = [f"{other.origin}/fhir", ehr.url]
        assert asked(without=[REQUIRED])[0] == 200
        assert other.connections == 0
    assert ehr.keys == [REQUIRED]


@pytest.mark.parametrize("is_registered", [False, True], ids=["no clients file", "no FHIR server"])
def test_FHIR_07_without_a_registered_server_nothing_is_fetched(asked: Asked, ehr: Ehr, is_registered: bool) -> None:
    asked.is_registered = is_registered
    asked.registered = {}
    assert refused_keys(asked(without=[REQUIRED])) == [REQUIRED]
    assert ehr.heard == []


@pytest.mark.parametrize("script", [waits(), drips], ids=["never answers", "drips"])
@pytest.mark.parametrize("key", [REQUIRED, OPTIONAL])
def test_PERF_02_FHIR_10_a_slow_server_costs_no_more_than_the_deadline(
    asked: Asked, ehr: Ehr, key: str, script: Script
) -> None:
    asked.settings["FHIR_SECONDS"] = "1"
    ehr.scripts[key] = script
    asked()
    start = time.monotonic()
    answered = asked(without=[key, "lipids"])
    assert 1 <= time.monotonic() - start < 2.5
    if key == REQUIRED:
        assert refused_keys(answered) == [key]
    else:
        assert not_supplied(answered) == [key]


def test_PERF_02_every_key_slow_costs_the_same(asked: Asked, ehr: Ehr) -> None:
    asked.settings["FHIR_SECONDS"] = "1"
    ehr.scripts["/fhir/"] = drips
    asked()
    start = time.monotonic()
    required = {"conditions", "electrolytes", "glucose_kidney", "medication_requests", "patient"}
    assert set(refused_keys(asked({}))) == required
    assert time.monotonic() - start < 2.5
    assert 0 < len(ehr.heard) <= AT_ONCE


def test_PERF_02_PRE_07_what_came_before_the_deadline_is_used(asked: Asked, ehr: Ehr) -> None:
    asked.settings["FHIR_SECONDS"] = "1"
    ehr.scripts[REQUIRED] = sends(a_page(ehr.data[REQUIRED], 0, 1000, "more?page=2"))
    ehr.scripts["page=2"] = waits()
    answered = asked(without=[REQUIRED])
    assert not_supplied(answered) == [REQUIRED]
    assert "otassium" in json.dumps(cards(answered))


def test_FHIR_09_no_call_begins_or_goes_on_after_the_answer(asked: Asked, ehr: Ehr) -> None:
    gone = threading.Event()
    asked.settings["FHIR_SECONDS"] = "1"
    ehr.scripts["/fhir/"] = waits(gone)
    assert asked({})[0] == 412
    answered_at = time.monotonic()
    assert gone.wait(5)
    open_at_once = len(ehr.heard)
    time.sleep(0.5)
    assert len(ehr.heard) == open_at_once <= AT_ONCE
    assert all(one.at < answered_at for one in ehr.heard)


def test_FHIR_05_ERR_03_the_token_and_the_patient_stand_in_no_log_error_or_text(
    asked: Asked, ehr: Ehr, knowledge: Knowledge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bodies = [asked({})[1]]
    for script in FAILURES.values():
        ehr.scripts[REQUIRED] = script
        bodies.append(asked(without=[REQUIRED])[1])
    ehr.scripts[REQUIRED] = sends(a_page(ehr.data[REQUIRED], 0, 1, "http://127.0.0.1:1/"))
    bodies.append(asked(without=[REQUIRED])[1])
    bodies.append(asked(without=[REQUIRED], fhirServer="http://127.0.0.1:1/fhir")[1])
    assert TOKEN not in caplog.text + json.dumps(bodies)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("cds_service")]
    assert [text for text in ours if REQUIRED in text]
    assert not [text for text in ours if PATIENT in text or "127.0.0.1" in text or "loinc" in text]
    service = knowledge.service(SERVICE)
    assert service is not None
    request = ehr.case | {"fhirServer": ehr.url, "fhirAuthorization": GRANTED}
    assert TOKEN not in repr(read_request(json.dumps(request).encode(), service))


@pytest.mark.parametrize("token", ["a\r\nX-Injected: 1", "a\nb", "\u20ac", "a\x00b"])
def test_FHIR_05_a_token_that_no_header_can_carry_is_not_sent(asked: Asked, ehr: Ehr, token: str) -> None:
    assert asked(without=[REQUIRED], fhirAuthorization=GRANTED | {"access_token": token})[0] in (400, 412)
    assert not [one for one in ehr.heard if "X-Injected" in one.headers]
