"""From a selection to the cards of a response: words, suggestions, links, override reasons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cds_service.chart.items import Fact, Undecided
from cds_service.evaluate import Judgement, Outcome
from cds_service.fhir.dates import written
from cds_service.fhir.uncertain import UNKNOWN
from cds_service.hooks.not_judged import not_judged
from cds_service.hooks.response import sent_back
from cds_service.knowledge.card import Card, Offer, Suggestion
from cds_service.knowledge.sources import OVERRIDE_SYSTEM
from cds_service.knowledge.suggestions import patient_field
from cds_service.knowledge.syntax import Named, facts_in
from cds_service.knowledge.text import SUMMARY_LIMIT
from cds_service.knowledge.words import Shown as ShownValue
from cds_service.select import FOLDED, Selection, Shown

EXTENSION: Final = "org.leg-weakness-cds"
"""The name space of our extensions."""
TOPICS: Final = "urn:leg-weakness-cds:card"
"""The system of the topics of our cards."""
SOURCE_LABEL: Final = "Leg weakness rules"
_DATED: Final = {
    "ServiceRequest": "authoredOn", "CommunicationRequest": "authoredOn", "Task": "authoredOn",
    "Condition": "recordedDate",
}  # fmt: skip
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>#|~&])")


class CardWriter:
    """Writes the cards of one judgement; `not_judged` lists what could not be judged and would have mattered."""

    def __init__(self, judgement: Judgement) -> None:
        self.judgement = judgement
        self.knowledge = judgement.knowledge
        self.chart = judgement.chart
        self.not_judged = not_judged(judgement)
        self.told_of_not_judged = False

    def cards(self, selection: Selection) -> list[dict[str, Any]]:
        """The cards without uuids, as CDS Hooks 2.0.1 has them (section Card Attributes)."""
        return [self.card(shown) for shown in selection.cards]

    def card(self, shown: Shown) -> dict[str, Any]:
        """One card, without uuids."""
        outcome = shown.outcome
        if outcome is None:
            return self._folded(shown)
        card = outcome.card
        detail = self._fill(outcome, card.detail.names, card.detail.fill, shown.lines, in_full=True)
        notes = (
            [f"Preliminary result: {card.title.lower()} is shown as a warning at most."] if outcome.preliminary else []
        )
        notes += [f"{exception.reason}" for exception in outcome.exceptions]
        notes += self._also(shown)
        built: dict[str, Any] = {
            "summary": self.summary(outcome),
            "detail": "\n\n".join([_tidy(detail), *notes]),
            "indicator": shown.indicator,
            "source": self._source(card),
        }
        suggestions = [made for offer in card.offers if (made := self._suggestion(offer, outcome)) is not None]
        if suggestions:
            built["suggestions"] = suggestions
            built["selectionBehavior"] = "any"
        built["overrideReasons"] = self._override_reasons([card])
        built["links"] = self._links([card])
        merged = [one.card.id for one in shown.lines]
        about: dict[str, Any] = {"id": card.id, "version": card.version}
        if merged:
            about["merged"] = merged
        built["extension"] = {f"{EXTENSION}.card": about}
        return built

    def _folded(self, shown: Shown) -> dict[str, Any]:
        folded = [one.card for one in shown.lines]
        summary = f"{len(folded)} more critical findings: {', '.join(card.title for card in folded)}"
        offers = [(offer, outcome) for outcome in shown.lines for offer in outcome.card.offers]
        made = [suggestion for offer, outcome in offers if (suggestion := self._suggestion(offer, outcome)) is not None]
        found = [f"- **{one.card.title}**: {self.line(one)}" for one in shown.lines]
        once = list({suggestion["label"]: suggestion for suggestion in made}.values())
        return {
            "summary": _shortened(summary),
            "detail": "\n\n".join(["\n".join(found), *self._also(shown)]),
            "indicator": "critical",
            "source": {"label": SOURCE_LABEL, "url": self._links(folded)[0]["url"]},
            **({"suggestions": once, "selectionBehavior": "any"} if once else {}),
            "overrideReasons": self._override_reasons(folded),
            "links": self._links(folded),
            "extension": {
                f"{EXTENSION}.card": {
                    "id": FOLDED, "version": self.knowledge.version, "merged": [one.card.id for one in shown.lines],
                }
            },
        }  # fmt: skip

    def _also(self, shown: Shown) -> list[str]:
        return ["Also found: " + "; ".join(self.line(one) for one in shown.also) + "."] if shown.also else []

    def summary(self, outcome: Outcome) -> str:
        """The summary of a card, at most 139 characters."""
        text = outcome.card.summary
        return _shortened(self._fill(outcome, text.names, text.fill, [], in_full=False))

    def line(self, outcome: Outcome) -> str:
        """A finding as a line in another card."""
        return self.summary(outcome) + (" (preliminary)" if outcome.preliminary else "")

    def _fill(self, outcome: Outcome, names: Iterable[str], fill: Any, lines: list[Outcome], *, in_full: bool) -> str:
        values: dict[str, object] = {}
        for name in names:
            if name == "merged":
                values[name] = [self.line(one) for one in lines]
            elif name == "unjudged":
                values[name] = [_escaped(line) for line in self.not_judged]
                self.told_of_not_judged = True
            else:
                values[name] = self._value(outcome, outcome.card.names[name], in_full=in_full)
        return str(fill(values))

    def _value(self, outcome: Outcome, named: Named, *, in_full: bool) -> ShownValue:
        value = named.expression.run(outcome.frame) if named.expression is not None else outcome.frame[named.slot]
        facts = [named] if named.expression is None else facts_in(named.expression)
        reason = next((doubt.reason for fact in facts for doubt in self.judgement.doubts.get(fact.slot, ())), "")
        words = self.knowledge.words
        decimals = words.decimals(named)
        return words.shown(value, named.type, self.chart.now, reason, in_full=in_full, decimals=decimals)

    def _source(self, card: Card) -> dict[str, Any]:
        source: dict[str, Any] = {"label": SOURCE_LABEL}
        guidelines = [self.knowledge.guidelines[id_] for id_ in card.guidelines]
        named = [guideline for guideline in guidelines if guideline.url]
        if named:
            first = named[0]
            source = {"label": f"{first.organisation}: {first.name}"[:200], "url": first.url}
        # Letters and digits alone: one vendor remembers overrides by it and takes nothing else.
        source["topic"] = {"system": TOPICS, "code": card.id.replace("-", ""), "display": card.title}
        return source

    def _override_reasons(self, cards: list[Card]) -> list[dict[str, str]]:
        codes = dict.fromkeys(code for card in cards for code in card.override_reasons)
        reasons = self.knowledge.override_reasons
        return [{"system": OVERRIDE_SYSTEM, "code": code, "display": reasons[code]} for code in codes]

    def _links(self, cards: list[Card]) -> list[dict[str, str]]:
        ids = dict.fromkeys(id_ for card in cards for id_ in card.guidelines)
        guidelines = [self.knowledge.guidelines[id_] for id_ in ids]
        return [
            {"label": f"{guideline.name} ({guideline.year})" if guideline.year else guideline.name,
             "url": guideline.url, "type": "absolute"}
            for guideline in guidelines
            if guideline.url
        ]  # fmt: skip

    def offered(self, outcome: Outcome) -> list[str]:
        """The ids of the suggestions that a card offers on this chart."""
        return [one.id for offer in outcome.card.offers for one, _ in self._members(offer, outcome)]

    def _members(self, offer: Offer, outcome: Outcome) -> list[tuple[Suggestion, list[dict[str, Any]]]]:
        found = []
        for id_, condition in offer.members:
            if condition is None or condition.run(outcome.frame) is True:
                suggestion = self.knowledge.suggestions[id_]
                if outcome.preliminary and suggestion.proposes_problem:
                    continue  # a problem is proposed on a final result only
                actions = self._actions(suggestion, outcome.card)
                if actions:
                    found.append((suggestion, actions))
        return found

    def _suggestion(self, offer: Offer, outcome: Outcome) -> dict[str, Any] | None:
        members = self._members(offer, outcome)
        if not members:
            return None
        actions = [action for _, made in members for action in made]
        return {"label": offer.label or members[0][0].label, "actions": actions}

    def _actions(self, suggestion: Suggestion, card: Card) -> list[dict[str, Any]]:
        if suggestion.left_out_when is not None and self._items(suggestion.left_out_when):
            return []
        if suggestion.action == "delete":
            asked = card.drafts if suggestion.about is None else (suggestion.about,)
            drafts = {item.id for fact in asked for item in self._items(fact) if item.status == "draft"}
            return [{"type": "delete", "description": suggestion.label, "resourceId": id_} for id_ in sorted(drafts)]
        about = self._items(suggestion.about) if suggestion.about is not None else []
        if suggestion.about is not None and not about:
            return []
        if suggestion.action == "create":
            references = [{"reference": item.id} for item in about]
            return [self._create(suggestion, resource, references) for resource in suggestion.resources]
        return [
            {"type": "update", "description": suggestion.label, "resource": {**resource, **suggestion.change}}
            for item in about
            if item.status == "active" and (resource := self._existing(item.id)) is not None
        ]

    def _create(
        self, suggestion: Suggestion, draft: Mapping[str, Any], references: list[dict[str, str]]
    ) -> dict[str, Any]:
        resource = dict(draft)
        field = patient_field(str(draft["resourceType"]))
        resource[str(field)] = {"reference": f"Patient/{self.chart.patient_id}"}
        dated = _DATED.get(str(draft["resourceType"]))
        if dated is not None:
            resource[dated] = written(self.chart.now)
        if resource["resourceType"] == "Task" and references:
            resource["focus"] = references[0]
        if suggestion.occurrence is not None:
            resource["occurrenceDateTime"] = written(self.chart.now + suggestion.occurrence)[:10]
        several = len(suggestion.resources) > 1
        description = f"Order {draft['code']['text'].lower()}" if several else suggestion.label
        return {"type": "create", "description": description, "resource": resource}

    def _existing(self, reference: str) -> dict[str, Any] | None:
        raw = self.chart.raw.get(reference)
        return sent_back(raw) if raw is not None else None

    def _items(self, fact: Fact) -> list[Any]:
        value = self.judgement.frame[self.knowledge.slot_of[fact]]
        items = value.certain if isinstance(value, Undecided) else value
        return [item for item in items if item is not UNKNOWN]


def _tidy(text: str) -> str:
    lines = [line.strip() if not line.lstrip().startswith(("-", "*")) else line.rstrip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _shortened(summary: str) -> str:
    summary = " ".join(summary.split())
    return summary if len(summary) <= SUMMARY_LIMIT else summary[: SUMMARY_LIMIT - 1].rstrip(" ,;:") + "…"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
