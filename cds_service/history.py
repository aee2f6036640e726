"""What a clinician was shown before and how it was answered, and which findings stay away because of it.

Pure: the history is an argument of selection, so that `explain` gives the same answer as the service. The periods are
those of `conventions.design.dedupe` of the rule set: the same rule on the same evidence, overridden by the same
clinician, stays away for 24 hours (critical), 30 days (warning) or 90 days (info), unless its value crossed a tier or
new data came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from cds_service.chart.items import Finding, Medication, Order, Result, Undecided
from cds_service.evaluate import Outcome
from cds_service.fhir.dates import written
from cds_service.fhir.uncertain import DAY
from cds_service.knowledge.card import INDICATORS, Card, Indicator
from cds_service.knowledge.syntax import facts_in

Response = Literal["accepted", "overridden"]

STAYS_AWAY: Final[Mapping[Indicator, int]] = {"critical": DAY, "warning": 30 * DAY, "info": 90 * DAY}
"""How long an overridden finding stays away, in milliseconds."""


class Showing(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as it was shown: the card itself, or a line of the card `into`.

    `evidence` marks the data it rested on; `at` when it was shown, `answered_at` when the card was
    answered (both in milliseconds since 1970 UTC), `answer` how. `same_clinician`: by the one who looks now.
    """

    card: str
    indicator: Indicator
    evidence: str
    at: int
    into: str | None = None
    answer: Response | None = None
    answered_at: int | None = None
    same_clinician: bool = False


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All that is remembered of one patient. `key` is the secret that marks evidence."""

    key: bytes = b""
    showings: tuple[Showing, ...] = ()


NOTHING: Final = History()
"""The history of a patient of whom nothing is remembered."""


def stays_away(outcome: Outcome, history: History, now: int, cards: Mapping[str, Card]) -> str:
    """Why a finding that holds is not shown now, with the date of what keeps it away; empty when it is shown."""
    own = [showing for showing in history.showings if showing.card == outcome.card.id]
    if not own:
        return ""
    current = evidence(outcome, history.key)
    for showing in sorted(own, key=lambda one: -one.at):
        if _was_shown_lately(outcome, showing, now):
            days = (outcome.card.repeat or 0) // DAY
            return f"it was shown on {_date(showing.at)} and appears once in {days} days"
        if (
            showing.answered_at is not None
            and showing.same_clinician
            and showing.indicator == outcome.indicator
            and _nothing_new(current, showing)
            and now - showing.answered_at < _period(showing, outcome.card, cards)
        ):
            return f"it was {showing.answer} on {_date(showing.answered_at)} and nothing is new since"
    return ""


def evidence(outcome: Outcome, key: bytes) -> str:
    """What an outcome that holds rests on: a mark for each result, finding and drug that its tier asks, in order; and
    for each draft order that it speaks about.

    A mark changes with the value, the status or the dose, and tells nothing without the secret `key`. Orders, visits
    and procedures are no new data, but for the drafts.
    """
    facts = facts_in(outcome.condition) if outcome.condition is not None else ()
    told = {_told(item) for fact in facts for item in _items(outcome.frame[fact.slot])}
    told |= {f"draft {_told(item)}" for item in outcome.drafts}
    secret = hashlib.sha256(key).digest()
    return " ".join(sorted({_mark(text, secret) for text in told}))


def _mark(text: str, secret: bytes) -> str:
    return hashlib.blake2b(text.encode(), key=secret, digest_size=8).hexdigest()


def _was_shown_lately(outcome: Outcome, showing: Showing, now: int) -> bool:
    """Whether the card said that it appears once in a time that is not over. What speaks about a draft, or is worse
    than it was, is shown each time.
    """
    repeat = outcome.card.repeat
    worse = INDICATORS.index(outcome.indicator or "info") < INDICATORS.index(showing.indicator)
    return repeat is not None and now - showing.at < repeat and not worse and not outcome.drafts


def _nothing_new(current: str, showing: Showing) -> bool:
    """Whether all that is there now was there when it was shown; what has gone since is no news."""
    return set(current.split()) <= set(showing.evidence.split())


def _period(showing: Showing, card: Card, cards: Mapping[str, Card]) -> int:
    """How long an answered finding stays away: as its card says (`answered`, `overridden`), else when overridden as its
    tier says; what is critical never longer than a day.

    A line of a card that says `answered` stays away no longer than that card; when the card was accepted, only a line
    of tier info does.
    """
    carrier = cards.get(showing.into) if showing.into is not None else None
    usual = STAYS_AWAY[showing.indicator]
    if showing.answer == "accepted":
        said = card.answered if carrier is None else carrier.answered if showing.indicator == "info" else 0
        return min(said or 0, usual)
    period = card.overridden.get(showing.indicator, usual)
    if card.answered is not None:
        period = card.answered
    if carrier is not None and carrier.answered is not None:
        period = min(period, carrier.answered)
    return min(period, usual) if showing.indicator == "critical" else period


def _items(value: Any) -> Iterator[Result | Finding | Medication]:
    certain = value.certain if isinstance(value, Undecided) else value
    for item in certain if isinstance(certain, list) else [certain]:
        if isinstance(item, Result | Finding | Medication):
            yield item


def _told(item: Result | Finding | Medication | Order) -> str:
    match item:
        case Result():
            said: tuple[Any, ...] = (item.value, item.systolic, item.diastolic, item.date, item.status)
        case Finding():
            said = (item.group, item.severity, item.side, item.active)
        case Medication():
            said = (item.ingredient, item.status, item.dose)
        case Order():
            said = (item.group, item.status)
    return f"{item.id} {said!r}"


def _date(at: int) -> str:
    return written(at)[:10]
