"""The versions of CDS Hooks: what each client is told in discovery, and the cards it gets."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from small import a_bundle, a_request, a_service, with_changes

from cds_service.hooks.clients import PROFILES, Client, Profile
from cds_service.hooks.discovery import discovery
from cds_service.hooks.profiles import DRAFT_MEDICATIONS, cards_for, service_for
from cds_service.hooks.request import read_request
from cds_service.hooks.response import BadResponse, response, with_uuids
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.services import HOOKS, Hook

DELETE = {"type": "delete", "description": "Remove the draft", "resourceId": "MedicationRequest/d1"}
CREATE = {
    "type": "create",
    "description": "Order potassium",
    "resource": {"resourceType": "ServiceRequest", "status": "draft", "subject": {"reference": "Patient/p1"}},
}
CARD: dict[str, Any] = {
    "uuid": "0b9a3d5c-52f4-4f4e-8f0e-3f6a1d2c7b01",
    "summary": "Potassium 2.9 mmol/L",
    "detail": "Treat it.",
    "indicator": "warning",
    "source": {
        "label": "A guideline",
        "url": "https://example.org/guideline",
        "topic": {"system": "urn:topics", "code": "potassium"},
    },
    "suggestions": [
        {
            "label": "Put it right",
            "uuid": "b6f2a0de-2a55-4a36-9b6b-7f6d3c1e0a02",
            "isRecommended": True,
            "actions": [DELETE, CREATE],
        }
    ],
    "selectionBehavior": "any",
    "overrideReasons": [{"system": "urn:reasons", "code": "noted", "display": "Already known"}],
    "links": [{"label": "App", "url": "https://example.org/app", "type": "smart", "autolaunchable": False}],
    "extension": {"org.example.card": {"id": "hypokalemia"}},
}
OLDER: tuple[Profile, ...] = ("1.0", "1.1")


def described(knowledge: Knowledge, profile: Profile) -> dict[str, dict[str, Any]]:
    """The services of discovery, by hook."""
    return {one["hook"]: one for one in json.loads(discovery(knowledge.services, profile))["services"]}


def sent(profile: Profile, card: dict[str, Any] = CARD) -> dict[str, Any]:
    """The card as a client of `profile` gets it."""
    found: dict[str, Any] = json.loads(response([card], None, "p1", profile))["cards"][0]
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_VER_01_DISC_13_each_version_describes_every_service_once(profile: Profile, knowledge: Knowledge) -> None:
    services = json.loads(discovery(knowledge.services, profile))["services"]
    assert len({service["id"] for service in services}) == len(services) == len(HOOKS)


def test_VER_01_DISC_10_usage_requirements_came_with_2_0(knowledge: Knowledge) -> None:
    told = {
        profile: ["usageRequirements" in one for one in described(knowledge, profile).values()] for profile in PROFILES
    }
    assert told == {"1.0": [False] * 4, "1.1": [False] * 4, "2.0.1": [True] * 4, "3.0": [True] * 4}


def test_VER_01_DISC_11_DISC_12_the_version_came_with_3_0_and_hook_versions_are_not_told(knowledge: Knowledge) -> None:
    for profile in PROFILES:
        for service in described(knowledge, profile).values():
            assert service.get("version") == ("3.0.0" if profile == "3.0" else None)
            assert "hookVersion" not in service


@pytest.mark.parametrize("profile", PROFILES)
def test_TPL_14_only_3_0_is_given_fhirpath(profile: Profile, knowledge: Knowledge) -> None:
    for hook, service in described(knowledge, profile).items():
        drafts = profile == "3.0" and hook in ("order-select", "order-sign")
        assert (DRAFT_MEDICATIONS in service["prefetch"]) == drafts
        for key, template in service["prefetch"].items():
            if key != DRAFT_MEDICATIONS:
                assert "{{context.patientId}}" in template
                assert template.count("{{") == 1


def test_TPL_12_TPL_14_what_only_3_0_can_ask_for_comes_last_and_is_never_required(knowledge: Knowledge) -> None:
    for service in knowledge.services:
        as_3_0 = service_for(service, "3.0")
        assert as_3_0.required == service.required
        assert list(as_3_0.prefetch)[: len(service.prefetch)] == list(service.prefetch)
        assert "%" not in as_3_0.prefetch.get(DRAFT_MEDICATIONS, "")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_service_of_a_profile_is_made_once(profile: Profile) -> None:
    service = a_service("order-sign")
    assert service_for(service, profile) is service_for(service, profile)
    reloaded = msgspec.structs.replace(service, title="Another")
    assert service_for(reloaded, profile).title == "Another"
    assert service_for(service, profile).title == "Small"


def absent(reference: dict[str, Any], profile: Profile = "3.0", hook: Hook = "order-sign") -> tuple[str, ...]:
    """The keys that are found missing when a client sends a draft of this drug, and not `draft_medications`."""
    order = {"resourceType": "MedicationRequest", "id": "d1", "status": "draft", **reference}
    asked = with_changes(a_request(hook), {"context.draftOrders": a_bundle(order)})
    return read_request(json.dumps(asked).encode(), service_for(a_service(hook), profile)).prefetch.absent


def test_TPL_10_PRE_01_the_drugs_of_drafts_are_missed_only_when_a_draft_names_one_by_reference() -> None:
    pointing: dict[str, Any] = {"medicationReference": {"reference": "Medication/m1"}}
    assert absent(pointing) == ("vital_signs", DRAFT_MEDICATIONS)
    assert absent(pointing, hook="order-select") == ("vital_signs", DRAFT_MEDICATIONS)
    assert absent(pointing, "2.0.1") == ("vital_signs",)
    for other in (
        {},
        {"medicationCodeableConcept": {"text": "a drug"}},
        {"medicationReference": {"reference": "#m1"}, "contained": [{"resourceType": "Medication", "id": "m1"}]},
        {"medicationReference": {"display": "a drug"}},
    ):
        assert absent(other) == ("vital_signs",)


def test_VER_01_CARD_06_2_0_1_and_3_0_get_the_card_as_it_is() -> None:
    assert sent("2.0.1") == sent("3.0") == CARD


def test_VER_01_ACT_05_before_2_0_a_delete_names_its_resource_by_id() -> None:
    for profile in OLDER:
        delete, create = sent(profile)["suggestions"][0]["actions"]
        assert delete == {"type": "delete", "description": "Remove the draft", "resource": "MedicationRequest/d1"}
        assert create == CREATE


def test_VER_01_1_1_gets_all_else() -> None:
    expected = copy.deepcopy(CARD)
    expected["suggestions"][0]["actions"][0] = {
        "type": "delete", "description": "Remove the draft", "resource": "MedicationRequest/d1",
    }  # fmt: skip
    del expected["links"][0]["autolaunchable"]
    assert sent("1.1") == expected


def test_VER_01_CARD_08_1_0_gets_nothing_that_it_does_not_know() -> None:
    card = sent("1.0")
    assert set(card) == {
        "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "links", "extension",
    }  # fmt: skip
    assert card["selectionBehavior"] == "at-most-one"
    assert card["source"] == {"label": "A guideline", "url": "https://example.org/guideline"}
    assert set(card["suggestions"][0]) == {"label", "uuid", "actions"}
    assert set(card["links"][0]) == {"label", "url", "type"}


@pytest.mark.parametrize("profile", PROFILES)
def test_VER_01_JSON_05_a_card_of_the_required_members_alone_is_one_in_every_version(profile: Profile) -> None:
    light = {name: CARD[name] for name in ("summary", "indicator")} | {"source": {"label": "A guideline"}}
    assert sent(profile, light) == light


@pytest.mark.parametrize("profile", PROFILES)
def test_VER_01_ACT_07_every_version_is_checked_before_it_leaves(profile: Profile) -> None:
    for change in ({"summary": "x" * 140}, {"detail": ""}, {"selectionBehavior": ...}):
        with pytest.raises(BadResponse):
            sent(profile, with_changes(CARD, change))
    with pytest.raises(BadResponse, match="expected the patient of the context"):
        response([CARD], None, "p2", profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_VER_01_the_card_that_is_remembered_stays_whole(profile: Profile) -> None:
    card = copy.deepcopy(CARD)
    sent(profile, card)
    assert card == CARD


def offered(*suggestions: tuple[str, list[str]], one_action: bool = True) -> list[tuple[str, list[str]]]:
    """Label and descriptions of each suggestion that a client gets for suggestions with these."""
    made = [
        {"label": label, "actions": [{**CREATE, "description": words} for words in descriptions]}
        for label, descriptions in suggestions
    ]
    cards = cards_for([{**CARD, "suggestions": made}], Client(name="c", one_action=one_action))
    json.loads(response(with_uuids([{k: v for k, v in card.items() if k != "uuid"} for card in cards]), None, "p1"))
    return [
        (one["label"], [action["description"] for action in one["actions"]])
        for card in cards
        for one in card["suggestions"]
    ]


def test_SUG_04_a_client_that_takes_one_action_gets_a_suggestion_for_each() -> None:
    tests = ("Order the missing tests", ["Order potassium", "Order vitamin D"])
    assert offered(tests) == [("Order potassium", ["Order potassium"]), ("Order vitamin D", ["Order vitamin D"])]
    assert offered(("Order it all", ["Order potassium"])) == [("Order it all", ["Order potassium"])]
    assert offered(tests, one_action=False) == [tests]


def test_SUG_01_SUG_04_no_label_of_a_card_stands_twice() -> None:
    twice = ("Remove", ["Remove the draft", "Remove the draft", "Remove the draft"])
    labels = [label for label, _ in offered(twice, ("Remove the draft (2)", ["Remove the draft"]))]
    assert labels[:3] == ["Remove the draft", "Remove the draft (2)", "Remove the draft (3)"]
    assert len(set(labels)) == 4


def test_SUG_04_a_card_without_suggestions_stays_as_it_is() -> None:
    light = {name: CARD[name] for name in ("summary", "indicator", "source")}
    assert cards_for([light], Client(name="c", one_action=True)) == [light]
