"""How values of a chart read inside a text: results with unit and date, drugs and findings by name, lists in short."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cds_service.chart.codes import Codes
from cds_service.chart.items import (
    ABSENT,
    CANNOT_TELL,
    CardItem,
    Encounter,
    Finding,
    Medication,
    Order,
    Procedure,
    Result,
    Undecided,
)
from cds_service.fhir.uncertain import EVER, UNKNOWN, Interval, Span, instants
from cds_service.knowledge.syntax import Labels, Named, facts_in
from cds_service.knowledge.types import Type

_AT_MOST: Final = 3
_UNTOLD: Final = {"not-supplied": "not supplied", "unreadable": "not readable", "uncertain": "uncertain"}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE_LENGTH: Final = len("18 Nov 2026")
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
_UNITS: Final = {
    "m[IU]/L": "mIU/L", "mL/min/{1.73_m2}": "mL/min/1.73 m²", "10*9/L": "×10⁹/L", "mm[Hg]": "mmHg", "Cel": "°C",
    "ug/L": "µg/L", "umol/L": "µmol/L", "mosm/kg": "mosm/kg", "mg/d": "mg/day", "1": "", "[pH]": "", "kg/m2": "kg/m²",
}  # fmt: skip


class Shown:
    """A value as a template sees it: its words, whether it holds, and its parts when it is a list."""

    __slots__ = ("holds", "parts", "words")

    def __init__(self, words: str, holds: bool, parts: tuple[str, ...] = ()) -> None:
        self.words, self.holds, self.parts = words, holds, parts

    def __str__(self) -> str:
        return self.words

    def __bool__(self) -> bool:
        return self.holds

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)


class Words:
    """How values read: names and units come from the code groups, titles from the cards."""

    def __init__(self, codes: Codes, titles: Mapping[str, str]) -> None:
        self.codes = codes
        self.titles = titles

    def decimals(self, named: Named) -> int | None:
        """The decimals of a definition's quantity: those of the results of its unit that it reaches; None when they
        have none in common.
        """
        if named.expression is None or named.type.kind != "quantity":
            return None
        facts = [reached.fact for reached in facts_in(named.expression) if reached.fact is not None]
        groups = [self.codes.results[fact.groups[0]] for fact in facts if fact.form in ("result", "results")]
        known = {group.decimals for group in groups if group.unit == named.type.unit}
        return known.pop() if len(known) == 1 else None

    def shown(
        self, value: Any, of: Type, now: int, reason: str = "", *, in_full: bool = False, decimals: int | None = None
    ) -> Shown:
        """A value of a type, as a template shows it at `now`; `reason` says why an unknown one is unknown, `decimals`
        belong to a quantity.
        """
        if value is ABSENT:
            return Shown("not measured", False)
        if value is CANNOT_TELL or value is UNKNOWN:
            return Shown(_UNTOLD.get(reason, "not readable" if of.form is not None else "not known"), False)
        if isinstance(value, (list, Undecided)):
            return self._list(value, of, now, in_full)
        if value is None:
            return Shown("not known", False)
        if isinstance(value, bool):
            return Shown("yes" if value else "no", value)
        if decimals is not None:
            return Shown(number(value, decimals, fixed=True) + unit(of.unit), True)
        return Shown(self._one(value, of, now, in_full), True)

    def _list(self, value: list[Any] | Undecided, of: Type, now: int, in_full: bool) -> Shown:
        certain = value.certain if isinstance(value, Undecided) else value
        held = of.of or of
        words = [self._one(item, held, now, in_full) for item in certain if item is not UNKNOWN]
        if in_full and of.kind == "labels" and isinstance(value, Undecided):
            words += [f"{label} (cannot tell)" for label in value.maybe]
        names = tuple(dict.fromkeys(words))
        if not names:
            return Shown("not known" if isinstance(value, Undecided) else "none recorded", False)
        more = f" and {len(names) - _AT_MOST} more" if len(names) > _AT_MOST else ""
        return Shown(", ".join(names[:_AT_MOST]) + more, True, names)

    def _one(self, value: Any, of: Type, now: int, in_full: bool) -> str:
        if isinstance(value, Result):
            return self._result(value, now)
        if isinstance(value, Medication):
            return value.ingredient + (" (recognised by name)" if in_full and value.by_name else "")
        if isinstance(value, (Order, Procedure, Encounter)):
            return self.group(value.group)
        if isinstance(value, Finding):
            return value.name
        if isinstance(value, CardItem):
            return self.titles.get(value.id, value.id)
        if of.kind == "date":
            return day(value, now, bounded=in_full)
        if of.kind in ("number", "quantity"):
            large = isinstance(value, (int, float)) and abs(value) >= 100
            return number(value, 0 if large and not of.unit else 2) + unit(of.unit)
        if of.kind == "duration":
            return f"{number(value / 86_400_000, 0)} days"
        return _SPECIAL.sub(r"\\\1", str(value))

    def _result(self, result: Result, now: int) -> str:
        group = self.codes.results[result.group]
        if group.kind == "pressure":
            words = f"{number(result.systolic, 0)}/{number(result.diastolic, 0)}{unit(group.unit)}"
        elif group.kind == "date":
            words = day(result.value, now)
        elif isinstance(result.value, str):
            words = self.codes.findings[result.value].name if result.value in self.codes.findings else result.value
        else:
            words = number(result.value, group.decimals, fixed=True) + unit(group.unit)
        preliminary = ", preliminary" if result.preliminary else ""
        haemolysed = ", haemolysed" if result.haemolysed is True else ""
        return f"{words} ({day(result.date, now)}{preliminary}{haemolysed})"

    def group(self, name: str) -> str:
        """The name of a code group of any kind, as it reads inside a sentence."""
        for groups in (self.codes.results, self.codes.findings, self.codes.medications, self.codes.orders):
            if name in groups:
                return str(groups[name].name)
        return str(self.codes.encounters[name].name) if name in self.codes.encounters else name

    def longest(self, named: Named) -> int:
        """The most characters a fact or definition can take in a text."""
        of, fact = named.type, named.fact
        if of.kind == "boolean":
            return len("not readable")
        if of.kind in ("number", "quantity"):
            return 12 + len(unit(of.unit))
        if of.kind in ("date", "duration"):
            return _DATE_LENGTH
        if isinstance(named.expression, Labels):
            labels = named.expression.entries
            entries = sorted((len(label) for label, _ in labels), reverse=True)
            return _listed(entries)
        if fact is not None and fact.form == "result":
            return self._longest_result(fact.groups[0])
        if of.form in ("result", "results") and of.kind == "item":
            return max(self._longest_result(one) for one, group in self.codes.results.items() if group.unit == of.unit)
        if fact is None or of.kind != "list":
            return 40 * _AT_MOST
        names: list[int] = []
        for group in fact.groups:
            if fact.form == "medications":
                leaves = self.codes.medications[group].leaves
                names += [len(drug) for leaf in leaves for drug in self.codes.medications[leaf].ingredients]
            elif fact.form == "cards":
                names.append(len(self.titles.get(group, group)))
            elif fact.form in ("findings", "conditions"):
                names += [len(self.codes.findings[leaf].name) for leaf in self.codes.findings[group].leaves]
            else:
                names.append(len(self.group(group)))
        return _listed(sorted(names, reverse=True))

    def _longest_result(self, name: str) -> int:
        group = self.codes.results[name]
        if group.kind == "string":
            value = max(map(len, group.answer_names), default=0)
        elif group.kind == "date":
            value = _DATE_LENGTH
        elif group.kind == "pressure":
            value = len("<300/<200")
        else:
            value = len(f"<{max(group.plausible or (0, 999_999)):.{group.decimals}f}")
        notes = ", preliminary, haemolysed" if group.haemolysis else ", preliminary"
        return value + len(unit(group.unit)) + len(f" ({notes})") + _DATE_LENGTH


def _listed(lengths: list[int]) -> int:
    first = lengths[:_AT_MOST]
    more = len(" and 99 more") if len(lengths) > _AT_MOST else 0
    return max(sum(first) + 2 * max(len(first) - 1, 0) + more, len("none recorded"))


def unit(code: str | None) -> str:
    """A UCUM unit as people write it, with the space before it."""
    words = _UNITS.get(code, code) if code else ""
    return words if not words or words == "%" else f" {words}"


def number(value: Any, decimals: int, *, fixed: bool = False) -> str:
    """A number or an interval, rounded to its decimals; trailing zeros stay only when `fixed`."""
    if isinstance(value, Interval):
        if value.lo == -math.inf:
            return ("<" if value.hi_open else "≤") + number(value.hi, decimals, fixed=fixed)
        if value.hi == math.inf:
            return (">" if value.lo_open else "≥") + number(value.lo, decimals, fixed=fixed)
        return f"{number(value.lo, decimals, fixed=fixed)} to {number(value.hi, decimals, fixed=fixed)}"
    if not isinstance(value, (int, float)):
        return "?"
    words = f"{value:.{decimals}f}"
    return words if fixed or "." not in words else words.rstrip("0").rstrip(".")


def day(value: Any, now: int, *, bounded: bool = False) -> str:
    """A date as `18 Nov`, with its year when it is not this year; `May 2026` or `2026` when no more is known.

    With `bounded`, a date of which only one end is known is `18 Nov or earlier`.
    """
    if not isinstance(value, (int, Span)):
        return "date unknown"
    first, last = instants(value)
    if first == EVER.lo or last == EVER.hi:
        known = last if first == EVER.lo else first
        side = "earlier" if first == EVER.lo else "later"
        words = "date unknown" if first == EVER.lo and last == EVER.hi else day(known, now)
        return f"{words} or {side}" if bounded and words != "date unknown" else words
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=first)
    if isinstance(value, Span) and value.precision == "year":
        return str(moment.year)
    if isinstance(value, Span) and value.precision == "month":
        return f"{_MONTHS[moment.month - 1]} {moment.year}"
    this_year = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now)).year
    return f"{moment.day} {_MONTHS[moment.month - 1]}" + ("" if moment.year == this_year else f" {moment.year}")
