"""Requests made to do harm: nothing of them runs, is stored elsewhere, or gets into a header or a line of the log."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from exchanges import SEVERAL, URL, answered, parts, refused, replaced
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from small import with_changes

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.demo import FIXTURES_NOW, running_service
from cds_service.knowledge.knowledge import Knowledge
from cds_service.operating.logs import Line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
MARK = "Injected"
BREAKS = [
    f"x\r\n{MARK}: 1",
    f"x\n{MARK}: 1",
    f"x\r{MARK}: 1",
    f"x\x00{MARK}",
    f"x\x1b[31m{MARK}",
    f"x\x85{MARK}",
    f"x\u2028{MARK}",
    f"x%0d%0a{MARK}: 1",
    f'x", "level": "{MARK}',
    f"%s %(message)s {{0}} {{{{7*7}}}} ${{jndi:ldap://{MARK}}}",
]
"""Texts that would begin a header or a line of their own, or be filled in, where somebody forgot to look."""
HEADERS = [
    "HTTP_ORIGIN",
    "HTTP_HOST",
    "HTTP_AUTHORIZATION",
    "HTTP_USER_AGENT",
    "HTTP_REFERER",
    "HTTP_COOKIE",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_CORRELATION_ID",
    "HTTP_CONTENT_ENCODING",
    "CONTENT_TYPE",
]
SQL = [
    "'; DROP TABLE feedback; --",
    '"); DROP TABLE feedback; --',
    "' OR '1'='1",
    "1; DELETE FROM shown",
    "x' UNION SELECT comment FROM feedback --",
    "%' ESCAPE '\\",
    ":client %(client)s ?1 $1 @p {0}",
    "\\'; DROP TABLE feedback; #",
]
FEEDBACK = {
    "card": "0b9a3d5c-52f4-4f4e-8f0e-3f6a1d2c7b01",
    "outcome": "overridden",
    "outcomeTimestamp": "2026-11-20T09:24:51Z",
    "overrideReason": {"reason": {"code": "c", "system": "urn:s", "display": "d"}, "userComment": "w"},
}
ACCEPTED = {
    "card": "0b9a3d5c-52f4-4f4e-8f0e-3f6a1d2c7b01",
    "outcome": "accepted",
    "outcomeTimestamp": "2026-11-20T09:24:51Z",
    "acceptedSuggestions": [{"id": "b6f2a0de-2a55-4a36-9b6b-7f6d3c1e0a02"}],
}
OUTSIDE = [path[1:] for path, value in parts(with_changes(SEVERAL, {"prefetch": {}})) if isinstance(value, str)]
INSIDE = [path[1:] for path, value in parts(SEVERAL["prefetch"], ".prefetch") if isinstance(value, str)]
TEXTS = [value for entry in (FEEDBACK, ACCEPTED) for _, value in parts(entry) if isinstance(value, str)]
NAMES = ["__proto__", "constructor", "prototype", "__class__", "__init__", "__dict__", "toString", "$ref", "$where", ""]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of `shared`."""
    return tmp_path_factory.mktemp("hostile") / "feedback.sqlite3"


@pytest.fixture(scope="module")
def shared(knowledge: Knowledge, database: Path) -> FlaskClient:
    """A client for all examples of a property."""
    config = read_config({"CDS_SERVICE_DATABASE": f"sqlite:///{database}"})
    return create_app(config, knowledge, lambda: int(FIXTURES_NOW.timestamp() * 1000)).test_client()


def send(client: FlaskClient, entry: dict[str, Any]) -> int:
    """The status of feedback with one entry."""
    return client.post(f"{URL}/feedback", json={"feedback": [entry]}).status_code


