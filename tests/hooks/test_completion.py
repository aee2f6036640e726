"""What prefetch left out is fetched from the client's FHIR server, whose part real servers on loopback play."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from loopback import listening

from cds_service.demo import FIXTURES_NOW
from cds_service.folders import data_folder
from cds_service.hooks.call import answer
from cds_service.hooks.clients import LOCAL, Client, Profile
from cds_service.hooks.completion import AT_ONCE, Completion
from cds_service.hooks.errors import Refused, operation_outcome
from cds_service.hooks.request import read_request
from cds_service.knowledge.knowledge import Knowledge

SERVICE = "leg-weakness-patient-view"
CASE = "several-causes-at-once"
PATIENT = "sp-04"
TOKEN = "secret-token-3f9d"  # noqa: S105
NOW = int(FIXTURES_NOW.timestamp() * 1000)
REQUIRED, OPTIONAL = "electrolytes", "vital_signs"
NOT_SUPPLIED = "not-supplied"

Script = Callable[[BaseHTTPRequestHandler], None]
"""How a FHIR server answers one call."""


class Heard(NamedTuple):
    """A call that a FHIR server got: for which key (None: none of ours), what, with which headers, and when."""

    key: str | None
    target: str
    headers: Mapping[str, str]
    at: float


class Ehr:
    """A FHIR server that has the data of a case, by its prefetch keys; `scripts` say what it does otherwise, by key or
    by a part of the target.
    """

    def __init__(self, knowledge: Knowledge, case: str, origin: str) -> None:
        self.origin = origin
        self.url = f"{origin}/fhir"
        self.case: dict[str, Any] = json.loads(
            (data_folder("fixtures") / "requests" / f"{case}.json")
            .read_text()
            .replace("https://ehr.example.org/fhir", self.url)
        )
        self.data: dict[str, Any] = json.loads(json.dumps(self.case["prefetch"]))
        self.scripts: dict[str, Script] = {}
        self.heard: list[Heard] = []
        service = knowledge.service(f"leg-weakness-{self.case['hook']}")
        assert service is not None
        patient = self.case["context"]["patientId"]
        self._questions = {
            key: _question(f"/fhir/{template.replace('{{context.patientId}}', patient)}")
            for key, template in service.prefetch.items()
        }

    @property
    def keys(self) -> list[str | None]:
        """The keys that were asked for, in alphabetical order."""
        return sorted((one.key for one in self.heard), key=str)

    def answer(self, http: BaseHTTPRequestHandler) -> None:
        """Answer one call, and remember it."""
        path, asked = _question(http.path)
        counted = asked.pop("_count", None)
        key = next((key for key, one in self._questions.items() if one == (path, asked)), None)
        assert key is None or counted == (["200"] if asked else None)
        self.heard.append(Heard(key, http.path, dict(http.headers), time.monotonic()))
        script = next((one for part, one in self.scripts.items() if part == key or part in http.path), None)
        if script is not None:
            script(http)
        elif key is not None:
            sends(self.data[key])(http)
        else:
            sends({"resourceType": "OperationOutcome"}, status=404)(http)


def _question(target: str) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(target)
    return parts.path, parse_qs(parts.query)


def sends(body: object, *, status: int = 200, **headers: str) -> Script:
    """Answers with a body: JSON, or text as it is."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def script(http: BaseHTTPRequestHandler) -> None:
        http.send_response(status)
        for name, value in headers.items():
            http.send_header(name.replace("_", "-"), value)
        http.send_header("Content-Length", str(len(raw)))
        http.end_headers()
        http.wfile.write(raw)

    return script


