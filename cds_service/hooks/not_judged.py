"""What could not be judged and would have mattered, in lines for the answer; tests never done are no fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cds_service.evaluate import Judgement, Outcome
from cds_service.explain import missing
from cds_service.knowledge.card import INDICATORS

_TITLES: Final = 8
"""So many cards a line names, those that could be most urgent first; `explain` names them all."""
_PATIENT: Final = {"Patient.birthDate": "the date of birth", "Patient.gender": "the sex"}


def not_judged(judgement: Judgement) -> list[str]:
    """A line for each cause, with the cards that it kept from being judged; empty when everything was judged."""
    known = _patient_known(judgement)
    if not judgement.doubts and known:
        return []
    causes: dict[tuple[str, str], list[str]] = {}
    unnamed = _unnamed_drafts(judgement)
    for outcome in sorted(judgement.outcomes, key=_urgency):
        if unnamed and _may_speak_of_draft(outcome, judgement):
            for cause in unnamed:
                causes.setdefault(cause, []).append(outcome.card.title)
        if outcome.not_for or (known and not _touches_doubt(outcome, judgement)):
            continue
        for cause in _causes(outcome, judgement):
            causes.setdefault(cause, []).append(outcome.card.title)
    lines = [_line(*cause, list(dict.fromkeys(titles))) for cause, titles in causes.items()]
    return sorted(lines, key=lambda line: ("flagged" not in line, line))  # what the laboratory flagged comes first


def _urgency(outcome: Outcome) -> tuple[int, int]:
    """What a card could be at worst, then its priority."""
    return INDICATORS.index(outcome.card.tiers[0][0]), outcome.card.priority


def _unnamed_drafts(judgement: Judgement) -> list[tuple[str, str]]:
    """Reason and detail of each draft of which nothing says what drug it is."""
    drafts = set(judgement.chart.drafts)
    unnamed = [name for name in judgement.chart.unresolved_medications if name in drafts]
    return [("uncertain", f"{name} names no drug that was sent") for name in unnamed]


def _may_speak_of_draft(outcome: Outcome, judgement: Judgement) -> bool:
    """Whether a card of this hook holds, or may hold, and is left out for want of a draft of its drugs."""
    card = outcome.card
    about_drugs = any(fact.form == "medications" for fact in card.drafts)
    left_out = bool(outcome.not_for) and judgement.chart.hook in card.hooks
    return left_out and about_drugs and outcome.verdict in ("holds", "unknown")


def _causes(outcome: Outcome, judgement: Judgement) -> Iterator[tuple[str, str]]:
    """Reason and detail of what a card lacked. What keeps another card of this hook from being judged stands under
    that card; of a card that is not for this hook it stands here.
    """
    for one in missing(outcome, judgement):
        named = outcome.card.names.get(one.fact)
        fact = named.fact if named is not None else None
        if fact is not None and one.reason == "not-found":
            continue
        if fact is not None and fact.form == "cards":
            for other in (judgement.by_id[id_] for id_ in fact.groups if id_ in judgement.by_id):
                if other.not_for and other.verdict == "unknown":
                    yield from _causes(other, judgement)
            continue
        words = (
            judgement.knowledge.words.group(fact.groups[0]) if fact is not None else _PATIENT.get(one.fact, one.fact)
        )
        for detail in one.details or (words,):
            yield one.reason, detail


def _patient_known(judgement: Judgement) -> bool:
    return isinstance(judgement.chart.age_years, (int, float)) and judgement.chart.gender is not None


def _touches_doubt(outcome: Outcome, judgement: Judgement) -> bool:
    """Whether a fact of the card is in doubt, or one of a card that it asks and that is not for this hook."""
    if not outcome.card.uses.isdisjoint(judgement.doubts):
        return True
    asked = (judgement.by_id[id_] for id_ in outcome.card.asks if id_ in judgement.by_id)
    return any(one.not_for and one.verdict == "unknown" and _touches_doubt(one, judgement) for one in asked)


def _line(reason: str, detail: str, titles: list[str]) -> str:
    words = {
        "not-found": f"{detail} is not known",
        "not-supplied": detail,
        "unreadable": f"{detail} (not readable)",
        "uncertain": f"{detail} (uncertain)",
    }[reason]
    named = ", ".join(titles[:_TITLES])
    more = f" and {len(titles) - _TITLES} more" if len(titles) > _TITLES else ""
    return f"{words}; not fully judged: {named}{more}"
