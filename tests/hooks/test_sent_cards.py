"""The cards of every fixture request, as they are sent: what CDS Hooks demands of each part, and its invariants."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID

import pytest
from exchanges import NAMED, URL, parts, sent, url_of
from fhir.resources.R4B import get_fhir_model_class
from markdown_it import MarkdownIt

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.demo import FIXTURES_NOW
from cds_service.hooks.response import BadResponse, Card, response
from cds_service.knowledge.knowledge import Knowledge

Answered = tuple[dict[str, Any], list[Card]]


@pytest.fixture(scope="module")
def answers(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> list[Answered]:
    """Each fixture request with the cards that it gets."""
    database = tmp_path_factory.mktemp("cards") / "feedback.sqlite3"
    config = read_config({"CDS_SERVICE_DATABASE": f"sqlite:///{database}"})
    client = create_app(config, knowledge, lambda: int(FIXTURES_NOW.timestamp() * 1000)).test_client()
    requests = [sent(name) for name in NAMED if name != "wrong-hook"]
    found = [(request, client.post(url_of(request), json=request).get_json().get("cards", [])) for request in requests]
    assert client.post(URL, json=sent("wrong-hook")).status_code == 400
    return found


@pytest.fixture(scope="module")
def cards(answers: list[Answered]) -> list[Card]:
    """All cards of the fixture requests."""
    found = [card for _, answer in answers for card in answer]
    assert len(found) > 50
    return found


@pytest.fixture(scope="module")
def suggestions(cards: list[Card]) -> list[dict[str, Any]]:
    """All suggestions of all cards."""
    return [suggestion for card in cards for suggestion in card.get("suggestions", ())]


def test_CARD_01_CARD_02_a_card_has_a_summary_of_one_line_and_an_indicator(cards: list[Card]) -> None:
    for card in cards:
        assert 0 < len(card["summary"]) < 140
        assert "\n" not in card["summary"]
    assert {card["indicator"] for card in cards} == {"info", "warning", "critical"}


def test_CARD_03_SRC_01_SRC_02_SRC_03_a_source_has_a_label_perhaps_a_url_and_no_icon(cards: list[Card]) -> None:
    for card in cards:
        assert card["source"]["label"].strip()
        assert re.fullmatch(r"https?://\S+", card["source"].get("url", "https://x.org"))
        assert card["source"].keys() <= {"label", "url", "topic"}


def test_SRC_04_COD_01_the_topic_is_the_id_of_the_card_definition_without_hyphens(
    cards: list[Card], knowledge: Knowledge
) -> None:
    topics = [card["source"]["topic"] for card in cards if "topic" in card["source"]]
    assert {topic["system"] for topic in topics} == {"urn:leg-weakness-cds:card"}
    assert {topic["code"] for topic in topics} <= {id_.replace("-", "") for id_ in knowledge.cards}
    assert all(re.fullmatch("[A-Za-z0-9]{1,100}", topic["code"]) for topic in topics)


def test_CARD_05_SRC_02_no_card_holds_html_or_a_link_about_the_patient(answers: list[Answered]) -> None:
    for request, cards in answers:
        for card in cards:
            assert not re.search(r"<[a-zA-Z/!]", card.get("detail", ""))
            assert request["context"]["patientId"] not in json.dumps([card["source"], card.get("links")])


def test_CARD_04_CARD_05_the_detail_is_markdown_without_html(cards: list[Card]) -> None:
    parser = MarkdownIt("commonmark").enable("table")
    for card in cards:
        tokens = [inner for token in parser.parse(card["detail"]) for inner in (token, *(token.children or ()))]
        assert not [token for token in tokens if token.type.startswith("html")]
        words = "".join(token.content for token in tokens if token.type == "text")
        assert not re.search(r"\*\*|(^|\n)\s*(- |#)", words), words


def test_CARD_06_SUG_02_every_card_and_suggestion_has_a_uuid_of_its_own(answers: list[Answered]) -> None:
    found = [one for _, cards in answers for card in cards for one in (card, *card.get("suggestions", ()))]
    assert all(str(UUID(one["uuid"])) == one["uuid"] for one in found)
    assert len({one["uuid"] for one in found}) == len(found)


def test_CARD_07_CARD_08_CARD_11_CDS_RESP_6_suggestions_and_their_selection_come_together(cards: list[Card]) -> None:
    for card in cards:
        assert ("suggestions" in card) == ("selectionBehavior" in card)
        assert card.get("selectionBehavior", "any") == "any"
        assert card.get("suggestions") != []
    assert {"suggestions" in card for card in cards} == {True, False}


def test_CARD_09_COD_01_COD_02_COD_03_CDS_RESP_4_override_reasons_are_codings_of_ours(cards: list[Card]) -> None:
    for card in cards:
        for reason in card["overrideReasons"]:
            assert reason["code"].strip()
            assert reason["display"].strip()
            assert reason["system"] == "urn:leg-weakness-cds:override-reason"


def test_CARD_10_LNK_01_LNK_02_LNK_03_LNK_05_LNK_06_links_are_those_of_the_guidelines(
    cards: list[Card], knowledge: Knowledge
) -> None:
    fixed = {guideline.url for guideline in knowledge.guidelines.values()}
    links = [link for card in cards for link in card["links"]]
    assert links
    for link in links:
        assert link.keys() == {"label", "url", "type"}
        assert link["label"].strip()
        assert link["type"] == "absolute"
        assert link["url"] in fixed


def test_EXT_01_EXT_02_our_extensions_are_objects_with_names_of_our_own(cards: list[Card]) -> None:
    for card in cards:
        assert all(name.startswith("org.leg-weakness-cds.") for name in card["extension"])


def test_SUG_01_SUG_05_CDS_RESP_7_a_suggestion_has_a_label_and_no_behavior_of_its_actions(
    suggestions: list[dict[str, Any]],
) -> None:
    for suggestion in suggestions:
        assert suggestion.keys() == {"label", "uuid", "actions"}
        assert suggestion["label"].strip()
        assert suggestion["actions"]


def test_ACT_01_ACT_02_CDS_RESP_5_actions_have_a_type_and_a_description(suggestions: list[dict[str, Any]]) -> None:
    actions = [action for suggestion in suggestions for action in suggestion["actions"]]
    assert {action["type"] for action in actions} == {"create", "update", "delete"}
    assert all(action["description"].strip() for action in actions)


def test_ACT_03_ACT_07_JSON_02_what_is_created_is_valid_r4_about_the_patient(answers: list[Answered]) -> None:
    for request, cards in answers:
        patient = f"Patient/{request['context']['patientId'].removeprefix('Patient/')}"
        for action in _actions(cards):
            if action["type"] == "create":
                resource = action["resource"]
                get_fhir_model_class(resource["resourceType"]).model_validate(resource)
                references = [value for path, value in parts(resource) if path.endswith(".reference")]
                assert [one for one in references if one.startswith("Patient/")] == [patient]
                assert "id" not in resource


def test_ACT_04_ACT_06_what_is_updated_is_the_whole_resource_that_was_sent(answers: list[Answered]) -> None:
    updates = 0
    for request, cards in answers:
        known = {f"{one['resourceType']}/{one['id']}": one for one in _resources(request) if "id" in one}
        for action in _actions(cards):
            if action["type"] == "update":
                updates += 1
                changed = action["resource"]
                before = known[f"{changed['resourceType']}/{changed['id']}"]
                assert changed.keys() >= before.keys()
                assert {name for name in before if before[name] != changed[name]} <= {"status"}
    assert updates


def test_ACT_05_ACT_06_CDS_RESP_2_what_is_deleted_is_a_draft_that_was_sent(answers: list[Answered]) -> None:
    deletes = 0
    for request, cards in answers:
        drafts = request["context"].get("draftOrders", {})
        known = {f"{one['resourceType']}/{one['id']}" for one in _resources(drafts) if "id" in one}
        for action in _actions(cards):
            if action["type"] == "delete":
                deletes += 1
                assert action.keys() == {"type", "description", "resourceId"}
                assert action["resourceId"] in known
    assert deletes


def test_CDS_RESP_1_SUG_03_CDS_RESP_3_LNK_04_nothing_is_recommended_and_no_link_has_an_app_context(
    cards: list[Card], suggestions: list[dict[str, Any]]
) -> None:
    assert not any("isRecommended" in suggestion for suggestion in suggestions)
    assert not any("appContext" in link for card in cards for link in card["links"])


DELETE = {"type": "delete", "description": "Remove", "resourceId": "MedicationRequest/d1"}
BROKEN: dict[str, dict[str, Any]] = {
    "cds-resp-1": {
        "selectionBehavior": "at-most-one",
        "suggestions": [{"label": label, "isRecommended": True, "uuid": label} for label in "ab"],
    },
    "cds-resp-2": {
        "selectionBehavior": "any",
        "suggestions": [{"label": "a", "actions": [DELETE | {"resource": {"resourceType": "Task"}}]}],
    },
    "cds-resp-3": {
        "links": [{"label": "a", "url": "https://x.org", "type": "absolute", "appContext": "more"}],
    },
    "cds-resp-4": {"overrideReasons": [{"code": "c", "system": "s"}]},
    "cds-resp-5": {
        "selectionBehavior": "any",
        "suggestions": [{"label": "a", "actions": [{"type": "delete", "resourceId": "MedicationRequest/d1"}]}],
    },
    "cds-resp-6": {"suggestions": [{"label": "a"}]},
}


@pytest.mark.parametrize("broken", list(BROKEN))
def test_CDS_RESP_1_CDS_RESP_2_CDS_RESP_3_CDS_RESP_4_CDS_RESP_5_CDS_RESP_6_a_card_that_breaks_one_is_not_sent(
    broken: str,
) -> None:
    card = {"uuid": "1", "summary": "Low", "indicator": "info", "source": {"label": "Us"}}
    assert response([card])
    with pytest.raises(BadResponse):
        response([card | BROKEN[broken]])


def _actions(cards: list[Card]) -> list[dict[str, Any]]:
    return [action for card in cards for suggestion in card.get("suggestions", ()) for action in suggestion["actions"]]


def _resources(document: Any) -> list[dict[str, Any]]:
    return [value for _, value in parts(document) if isinstance(value, dict) and "resourceType" in value]
