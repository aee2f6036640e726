"""Filling facts from a chart: each fact is one value, a list, nothing, or something we cannot tell.

Facts are filled from what the chart has, not from what cards ask: absent values stand in a prepared list, and only
the code groups that the chart contains are visited, so that an absent fact costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from cds_service.chart.chart import Chart
from cds_service.chart.codes import Codes
from cds_service.chart.items import ABSENT, CANNOT_TELL, Fact, Finding, Medication, Reason, Result, Undecided
from cds_service.chart.needs import prefetch_keys
from cds_service.fhir.uncertain import UNKNOWN, Interval, instants

EMPTY: Final[list[object]] = []
"""The value of a list fact without items; never changed."""


class Doubt(msgspec.Struct, frozen=True, gc=False):
    """Why a fact, or a part of it, cannot be told; `detail` names the resource or the prefetch key."""

    reason: Reason
    detail: str


class Filled(msgspec.Struct, gc=False):
    """The values of all facts of a plan, in its order, and the doubts by position."""

    values: list[Any]
    doubts: dict[int, list[Doubt]]


class FactPlan:
    """Distinct facts with, for each code group, the facts that ask for it."""

    def __init__(self, facts: Iterable[Fact], codes: Codes) -> None:
        self.facts = list(facts)
        self.codes = codes
        self._asking: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._keys: list[tuple[str, ...]] = []
        self._starts: dict[frozenset[str], tuple[list[Any], dict[int, list[Doubt]]]] = {}
        for position, fact in enumerate(self.facts):
            self._keys.append(prefetch_keys(fact, codes))
            kind = "results" if fact.form == "result" else fact.form
            for leaf in self._leaves(fact):
                if position not in self._asking[kind][leaf]:
                    self._asking[kind][leaf].append(position)

    def _leaves(self, fact: Fact) -> list[str]:
        if fact.form == "cards" or fact.near is not None:
            return []
        kinds: dict[str, Any] = {
            "findings": self.codes.findings, "conditions": self.codes.findings, "medications": self.codes.medications,
        }  # fmt: skip
        groups = kinds.get(fact.form)
        if groups is None:
            return list(fact.groups)
        return [leaf for group in fact.groups for leaf in groups[group].leaves]

    def fill(self, chart: Chart, *, preliminary: bool = False) -> Filled:
        """The facts of a chart; with `preliminary`, preliminary results count as final ones."""
        start, start_doubts = self._start(chart)
        filled = Filled(list(start), dict(start_doubts))
        results = chart.results
        if preliminary:
            results = {group: chart.with_preliminary(group) for group in {**results, **chart.preliminary}}
        asked = self._asking["results"]
        for group in {**results, **chart.unreadable_results}:
            for position in asked.get(group, ()):
                self._fill_results(filled, position, chart, results)
        for position, fact in enumerate(self.facts):
            if fact.near is not None:
                self._fill_near(filled, position, chart, results)
        for kind in ("findings", "conditions", "medications", "orders", "procedures", "encounters"):
            self._fill_lists(filled, kind, chart)
        return filled

    def _start(self, chart: Chart) -> tuple[list[Any], dict[int, list[Doubt]]]:
        missing = frozenset(chart.not_supplied)
        undecided = bool(chart.unresolved_medications)
        cached = self._starts.get(missing) if not undecided else None
        if cached is not None:
            return cached
        values: list[Any] = []
        doubts: dict[int, list[Doubt]] = {}
        for position, fact in enumerate(self.facts):
            absent = [key for key in self._keys[position] if key in missing]
            found = [Doubt("not-supplied", key) for key in absent]
            if fact.form == "medications":
                found += [
                    Doubt("uncertain", f"{ref} names no drug that was sent") for ref in chart.unresolved_medications
                ]
            if found:
                doubts[position] = found
                values.append(CANNOT_TELL if fact.form == "result" else Undecided([], [UNKNOWN]))
            else:
                values.append(ABSENT if fact.form == "result" else EMPTY)
        if not undecided:
            self._starts[missing] = (values, doubts)
        return values, doubts

    def _fill_results(self, filled: Filled, position: int, chart: Chart, results: dict[str, list[Result]]) -> None:
        fact = self.facts[position]
        inside: list[Any] = []
        doubtful: list[Doubt] = []
        for result in results.get(fact.groups[0], ()):
            fits = True if fact.within is None or result.age is None else result.age <= fact.within
            if fits is True:
                inside.append(result)
                if fact.form == "result" and not doubtful:
                    break
            elif fits is UNKNOWN:
                doubtful.append(Doubt("uncertain", f"{result.id} has no exact date"))
        newest = inside[0] if inside else None
        unreadable = [
            Doubt("unreadable", f"{one.id}: {one.reason}")
            for one in chart.unreadable_results.get(fact.groups[0], ())
            if _may_be_inside(one.date, fact.within, chart.now) and (newest is None or _newer(one.date, newest.date))
        ]
        if newest is not None and _inexact(newest):
            doubtful.append(Doubt("uncertain", f"{newest.id} is not exact"))
        if unreadable or doubtful:
            filled.doubts[position] = [*filled.doubts.get(position, []), *unreadable, *doubtful]
        if fact.form == "result":
            if newest is not None:
                filled.values[position] = newest
            elif unreadable or doubtful:
                filled.values[position] = CANNOT_TELL
        elif unreadable or doubtful or position in filled.doubts:
            filled.values[position] = Undecided(inside, [UNKNOWN])
        elif inside:
            filled.values[position] = inside

    def _fill_near(self, filled: Filled, position: int, chart: Chart, results: dict[str, list[Result]]) -> None:
        fact = self.facts[position]
        assert fact.near is not None  # noqa: S101 - the caller's condition
        anchor = filled.values[self.facts.index(fact.near)]
        if anchor is ABSENT or anchor is CANNOT_TELL:
            filled.values[position] = anchor
            return
        best: Any = None
        nearest = float("inf")
        for result in results.get(fact.groups[0], ()):
            distance = _distance(result.date, anchor.date)
            if distance < nearest and (fact.within is None or distance <= fact.within):
                best, nearest = result, distance
        if best is not None:
            filled.values[position] = best
            return
        unreadable = [
            Doubt("unreadable", f"{one.id}: {one.reason}")
            for one in chart.unreadable_results.get(fact.groups[0], ())
            if fact.within is None or one.date is None or _distance(one.date, anchor.date) <= fact.within
        ]
        if unreadable:
            filled.doubts[position] = [*filled.doubts.get(position, []), *unreadable]
            filled.values[position] = CANNOT_TELL

    def _fill_lists(self, filled: Filled, kind: str, chart: Chart) -> None:
        asking = self._asking.get(kind)
        if not asking:
            return
        by_group: dict[str, list[Any]] = getattr(chart, kind)
        gathered: dict[int, list[Any]] = {}
        for group, items in by_group.items():
            for position in asking.get(group, ()):
                gathered.setdefault(position, []).extend(items)
        if kind == "encounters" and chart.current_encounter is not None:
            for position in asking.get("current", ()):
                gathered[position] = [chart.current_encounter]
        for position, items in gathered.items():
            certain: list[Any] = []
            maybe: list[Any] = []
            for item in _distinct(items):
                belongs = self._belongs(self.facts[position], item, chart)
                if belongs is True:
                    certain.append(item)
                elif belongs is not False:
                    maybe.append(item)
            self._set_list(filled, position, certain, maybe)

    def _set_list(self, filled: Filled, position: int, certain: list[Any], maybe: list[Any]) -> None:
        if len(certain) > 1:
            certain.sort(key=_newest_first)
        doubts = list(filled.doubts.get(position, []))
        placeholder = [UNKNOWN] if doubts else []
        doubts += [Doubt("uncertain", f"{item.id} has no exact date") for item in maybe]
        doubts += [
            Doubt("uncertain", f"the dose of {item.id} cannot be read")
            for item in certain
            if isinstance(item, Medication) and item.dose is None
        ]
        if doubts:
            filled.doubts[position] = doubts
        if maybe or placeholder:
            filled.values[position] = Undecided(certain, [*maybe, *placeholder])
        elif certain:
            filled.values[position] = certain

    def _belongs(self, fact: Fact, item: Any, chart: Chart) -> Any:
        status = getattr(item, "status", "")
        if isinstance(item, Finding):
            if not (item.active or fact.any_status):
                return False
            if item.reason_now or fact.within is None:
                return True
            return UNKNOWN if item.age is None else item.age <= fact.within
        if status == "draft":
            chosen = chart.hook != "order-select" or fact.drafts != "only" or item.id in chart.selected
            return fact.drafts != "none" and chosen
        if fact.drafts == "only":
            return False
        if isinstance(item, Medication):
            if status == "active":
                return True
            if fact.ended is None:
                return False
            if item.end is None:
                return UNKNOWN
            return item.end >= chart.now - fact.ended
        if fact.within is None:
            return True
        return UNKNOWN if item.age is None else item.age <= fact.within


def _distinct(items: list[Any]) -> list[Any]:
    seen: set[int] = set()
    return [item for item in items if not (id(item) in seen or seen.add(id(item)))]  # type: ignore[func-returns-value]


def _date_of(item: Any) -> Any:
    for name in ("start", "onset", "date", "recorded"):
        date = getattr(item, name, None)
        if date is not None:
            return date
    return None


def _newest_first(item: Any) -> int:
    date = _date_of(item)
    return -instants(date)[1] if date is not None and date is not UNKNOWN else 0


def _inexact(result: Result) -> bool:
    return any(isinstance(value, Interval) for value in (result.value, result.age))


def _newer(date: Any, than: Any) -> bool:
    return date is None or than is None or instants(date)[1] >= instants(than)[0]


def _may_be_inside(date: Any, within: int | None, now: int) -> bool:
    return date is None or within is None or instants(date)[1] >= now - within


def _distance(first: Any, second: Any) -> float:
    if first is None or second is None:
        return float("inf")
    (lo, hi), (other_lo, other_hi) = instants(first), instants(second)
    return max(0, other_lo - hi, lo - other_hi)
