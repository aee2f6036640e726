"""What prefetch left out is fetched from the client's FHIR server, page by page."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ehr import (
    GRANTED,
    KEYS,
    OPTIONAL,
    PATIENT,
    REQUIRED,
    TOKEN,
    Asked,
    Ehr,
    a_page,
    cards,
    not_supplied,
    refused_keys,
    sends,
    serving,
    words,
)
from loopback import listening

from cds_service.hooks.completion import AT_ONCE
from cds_service.knowledge.knowledge import Knowledge


@pytest.fixture
def ehr(knowledge: Knowledge) -> Iterator[Ehr]:
    """A FHIR server that has all data of the case."""
    with serving(knowledge) as running:
        yield running


@pytest.fixture
def asked(tmp_path: Path, knowledge: Knowledge, ehr: Ehr) -> Asked:
    return Asked(tmp_path, knowledge, ehr)


def test_PRE_01_FHIR_01_FHIR_08_without_any_prefetch_the_cards_are_those_of_full_prefetch(
    asked: Asked, ehr: Ehr
) -> None:
    full = asked()
    assert ehr.heard == []
    assert cards(asked({})) == cards(full) != []
    assert ehr.keys == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_PRE_01_only_the_key_that_is_missing_is_fetched(asked: Asked, ehr: Ehr, key: str) -> None:
    assert cards(asked(without=[key])) == cards(asked())
    assert ehr.keys == [key]


def test_PRE_01_PRE_06_what_is_known_to_be_empty_is_not_fetched(asked: Asked, ehr: Ehr) -> None:
    empty = {"resourceType": "Bundle", "type": "searchset", "total": 0}
    assert asked(asked.sent(procedures=None, encounters=empty))[0] == 200
    assert ehr.heard == []


def test_FHIR_06_each_call_carries_the_token_and_asks_for_fhir_json(asked: Asked, ehr: Ehr) -> None:
    assert asked({})[0] == 200
    assert {one.headers["Authorization"] for one in ehr.heard} == {f"Bearer {TOKEN}"}
    assert {one.headers["Accept"] for one in ehr.heard} == {"application/fhir+json"}


def test_FHIR_01_the_keys_are_fetched_at_the_same_time_but_not_all_of_them(asked: Asked, ehr: Ehr) -> None:
    together = threading.Barrier(AT_ONCE)
    running: list[int] = []
    lock = threading.Lock()
    now = 0

    def script(http: BaseHTTPRequestHandler) -> None:
        nonlocal now
        with lock:
            now += 1
            running.append(now)
        with suppress(threading.BrokenBarrierError):
            together.wait(5)
        with lock:
            now -= 1
        ehr.scripts.clear()
        ehr.answer(http)

    ehr.scripts["/fhir/"] = script
    asked({})
    assert max(running) == AT_ONCE


@pytest.mark.parametrize(
    "without", [{"fhirServer": None, "fhirAuthorization": None}, {"fhirAuthorization": None}], ids=["server", "token"]
)
def test_PRE_03_PRE_10_a_required_key_that_cannot_be_had_is_412(
    asked: Asked, ehr: Ehr, without: dict[str, Any]
) -> None:
    status, body = asked(without=[REQUIRED], **without)
    assert refused_keys((status, body)) == [REQUIRED]
    assert PATIENT not in json.dumps(body)
    assert ehr.heard == []


def test_PRE_04_an_optional_key_that_cannot_be_had_is_told(asked: Asked) -> None:
    assert not_supplied(asked(without=[OPTIONAL], fhirAuthorization=None)) == [OPTIONAL]


def test_PRE_05_a_query_that_failed_for_the_client_is_asked_again(asked: Asked, ehr: Ehr) -> None:
    failed = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}
    assert cards(asked(asked.sent(**{REQUIRED: failed}))) == cards(asked())
    assert ehr.keys == [REQUIRED]


def test_PRE_05_PRE_07_a_search_that_failed_in_part_is_asked_again_as_a_whole(asked: Asked, ehr: Ehr) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}
    whole = ehr.data[REQUIRED]
    part = whole | {"entry": [*whole["entry"][:1], {"resource": outcome, "search": {"mode": "outcome"}}]}
    answered = asked(asked.sent(**{REQUIRED: part}))
    assert cards(answered) == cards(asked())
    assert not_supplied(answered) == []
    assert ehr.keys == [REQUIRED]


def test_PRE_08_PRE_01_a_resource_that_is_written_in_two_ways_is_one(asked: Asked, ehr: Ehr) -> None:
    turned = [
        {**entry, "resource": dict(reversed(entry["resource"].items()))}
        for key in KEYS
        if key != "patient"
        for entry in ehr.data[key].get("entry", ())
    ]
    ehr.scripts["lipids"] = sends(json.dumps({"resourceType": "Bundle", "entry": turned}, indent=3).encode())
    assert cards(asked(without=["lipids"])) == cards(asked())


def test_PRE_08_filters_that_the_server_ignored_are_applied_here(asked: Asked, ehr: Ehr) -> None:
    strange = json.loads(json.dumps(ehr.data[REQUIRED]["entry"][0]["resource"]))
    strange |= {"id": "strange", "subject": {"reference": "Patient/another"}}
    everything = [entry for key in KEYS if key != "patient" for entry in ehr.data[key].get("entry", ())]
    ehr.data[REQUIRED] = ehr.data[REQUIRED] | {"entry": [*everything, {"resource": strange}]}
    assert cards(asked(without=[REQUIRED])) == cards(asked())


def test_PRE_11_absolute_references_to_the_server_are_this_patient(asked: Asked, ehr: Ehr) -> None:
    full = words(asked())
    for key in KEYS:
        text = json.dumps(ehr.data[key])
        ehr.data[key] = json.loads(text.replace(f'"Patient/{PATIENT}"', f'"{ehr.url}/Patient/{PATIENT}"'))
    assert words(asked({})) == full


def test_FHIR_03_for_a_token_of_another_patient_nothing_is_fetched(asked: Asked, ehr: Ehr) -> None:
    status, _ = asked(without=[REQUIRED], fhirAuthorization=GRANTED | {"patient": "another"})
    assert status == 400
    assert ehr.heard == []


@pytest.mark.parametrize("scope", ["user/Patient.read", "patient/*.rs", "Patient.Read (R4) Observation.Search (R4)"])
def test_FHIR_02_FHIR_04_scopes_are_not_judged(asked: Asked, ehr: Ehr, scope: str) -> None:
    assert cards(asked(without=[REQUIRED], fhirAuthorization=GRANTED | {"scope": scope})) == cards(asked())
    assert ehr.keys == [REQUIRED]


def test_FHIR_11_an_open_server_is_asked_without_a_token_only_when_registered_so(asked: Asked, ehr: Ehr) -> None:
    assert refused_keys(asked(without=[REQUIRED], fhirAuthorization=None)) == [REQUIRED]
    assert ehr.heard == []
    asked.registered["open_fhir_server"] = True
    assert cards(asked(without=[REQUIRED], fhirAuthorization=None)) == cards(asked())
    assert [("Authorization" in one.headers) for one in ehr.heard] == [False]


@pytest.mark.parametrize("link", ["{origin}/fhir/more?page=2", "/fhir/more?page=2", "more?page=2"])
@pytest.mark.parametrize("sent", [True, False], ids=["the client sent the first page", "nothing was sent"])
def test_PRE_07_the_next_pages_are_followed(asked: Asked, ehr: Ehr, link: str, sent: bool) -> None:
    whole = ehr.data[REQUIRED]
    first = a_page(whole, 0, 1, link.format(origin=ehr.origin))
    ehr.scripts[REQUIRED] = sends(first)
    ehr.scripts["page=2"] = sends(a_page(whole, 1, 2, "?page=3"))
    ehr.scripts["page=3"] = sends(a_page(whole, 2, 1000, None))
    answered = asked(asked.sent(**{REQUIRED: first})) if sent else asked(without=[REQUIRED])
    assert cards(answered) == cards(asked())
    assert not_supplied(answered) == []
    targets = [one.target.rpartition("/")[2] for one in ehr.heard]
    assert targets[-2:] == ["more?page=2", "more?page=3"]
    assert len(targets) == (2 if sent else 3)


def test_PRE_07_without_a_token_the_first_page_is_judged_as_a_part(asked: Asked, ehr: Ehr) -> None:
    first = a_page(ehr.data[REQUIRED], 0, 1, f"{ehr.url}/more?page=2")
    answered = asked(asked.sent(**{REQUIRED: first}), fhirAuthorization=None)
    assert not_supplied(answered) == [REQUIRED]
    assert ehr.heard == []


def test_PRE_07_a_sent_link_that_leads_elsewhere_is_not_followed_but_the_search_is_asked(
    asked: Asked, ehr: Ehr
) -> None:
    with listening() as trap:
        first = a_page(ehr.data[REQUIRED], 0, 1, f"{trap.origin}/fhir/more?page=2")
        assert cards(asked(asked.sent(**{REQUIRED: first}))) == cards(asked())
        assert trap.connections == 0
    assert ehr.keys == [REQUIRED]


@pytest.mark.parametrize(
    "link",
    [
        "http://localhost:{trap}/fhir/more",
        "http://127.0.0.1:{trap}/fhir/more",
        "//127.0.0.1:{trap}/fhir/more",
        "https://127.0.0.1:{own}/fhir/more",
        "http://127.0.0.1:{own}@127.0.0.1:{trap}/fhir/more",
        "http://user@127.0.0.1:{own}/fhir/more",
        "http://127.0.0.1:{own}.example.org/fhir/more",
        "http://[::ffff:127.0.0.1]:{trap}/",
        "http://127.1:{trap}/",
        "http://[",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
        "http://127.0.0.1:{own}/fhir/more\r\nX-Header: 1",
        "",
        None,
    ],
)
def test_FHIR_06_PRE_07_a_next_link_to_another_origin_is_refused(asked: Asked, ehr: Ehr, link: str | None) -> None:
    with listening() as trap:
        own = urlsplit(ehr.url).port
        first = a_page(ehr.data[REQUIRED], 0, 1, "x")
        first["link"] = [
            {"relation": "next"} | ({"url": link.format(trap=trap.port, own=own)} if link is not None else {})
        ]
        ehr.scripts[REQUIRED] = sends(first)
        assert not_supplied(asked(without=[REQUIRED])) == [REQUIRED]
        assert trap.connections == 0
    assert ehr.keys == [REQUIRED]


def test_PRE_07_pages_that_go_in_a_circle_are_read_once(asked: Asked, ehr: Ehr) -> None:
    ehr.scripts[REQUIRED] = sends(a_page(ehr.data[REQUIRED], 0, 1, "more?page=2"))
    ehr.scripts["page=2"] = sends(a_page(ehr.data[REQUIRED], 1, 2, "more?page=2"))
    assert not_supplied(asked(without=[REQUIRED])) == [REQUIRED]
    assert len(ehr.heard) == 2


def test_PRE_07_endless_pages_are_read_up_to_a_bound(asked: Asked, ehr: Ehr) -> None:
    def script(http: BaseHTTPRequestHandler) -> None:
        sends(a_page(ehr.data[REQUIRED], 0, 1, f"more?page={len(ehr.heard)}"))(http)

    ehr.scripts |= {REQUIRED: script, "page=": script}
    assert not_supplied(asked(without=[REQUIRED])) == [REQUIRED]
    assert len(ehr.heard) == 50


def test_PRE_07_all_pages_together_are_bounded_in_bytes(asked: Asked, ehr: Ehr) -> None:
    asked.settings["MAX_BODY"] = "350000"

    def script(http: BaseHTTPRequestHandler) -> None:
        page = a_page(ehr.data[REQUIRED], 0, 1, f"more?page={len(ehr.heard)}")
        sends(json.dumps(page).encode() + b" " * 100_000)(http)

    ehr.scripts |= {REQUIRED: script, "page=": script}
    assert not_supplied(asked(without=[REQUIRED])) == [REQUIRED]
    assert len(ehr.heard) == 4


def test_FHIR_10_PRE_07_a_page_that_fails_leaves_the_others_as_a_part(asked: Asked, ehr: Ehr) -> None:
    ehr.scripts[REQUIRED] = sends(a_page(ehr.data[REQUIRED], 0, 1, "more?page=2"))
    ehr.scripts["page=2"] = sends({}, status=410)
    assert not_supplied(asked(without=[REQUIRED])) == [REQUIRED]
