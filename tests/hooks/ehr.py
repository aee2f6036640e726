"""FHIR servers on loopback with the data of a fixture, which do what a test tells them; and a client that has them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from flask.testing import FlaskClient
from keys import NOW, Signer, register, registered

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.folders import data_folder
from cds_service.knowledge.knowledge import Knowledge

SERVICE = "leg-weakness-patient-view"
CASE = "several-causes-at-once"
PATIENT = "sp-04"
KEYS = sorted(json.loads((data_folder("fixtures") / "requests" / f"{CASE}.json").read_bytes())["prefetch"])
TOKEN = "secret-token-3f9d"  # noqa: S105
GRANTED = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": "any", "subject": "cds"}
REQUIRED, OPTIONAL = "electrolytes", "vital_signs"

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
            key: question(f"/fhir/{template.replace('{{context.patientId}}', patient)}")
            for key, template in service.prefetch.items()
        }

    @property
    def keys(self) -> list[str | None]:
        """The keys that were asked for, in alphabetical order."""
        return sorted((one.key for one in self.heard), key=str)

    def answer(self, http: BaseHTTPRequestHandler) -> None:
        """Answer one call, and remember it."""
        path, asked = question(http.path)
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


def question(target: str) -> tuple[str, dict[str, list[str]]]:
    """The path and the parameters of a target."""
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


@contextmanager
def serving(knowledge: Knowledge, case: str = CASE) -> Iterator[Ehr]:
    """A FHIR server on a free port, with the data of a case."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            running.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        running = Ehr(knowledge, case, f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()


class Asked:
    """Asks an application as its one registered client, about the patient of a FHIR server's case. `registered` are
    members of the client's entry, `settings` those of the installation.
    """

    def __init__(self, folder: Path, knowledge: Knowledge, ehr: Ehr) -> None:
        self.registered: dict[str, Any] = {"fhir_servers": [ehr.url]}
        self.settings = {"FHIR_SECONDS": "20", "MEMORY": "off", "DATABASE": f"sqlite:///{folder / 'service.sqlite3'}"}
        self.is_registered = True
        self._folder = folder
        self._knowledge = knowledge
        self._ehr = ehr
        self._built: tuple[str, FlaskClient] | None = None

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
        sent = {name: value for name, value in request.items() if value is not None}
        path = f"/cds-services/leg-weakness-{request['hook']}"
        headers = {"Authorization": f"Bearer {Signer().token(f'http://localhost{path}')}"} if self.is_registered else {}
        answered = self._app().post(path, json=sent, headers=headers)
        return answered.status_code, json.loads(answered.data)

    def _app(self) -> FlaskClient:
        """The application with the settings and the registration as they are now."""
        key = json.dumps([self.registered, self.settings, self.is_registered])
        if self._built is None or self._built[0] != key:
            settings = {f"CDS_SERVICE_{name}": value for name, value in self.settings.items()}
            if self.is_registered:
                entry = registered(self._folder, Signer(), **self.registered)
                settings["CDS_SERVICE_CLIENTS"] = str(register(self._folder, entry))
            app = create_app(read_config(settings), self._knowledge, lambda: NOW * 1000)
            self._built = key, app.test_client()
        return self._built[1]


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
    return next((value for name, value in extension.items() if name.endswith("not-supplied")), [])


def refused_keys(answered: tuple[int, dict[str, Any]]) -> list[str]:
    assert answered[0] == 412, answered[1]
    return [issue["expression"][0].removeprefix("prefetch.") for issue in answered[1]["issue"]]


def a_page(of: Mapping[str, Any], start: int, end: int, link: str | None) -> dict[str, Any]:
    """A page of a search result, with a link to the next one."""
    links = [{"relation": "self", "url": "x"}, *([{"relation": "next", "url": link}] if link else [])]
    return {**of, "entry": of["entry"][start:end], "link": links}
