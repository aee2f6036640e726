"""The response: cards with their uuids, checked once more before they leave (CDS Hooks 2.0.1, card attributes)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

import msgspec

from cds_service.fhir.references import relative
from cds_service.hooks.clients import Profile
from cds_service.hooks.profiles import Card as Card
from cds_service.hooks.profiles import written
from cds_service.knowledge.card import INDICATORS
from cds_service.knowledge.text import SUMMARY_LIMIT

_SELECTION: Final = ("at-most-one", "any")
_ACTIONS: Final = ("create", "update", "delete")
_LINKS: Final = ("absolute", "smart")
_URL: Final = re.compile(r"https?://[^\s/]+(/\S*)?")
_DEEPEST: Final = 50
_decoder: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_encoder: Final = msgspec.json.Encoder(decimal_format="number")
_REFERENCE: Final = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.\-]{1,64}")


class BadResponse(Exception):
    """What we were about to send breaks the specification: a fault of ours. `problems` holds path and rule of each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


class _NotWhole(Exception):
    """A resource that cannot be sent back as it came."""


def with_uuids(cards: Sequence[Card]) -> list[Card]:
    """The cards with a new uuid on each card and each suggestion, by which feedback will name them."""
    return [_with_uuid(card) for card in cards]


def response(
    cards: Sequence[Card],
    extension: dict[str, Any] | None = None,
    patient_id: str | None = None,
    profile: Profile = "2.0.1",
) -> bytes:
    """The JSON of a response with `cards`, which have their uuids, and an extension object when there is one, for a
    client of `profile`. The cards are as version 2.0.1 has them, and left as they are.

    Raises BadResponse when a card breaks a rule of the specification, anything in it is null or empty, or an action is
    about another patient than the one of the context, `patient_id`.
    """
    body: dict[str, Any] = {"cards": list(cards)}
    if extension:
        body["extension"] = extension
    problems = list(_empty(body, "")) or list(_card_problems(cards, patient_id))
    if problems:
        raise BadResponse(problems)
    body["cards"] = written(cards, profile)
    return _encoder.encode(body)


def sent_back(raw: bytes) -> dict[str, Any] | None:
    """A client's resource as a part of our answer: decimals as they were written, no null or empty members.

    None when it cannot be sent back whole: FHIR puts null into arrays to align extensions and CDS Hooks allows none,
    or it is nested deeper than resources are.
    """
    try:
        resource: dict[str, Any] = _whole(_decoder.decode(raw), _DEEPEST)
    except (msgspec.MsgspecError, RecursionError, _NotWhole):
        return None
    return resource


def _whole(value: Any, levels: int) -> Any:
    if levels == 0:
        raise _NotWhole
    if isinstance(value, dict):
        members = {name: _whole(inner, levels - 1) for name, inner in value.items() if inner is not None}
        return {name: inner for name, inner in members.items() if not _is_empty(inner)}
    if isinstance(value, list):
        if None in value:
            raise _NotWhole
        return [whole for inner in value if not _is_empty(whole := _whole(inner, levels - 1))]
    return value


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, []) or (isinstance(value, str) and not value.strip())


def _with_uuid(card: Card) -> Card:
    identified = {"uuid": str(uuid4()), **card}
    if "suggestions" in card:
        identified["suggestions"] = [
            {"label": suggestion["label"], "uuid": str(uuid4())} | suggestion for suggestion in card["suggestions"]
        ]
    return identified


def _empty(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _empty(inner, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _empty(inner, f"{path}[{index}]")
    elif path != ".cards" and _is_empty(value):
        yield f"{path}: null or empty"


def _card_problems(cards: Sequence[Card], patient_id: str | None) -> Iterator[str]:
    uuids = [part.get("uuid") for card in cards for part in (card, *card.get("suggestions", ()))]
    if len(set(uuids)) != len(uuids):
        yield "cards: a uuid stands twice"
    for index, card in enumerate(cards):
        for problem in _problems(card, patient_id):
            yield f"cards[{index}].{problem}"


def _problems(card: Card, patient_id: str | None) -> Iterator[str]:
    summary = card.get("summary")
    if not isinstance(summary, str) or len(summary.encode("utf-16-le")) > 2 * SUMMARY_LIMIT:
        yield f"summary: expected at most {SUMMARY_LIMIT} characters"
    if card.get("indicator") not in INDICATORS:
        yield f"indicator: expected one of {', '.join(INDICATORS)}"
    source = card.get("source", {})
    if "label" not in source:
        yield "source.label: missing"
    for name in ("url", "icon"):
        if name in source and not _URL.fullmatch(source[name]):
            yield f"source.{name}: expected a URL"
    suggestions = card.get("suggestions", ())
    if suggestions and card.get("selectionBehavior") not in _SELECTION:
        yield f"selectionBehavior: expected one of {', '.join(_SELECTION)} with suggestions"
    if sum(s.get("isRecommended", False) for s in suggestions) > 1 and card.get("selectionBehavior") != "any":
        yield "suggestions: expected one recommended at most"
    for suggestion in suggestions:
        if "label" not in suggestion:
            yield "suggestions.label: missing"
        for action in suggestion.get("actions", ()):
            yield from (f"suggestions.actions.{problem}" for problem in _action_problems(action, patient_id))
    for reason in card.get("overrideReasons", ()):
        yield from (f"overrideReasons.{name}: missing" for name in ("code", "system", "display") if name not in reason)
    for link in card.get("links", ()):
        yield from (f"links.{problem}" for problem in _link_problems(link))
    if not isinstance(card.get("extension", {}), dict):
        yield "extension: expected an object"


def _action_problems(action: dict[str, Any], patient_id: str | None) -> Iterator[str]:
    kind = action.get("type")
    if kind not in _ACTIONS:
        yield f"type: expected one of {', '.join(_ACTIONS)}"
    if "description" not in action:
        yield "description: missing"
    if kind == "delete":
        if "resource" in action or not _REFERENCE.fullmatch(action.get("resourceId", "")):
            yield "resourceId: expected Type/id and no resource"
    elif "resourceType" not in action.get("resource", {}) or (kind == "update" and "id" not in action["resource"]):
        yield "resource: expected a whole resource"
    elif patient_id is not None:
        for name in ("subject", "for"):
            if name in action["resource"] and not _is_about(action["resource"][name], patient_id, kind):
                yield f"resource.{name}: expected the patient of the context"


def _is_about(subject: Any, patient_id: str, kind: str | None) -> bool:
    """Whether a subject is the patient. In a client's own resource it may also name no server's resource: an
    identifier, a urn or a contained resource, by which the chart took it for the patient's.
    """
    text = subject.get("reference") if isinstance(subject, dict) else subject
    if text is None:
        return kind != "create"
    if not isinstance(subject, dict) or not isinstance(text, str):
        return False
    return relative(text) == f"Patient/{patient_id}" or (kind != "create" and text.startswith(("urn:", "#")))


def _link_problems(link: dict[str, Any]) -> Iterator[str]:
    yield from (f"{name}: missing" for name in ("label", "url", "type") if name not in link)
    if link.get("type") not in _LINKS:
        yield f"type: expected one of {', '.join(_LINKS)}"
    if not _URL.fullmatch(link.get("url", "")):
        yield "url: expected a URL"
    if "appContext" in link and link.get("type") != "smart":
        yield "appContext: expected with smart links only"
