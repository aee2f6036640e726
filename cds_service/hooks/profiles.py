"""What differs on the wire between the versions of CDS Hooks that clients speak (checklist, section 1.16).

Cards are written and checked in the form of 2.0.1. Version 3.0 takes them as they are; the older versions get a copy
without what they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from cds_service.hooks.clients import Client, Profile
from cds_service.hooks.templates import fill
from cds_service.knowledge.services import Service

Card = dict[str, Any]
"""A card as CDS Hooks writes it in JSON."""

DRAFT_MEDICATIONS: Final = "draft_medications"
"""The prefetch key (3.0) for the Medications that draft orders name by reference; never required."""
_DRAFT_MEDICATIONS: Final = (
    "Medication?_id={{context.draftOrders.entry.resource.ofType(MedicationRequest)"
    ".medication.resolve().ofType(Medication).id}}"
)
_PLACING: Final = ("order-select", "order-sign")
_OLDER: Final[tuple[Profile, ...]] = ("1.0", "1.1")

_CARD: Final = ("summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "links", "extension")
_SOURCE: Final = ("label", "url", "icon", "extension")
_SUGGESTION: Final = ("label", "uuid", "actions", "extension")
_LINK: Final = ("label", "url", "type", "appContext", "extension")

_made: dict[tuple[str, Profile], tuple[Service, Service]] = {}


def service_for(service: Service, profile: Profile) -> Service:
    """The service as a client of `profile` sees it: its prefetch templates in the syntax of that version.

    The last one made of each service and profile is remembered.
    """
    if profile != "3.0" or service.hook not in _PLACING:
        return service
    known = _made.get((service.id, profile))
    if known is None or known[0] is not service:
        prefetch = {**service.prefetch, DRAFT_MEDICATIONS: _DRAFT_MEDICATIONS}
        known = _made[service.id, profile] = (service, msgspec.structs.replace(service, prefetch=prefetch))
    return known[1]


def draft_medications(draft_orders: Raw | bytes | None) -> str | None:
    """The search for the Medications that drafts refer to; None when no draft refers to one."""
    if draft_orders is None:
        return None
    try:
        context = {"draftOrders": msgspec.json.decode(draft_orders)}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return fill(_DRAFT_MEDICATIONS, context)


def cards_for(cards: Sequence[Card], client: Client) -> list[Card]:
    """The cards, without uuids, cut to what `client` can take: for one that takes one action each, a suggestion with
    several becomes as many suggestions, with the words of the action on each.
    """
    if not client.one_action:
        return list(cards)
    return [{**card, "suggestions": _split(card["suggestions"])} if "suggestions" in card else card for card in cards]


def written(cards: Sequence[Card], profile: Profile) -> Sequence[Card]:
    """The cards as `profile` has them; what they were made from is left as it is."""
    if profile not in _OLDER:
        return cards
    return [_before_2_0(card) if profile == "1.1" else _of_1_0(_before_2_0(card)) for card in cards]


def _split(suggestions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Suggestions of one action each, no label twice."""
    found: dict[str, dict[str, Any]] = {}
    for suggestion in suggestions:
        actions = suggestion.get("actions", [])
        for action in actions if len(actions) > 1 else (None,):
            label = suggestion["label"] if action is None else action["description"]
            one = suggestion if action is None else {**suggestion, "actions": [action]}
            alike = 2
            unique = label
            while unique in found:
                unique, alike = f"{label} ({alike})", alike + 1
            found[unique] = {**one, "label": unique}
    return list(found.values())


def _before_2_0(card: Card) -> Card:
    """A card whose delete actions name what they delete in `resource`, and whose links launch nothing by themselves."""
    found = dict(card)
    if "suggestions" in card:
        found["suggestions"] = [
            {**one, "actions": [_by_resource(action) for action in one["actions"]]} if "actions" in one else one
            for one in card["suggestions"]
        ]
    if "links" in card:
        found["links"] = [_only(one, _LINK) for one in card["links"]]
    return found


def _by_resource(action: Mapping[str, Any]) -> dict[str, Any]:
    return {"resource" if name == "resourceId" else name: value for name, value in action.items()}


def _of_1_0(card: Card) -> Card:
    """A card of the members that version 1.0 names."""
    found = _only(card, _CARD)
    found["source"] = _only(card["source"], _SOURCE)
    if "suggestions" in card:
        found["suggestions"] = [_only(one, _SUGGESTION) for one in card["suggestions"]]
        found["selectionBehavior"] = "at-most-one"
    return found


def _only(members: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: members[name] for name in names if name in members}