def contents(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of a database with its rows."""
    with closing(sqlite3.connect(database)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}  # noqa: S608 (ours)


def assert_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """Calls were logged, without anything hostile, and no line of the log could be taken for two."""
    lines = [Line().format(record) for record in caplog.records]
    assert lines
    for line in lines:
        assert MARK not in line
        assert line.isascii()
        assert line.isprintable()
        assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("text", BREAKS)
@pytest.mark.parametrize("header", HEADERS)
def test_a_header_gets_into_no_header_of_the_answer_and_no_line_of_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, header: str, text: str
) -> None:
    caplog.set_level("DEBUG")
    for method, url in (("GET", "/cds-services"), ("OPTIONS", URL), ("POST", URL), ("POST", f"{URL}/feedback")):
        answer = client.open(url, method=method, json={}, environ_overrides={header: text})
        assert answer.status_code in (200, 400, 415)
        assert MARK not in str(answer.headers) + answer.get_data(as_text=True)
    assert_one_line_each(caplog)


@pytest.mark.parametrize("text", BREAKS)
def test_ERR_03_a_path_gets_into_no_header_of_the_answer_and_no_line_of_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    caplog.set_level("DEBUG")
    for path in (URL, f"/cds-services/{quote(text)}", f"/cds-services/{quote(text)}/feedback", f"/{quote(text)}"):
        for method in ("POST", "GET", "OPTIONS"):
            answer = client.open(f"{path}?{quote(text)}", method=method, json={})
            assert answer.status_code in (200, 400, 404, 405)
            assert MARK not in str(answer.headers) + answer.get_data(as_text=True)
    assert_one_line_each(caplog)


@pytest.mark.parametrize("text", BREAKS)
def test_ERR_03_a_body_gets_into_no_header_of_the_answer_and_no_line_of_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    caplog.set_level("DEBUG")
    answered(client.post(URL, json=with_changes(SEVERAL, {"hookInstance": text})))
    for path in OUTSIDE:
        answer = client.post(URL, json=replaced(SEVERAL, path.split("."), text))
        assert answer.status_code in (200, 400)
        assert MARK not in str(answer.headers) + answer.get_data(as_text=True)
    for entry in (FEEDBACK, ACCEPTED):
        for path in [path[1:] for path, value in parts(entry) if isinstance(value, str)]:
            assert send(client, replaced(entry, path.split("."), text)) in (200, 400)
    assert_one_line_each(caplog)


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with running_service() as url:
        yield url


@pytest.mark.parametrize(
    "line",
    [
        f"GET /cds-services\r{MARK}: 1 HTTP/1.1",
        f"GET /cds-services\x00{MARK} HTTP/1.1",
        f"GET /cds-services HTTP/1.1\r\nOrigin: a\r{MARK}: 1",
        f"GET /cds-services HTTP/1.1\r\nOrigin: a\x00{MARK}",
        f"GET /cds-services HTTP/1.1\r\n {MARK}: 1",
        f"GET /cds-services HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nX: {MARK}",
        f"POST {URL} HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\nX: {MARK}",
    ],
)
def test_HTTP_400_what_is_no_http_is_refused_by_the_server(served: str, line: str) -> None:
    address = urlsplit(served)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), 20) as connection:
        connection.sendall(f"{line}\r\nHost: localhost\r\n\r\n".encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")
    assert received.startswith("HTTP/1.1 400 ")
    assert f"\n{MARK}" not in received
    assert len(re.findall("^HTTP/", received, re.MULTILINE)) == 1


@pytest.fixture(scope="module")
def statuses(shared: FlaskClient) -> dict[str, int]:
    """The status of the request with harmless words in place of each of its strings, by path."""
    places = OUTSIDE + INSIDE[:: len(INSIDE) // 40]
    return {path: with_text(shared, path, "harmless words") for path in places}


def with_text(client: FlaskClient, path: str, text: str) -> int:
    """The status of the request with `text` at a path."""
    return client.post(URL, json=replaced(SEVERAL, path.split("."), text)).status_code


@pytest.mark.parametrize("text", SQL)
def test_sql_in_any_string_of_a_request_is_text(
    shared: FlaskClient, database: Path, statuses: dict[str, int], text: str
) -> None:
    assert send(shared, FEEDBACK) == 200
    answered(shared.post(URL, json=SEVERAL))
    before = contents(database)
    assert {path: with_text(shared, path, text) for path in statuses} == statuses
    after = contents(database)
    assert after.keys() == before.keys()
    assert after["feedback"] == before["feedback"]
    assert set(before.get("shown", ())) <= set(after.get("shown", ()))
    assert shared.get("/health/ready").status_code == 200


@pytest.mark.parametrize("text", SQL)
def test_FB_03_FB_07_sql_in_any_string_of_feedback_is_kept_as_text_or_refused(
    client: FlaskClient, tmp_path: Path, text: str
) -> None:
    refused_places = {"outcome", "outcomeTimestamp"}
    ignored = {"overrideReason.reason.display"}
    places = [(entry, path[1:]) for entry in (FEEDBACK, ACCEPTED) for path, value in parts(entry) if value in TEXTS]
    for second, (entry, path) in enumerate(places):
        at_a_time_of_its_own = entry | {"outcomeTimestamp": f"2026-11-20T09:24:{second:02}Z"}
        changed = replaced(at_a_time_of_its_own, path.split("."), text)
        assert send(client, changed) == (400 if path in refused_places else 200), path
    rows = contents(tmp_path / "feedback.sqlite3")["feedback"]
    kept = [path for _, path in places if path not in refused_places]
    assert len(rows) == len(kept)
    assert sum(text in row for row in rows) == len([path for path in kept if path not in ignored])


@pytest.mark.parametrize("text", SQL)
def test_sql_in_an_address_finds_nothing(client: FlaskClient, tmp_path: Path, text: str) -> None:
    assert send(client, FEEDBACK) == 200
    before = contents(tmp_path / "feedback.sqlite3")
    for path in (f"/cds-services/{quote(text, safe='')}", f"/cds-services/{quote(text, safe='')}/feedback"):
        refused(client.post(path, json={"feedback": [FEEDBACK]}), 404)
    answered(client.post(f"{URL}?{quote(text)}", json=SEVERAL))
    assert contents(tmp_path / "feedback.sqlite3")["feedback"] == before["feedback"]


@pytest.mark.parametrize("name", NAMES)
def test_JSON_09_a_member_with_a_name_that_means_something_elsewhere_is_just_unknown(
    shared: FlaskClient, name: str
) -> None:
    inner = {name: {"polluted": 1, "__proto__": {"polluted": 1}}}
    plain = answered(shared.post(URL, json=SEVERAL))
    for place in ("", "context", "prefetch", "prefetch.patient", "prefetch.electrolytes", "extension"):
        asked = json.loads(json.dumps(SEVERAL | {"extension": {}}))
        found = asked
        for step in [step for step in place.split(".") if step]:
            found = found[step]
        found.update(inner)
        cards = answered(shared.post(URL, json=asked))["cards"]
        assert [card["summary"] for card in cards] == [card["summary"] for card in plain["cards"]]
        assert "polluted" not in json.dumps(cards)
    assert send(shared, FEEDBACK | inner) == 200
    assert shared.post(f"{URL}/feedback", json={"feedback": [FEEDBACK], **inner}).status_code == 200


DEEP = {
    "arrays": b"[" * 50_000 + b"]" * 50_000,
    "objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "extensions": b'{"extension":[' * 20_000 + b"{}" + b"]}" * 20_000,
}


@pytest.mark.parametrize("deep", list(DEEP))
@pytest.mark.parametrize("place", ["own", "context", "extension", "fhirServer", "fhirAuthorization", "prefetch"])
def test_JSON_08_deep_nesting_is_refused_wherever_it_stands(shared: FlaskClient, place: str, deep: str) -> None:
    members = {name: json.dumps(value).encode() for name, value in SEVERAL.items()} | {place: DEEP[deep]}
    body = b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in members.items()) + b"}"
    assert "expected" in refused(shared.post(URL, data=body, content_type="application/json"), 400)


@pytest.mark.parametrize("deep", list(DEEP))
def test_JSON_08_deep_nesting_in_feedback_is_refused(shared: FlaskClient, deep: str) -> None:
    for body in (b'{"feedback":%s}', b'{"feedback":[%s]}', b'{"feedback":[],"own":%s}', b"%s"):
        answer = shared.post(f"{URL}/feedback", data=body % DEEP[deep], content_type="application/json")
        assert "expected" in refused(answer, 400)


def test_JSON_08_a_text_of_a_million_characters_and_a_hundred_thousand_members_are_only_long(
    shared: FlaskClient,
) -> None:
    many = {f"k{number}": number for number in range(100_000)}
    answered(shared.post(URL, json=SEVERAL | {"own": "x" * 1_000_000, "extension": many}))
    assert shared.post(URL, json=SEVERAL | {"hookInstance": "x" * 1_000_000}).status_code == 400
    assert send(shared, FEEDBACK | {"card": "x" * 1_000_000}) == 400


@pytest.mark.parametrize("text", [rb"\ud800", rb"\udfff\ud800", rb"\u0000", rb"a\u0000b", rb"\uffff"])
def test_JSON_08_half_characters_and_nul_never_break_the_service(shared: FlaskClient, text: bytes) -> None:
    for path in OUTSIDE:
        body = json.dumps(replaced(SEVERAL, path.split("."), MARK)).encode().replace(MARK.encode(), text)
        assert shared.post(URL, data=body, content_type="application/json").status_code in (200, 400), path
    for entry in (FEEDBACK, ACCEPTED):
        for path in [path[1:] for path, value in parts(entry) if isinstance(value, str)]:
            body = json.dumps({"feedback": [replaced(entry, path.split("."), MARK)]}).encode()
            body = body.replace(MARK.encode(), text)
            answer = shared.post(f"{URL}/feedback", data=body, content_type="application/json")
            assert answer.status_code in (200, 400), path


@settings(deadline=None)
@given(body=st.binary(max_size=2000))
def test_JSON_08_random_bytes_never_break_the_service(shared: FlaskClient, body: bytes) -> None:
    for url in (URL, f"{URL}/feedback"):
        answer = shared.post(url, data=body, content_type="application/json")
        assert answer.status_code in (200, 400)


PLACES = [path[1:] for path, _ in parts(with_changes(SEVERAL, {"prefetch": {}})) if path] + [
    path[1:] for path, _ in parts(SEVERAL) if path.startswith(".prefetch.") and not re.search(r"\.\d", path)
]
RESOURCE_PLACES = [path for path, _ in parts(SEVERAL) if re.search(r"\.entry\.\d+\.resource\.", path)]


@settings(deadline=None)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_JSON_08_anything_in_any_place_of_the_envelope_never_breaks_the_service(
    shared: FlaskClient, place: str, value: Any
) -> None:
    answer = shared.post(URL, json=replaced(SEVERAL, place.split("."), value))
    assert answer.status_code in (200, 400, 412)


@settings(deadline=None, max_examples=300)
@given(place=st.sampled_from(RESOURCE_PLACES), value=JSON)
def test_JSON_08_anything_in_any_place_of_a_resource_costs_only_that_resource(
    shared: FlaskClient, place: str, value: Any
) -> None:
    answered(shared.post(URL, json=replaced(SEVERAL, place[1:].split("."), value)))
