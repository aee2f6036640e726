"""Calls as clients make them: the whole application, every answer checked against the specification."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from exchanges import NAMED, PATIENT, REQUESTS, SEVERAL, URL, answered, parts, refused, url_of
from flask import Flask
from flask.testing import FlaskClient
from small import a_bundle, with_changes
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.demo import FIXTURES_NOW
from cds_service.knowledge.knowledge import Knowledge

TEXT = json.dumps(SEVERAL).encode()


@pytest.fixture(scope="module")
def shared(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client for all examples of a property."""
    database = tmp_path_factory.mktemp("calls") / "feedback.sqlite3"
    config = read_config({"CDS_SERVICE_DATABASE": f"sqlite:///{database}"})
    return create_app(config, knowledge, lambda: int(FIXTURES_NOW.timestamp() * 1000)).test_client()


@pytest.fixture(scope="module", params=NAMED)
def exchange(request: pytest.FixtureRequest, shared: FlaskClient) -> tuple[dict[str, Any], TestResponse]:
    """Each fixture request and its answer."""
    sent = json.loads((REQUESTS / f"{request.param}.json").read_bytes())
    return sent, shared.post(URL if request.param == "wrong-hook" else url_of(sent), json=sent)


def test_JSON_01_JSON_02_RESP_01_PERF_04_HTTP_200_ERR_02_every_fixture_gets_cards_or_a_reason(
    exchange: tuple[dict[str, Any], TestResponse],
) -> None:
    _, answer = exchange
    if answer.status_code == 200:
        answered(answer)
    else:
        refused(answer, answer.status_code)
    assert answer.status_code in (200, 400, 412)


def test_JSON_03_JSON_04_JSON_05_no_answer_holds_null_or_empty(exchange: tuple[dict[str, Any], TestResponse]) -> None:
    for path, value in parts(exchange[1].get_json()):
        assert value is not None, path
        assert path == ".cards" or value not in ("", [], {}), path


def test_RESP_02_HTTP_200_nothing_to_say_is_an_empty_array(client: FlaskClient) -> None:
    sent = json.loads((REQUESTS / "healthy-adult.json").read_bytes())
    assert answered(client.post(URL, json=sent))["cards"] == []


def test_RESP_03_RESP_04_SYS_01_SYS_02_SYS_03_system_actions_are_never_sent(
    exchange: tuple[dict[str, Any], TestResponse],
) -> None:
    assert "systemActions" not in exchange[1].get_data(as_text=True)


def test_REQ_01_REQ_05_the_same_call_twice_gives_the_same_cards(client: FlaskClient) -> None:
    first, second = (answered(client.post(URL, json=SEVERAL))["cards"] for _ in range(2))
    assert [card["summary"] for card in first] == [card["summary"] for card in second]
    assert {card["uuid"] for card in first}.isdisjoint(card["uuid"] for card in second)


def test_REQ_14_the_patient_may_be_named_with_its_type(client: FlaskClient) -> None:
    bare = answered(client.post(URL, json=SEVERAL))
    typed = answered(client.post(URL, json=with_changes(SEVERAL, {"context.patientId": f"Patient/{PATIENT}"})))
    assert [card["summary"] for card in typed["cards"]] == [card["summary"] for card in bare["cards"]]


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "application/fhir+json"])
def test_REQ_12_json_media_types_are_accepted(client: FlaskClient, media_type: str) -> None:
    answered(client.post(URL, data=json.dumps(SEVERAL), content_type=media_type))


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/xml", "multipart/form-data", "", "application/jsonx"]
)
def test_REQ_12_HTTP_415_other_media_types_are_refused(client: FlaskClient, media_type: str) -> None:
    for url in (URL, f"{URL}/feedback"):
        assert "application/json" in refused(client.post(url, data=b"{}", content_type=media_type), 415)


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "x"])
def test_HTTP_415_a_compressed_body_is_refused_with_what_is_expected(client: FlaskClient, encoding: str) -> None:
    for url in (URL, f"{URL}/feedback"):
        answer = client.post(url, json=SEVERAL, headers={"Content-Encoding": encoding})
        assert "identity" in refused(answer, 415)
        assert answer.headers["Accept-Encoding"] == "identity"
    answered(client.post(URL, json=SEVERAL, headers={"Content-Encoding": "Identity"}))


