"""What could not be judged and would have mattered, in lines for the answer; tests never done are no fault."""

from __future__ import annotations

from typing import Final

from cds_service.evaluate import Judgement, Outcome
from cds_service.explain import missing

_TITLES: Final = 6
"""So many cards a line names; `explain` names them all."""
_PATIENT: Final = {"Patient.birthDate": "the date of birth", "Patient.gender": "the sex"}


def not_judged(judgement: Judgement) -> list[str]:
    """A line for each cause, with the cards that it kept from being judged; empty when everything was judged."""
    known = _patient_known(judgement)
    if not judgement.doubts and known:
        return []
    causes: dict[tuple[str, str], list[str]] = {}
    for outcome in judgement.outcomes:
        if outcome.not_for or (known and not _touches_doubt(outcome, judgement)):
            continue
        for one in missing(outcome, judgement):
            named = outcome.card.names.get(one.fact)
            fact = named.fact if named is not None else None
            if fact is None:
                words = _PATIENT.get(one.fact, one.fact)
            elif one.reason == "not-found" or fact.form == "cards":
                continue  # what keeps another card from being judged stands under that card
            else:
                words = judgement.knowledge.words.group(fact.groups[0])
            for detail in one.details or (words,):
                causes.setdefault((one.reason, detail), []).append(outcome.card.title)
    lines = [_line(*cause, list(dict.fromkeys(titles))) for cause, titles in causes.items()]
    return sorted(lines, key=lambda line: ("flagged" not in line, line))  # what the laboratory flagged comes first


def _patient_known(judgement: Judgement) -> bool:
    return isinstance(judgement.chart.age_years, (int, float)) and judgement.chart.gender is not None


def _touches_doubt(outcome: Outcome, judgement: Judgement) -> bool:
    return not outcome.card.uses.isdisjoint(judgement.doubts) or bool(outcome.card.asks)


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
