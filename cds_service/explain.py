"""Why an outcome is what it is: the conditions that decided it, and what was missing.

Explanations are computed when they are read, with the same closures that judged the chart, so that they cannot drift
from the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from cds_service.chart.doubts import Doubt
from cds_service.chart.items import (
    ABSENT,
    CANNOT_TELL,
    CardItem,
    Encounter,
    Finding,
    Medication,
    Order,
    Procedure,
    Reason,
    Result,
    Undecided,
)
from cds_service.evaluate import Judgement, Outcome
from cds_service.fhir.dates import written
from cds_service.fhir.uncertain import DAY, UNKNOWN, Interval, Span, Unknown
from cds_service.knowledge import syntax as s
from cds_service.knowledge.compile import operands

_WEIGHT: Final = {"critical": 0, "warning": 1, "info": 2, "shown": 3, "suppressed": 4, "lower": 5}
_INCOMPLETE: Final[tuple[Reason, ...]] = ("unreadable", "not-supplied")
"""Why something newer than a result that was found may be missing."""
_PATIENT: Final = {"AgeInYears": "Patient.birthDate", "AgeInMonths": "Patient.birthDate"}


@dataclass(frozen=True, slots=True)
class Because:
    """A condition that decided: its text, what it was, the names in it, its line in the card or in shared.yaml."""

    condition: str
    value: bool
    facts: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A fact that could not be told, why, and what the card could have been with it."""

    fact: str
    reason: Reason
    could_be: str
    within: str = ""
    details: tuple[str, ...] = ()


def because(outcome: Outcome) -> list[Because]:
    """The conditions that decided an outcome: of a true `and` all, of a true `or` the true ones, and so on."""
    card = outcome.card
    if outcome.verdict == "not-applicable":
        deciding: list[s.Expression] = [card.population]
    elif outcome.verdict == "quiet":
        deciding = [condition for _, condition in card.tiers]
    else:
        deciding = [outcome.condition] if outcome.condition is not None else []
        deciding += [exception.when for exception in outcome.exceptions]
    found: dict[tuple[str, int], Because] = {}
    for expression in deciding:
        for leaf, value in _deciding(expression, outcome.frame):
            names = tuple(dict.fromkeys(named.name for named in s.named_in(leaf)))
            found.setdefault((leaf.text, leaf.line), Because(leaf.text, value, names, leaf.line))
    return list(found.values())


def _deciding(expression: s.Expression, frame: list[Any]) -> Iterator[tuple[s.Expression, bool]]:
    value = expression.run(frame)
    if not isinstance(value, bool):
        return
    if isinstance(expression, s.Binary) and expression.operator in ("and", "or"):
        all_count = value is (expression.operator == "and")
        for part in operands(expression):
            if all_count or part.run(frame) is value:
                yield from _deciding(part, frame)
    elif isinstance(expression, s.Not):
        yield from _deciding(expression.of, frame)
    elif (definition := _definition(expression)) is not None:
        yield from _deciding(definition, frame)
    else:
        yield expression, value


def _definition(expression: s.Expression) -> s.Expression | None:
    if isinstance(expression, s.Name) and isinstance(expression.target, s.Named):
        return expression.target.expression
    return None


def missing(outcome: Outcome, judgement: Judgement) -> list[Missing]:
    """What could not be told and would have mattered, each fact once with the worst that the card could have been."""
    known: list[Missing] | None = judgement.missing.get(outcome.card.id)
    if known is None:
        known = judgement.missing[outcome.card.id] = _missing_of(outcome, judgement)
    return known


def _missing_of(outcome: Outcome, judgement: Judgement) -> list[Missing]:
    found: dict[tuple[str, Reason], Missing] = {}
    for could_be, expression in outcome.undecided:
        for leaf in _unknown(expression, outcome.frame):
            for one in _missing_in(leaf, could_be, outcome, judgement):
                _keep_worst(found, one)
    if judgement.doubts and outcome.verdict in ("holds", "quiet", "suppressed"):
        for could_be, condition in outcome.card.tiers:
            for named in s.facts_in(condition):
                value = outcome.frame[named.slot]
                if value is CANNOT_TELL or isinstance(value, Undecided):
                    continue
                for reason in _INCOMPLETE:
                    doubts = [doubt for doubt in judgement.doubts.get(named.slot, []) if doubt.reason == reason]
                    if doubts:
                        _keep_worst(found, _missing(named, reason, could_be, doubts))
    return list(found.values())


def _keep_worst(found: dict[tuple[str, Reason], Missing], one: Missing) -> None:
    before = found.get((one.fact, one.reason))
    if before is None or _WEIGHT[one.could_be] < _WEIGHT[before.could_be]:
        found[(one.fact, one.reason)] = one


def _unknown(expression: s.Expression, frame: list[Any]) -> Iterator[s.Expression]:
    if isinstance(expression.run(frame), bool):
        return
    if isinstance(expression, s.Binary) and expression.operator in ("and", "or"):
        for part in operands(expression):
            yield from _unknown(part, frame)
    elif isinstance(expression, s.Not):
        yield from _unknown(expression.of, frame)
    elif (definition := _definition(expression)) is not None:
        yield from _unknown(definition, frame)
    else:
        yield expression


