"""Responses: what a card may be, and what is refused before it leaves."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from exchanges import NAMED, answered, url_of
from exchanges import sent as request_of
from flask.testing import FlaskClient
from markdown_it import MarkdownIt
from small import with_changes

from cds_service.hooks.response import BadResponse, response, sent_back, with_uuids
from cds_service.knowledge.knowledge import Knowledge

ACTION = {
    "type": "create",
    "description": "Order it",
    "resource": {"resourceType": "ServiceRequest", "status": "draft"},
}
CARD: dict[str, Any] = {
    "uuid": "0b9a3d5c-52f4-4f4e-8f0e-3f6a1d2c7b01",
    "summary": "Potassium 2.9 mmol/L",
    "indicator": "warning",
    "source": {"label": "A guideline", "url": "https://example.org/guideline"},
    "suggestions": [{"label": "Order potassium", "uuid": "b6f2a0de-2a55-4a36-9b6b-7f6d3c1e0a02", "actions": [ACTION]}],
    "selectionBehavior": "any",
    "overrideReasons": [{"system": "urn:reasons", "code": "noted", "display": "Already known"}],
    "links": [{"label": "Guideline", "url": "https://example.org/guideline", "type": "absolute"}],
    "extension": {"org.example.card": {"id": "hypokalemia"}},
}
LIGHT = {name: CARD[name] for name in ("summary", "indicator", "source")}


def sent(**changes: Any) -> dict[str, Any]:
    """The response with one card, changed at paths whose dots are written as two underscores."""
    card = with_changes(CARD, {path.replace("__", "."): value for path, value in changes.items()})
    found: dict[str, Any] = json.loads(response([card]))
    return found


def refused(**changes: Any) -> str:
    with pytest.raises(BadResponse) as error:
        sent(**changes)
    return "\n".join(error.value.problems)


def test_RESP_01_a_response_is_an_object_with_cards() -> None:
    assert sent() == {"cards": [CARD]}


def test_RESP_02_nothing_to_say_is_exactly_an_empty_array() -> None:
    assert response([]) == b'{"cards":[]}'


def test_RESP_03_JSON_04_system_actions_are_absent() -> None:
    assert "systemActions" not in sent()


def test_RESP_06_EXT_01_an_extension_is_an_object_and_left_out_when_empty() -> None:
    assert json.loads(response([], {"org.example": ["x"]})) == {"cards": [], "extension": {"org.example": ["x"]}}
    assert response([], {}) == b'{"cards":[]}'
    assert "extension: expected an object" in refused(extension=["x"])


@pytest.mark.parametrize("empty", [None, "", "  ", [], {}])
def test_JSON_03_JSON_04_JSON_05_nothing_null_or_empty_is_sent(empty: object) -> None:
    assert ".cards[0].detail: null or empty" in refused(detail=empty)
    assert ".cards[0].source.icon: null or empty" in refused(source__icon=empty or None)
    with pytest.raises(BadResponse):
        response([], {"org.example": {"inner": [empty]}})


def test_CARD_01_a_summary_has_fewer_than_140_characters() -> None:
    assert sent(summary="x" * 139)["cards"][0]["summary"] == "x" * 139
    assert "summary" in refused(summary="x" * 140)
    assert "summary" in refused(summary=...)
    assert "summary" in refused(summary=5)


def test_CARD_01_characters_are_counted_as_utf_16_too() -> None:
    assert sent(summary="\U0001f9b5" * 69)
    assert "summary" in refused(summary="\U0001f9b5" * 70)


@pytest.mark.parametrize("indicator", ["hard-stop", "Critical", ..., 1])
def test_CARD_02_the_indicator_is_one_of_three(indicator: object) -> None:
    assert "indicator" in refused(indicator=indicator)


@pytest.mark.parametrize("source", [{"url": "https://x.org/"}, ...])
def test_CARD_03_SRC_01_a_source_has_a_label(source: object) -> None:
    assert "source.label" in refused(source=source)
    assert ".cards[0].source: null or empty" in refused(source={})


@pytest.mark.parametrize("url", ["x.org", "javascript:alert(1)", "/relative", "https://x.org/a b"])
def test_SRC_02_SRC_03_LNK_01_urls_are_absolute(url: str) -> None:
    assert "source.url" in refused(source__url=url)
    assert "source.icon" in refused(source__icon=url)
    assert "links.url" in refused(links=[{"label": "x", "url": url, "type": "absolute"}])


def test_CARD_06_SUG_02_every_card_and_suggestion_gets_a_uuid_of_its_own() -> None:
    plain = {name: value for name, value in CARD.items() if name != "uuid"}
    plain["suggestions"] = [{"label": "One", "actions": [ACTION]}, {"label": "Two", "actions": [ACTION]}]
    cards = with_uuids([plain, LIGHT])
    uuids = [part["uuid"] for card in cards for part in (card, *card.get("suggestions", ()))]
    assert len(set(uuids)) == len(uuids) == 4
    assert all(str(UUID(uuid)) == uuid for uuid in uuids)
    assert "uuid" not in plain
    assert response(cards)


def test_CARD_06_a_uuid_twice_is_refused() -> None:
    with pytest.raises(BadResponse, match="a uuid stands twice"):
        response([CARD, CARD])


@pytest.mark.parametrize("behavior", [..., "all", "exactly-one"])
def test_CARD_08_CARD_11_suggestions_need_a_known_selection_behavior(behavior: object) -> None:
    assert "selectionBehavior" in refused(selectionBehavior=behavior)


@pytest.mark.parametrize("name", ["code", "system", "display"])
def test_CARD_09_COD_01_COD_02_an_override_reason_is_a_whole_coding(name: str) -> None:
    reason = {key: value for key, value in CARD["overrideReasons"][0].items() if key != name}
    assert f"overrideReasons.{name}: missing" in refused(overrideReasons=[reason])


def test_SUG_01_a_suggestion_has_a_label() -> None:
    assert "suggestions.label" in refused(suggestions=[{"uuid": "1", "actions": [ACTION]}])


def test_SUG_03_at_most_one_of_exclusive_suggestions_is_recommended() -> None:
    two = [{"label": text, "uuid": text, "isRecommended": True} for text in "ab"]
    assert sent(suggestions=two)
    assert "one recommended" in refused(suggestions=two, selectionBehavior="at-most-one")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"type": "Create"}, "type"),
        ({"description": ...}, "description"),
        ({"resource": ...}, "resource"),
        ({"resource": {"id": "no type"}}, "resource"),
        ({"type": "update"}, "resource"),
        ({"type": "delete"}, "resourceId"),
        ({"type": "delete", "resource": ..., "resourceId": "123"}, "resourceId"),
        ({"type": "delete", "resource": ...}, "resourceId"),
    ],
)
def test_ACT_01_ACT_02_ACT_03_ACT_04_ACT_05_an_action_that_is_none_is_refused(
    change: dict[str, Any], problem: str
) -> None:
    action = with_changes(ACTION, change)
    assert f"suggestions.actions.{problem}" in refused(suggestions=[{"label": "x", "uuid": "1", "actions": [action]}])


def test_ACT_04_ACT_05_whole_updates_and_deletes_by_reference_are_sent() -> None:
    update = {"type": "update", "description": "Hold it", "resource": {"resourceType": "MedicationRequest", "id": "m"}}
    delete = {"type": "delete", "description": "Remove it", "resourceId": "MedicationRequest/m"}
    assert sent(suggestions=[{"label": "x", "uuid": "1", "actions": [update, delete]}])


@pytest.mark.parametrize("name", ["label", "url", "type"])
def test_LNK_01_a_link_has_label_url_and_type(name: str) -> None:
    link = {key: value for key, value in CARD["links"][0].items() if key != name}
    assert f"links.{name}" in refused(links=[link])


def test_LNK_02_LNK_04_app_context_is_for_smart_links_only() -> None:
    link = {"label": "App", "url": "https://app.example.org/launch", "type": "smart", "appContext": "x"}
    assert sent(links=[link])
    assert "appContext" in refused(links=[link | {"type": "absolute"}])
    assert "links.type" in refused(links=[link | {"type": "SMART"}])


def test_ACT_04_JSON_02_a_resource_is_sent_back_as_it_came() -> None:
    raw = b'{"resourceType":"MedicationRequest","id":"m","dose":{"value":2.50},"count":3,"note":[{"text":"x"}]}'
    resource = sent_back(raw)
    action = {"type": "update", "description": "Hold it", "resource": resource}
    card = CARD | {"suggestions": [{"label": "x", "uuid": "1", "actions": [action]}]}
    assert raw in response([card])


def test_ACT_04_JSON_03_JSON_04_what_is_null_or_empty_is_not_sent_back() -> None:
    raw = b'{"resourceType":"MedicationRequest","id":"m","meta":null,"a":"","b":[],"c":{"d":null},"e":[{},{"f":1}]}'
    assert sent_back(raw) == {"resourceType": "MedicationRequest", "id": "m", "e": [{"f": 1}]}


@pytest.mark.parametrize("raw", [b'{"given":[null,"x"]}', b'{"a":' + b"[" * 60 + b"]" * 60 + b"}", b"[]", b'{"a":'])
def test_ACT_04_what_cannot_be_sent_back_whole_is_not_sent_back(raw: bytes) -> None:
    assert sent_back(raw) is None


@pytest.mark.parametrize("kind", ["create", "update"])
@pytest.mark.parametrize("name", ["subject", "for"])
def test_ACT_07_an_action_about_another_patient_is_not_sent(kind: str, name: str) -> None:
    def answer(reference: object) -> bytes:
        resource = {"resourceType": "Task", "id": "t", name: {"reference": reference}}
        action = {"type": kind, "description": "Do it", "resource": resource}
        card = CARD | {"suggestions": [{"label": "x", "uuid": "1", "actions": [action]}]}
        return response([card], patient_id="pat_1")

    assert answer("Patient/pat_1")
    for other in ("Patient/pat-2", "https://ehr.example.org/fhir/Patient/pat-2", "Patient/pat_2", "Group/pat_1", 5):
        with pytest.raises(BadResponse, match=f"resource.{name}: expected the patient of the context") as error:
            answer(other)
        assert "pat" not in str(error.value).replace("patient", "")


def test_ACT_07_absolute_subjects_and_those_without_reference_are_the_clients_own_words() -> None:
    def answer(kind: str, subject: object) -> bytes:
        resource = {"resourceType": "MedicationRequest", "id": "m", "subject": subject}
        action = {"type": kind, "description": "Hold it", "resource": resource}
        return response([CARD | {"suggestions": [{"label": "x", "uuid": "1", "actions": [action]}]}], None, "pat-1")

    assert answer("create", {"reference": "https://ehr.example.org/fhir/Patient/pat-1"})
    for subject in ({"identifier": {"value": "1"}}, {"reference": "urn:uuid:1"}, {"reference": "#p"}):
        assert answer("update", subject)
        with pytest.raises(BadResponse):
            answer("create", subject)
    with pytest.raises(BadResponse):
        answer("update", "Patient/pat-1")


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</td><script>alert(1)</script>",
    "<!-- x -->",
    "<https://evil.example.org>",
    "[read this](https://evil.example.org)",
    "![x](https://evil.example.org/x.png)",
    "&lt;script&gt;",
    "**bold** _it_ `code` ~~gone~~ | cell |",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_CARD_04_CARD_05_what_stands_in_the_data_of_a_patient_is_text_in_a_card(client: FlaskClient, text: str) -> None:
    request = request_of("low-potassium-unknown-unit")
    sent_unit = '"unit": "units"'
    written = json.dumps(request)
    assert sent_unit in written
    hostile = json.loads(written.replace(sent_unit, f'"unit": {json.dumps(text)}'))
    (card,) = answered(client.post(url_of(request), json=hostile))["cards"]
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = [inner for token in parser.parse(card["detail"]) for inner in (token, *(token.children or ()))]
    allowed = {"text", "inline", "strong", "paragraph", "bullet_list", "list_item", "softbreak", "text_special"}
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    assert kinds <= allowed
    said = "".join(token.content for token in tokens if token.type in ("text", "text_special"))
    assert text in said
    assert not card["summary"].count("<")


def test_RESP_07_no_card_counts_on_its_place_among_the_others(client: FlaskClient) -> None:
    cards = [
        card
        for name in NAMED
        if name != "wrong-hook"
        for card in client.post(url_of(request_of(name)), json=request_of(name)).get_json().get("cards", ())
    ]
    assert len(cards) > 50
    for card in cards:
        words = f"{card['summary']} {card['detail']}".lower()
        assert not [place for place in ("card above", "card below", "next card", "previous card") if place in words]


def test_LNK_07_a_task_that_is_suggested_launches_no_app(knowledge: Knowledge) -> None:
    tasks = [
        resource
        for suggestion in knowledge.suggestions.values()
        for resource in suggestion.resources
        if resource["resourceType"] == "Task"
    ]
    assert tasks
    assert all(task.keys().isdisjoint({"input", "instantiatesUri", "instantiatesCanonical"}) for task in tasks)
