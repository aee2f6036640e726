"""Calls from browsers: which origins may make them, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.config import Config
from cds_service.folders import data_folder
from cds_service.hooks.cors import allow_origins
from cds_service.knowledge.knowledge import Knowledge

SERVICE = "/cds-services/leg-weakness-patient-view"
URLS = {"/cds-services": "GET", SERVICE: "POST", f"{SERVICE}/feedback": "POST"}
OURS = "https://ehr.example.org"
BROWSER = "http://[::1]:8080"
OTHERS = [
    "https://evil.example.org",
    "https://ehr.example.org.evil.net",
    "https://ehrXexample.org",
    "http://ehr.example.org",
    "https://ehr.example.org:8443",
    "null",
]
BODY = (data_folder("fixtures") / "requests" / "healthy-adult.json").read_bytes()


def opened(config: Config, knowledge: Knowledge, origins: Sequence[str]) -> FlaskClient:
    app: Flask = create_app(config, knowledge)
    allow_origins(app, origins)
    return app.test_client()


@pytest.fixture
def browser(config: Config, knowledge: Knowledge) -> FlaskClient:
    """A client for an application that two origins may call."""
    return opened(config, knowledge, [OURS, BROWSER])


def preflight(client: FlaskClient, url: str, origin: str, headers: str = "authorization,content-type") -> TestResponse:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": URLS.get(url, "GET"),
        "Access-Control-Request-Headers": headers,
    }
    return client.options(url, headers=asked)


def granted(answer: TestResponse) -> dict[str, str]:
    """What an answer grants to a page of another origin."""
    return {name.lower(): value for name, value in answer.headers if name.lower().startswith("access-control-")}


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("origin", [OURS, BROWSER])
def test_CORS_01_the_question_of_a_browser_is_answered_at_all_three_addresses_without_a_token(
    browser: FlaskClient, url: str, origin: str
) -> None:
    for headers in ("authorization", "authorization,content-type"):
        answer = preflight(browser, url, origin, headers)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) == {"GET", "POST"}
        assert answer.headers["Access-Control-Allow-Headers"].replace(" ", "") == headers


@pytest.mark.parametrize("url", URLS)
def test_CORS_01_other_headers_and_methods_are_not_granted(browser: FlaskClient, url: str) -> None:
    answer = preflight(browser, url, OURS, "content-type,x-secret")
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type"
    deleting = {"Origin": OURS, "Access-Control-Request-Method": "DELETE"}
    assert "Access-Control-Allow-Methods" not in browser.options(url, headers=deleting).headers


def test_CORS_01_answers_can_be_read_with_their_correlation_id(browser: FlaskClient) -> None:
    from_there = {"Origin": OURS}
    entry = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:24:51Z"}
    json_type = "application/json"
    answers = [
        browser.get("/cds-services", headers=from_there),
        browser.post(SERVICE, data=BODY, content_type=json_type, headers=from_there),
        browser.post(f"{SERVICE}/feedback", json={"feedback": [entry]}, headers=from_there),
        browser.post(SERVICE, data=b"{", content_type=json_type, headers=from_there),
        browser.post("/cds-services/none", data=BODY, content_type=json_type, headers=from_there),
        browser.put(SERVICE, headers=from_there),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 400, 404, 405]
    for answer in answers:
        assert answer.headers.getlist("Access-Control-Allow-Origin") == [OURS]
        assert answer.headers["Access-Control-Expose-Headers"] == "X-Correlation-ID"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("origin", OTHERS)
def test_CORS_02_no_other_origin_is_granted_anything(browser: FlaskClient, url: str, origin: str) -> None:
    assert granted(preflight(browser, url, origin)) == {}
    assert granted(browser.open(url, method=URLS[url], headers={"Origin": origin})) == {}


@pytest.mark.parametrize("url", URLS)
def test_CORS_02_answers_vary_with_the_origin_whoever_asks(browser: FlaskClient, url: str) -> None:
    for headers in ({}, {"Origin": OURS}, {"Origin": OTHERS[0]}):
        answer = browser.open(url, method=URLS[url], headers=headers)
        assert "Origin" in re.split(r",\s*", answer.headers["Vary"])
    assert granted(browser.open(url, method=URLS[url])) == {}


@pytest.mark.parametrize(
    "url", ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/", "/cds-services/a/b"]
)
def test_CORS_02_no_other_address_is_opened(browser: FlaskClient, url: str) -> None:
    assert granted(preflight(browser, url, OURS)) == {}
    assert granted(browser.get(url, headers={"Origin": OURS})) == {}


@pytest.mark.parametrize("url", URLS)
def test_CORS_02_nothing_is_granted_unless_an_origin_is_registered(
    config: Config, knowledge: Knowledge, url: str
) -> None:
    closed = opened(config, knowledge, [])
    answer = preflight(closed, url, OURS)
    assert (answer.status_code, granted(answer)) == (200, {})
    assert "Vary" not in answer.headers


def test_CORS_02_everybody_is_no_origin(config: Config, knowledge: Knowledge) -> None:
    with pytest.raises(ValueError, match=r"found \*"):
        opened(config, knowledge, [OURS, "*"])


def test_DISC_19_options_and_405_stay_as_they_are(browser: FlaskClient) -> None:
    for url, method in URLS.items():
        allowed = {"OPTIONS", method, *(["HEAD"] if method == "GET" else [])}
        assert set(preflight(browser, url, OURS).headers["Allow"].split(", ")) == allowed
        refused = browser.delete(url, headers={"Origin": OURS})
        assert (refused.status_code, set(refused.headers["Allow"].split(", "))) == (405, allowed)
        assert json.loads(refused.get_data())["resourceType"] == "OperationOutcome"
