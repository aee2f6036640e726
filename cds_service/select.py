"""Outcomes × history → the cards of a response: ranking, merging and capping.

A pure function. No cap drops anything critical; what is capped is named in a card that is shown
(`conventions.design` of the rule set, after the alert-fatigue literature it names).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cds_service.chart.items import Finding, Undecided
from cds_service.evaluate import Judgement, Outcome, keeps_own_card
from cds_service.fhir.uncertain import UNKNOWN, instants
from cds_service.history import NOTHING, History, stays_away
from cds_service.knowledge.card import INDICATORS, Indicator

Kind = Literal["shown", "merged", "withheld", "suppressed", "quiet", "unknown", "not-applicable"]

CAPS: Final[Mapping[str, tuple[int, int]]] = {
    "patient-view": (3, 5), "order-select": (2, 2), "order-sign": (2, 2), "encounter-discharge": (3, 3),
}  # fmt: skip
"""By hook: the most cards that are not critical, and the most cards at all."""
FOLDED: Final = "critical-findings"
"""The id of the card that names the critical findings for which there is no card of their own."""


@dataclass(slots=True, eq=False)
class Shown:
    """A card of the response. `lines` are the outcomes merged into it; `also` those that the cap held back.

    A card without `outcome` folds the critical findings beyond the cap into one. `at_least` is the indicator of the
    most urgent outcome that is a line only because the cap left it no card.
    """

    outcome: Outcome | None
    lines: list[Outcome] = field(default_factory=list)
    also: list[Outcome] = field(default_factory=list)
    at_least: Indicator = "info"

    @property
    def id(self) -> str:
        """The id of its card definition."""
        return self.outcome.card.id if self.outcome is not None else FOLDED

    @property
    def indicator(self) -> Indicator:
        """How urgent it is."""
        own = (self.outcome.indicator if self.outcome is not None else None) or "critical"
        return min(own, self.at_least, key=INDICATORS.index)


@dataclass(slots=True, eq=False)
class Placement:
    """What became of one outcome."""

    kind: Kind
    reason: str = ""
    into: str = ""


_NOWHERE: Final = Placement("quiet")


@dataclass(slots=True, eq=False)
class Selection:
    """The cards to show, in their order, and what became of each outcome, by card id."""

    cards: list[Shown]
    placements: dict[str, Placement]


def select(judgement: Judgement, history: History = NOTHING) -> Selection:
    """The cards of a response. `history` is what this patient's clinicians were shown before and how they answered: a
    finding that was overridden lately is withheld. A card that others are lines of comes back with the first new line.

    When something urgent has silenced the card that would take in a milder finding, that finding gets no card of its
    own beside the urgent one.
    """
    placements: dict[str, Placement] = {}
    candidates: list[Outcome] = []
    for outcome in judgement.outcomes:
        placement = _set_aside(outcome, judgement.chart.hook)
        if placement is None:
            candidates.append(outcome)
        else:
            placements[outcome.card.id] = placement
    candidates = _new_to(candidates, history, judgement, placements)
    candidates.sort(key=lambda outcome: _rank(outcome, judgement))
    shown = _merge(candidates, placements)
    carriers = frozenset(card.merge_into for card in judgement.knowledge.order if card.merge_into is not None)
    silenced = frozenset(id_ for id_ in carriers if placements.get(id_, _NOWHERE).kind == "suppressed")
    urgent = any(one.indicator == "critical" for one in shown)
    beside = [one for one in shown if urgent and one.indicator == "info" and _into(one) in silenced]
    cards = _cap([one for one in shown if one not in beside], placements, carriers, *CAPS[judgement.chart.hook])
    for one in beside:
        _name_in_last(one, cards, placements, "there is no room beside an urgent card; the last card names it")
    return Selection(cards, placements)


def _new_to(
    candidates: list[Outcome], history: History, judgement: Judgement, placements: dict[str, Placement]
) -> list[Outcome]:
    """The candidates that history does not keep away; the others are withheld."""
    if not history.showings:
        return candidates
    now, cards = judgement.chart.now, judgement.knowledge.cards
    reasons = {outcome.card.id: stays_away(outcome, history, now, cards) for outcome in candidates}
    lines = [outcome for outcome in candidates if not reasons[outcome.card.id] and not keeps_own_card(outcome)]
    for into in {outcome.card.merge_into for outcome in lines}:
        reasons[str(into)] = ""
    for outcome in candidates:
        if reasons[outcome.card.id]:
            placements[outcome.card.id] = Placement("withheld", reasons[outcome.card.id])
    return [outcome for outcome in candidates if not reasons[outcome.card.id]]


def _into(one: Shown) -> str | None:
    return one.outcome.card.merge_into if one.outcome is not None else None


def _outcomes(one: Shown) -> list[Outcome]:
    """What a card says: its own outcome, and those that are lines of it."""
    return [*([one.outcome] if one.outcome is not None else []), *one.lines]


def _name_in_last(one: Shown, cards: list[Shown], placements: dict[str, Placement], reason: str) -> None:
    for outcome in _outcomes(one):
        placements[outcome.card.id] = Placement("withheld", reason)
        cards[-1].also.append(outcome)


def _set_aside(outcome: Outcome, hook: str) -> Placement | None:
    card = outcome.card
    if outcome.not_for:
        return Placement("not-applicable", outcome.not_for)
    if outcome.verdict != "holds":
        return Placement(outcome.verdict, outcome.reason if outcome.verdict == "suppressed" else "")
    if card.status == "silent":
        return Placement("withheld", "its status is silent")
    if card.waits_for:
        return Placement("withheld", f"it waits for codes of {', '.join(card.waits_for)}")
    if hook == "order-select" and INDICATORS.index(outcome.indicator or "info") > INDICATORS.index(card.order_select):
        return Placement("withheld", f"while orders are chosen, it is shown from {card.order_select} on")
    return None


def _rank(outcome: Outcome, judgement: Judgement) -> tuple[int, bool, int, int, int]:
    """Indicator, about an order being placed, priority, newest data, linked to a symptom."""
    newest, linked = 0, 1
    for slot in outcome.card.uses:
        value = outcome.frame[slot]
        certain = value.certain if isinstance(value, Undecided) else value
        items: list[Any] = certain if isinstance(certain, list) else [certain]
        for item in items:
            date = getattr(item, "date", None)
            if date is not None and date is not UNKNOWN:
                newest = max(newest, instants(date)[1])
            linked = 0 if isinstance(item, Finding) else linked
    urgency = INDICATORS.index(outcome.indicator or "info")
    return urgency, not outcome.drafts, outcome.card.priority, -newest, linked


def _merge(candidates: list[Outcome], placements: dict[str, Placement]) -> list[Shown]:
    shown = {outcome.card.id: Shown(outcome) for outcome in candidates}
    for outcome in candidates:
        into = outcome.card.merge_into
        if into in shown and not keeps_own_card(outcome):
            shown[into].lines.append(outcome)
            del shown[outcome.card.id]
            placements[outcome.card.id] = Placement("merged", into=into)
    return list(shown.values())


def _cap(
    shown: list[Shown], placements: dict[str, Placement], carriers: frozenset[str], most_others: int, ceiling: int
) -> list[Shown]:
    critical = [one for one in shown if one.indicator == "critical"]
    others = [one for one in shown if one.indicator != "critical"]
    carrier = next((one for one in others if one.id in carriers), None)
    if carrier is not None:
        others.remove(carrier)
        others.insert(0, carrier)
    if len(critical) > ceiling:
        critical, folded = critical[: ceiling - 1], critical[ceiling - 1 :]
        held = [outcome for one in folded for outcome in _outcomes(one)]
        critical.append(Shown(None, held))
        for outcome in held:
            placements[outcome.card.id] = Placement("merged", "there is room for few cards", FOLDED)
    kept = others[: max(min(most_others, ceiling - len(critical)), 0)]
    cards = [*critical, *(one for one in shown if one in kept)]
    for one in cards:
        if one.outcome is not None:
            placements[one.id] = Placement("shown")
    for one in others[len(kept) :]:
        if carrier is not None and carrier in kept:
            carrier.at_least = min(carrier.at_least, one.indicator, key=INDICATORS.index)
            for outcome in _outcomes(one):
                carrier.lines.append(outcome)
                placements[outcome.card.id] = Placement("merged", "there is room for few cards", carrier.id)
        else:
            _name_in_last(one, cards, placements, "there is room for few cards; the last card names it")
    return cards
