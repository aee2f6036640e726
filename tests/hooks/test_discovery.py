"""Discovery: of the small service, and of the services that the knowledge really offers."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from small import a_service

from cds_service.hooks.discovery import discovery
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.services import HOOKS

READ = r"[A-Z][A-Za-z]+/\{\{context\.patientId\}\}"
SEARCH = r"[A-Z][A-Za-z]+\?patient=\{\{context\.patientId\}\}(&code=[^&{}]+)?"
IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"


@pytest.fixture
def services(client: FlaskClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/cds-services").get_json()["services"]
    return found


def templates(services: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [entry for service in services for entry in service.get("prefetch", {}).items()]


def test_DISC_01_DISC_02_discovery_is_an_object_with_an_array_of_services(client: FlaskClient) -> None:
    answer = client.get("/cds-services")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.get_json()["services"]


def test_DISC_03_no_services_is_an_empty_array() -> None:
    assert json.loads(discovery([])) == {"services": []}


def test_DISC_04_DISC_05_DISC_07_DISC_08_each_service_has_hook_id_title_and_description(
    services: list[dict[str, Any]],
) -> None:
    for service in services:
        assert service["hook"] in HOOKS
        assert all(service[name].strip() for name in ("id", "title", "description"))
        assert service["id"] == f"leg-weakness-{service['hook']}"


@pytest.mark.parametrize("id_", ["a/b", "a b", "", "feedback", "é"])
def test_DISC_06_an_id_that_cannot_stand_in_a_url_is_refused(id_: str) -> None:
    with pytest.raises(ValueError, match="expected an id of letters"):
        discovery([msgspec.structs.replace(a_service(), id=id_)])


def test_DISC_09_DISC_10_what_is_empty_is_left_out() -> None:
    bare = msgspec.structs.replace(a_service(), title="", usage_requirements="", prefetch={})
    assert json.loads(discovery([bare]))["services"] == [
        {"hook": "patient-view", "id": "small-patient-view", "description": "A small service."}
    ]


def test_DISC_11_DISC_12_members_of_version_3_are_not_sent(services: list[dict[str, Any]]) -> None:
    allowed = {"hook", "id", "title", "description", "usageRequirements", "prefetch"}
    assert all(set(service) <= allowed for service in services)


def test_DISC_14_the_same_id_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="found it twice"):
        discovery([a_service(), a_service("order-sign").__class__(**msgspec.structs.asdict(a_service()))])


def test_DISC_15_prefetch_keys_keep_their_order(client: FlaskClient, knowledge: Knowledge) -> None:
    text = client.get("/cds-services").get_data(as_text=True)
    for service in knowledge.services:
        own = text[text.index(f'"id":"{service.id}"') :]
        places = [own.index(f'"{key}":') for key in service.prefetch]
        assert places == sorted(places)


def test_DISC_19_head_and_options_are_answered_and_a_trailing_slash_is_accepted(client: FlaskClient) -> None:
    head = client.head("/cds-services")
    assert (head.status_code, head.get_data()) == (200, b"")
    assert client.get("/cds-services/").get_json() == client.get("/cds-services").get_json()
    options = client.options("/cds-services")
    assert (options.status_code, set(options.headers["Allow"].split(", "))) == (200, {"GET", "HEAD", "OPTIONS"})


def test_PERF_04_PERF_05_discovery_may_be_cached_briefly(client: FlaskClient) -> None:
    assert client.get("/cds-services").headers["Cache-Control"] == "private, max-age=60"


def test_TPL_01_TPL_07_TPL_14_templates_are_plain_reads_and_searches(services: list[dict[str, Any]]) -> None:
    for _, template in templates(services):
        assert re.fullmatch(f"{READ}|{SEARCH}", template), template


def test_TPL_02_TPL_03_TPL_04_TPL_06_the_only_token_is_the_patient(services: list[dict[str, Any]]) -> None:
    for _, template in templates(services):
        assert re.findall(r"\{\{.*?\}\}", template) == ["{{context.patientId}}"]
        assert template.count("{") == template.count("}") == 2


def test_TPL_07_tokens_name_their_code_system(services: list[dict[str, Any]]) -> None:
    for _, template in templates(services):
        codes = template.partition("&code=")[2]
        assert all(re.fullmatch(r"https?://[^|,]+\|[^|,]+", code) for code in codes.split(",") if codes)


def test_TPL_13_keys_are_plain_identifiers(services: list[dict[str, Any]]) -> None:
    assert all(re.fullmatch(IDENTIFIER, key) for key, _ in templates(services))


def test_TPL_a_template_is_shorter_than_2000_characters(services: list[dict[str, Any]]) -> None:
    assert all(len(template) < 2000 for _, template in templates(services))
