"""Chart × knowledge → outcomes: what each card definition concludes about one chart.

A pure function of chart and knowledge. Tiers are tried from critical to info and the first that is true decides;
three-valued logic as in CQL, and what cannot be told stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from cds_service.chart.chart import Chart
from cds_service.chart.doubts import Doubts
from cds_service.chart.items import CardItem, Medication, Order, Undecided
from cds_service.fhir.uncertain import UNKNOWN
from cds_service.knowledge.card import INDICATORS, Card, Indicator, Lower, Unless
from cds_service.knowledge.compile import FIRST_FREE
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.syntax import Expression

Verdict = Literal["holds", "suppressed", "quiet", "unknown", "not-applicable"]


@dataclass(slots=True, eq=False)
class Judgement:
    """All that was concluded about one chart: the outcomes in the order of the cards, and the frame they rest on.

    `missing` remembers by card what `explain.missing` found.
    """

    chart: Chart
    knowledge: Knowledge
    outcomes: list[Outcome]
    doubts: Doubts
    frame: list[Any]
    by_id: dict[str, Outcome]
    missing: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Outcome:
    """What one card definition concludes before selection.

    `indicator` comes with `holds` and `suppressed`. `tier` is the tier whose condition was true, before it was lowered.
    `undecided` are the conditions that are unknown and would have mattered, each with what the card could have been.
    `not_for` says why it may not appear at this hook; other cards that name it use the verdict all the same.
    `drafts` are the orders being placed that it speaks about.
    """

    card: Card
    verdict: Verdict
    indicator: Indicator | None = None
    tier: Indicator | None = None
    condition: Expression | None = None
    undecided: tuple[tuple[str, Expression], ...] = ()
    exceptions: tuple[Unless | Lower, ...] = ()
    preliminary: bool = False
    not_for: str = ""
    drafts: tuple[Medication | Order, ...] = ()
    frame: list[Any] = field(default_factory=list, repr=False)

    @property
    def reason(self) -> str:
        """Why it is suppressed or lowered, in the words of the card."""
        return " ".join(exception.reason for exception in self.exceptions)


def evaluate(chart: Chart, knowledge: Knowledge, *, also_drafts: bool = False) -> Judgement:
    """Judge every active card on a chart; with `also_drafts`, those of status draft too."""
    frame, doubts = _frame(chart, knowledge)
    later = _frame(chart, knowledge, preliminary=True)[0] if chart.preliminary else None
    judgement = Judgement(chart, knowledge, [], doubts, frame, {})
    for card in knowledge.order:
        for slot, ids in knowledge.card_facts.get(card.id, ()):
            frame[slot] = _named(ids, judgement)
            if later is not None:
                later[slot] = frame[slot]
        outcome = _judge(card, frame)
        if later is not None and outcome.indicator != "critical":
            outcome = _with_preliminary(card, outcome, later)
        outcome.not_for = _eligible(card, outcome, frame, judgement)
        judgement.by_id[card.id] = outcome
        if card.status in ("active", "silent") or (also_drafts and card.status == "draft"):
            judgement.outcomes.append(outcome)
    return judgement


def _frame(chart: Chart, knowledge: Knowledge, *, preliminary: bool = False) -> tuple[list[Any], Doubts]:
    frame, doubts = knowledge.plan.fill(chart, preliminary=preliminary)
    frame[:FIRST_FREE] = [chart.now, chart.gender, chart.age_years, chart.age_months, chart.hook]
    return frame, doubts


def _named(ids: tuple[str, ...], judgement: Judgement) -> Any:
    certain: list[object] = []
    maybe: list[object] = []
    for id_ in ids:
        outcome = judgement.by_id[id_]
        if outcome.verdict == "holds":
            certain.append(card_item(outcome))
        elif outcome.verdict == "unknown":
            maybe.append(UNKNOWN)
    return Undecided(certain, maybe) if maybe else certain


def keeps_own_card(outcome: Outcome) -> bool:
    """Whether a card stays a card of its own at its indicator, even when another would take it in."""
    card = outcome.card
    if card.merge_into is None or outcome.indicator is None:
        return True
    return INDICATORS.index(outcome.indicator) <= INDICATORS.index(card.own_card)


def card_item(outcome: Outcome) -> CardItem:
    """An outcome as other cards see it."""
    return CardItem(outcome.card.id, str(outcome.indicator), keeps_own_card(outcome))


def _eligible(card: Card, outcome: Outcome, frame: list[Any], judgement: Judgement) -> str:
    """Why a card may not appear at this hook; empty when it may."""
    chart = judgement.chart
    if chart.hook not in card.hooks:
        return f"it is not for {chart.hook}"
    if chart.hook not in ("order-select", "order-sign"):
        return ""
    for fact in card.drafts:
        value = frame[judgement.knowledge.slot_of[fact]]
        items: list[Any] = value.certain if isinstance(value, Undecided) else value
        placed = [item for item in items if chart.hook == "order-sign" or item.id in chart.selected]
        outcome.drafts = (*outcome.drafts, *placed)
    if outcome.drafts:
        return ""
    if chart.hook == "order-sign" and outcome.verdict == "holds" and outcome.indicator == "critical":
        return ""
    if any(name in chart.drafts for name in chart.unresolved_medications):
        return "no draft order is known to be one that it speaks about: one names no drug that was sent"
    return "no draft order is one that it speaks about"


def _judge(card: Card, frame: list[Any]) -> Outcome:
    population = card.population.run(frame)
    if population is False:
        return Outcome(card, "not-applicable", condition=card.population, frame=frame)
    if population is not True:
        return Outcome(card, "unknown", undecided=(("shown", card.population),), frame=frame)
    undecided: list[tuple[str, Expression]] = []
    for indicator, condition in card.tiers:
        value = condition.run(frame)
        if value is True:
            outcome = Outcome(card, "holds", indicator, indicator, condition, tuple(undecided), frame=frame)
            return _excepted(outcome, frame)
        if value is not False:
            undecided.append((indicator, condition))
    return Outcome(card, "unknown" if undecided else "quiet", undecided=tuple(undecided), frame=frame)


def _excepted(outcome: Outcome, frame: list[Any]) -> Outcome:
    """Apply `unless`, then `lower`; one that is unknown does not act and is noted."""
    for unless in outcome.card.unless:
        if outcome.tier in unless.applies_to:
            value = unless.when.run(frame)
            if value is True:
                outcome.verdict = "suppressed"
                outcome.exceptions = (unless,)
                return outcome
            if value is not False:
                outcome.undecided += (("suppressed", unless.when),)
    for lower in outcome.card.lower:
        if outcome.tier in lower.applies_to:
            value = lower.when.run(frame)
            if value is True:
                outcome.exceptions += (lower,)
                _lower(outcome, lower)
                if outcome.verdict == "suppressed":
                    return outcome
            elif value is not False:
                outcome.undecided += (("lower", lower.when),)
    return outcome


def _lower(outcome: Outcome, lower: Lower) -> None:
    step = INDICATORS.index(outcome.indicator or "info")
    if lower.to is not None:
        outcome.indicator = INDICATORS[max(step, INDICATORS.index(lower.to))]
    elif step + 1 < len(INDICATORS):
        outcome.indicator = INDICATORS[step + 1]
    else:
        outcome.verdict = "suppressed"


def _with_preliminary(card: Card, outcome: Outcome, frame: list[Any]) -> Outcome:
    """A preliminary result in the critical band is at most a warning (`conventions.status_rules`)."""
    early = _judge(card, frame)
    if early.verdict != "holds" or early.tier != "critical" or early.indicator != "critical":
        return outcome
    early.indicator, early.preliminary = "warning", True
    return early