def _missing_in(leaf: s.Expression, could_be: str, outcome: Outcome, judgement: Judgement) -> Iterable[Missing]:
    found = []
    vague = []
    for named in s.facts_in(leaf):
        value = outcome.frame[named.slot]
        doubts = judgement.doubts.get(named.slot, [])
        if value is ABSENT:
            found.append(_missing(named, "not-found", could_be, []))
        elif doubts:
            found.append(_missing(named, doubts[0].reason, could_be, doubts))
        elif value is CANNOT_TELL or isinstance(value, Undecided):
            found.append(_missing(named, _of_cards(named, judgement), could_be, []))
        elif value:
            vague.append(_missing(named, _of_items(value, leaf), could_be, []))
    for part in s.walk(leaf):
        if (
            isinstance(part, s.Call)
            and part.function in _PATIENT
            and not isinstance(part.run(outcome.frame), (int, float))
        ):
            found.append(Missing(_PATIENT[part.function], "not-found", could_be))
        if isinstance(part, s.Attribute) and part.text == "Patient.gender" and part.run(outcome.frame) is None:
            found.append(Missing("Patient.gender", "not-found", could_be))
    return found or vague


def _of_items(value: Any, leaf: s.Expression) -> Reason:
    """Why found items did not decide a condition: what it asks of them is not known, or there was no such item."""
    asked = _attributes(leaf)
    for item in value if isinstance(value, list) else [value]:
        if any(isinstance(getattr(item, name, 0), (Interval, Unknown, type(None))) for name in asked):
            return "uncertain"
    return "not-found"


def _attributes(expression: s.Expression) -> set[str]:
    """The names of all attributes that an expression asks for, through definitions too."""
    asked = {part.name for part in s.walk(expression) if isinstance(part, s.Attribute)}
    inner = (named.expression for named in s.named_in(expression) if named.expression is not None)
    return asked.union(*map(_attributes, inner))


def _of_cards(named: s.Named, judgement: Judgement) -> Reason:
    """Why a fact about other cards is undecided: the reason of the first of them that is more than not found."""
    if named.fact is not None and named.fact.form == "cards":
        for id_ in named.fact.groups:
            other = judgement.by_id.get(id_)
            if other is None or other.verdict != "unknown":
                continue
            reasons = [one.reason for one in missing(other, judgement)]
            worse = [reason for reason in reasons if reason != "not-found"]
            if worse:
                return worse[0]
        return "not-found"
    return "uncertain"


def _missing(named: s.Named, reason: Reason, could_be: str, doubts: list[Doubt]) -> Missing:
    within = named.fact.within if named.fact is not None else None
    words = ""
    if within is not None:
        count, name = (within // DAY, "day") if within % DAY == 0 else (within // 3_600_000, "hour")
        words = f"{count} {name}" if count == 1 else f"{count} {name}s"
    details = tuple(dict.fromkeys(doubt.detail for doubt in doubts if doubt.reason == reason))
    return Missing(named.name, reason, could_be, words, details)


def facts(outcome: Outcome, judgement: Judgement, names: Iterable[str]) -> dict[str, Any]:
    """The facts of some names as plain data: a single one as an object, a list as an array."""
    found: dict[str, Any] = {}
    for name in names:
        named = outcome.card.names.get(name)
        for fact in _reached(named):
            value = outcome.frame[fact.slot]
            if isinstance(value, (list, Undecided)):
                items = value.certain if isinstance(value, Undecided) else value
                if items:
                    found[fact.name] = [plain(item, judgement) for item in items if item is not UNKNOWN]
            elif value is not ABSENT and value is not CANNOT_TELL and value is not None:
                found[fact.name] = plain(value, judgement)
    return found


def _reached(named: s.Named | None) -> list[s.Named]:
    if named is None:
        return []
    return [named] if named.expression is None else list(s.facts_in(named.expression))


def plain(item: Any, judgement: Judgement) -> dict[str, Any]:
    """An item of the chart as plain data: values with units, dates as ISO 8601, the reference of its resource."""
    if isinstance(item, CardItem):
        return {"card": item.id, "indicator": item.indicator}
    resource = {"resource": item.id}
    if isinstance(item, Result):
        unit = judgement.knowledge.codes.results[item.group].unit or ""
        values = {name: _value(getattr(item, name)) for name in ("value", "systolic", "diastolic")}
        shown = {name: value for name, value in values.items() if value is not None}
        return {**shown, **({"unit": unit} if unit else {}), **_dates(date=item.date), **resource}
    if isinstance(item, Medication):
        dose = {"dose": {"value": _value(item.dose), "unit": "mg/d"}} if item.dose is not None else {}
        return {"ingredient": item.ingredient, "status": item.status, **dose, **_dates(start=item.start), **resource}
    if isinstance(item, Finding):
        return {"group": item.group, **_dates(onset=item.onset), **resource}
    if isinstance(item, (Order, Procedure)):
        return {"group": item.group, **_dates(date=item.date), **resource}
    assert isinstance(item, Encounter)  # noqa: S101 - the last kind of item
    return {"group": item.group, **_dates(start=item.start), **resource}


def _value(value: Any) -> Any:
    if isinstance(value, Interval):
        return repr(value)
    return None if value is UNKNOWN else _iso(value) if isinstance(value, (int, Span)) else value


def _dates(**dates: Any) -> dict[str, str]:
    return {name: _iso(value) for name, value in dates.items() if isinstance(value, (int, Span))}


def _iso(value: int | Span) -> str:
    start = value.lo if isinstance(value, Span) else value
    if isinstance(value, Span):
        return written(start)[: {"year": 4, "month": 7}.get(value.precision, 10)]
    return written(start, "milliseconds" if start % 1000 else "seconds")