def waits(gone: threading.Event | None = None) -> Script:
    """Answers nothing until the caller hangs up, and notes that in `gone`."""

    def script(http: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            http.connection.recv(1)
        http.close_connection = True
        if gone is not None:
            gone.set()

    return script


def drips(http: BaseHTTPRequestHandler) -> None:
    """Sends one byte of an endless body at a time until the caller hangs up."""
    http.send_response(200)
    http.send_header("Content-Length", "1000000")
    http.end_headers()
    http.close_connection = True
    with suppress(OSError):
        while True:
            http.wfile.write(b" ")
            time.sleep(0.02)


@contextmanager
def serving(knowledge: Knowledge, case: str = CASE) -> Iterator[Ehr]:
    """A FHIR server on a free port, with the data of a case."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ehr.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        ehr = Ehr(knowledge, case, f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield ehr
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ehr(knowledge: Knowledge) -> Iterator[Ehr]:
    """A FHIR server that has all data of the case."""
    with serving(knowledge) as running:
        yield running


GRANTED = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": "any", "subject": "cds"}


class Asked:
    """Asks the service as one registered client, about the patient of a FHIR server's case."""

    def __init__(self, knowledge: Knowledge, ehr: Ehr) -> None:
        self.client = Client(name="ehr", fhir_servers=(ehr.url,))
        self.seconds = 5.0
        self.longest = 10_000_000
        self._knowledge = knowledge
        self._ehr = ehr

    def sent(self, **changed: Any) -> dict[str, Any]:
        """The full prefetch of the case, with some keys changed."""
        return {**self._ehr.case["prefetch"], **changed}

    def __call__(
        self, prefetch: Mapping[str, Any] | None = None, *, without: Collection[str] = (), **members: Any
    ) -> tuple[int, dict[str, Any]]:
        """The status and the body of the answer to the case with another prefetch, or its own `without` some keys.
        `members` of the request are set, those that are None left out.
        """
        if prefetch is None:
            prefetch = {key: value for key, value in self.sent().items() if key not in without}
        connection = {"fhirServer": self._ehr.url, "fhirAuthorization": GRANTED}
        request = {**self._ehr.case, **connection, "prefetch": prefetch, **members}
        body = json.dumps({name: value for name, value in request.items() if value is not None}).encode()
        complete = Completion(self.seconds, self.longest).for_client(self.client)
        service_id = f"leg-weakness-{request['hook']}"
        try:
            found = answer(self._knowledge, service_id, body, NOW, client=self.client, complete=complete)
        except Refused as error:
            return error.status, json.loads(operation_outcome(error, "correlation"))
        return 200, json.loads(found.body)


@pytest.fixture
def asked(knowledge: Knowledge, ehr: Ehr) -> Asked:
    return Asked(knowledge, ehr)


def cards(answered: tuple[int, dict[str, Any]]) -> list[Any]:
    """The cards of an answer, without what is new in each."""
    status, body = answered
    assert status == 200, body
    return [_without_uuids(card) for card in body["cards"]]


def words(answered: tuple[int, dict[str, Any]]) -> list[tuple[str, str, str]]:
    """What the cards of an answer say, without the resources that they suggest."""
    return [(card["indicator"], card["summary"], card.get("detail", "")) for card in cards(answered)]


def _without_uuids(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_uuids(value) for name, value in part.items() if name != "uuid"}
    return [_without_uuids(one) for one in part] if isinstance(part, list) else part


def not_supplied(answered: tuple[int, dict[str, Any]]) -> list[str]:
    """The keys that an answer says it was judged without, or with a part of."""
    assert answered[0] == 200, answered[1]
    extension = answered[1].get("extension", {})
    return next((value for name, value in extension.items() if name.endswith(NOT_SUPPLIED)), [])


def refused_keys(answered: tuple[int, dict[str, Any]]) -> list[str]:
    assert answered[0] == 412, answered[1]
    return [issue["expression"][0].removeprefix("prefetch.") for issue in answered[1]["issue"]]


def a_page(of: Mapping[str, Any], start: int, end: int, link: str | None) -> dict[str, Any]:
    """A page of a search result, with a link to the next one."""
    links = [{"relation": "self", "url": "x"}, *([{"relation": "next", "url": link}] if link else [])]
    return {**of, "entry": of["entry"][start:end], "link": links}


KEYS = sorted(json.loads((data_folder("fixtures") / "requests" / f"{CASE}.json").read_bytes())["prefetch"])


# What is fetched


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
    asked.client = msgspec.structs.replace(asked.client, open_fhir_server=True)
    assert cards(asked(without=[REQUIRED], fhirAuthorization=None)) == cards(asked())
    assert [("Authorization" in one.headers) for one in ehr.heard] == [False]


# Pages


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
    page = json.dumps(a_page(ehr.data[REQUIRED], 0, 1, None)).encode()
    asked.longest = 3 * len(page) + 500

    def script(http: BaseHTTPRequestHandler) -> None:
        sends(a_page(ehr.data[REQUIRED], 0, 1, f"more?page={len(ehr.heard)}"))(http)

    ehr.scripts |= {REQUIRED: script, "page=": script}
    assert not_supplied(asked(without=[REQUIRED])) == [REQUIRED]
    assert len(ehr.heard) == 4


def test_FHIR_10_PRE_07_a_page_that_fails_leaves_the_others_as_a_part(asked: Asked, ehr: Ehr) -> None:
    ehr.scripts[REQUIRED] = sends(a_page(ehr.data[REQUIRED], 0, 1, "more?page=2"))
    ehr.scripts["page=2"] = sends({}, status=410)
    assert not_supplied(asked(without=[REQUIRED])) == [REQUIRED]


# What a FHIR server may do


OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
FAILURES: dict[str, Script] = {
    "401": sends(OUTCOME, status=401),
    "403": sends(OUTCOME, status=403),
    "404": sends(OUTCOME, status=404),
    "410": sends(OUTCOME, status=410),
    "429": sends(b"slow down", status=429),
    "500": sends(b"<html>stack trace</html>", status=500),
    "503": sends(OUTCOME, status=503, Retry_After="120"),
    "nothing": sends(b"", status=204),
    "a body of no length": sends(b""),
    "null": sends(None),
    "html": sends(b"<html></html>", Content_Type="text/html"),
    "json of another kind": sends([1, 2]),
    "deep json": sends(b"[" * 100_000),
    "a part of json": sends(b'{"resourceType":"Bundle","entry":['),
    "not utf-8": sends(b'{"resourceType":"\xff"}'),
    "another type": sends({"resourceType": "Practitioner", "id": "p"}),
    "an outcome": sends(OUTCOME),
    "a bundle of an outcome": sends(
        {"resourceType": "Bundle", "entry": [{"resource": OUTCOME, "search": {"mode": "outcome"}}]}
    ),
    "a redirect": sends(b"", status=302, Location="/fhir/elsewhere"),
    "a broken connection": lambda http: http.connection.shutdown(socket.SHUT_RDWR),
    "a compressed lie": sends(b"not gzip", Content_Encoding="gzip"),
}


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


# Which servers are asked


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
        asked.client = msgspec.structs.replace(asked.client, fhir_servers=(f"{other.origin}/fhir", ehr.url))
        assert asked(without=[REQUIRED])[0] == 200
        assert other.connections == 0
    assert ehr.keys == [REQUIRED]


@pytest.mark.parametrize("client", [LOCAL, Client(name="ehr")], ids=["no clients file", "no FHIR server"])
def test_FHIR_07_without_a_registered_server_nothing_is_fetched(asked: Asked, ehr: Ehr, client: Client) -> None:
    asked.client = client
    assert refused_keys(asked(without=[REQUIRED])) == [REQUIRED]
    assert ehr.heard == []


# The deadline


@pytest.mark.parametrize("script", [waits(), drips], ids=["never answers", "drips"])
@pytest.mark.parametrize("key", [REQUIRED, OPTIONAL])
def test_PERF_02_FHIR_10_a_slow_server_costs_no_more_than_the_deadline(
    asked: Asked, ehr: Ehr, key: str, script: Script
) -> None:
    asked.seconds = 0.4
    ehr.scripts[key] = script
    start = time.monotonic()
    answered = asked(without=[key, "lipids"])
    assert 0.4 <= time.monotonic() - start < 2
    if key == REQUIRED:
        assert refused_keys(answered) == [key]
    else:
        assert not_supplied(answered) == [key]


def test_PERF_02_every_key_slow_costs_the_same(asked: Asked, ehr: Ehr) -> None:
    asked.seconds = 0.4
    ehr.scripts["/fhir/"] = drips
    start = time.monotonic()
    required = {"conditions", "electrolytes", "glucose_kidney", "medication_requests", "patient"}
    assert set(refused_keys(asked({}))) == required
    assert time.monotonic() - start < 2
    assert 0 < len(ehr.heard) <= AT_ONCE


def test_PERF_02_PRE_07_what_came_before_the_deadline_is_used(asked: Asked, ehr: Ehr) -> None:
    asked.seconds = 0.4
    ehr.scripts[REQUIRED] = sends(a_page(ehr.data[REQUIRED], 0, 1000, "more?page=2"))
    ehr.scripts["page=2"] = waits()
    answered = asked(without=[REQUIRED])
    assert not_supplied(answered) == [REQUIRED]
    assert "otassium" in json.dumps(cards(answered))


def test_FHIR_09_no_call_begins_or_goes_on_after_the_answer(asked: Asked, ehr: Ehr) -> None:
    gone = threading.Event()
    asked.seconds = 0.3
    ehr.scripts["/fhir/"] = waits(gone)
    asked({})
    answered_at = time.monotonic()
    assert gone.wait(5)
    open_at_once = len(ehr.heard)
    time.sleep(0.5)
    assert len(ehr.heard) == open_at_once <= AT_ONCE
    assert all(one.at < answered_at for one in ehr.heard)


# Nothing leaks


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


# Medications


MEDICATION_CASE = "statin-muscle-ck-ten-times"


def pointing(prefetch: Mapping[str, Any], reference: str, **changed: Any) -> dict[str, Any]:
    """The orders of a prefetch, whose drug is a reference to a Medication."""
    orders = json.loads(json.dumps(prefetch["medication_requests"]))
    for entry in orders["entry"]:
        del entry["resource"]["medicationCodeableConcept"]
        entry["resource"] |= {"medicationReference": {"reference": reference}, **changed}
    return {**prefetch, "medication_requests": orders}


def a_medication(prefetch: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The Medication that an order of a prefetch names by its code."""
    order = prefetch["medication_requests"]["entry"][0]["resource"]
    return {"resourceType": "Medication", "id": name, "code": order["medicationCodeableConcept"]}


@pytest.fixture
def pharmacy(knowledge: Knowledge) -> Iterator[Ehr]:
    """A FHIR server with a patient on simvastatin, which it has as a Medication."""
    with serving(knowledge, MEDICATION_CASE) as running:
        medication = a_medication(running.case["prefetch"], "m1")
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": medication}]}
        running.scripts["Medication?"] = sends(bundle)
        yield running


def ids_asked(ehr: Ehr) -> list[list[str]]:
    """The ids of each search for Medications."""
    found = [_question(one.target) for one in ehr.heard]
    return [asked["_id"][0].split(",") for path, asked in found if path == "/fhir/Medication"]


@pytest.mark.parametrize("reference", ["Medication/m1", "{url}/Medication/m1", "Medication/m1/_history/7"])
def test_PRE_11_FHIR_01_a_medication_that_nobody_sent_is_fetched(
    knowledge: Knowledge, pharmacy: Ehr, reference: str
) -> None:
    asked = Asked(knowledge, pharmacy)
    full = words(asked())
    answered = asked(pointing(asked.sent(), reference.format(url=pharmacy.url)))
    assert words(answered) == full
    assert "statin" in json.dumps(full)
    assert ids_asked(pharmacy) == [["m1"]]
    assert [one.key for one in pharmacy.heard] == [None]


def test_PRE_01_PRE_11_orders_and_their_medications_are_both_fetched(knowledge: Knowledge, pharmacy: Ehr) -> None:
    asked = Asked(knowledge, pharmacy)
    pharmacy.data |= pointing(asked.sent(), "Medication/m1")
    assert words(asked({})) == words(asked())
    assert ids_asked(pharmacy) == [["m1"]]
    assert set(pharmacy.keys) == {*asked.sent(), None}


@pytest.mark.parametrize("script", [waits(), FAILURES["403"], FAILURES["an outcome"], FAILURES["html"]])
def test_FHIR_10_a_medication_that_cannot_be_fetched_is_a_doubt(
    knowledge: Knowledge, pharmacy: Ehr, script: Script
) -> None:
    asked = Asked(knowledge, pharmacy)
    asked.seconds = 0.4
    pharmacy.scripts["Medication?"] = script
    pointed = pointing(asked.sent(), "Medication/m1")
    answered = asked(pointed)
    assert words(answered) == words(asked(pointed, fhirAuthorization=None)) != words(asked())
    assert ids_asked(pharmacy) == [["m1"]]


@pytest.mark.parametrize(
    ("reference", "changed"),
    [
        ("https://elsewhere.example.org/fhir/Medication/m1", {}),
        ("Medication/m1", {"status": "entered-in-error"}),
        ("Medication/m1", {"status": "cancelled"}),
        ("Medication/m1", {"doNotPerform": True}),
        ("#m1", {"contained": [{"resourceType": "Medication", "id": "m1"}]}),
        ("urn:uuid:7c1f0f0e-4b0e-4c58-9d6b-0c2a6d1b9a11", {}),
        ("Medication?code=1", {}),
        ("Substance/m1", {}),
        ("Medication/../Patient", {}),
    ],
)
def test_FHIR_06_medications_that_are_elsewhere_or_decide_nothing_are_not_asked(
    knowledge: Knowledge, pharmacy: Ehr, reference: str, changed: dict[str, Any]
) -> None:
    asked = Asked(knowledge, pharmacy)
    assert asked(pointing(asked.sent(), reference, **changed))[0] == 200
    assert pharmacy.heard == []


def test_PRE_11_a_medication_that_was_sent_is_not_asked(knowledge: Knowledge, pharmacy: Ehr) -> None:
    asked = Asked(knowledge, pharmacy)
    sent = pointing(asked.sent(), "Medication/m1")
    sent["medication_requests"]["entry"].append({"resource": a_medication(asked.sent(), "m1")})
    assert words(asked(sent)) == words(asked())
    assert pharmacy.heard == []


def test_FHIR_01_many_medications_are_asked_in_pieces_those_in_use_first(knowledge: Knowledge, pharmacy: Ehr) -> None:
    asked = Asked(knowledge, pharmacy)
    sent = pointing(asked.sent(), "Medication/m1")
    order = sent["medication_requests"]["entry"][0]["resource"]
    names = [f"old-{n}" for n in range(99)]
    old = [
        {**order, "id": name, "status": "stopped", "medicationReference": {"reference": f"Medication/{name}"}}
        for name in names
    ]
    sent["medication_requests"]["entry"] = [{"resource": one} for one in [*old, order]]
    assert asked(sent)[0] == 200
    pieces = ids_asked(pharmacy)
    assert sorted(map(len, pieces)) == [20, 40, 40]
    assert "m1" in [ids[0] for ids in pieces]
    assert sorted(name for ids in pieces for name in ids) == sorted(["m1", *names])


@pytest.mark.parametrize("profile", ["2.0.1", "3.0"])
@pytest.mark.parametrize("fetched", [True, False], ids=["fetched", "not fetched"])
def test_PRE_01_FHIR_08_the_medications_of_drafts_are_fetched(
    knowledge: Knowledge, profile: Profile, fetched: bool
) -> None:
    with serving(knowledge, "order-sign-furosemide-with-digoxin") as ehr:
        asked = Asked(knowledge, ehr)
        asked.client = msgspec.structs.replace(asked.client, profile=profile)
        expected = words(asked(fhirAuthorization=None))
        context = json.loads(json.dumps(ehr.case["context"]))
        draft = context["draftOrders"]["entry"][0]["resource"]
        medication = {"resourceType": "Medication", "id": "m1", "code": draft.pop("medicationCodeableConcept")}
        draft["medicationReference"] = {"reference": "Medication/m1"}
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": medication}]}
        ehr.scripts["Medication?"] = sends(bundle) if fetched else FAILURES["403"]
        answered = asked(context=context)
        assert ids_asked(ehr) == [["m1"]]
        assert (words(answered) == expected) == fetched
        assert not_supplied(answered) == (["draft_medications"] if profile == "3.0" and not fetched else [])


def test_PRE_01_without_references_in_drafts_there_is_nothing_to_fetch_for_them(knowledge: Knowledge) -> None:
    with serving(knowledge, "order-sign-furosemide-with-digoxin") as ehr:
        asked = Asked(knowledge, ehr)
        asked.client = msgspec.structs.replace(asked.client, profile="3.0")
        assert not_supplied(asked()) == []
        assert ehr.heard == []
