"""FHIR servers that say nothing: neither other clients nor the next calls of the same client wait for them long."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ehr import (
    CASE,
    GRANTED,
    OPTIONAL,
    REQUIRED,
    SERVICE,
    Asked,
    Ehr,
    cards,
    drips,
    not_supplied,
    refused_keys,
    sends,
    serving,
    waits,
)
from keys import Signer, register, registered
from loopback import listening

from cds_service.demo import local_session, running_service
from cds_service.folders import data_folder
from cds_service.hooks import gate
from cds_service.hooks.gate import FAILURES, WAITING
from cds_service.knowledge.knowledge import Knowledge

CALLS = 60
REST = 1.5


@pytest.fixture
def ehr(knowledge: Knowledge) -> Iterator[Ehr]:
    """A FHIR server that has all data of the case."""
    with serving(knowledge) as running:
        yield running


@pytest.fixture
def asked(tmp_path: Path, knowledge: Knowledge, ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setattr(gate, "REST_SECONDS", REST)
    asked = Asked(tmp_path, knowledge, ehr)
    asked.settings["FHIR_SECONDS"] = "0.5"
    return asked


def test_FHIR_10_PERF_02_other_clients_do_not_wait_for_a_server_that_hangs(tmp_path: Path) -> None:
    hanging, other = Signer(issuer="https://hanging.example.org/"), Signer(issuer="https://other.example.org/")
    case = json.loads((data_folder("fixtures") / "requests" / f"{CASE}.json").read_bytes())
    with listening() as silent:
        slow = registered(tmp_path, hanging, name="slow", fhir_servers=[f"{silent.origin}/fhir"])
        file = register(tmp_path, slow, registered(tmp_path, other, name="other"))
        case |= {"fhirServer": f"{silent.origin}/fhir", "fhirAuthorization": GRANTED}
        del case["prefetch"][REQUIRED]
        with running_service(CLIENTS=str(file), FHIR_SECONDS="3", MEMORY="off") as url:

            def call(signer: Signer, path: str, body: object = None) -> tuple[int, float]:
                headers = {"Authorization": f"Bearer {signer.token(url + path, now=int(time.time()))}"}
                with local_session() as session:
                    started = time.monotonic()
                    method = "GET" if body is None else "POST"
                    told = session.request(method, url + path, json=body, headers=headers, timeout=60)
                    return told.status_code, time.monotonic() - started

            service = f"/cds-services/{SERVICE}"
            with ThreadPoolExecutor(CALLS) as pool:
                running = [pool.submit(call, hanging, service, case) for _ in range(CALLS)]
                deadline = time.monotonic() + 30
                while silent.connections < WAITING and time.monotonic() < deadline:
                    time.sleep(0.01)
                status, seconds = call(other, "/cds-services")
                assert not all(one.done() for one in running)
                told = [one.result() for one in running]
        assert (status, {status for status, _ in told}) == (200, {412})
        assert seconds < 2.5
        waited = [seconds for _, seconds in told if seconds > 2.9]
        assert WAITING <= len(waited) == silent.connections < WAITING + FAILURES


def test_FHIR_10_a_server_that_said_nothing_is_left_alone_and_tried_again(
    asked: Asked, ehr: Ehr, caplog: pytest.LogCaptureFixture
) -> None:
    ehr.scripts["/fhir/"] = waits()
    for _ in range(FAILURES + 2):
        answered = asked(without=[REQUIRED])
        assert refused_keys(answered) == [REQUIRED]
        assert "it could not be fetched" in json.dumps(answered[1])
    assert not_supplied(asked(without=[OPTIONAL])) == [OPTIONAL]
    assert len(ehr.heard) == FAILURES
    told = [record.getMessage() for record in caplog.records if "nothing is fetched" in record.getMessage()]
    assert told == [f"{SERVICE} for main-ehr: nothing is fetched now: no answer lately"] * 3
    time.sleep(REST)
    for _ in range(3):
        assert refused_keys(asked(without=[REQUIRED])) == [REQUIRED]
    assert len(ehr.heard) == FAILURES + 1
    ehr.scripts.clear()
    time.sleep(REST)
    for _ in range(FAILURES):
        assert cards(asked(without=[REQUIRED])) == cards(asked())
    assert len(ehr.heard) == 2 * FAILURES + 1


def test_FHIR_10_a_server_that_drips_is_left_alone_too(asked: Asked, ehr: Ehr) -> None:
    ehr.scripts["/fhir/"] = drips
    for _ in range(FAILURES + 2):
        assert refused_keys(asked(without=[REQUIRED])) == [REQUIRED]
    assert len(ehr.heard) == FAILURES


def test_FHIR_10_a_server_that_answers_anything_goes_on_being_asked(asked: Asked, ehr: Ehr) -> None:
    ehr.scripts[REQUIRED] = waits()
    for _ in range(FAILURES + 1):
        assert refused_keys(asked(without=[REQUIRED, OPTIONAL])) == [REQUIRED]
    ehr.scripts[REQUIRED] = sends(b"", status=503)
    for _ in range(FAILURES + 1):
        assert refused_keys(asked(without=[REQUIRED])) == [REQUIRED]
    assert len(ehr.heard) == 3 * (FAILURES + 1)


def test_FHIR_10_each_server_of_a_client_is_judged_by_itself(asked: Asked, ehr: Ehr) -> None:
    with listening() as silent:
        other = f"{silent.origin}/fhir"
        asked.registered["fhir_servers"] = [other, ehr.url]
        for _ in range(FAILURES + 1):
            assert refused_keys(asked(without=[REQUIRED], fhirServer=other)) == [REQUIRED]
        assert silent.connections == FAILURES
        assert cards(asked(without=[REQUIRED])) == cards(asked())