@pytest.mark.parametrize(
    "url", ["/cds-services/none", "/cds-services/none/feedback", "/cds-services/Leg-Weakness-patient-view"]
)
def test_REQ_12_HTTP_404_an_unknown_service_is_not_found(client: FlaskClient, url: str) -> None:
    assert "No service has this id" in refused(client.post(url, json=SEVERAL), 404)


def test_HTTP_404_an_unknown_address_is_not_found(client: FlaskClient) -> None:
    assert "/cds-services" in refused(client.get("/"), 404)
    refused(client.get("/cds-services/a/b/c"), 404)


@pytest.mark.parametrize(
    ("method", "url", "allow"),
    [
        ("POST", "/cds-services", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/cds-services", {"GET", "HEAD", "OPTIONS"}),
        ("GET", URL, {"POST", "OPTIONS"}),
        ("PUT", URL, {"POST", "OPTIONS"}),
        ("GET", f"{URL}/feedback", {"POST", "OPTIONS"}),
        ("PATCH", f"{URL}/feedback", {"POST", "OPTIONS"}),
        ("POST", "/health/live", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_REQ_12_DISC_19_HTTP_405_another_method_is_refused_with_allow(
    client: FlaskClient, method: str, url: str, allow: set[str]
) -> None:
    answer = client.open(url, method=method)
    refused(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == allow


def test_DISC_19_options_is_answered_everywhere_and_a_trailing_slash_accepted(client: FlaskClient) -> None:
    for url in (URL, f"{URL}/feedback"):
        assert client.options(url).status_code == 200
    answered(client.post(f"{URL}/", json=SEVERAL))
    assert client.post(f"{URL}/feedback/", json={"feedback": []}).status_code == 200


BAD_BODIES = {
    "no body": b"",
    "not JSON": b"cards, please",
    "not UTF-8": b'{"hook": "\xff"}',
    "UTF-16": json.dumps({"hook": "patient-view"}).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + TEXT,
    "trailing junk": TEXT + b"}",
    "trailing comma": b'{"hook": "patient-view",}',
    "array": b"[]",
    "null": b"null",
    "deep nesting": b'{"context":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep nesting in a resource": TEXT.replace(b'"entry":', b'"x":' + b"[" * 5000 + b"]" * 5000 + b',"entry":', 1),
    "NaN": b'{"hook": "patient-view", "own": NaN}',
    "NaN in a resource": re.sub(rb'"value": [0-9.]+', b'"value": NaN', TEXT, count=1),
    "Infinity": b'{"hook": "patient-view", "own": -Infinity}',
    "huge number": TEXT[:-1] + b', "own": 1e999}',
    "huge integer": TEXT[:-1] + b', "own": ' + b"9" * 10_000 + b"}",
    "key twice": TEXT[:-1] + b', "hook": "patient-view"}',
    "prefetch key twice": TEXT.replace(b'"prefetch": {', b'"prefetch": {"patient": null, ', 1),
    "extension key twice": TEXT[:-1] + b', "extension": {"a": 1, "a": 1}}',
    "context key twice": TEXT.replace(b'"context": {', b'"context": {"patientId": "x", ', 1),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD_BODIES))
def test_JSON_08_HTTP_400_a_bad_body_is_refused_with_what_was_expected(client: FlaskClient, name: str) -> None:
    assert "expected" in refused(client.post(URL, data=BAD_BODIES[name], content_type="application/json"), 400)


BAD_FIELDS: dict[str, dict[str, Any]] = {
    "hook": {"hook": "order-sign"},
    "hookInstance": {"hookInstance": ...},
    "context": {"context": []},
    "context.patientId": {"context.patientId": ...},
    "context.userId": {"context.userId": 5},
    "prefetch": {"prefetch": []},
    "prefetch.patient": {"prefetch.patient": "text"},
    "prefetch.conditions": {"prefetch.conditions": {"response": {"status": "200"}, "resource": a_bundle()}},
    "fhirServer": {"fhirServer": "file:///etc/passwd"},
    "extension": {"extension": []},
}


@pytest.mark.parametrize("field", list(BAD_FIELDS))
def test_REQ_02_REQ_04_REQ_08_REQ_09_HTTP_400_a_wrong_field_is_named_with_what_was_expected(
    client: FlaskClient, field: str
) -> None:
    answer = client.post(URL, json=with_changes(SEVERAL, BAD_FIELDS[field]))
    assert f"{field}: expected" in refused(answer, 400)
    assert answer.get_json()["issue"][0]["expression"] == [field]


def test_PRE_03_PRE_10_HTTP_412_missing_required_data_is_named(client: FlaskClient, knowledge: Knowledge) -> None:
    service = knowledge.service("leg-weakness-patient-view")
    assert service is not None
    assert service.required == {"patient", "conditions", "medication_requests", "electrolytes", "glucose_kidney"}
    text = refused(client.post(URL, json=with_changes(SEVERAL, {"prefetch": ...})), 412)
    assert all(f"prefetch.{key}" in text for key in service.required)
    assert PATIENT not in text


def test_PRE_02_PRE_04_each_optional_key_may_be_absent_and_the_answer_says_so(
    client: FlaskClient, knowledge: Knowledge
) -> None:
    service = knowledge.service("leg-weakness-patient-view")
    assert service is not None
    for key in service.prefetch.keys() - service.required:
        body = answered(client.post(URL, json=with_changes(SEVERAL, {f"prefetch.{key}": ...})))
        assert key in body["extension"]["org.leg-weakness-cds.not-supplied"]


def test_PRE_06_null_is_an_answer(client: FlaskClient) -> None:
    body = answered(client.post(URL, json=with_changes(SEVERAL, {"prefetch.conditions": None})))
    assert "conditions" not in body.get("extension", {}).get("org.leg-weakness-cds.not-supplied", ())


def test_PRE_07_a_first_page_is_used_and_said_to_be_one(client: FlaskClient) -> None:
    first = {**SEVERAL["prefetch"]["electrolytes"], "link": [{"relation": "next", "url": "https://ehr.example.org/2"}]}
    body = answered(client.post(URL, json=with_changes(SEVERAL, {"prefetch.electrolytes": first})))
    assert body["cards"][0]["summary"] == answered(client.post(URL, json=SEVERAL))["cards"][0]["summary"]
    assert "electrolytes" in body["extension"]["org.leg-weakness-cds.not-supplied"]


def test_ERR_03_no_refusal_repeats_what_was_sent(client: FlaskClient) -> None:
    private = "Jane-Doe-1949"
    changes: list[dict[str, Any]] = [
        {"context.patientId": f"{private} "},
        {"context.userId": f" {private}"},
        {"hook": f"{private} {private}"},
        {"hook": private},
        {"prefetch.patient": {"resourceType": private}},
        {f"{private}": 1, "hookInstance": ...},
        {"fhirServer": f"https://{private}:{private}@x.org"},
    ]
    for change in changes:
        assert private not in refused(client.post(URL, json=with_changes(SEVERAL, change)), 400)
    assert private not in refused(client.post(f"/cds-services/{private}", json=SEVERAL), 404)


def test_ERR_03_ERR_04_HTTP_500_a_fault_of_ours_is_an_outcome_with_an_id_that_the_log_has(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("Jane Doe")

    monkeypatch.setattr("cds_service.hooks.call.evaluate", fail)
    answer = app.test_client().post(URL, json=SEVERAL)
    text = refused(answer, 500)
    assert answer.headers["X-Correlation-ID"] in caplog.text
    assert "KeyError" in caplog.text
    assert "Jane Doe" not in caplog.text + text
    assert "Traceback" not in text


def test_HTTP_500_JSON_04_an_answer_that_breaks_the_specification_is_not_sent_and_the_log_says_where(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cds_service.hooks.cards.CardWriter.summary", lambda *_: "Jane Doe " * 20)
    refused(app.test_client().post(URL, json=SEVERAL), 500)
    assert "cards[0].summary: expected at most 139 characters" in caplog.text
    assert "Jane Doe" not in caplog.text


def test_FHIR_05_SEC_04_nothing_of_the_patient_is_logged(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    authorization = {
        "access_token": "private-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "us",
    }
    sent = with_changes(SEVERAL, {"fhirServer": "https://ehr.example.org", "fhirAuthorization": authorization})
    answered(client.post(URL, json=sent))
    refused(client.post(URL, json=with_changes(sent, {"prefetch.patient": "x"})), 400)
    client.post(f"{URL}/feedback", json={"feedback": [{"card": "c", "overrideReason": {"userComment": "Jane"}}]})
    assert "private-token" not in caplog.text
    assert PATIENT not in caplog.text
    assert "Jane" not in caplog.text


def test_HTTP_413_a_body_over_the_limit_is_refused(knowledge: Knowledge, tmp_path: Path) -> None:
    environment = {"CDS_SERVICE_DATABASE": f"sqlite:///{tmp_path}/f.sqlite3", "CDS_SERVICE_MAX_BODY": "2000"}
    client = create_app(read_config(environment), knowledge).test_client()
    for url in (URL, f"{URL}/feedback"):
        assert "2000 bytes" in refused(client.post(url, data=b" " * 2001, content_type="application/json"), 413)
        refused(client.post(url, data=b" " * 2000, content_type="application/json"), 400)


def test_FB_01_FB_11_HTTP_200_feedback_is_kept_and_answered_with_200_and_no_body(client: FlaskClient) -> None:
    card = answered(client.post(URL, json=SEVERAL))["cards"][0]
    entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}
    for _ in range(2):
        answer = client.post(f"{URL}/feedback", json={"feedback": [entry]})
        assert (answer.status_code, answer.get_data()) == (200, b"")


def test_FB_12_HTTP_400_wrong_feedback_is_named_by_index(client: FlaskClient) -> None:
    good = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}
    answer = client.post(f"{URL}/feedback", json={"feedback": [good, good | {"outcome": "lost"}]})
    assert "feedback[1].outcome: expected accepted or overridden" in refused(answer, 400)


FEEDBACK = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}
WRONG_FEEDBACK: dict[str, dict[str, Any]] = {
    "feedback[0].outcome": {"outcome": "ignored"},
    "feedback[0].acceptedSuggestions": {"outcome": "accepted"},
    "feedback[0].overrideReason": {"overrideReason": {}},
    "feedback[0].card": {"card": ...},
}


@pytest.mark.parametrize("field", list(WRONG_FEEDBACK))
def test_CDS_FB_1_CDS_FB_2_CDS_FB_3_FB_03_feedback_that_breaks_an_invariant_is_refused(
    client: FlaskClient, field: str
) -> None:
    answer = client.post(f"{URL}/feedback", json={"feedback": [with_changes(FEEDBACK, WRONG_FEEDBACK[field])]})
    assert f"{field}: expected" in refused(answer, 400)


def test_PERF_04_no_answer_but_discovery_may_be_kept(client: FlaskClient) -> None:
    answers = [
        client.post(URL, json=SEVERAL),
        client.post(URL, json={}),
        client.post(f"{URL}/feedback", json={"feedback": []}),
        client.get("/health/ready"),
        client.get("/nowhere"),
    ]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store"] * len(answers)


def test_PERF_05_discovery_needs_no_database(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "feedback.sqlite3").mkdir()
    assert client.post(f"{URL}/feedback", json={"feedback": [FEEDBACK]}).status_code == 503
    assert client.get("/cds-services").status_code == 200


def test_HTTP_503_feedback_that_cannot_be_kept_is_refused_and_may_come_again(
    client: FlaskClient, tmp_path: Path
) -> None:
    (tmp_path / "feedback.sqlite3").mkdir()
    entry = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}
    answer = client.post(f"{URL}/feedback", json={"feedback": [entry]})
    refused(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    answered(client.post(URL, json=SEVERAL))


def test_ERR_02_the_outcome_of_each_refusal_differs_only_in_its_id(client: FlaskClient) -> None:
    first, second = (client.post(URL, json={}) for _ in range(2))
    assert first.get_json()["issue"] == second.get_json()["issue"]
    assert first.get_json()["id"] != second.get_json()["id"]
