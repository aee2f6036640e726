"""Filling facts from a chart: each fact is one value, a list, nothing, or something we cannot tell.

Facts are filled from what the chart has, not from what cards ask: absent values stand in a prepared frame, and only the
code groups that the chart contains are visited, so that an absent fact costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from cds_service.chart.chart import Chart
from cds_service.chart.codes import Codes
from cds_service.chart.doubts import Doubt, Doubts, may_be_inside, may_be_newer, unreadable_by_key, unreadable_result
from cds_service.chart.items import ABSENT, CANNOT_TELL, Fact, Result, Undecided
from cds_service.chart.needs import prefetch_keys
from cds_service.fhir.uncertain import DAY, UNKNOWN, Interval, instants

EMPTY: Final[list[object]] = []
"""The value of a list fact without items; never changed."""
SYMPTOM_GATE: Final = 90 * DAY
"""What is the reason of this encounter counts whatever its age, where the window is the general one for symptoms or
longer.
"""
_LISTS: Final = ("findings", "conditions", "medications", "orders", "procedures", "encounters")


Belongs = Callable[[Any, Chart], Any]


class Asked(msgspec.Struct, frozen=True):
    """A fact with its slot in the frame, whether an item of the chart belongs to it, and whether its dose matters."""

    fact: Fact
    slot: int
    belongs: Belongs
    keys: tuple[str, ...]
    dosed: bool


class FactPlan:
    """Distinct facts with, for each code group, the facts that ask for it.

    `slots` gives the place of each fact in a frame, `start` a frame in which no fact is filled. `dosed` are the drugs
    whose dose somebody asks for: of others a dose that cannot be read is no doubt; None: of all.
    """

    def __init__(
        self, slots: Mapping[Fact, int], start: Sequence[Any], codes: Codes, dosed: frozenset[Fact] | None = None
    ) -> None:
        self._start = list(start)
        self.dosed = frozenset(slots) if dosed is None else dosed
        self._codes = codes
        self._facts = [
            Asked(fact, slot, _belongs(fact), prefetch_keys(fact, codes), fact in self.dosed)
            for fact, slot in slots.items()
        ]
        self._slots = dict(slots)
        self._near = [asked for asked in self._facts if asked.fact.near is not None]
        self._computed = [
            asked
            for asked in self._facts
            if asked.fact.form in ("result", "results") and codes.results[asked.fact.groups[0]].derived is not None
        ]
        self._asking: dict[str, dict[str, list[Asked]]] = defaultdict(dict)
        self._frames: dict[frozenset[tuple[str, str]], tuple[list[Any], Doubts]] = {}
        for asked in self._facts:
            kind = "results" if asked.fact.form == "result" else asked.fact.form
            for leaf in dict.fromkeys(self._leaves(asked.fact)):
                self._asking[kind].setdefault(leaf, []).append(asked)

    @property
    def start(self) -> list[Any]:
        """A frame in which no fact is filled."""
        return list(self._start)

    def _leaves(self, fact: Fact) -> list[str]:
        if fact.form == "cards" or fact.near is not None:
            return []
        kinds: dict[str, Mapping[str, Any]] = {
            "findings": self._codes.findings,
            "conditions": self._codes.findings,
            "medications": self._codes.medications,
        }
        groups = kinds.get(fact.form)
        return list(fact.groups) if groups is None else [leaf for group in fact.groups for leaf in groups[group].leaves]

    def fill(self, chart: Chart, *, preliminary: bool = False) -> tuple[list[Any], Doubts]:
        """A frame with the facts of a chart, and the doubts; with `preliminary`, such results count as final ones."""
        start, start_doubts = self._empty(chart)
        frame, doubts = list(start), dict(start_doubts)
        results = chart.results
        if preliminary:
            results = {group: chart.with_preliminary(group) for group in {**results, **chart.preliminary}}
        asking = self._asking["results"]
        for group in {**results, **chart.unreadable_results} if chart.unreadable_results else results:
            for asked in asking.get(group, ()):
                _fill_results(frame, doubts, asked, chart, results)
        if chart.unreadable_results:
            for asked in self._computed:
                self._doubt_computed(frame, doubts, asked, chart, results)
        for asked in self._near:
            self._fill_near(frame, doubts, asked, chart, results)
        for kind in _LISTS:
            self._fill_lists(frame, doubts, kind, chart)
        return frame, doubts

    def _empty(self, chart: Chart) -> tuple[list[Any], Doubts]:
        missing = frozenset(chart.not_supplied.items())
        unreadable = unreadable_by_key(chart)
        undecided = bool(chart.unresolved_medications or unreadable)
        cached = self._frames.get(missing) if not undecided else None
        if cached is not None:
            return cached
        frame = list(self._start)
        doubts: Doubts = {}
        for asked in self._facts:
            found = [
                Doubt("not-supplied", f"{key} {chart.not_supplied[key]}")
                for key in asked.keys
                if key in chart.not_supplied
            ]
            found += [Doubt("unreadable", words) for key in asked.keys for words in unreadable.get(key, ())]
            if asked.fact.form == "medications":
                found += [
                    Doubt("uncertain", f"{name} names no drug that was sent") for name in chart.unresolved_medications
                ]
            single = asked.fact.form == "result"
            if found:
                doubts[asked.slot] = found
                frame[asked.slot] = CANNOT_TELL if single else Undecided([], [UNKNOWN])
            else:
                frame[asked.slot] = ABSENT if single else EMPTY
        if not undecided:
            self._frames[missing] = (frame, doubts)
        return frame, doubts

    def _doubt_computed(
        self, frame: list[Any], doubts: Doubts, asked: Asked, chart: Chart, results: Mapping[str, list[Result]]
    ) -> None:
        """A computed result that is not there for want of a readable input cannot be told."""
        derived = self._codes.results[asked.fact.groups[0]].derived
        if derived is None or (frame[asked.slot] is not ABSENT and frame[asked.slot] is not EMPTY):
            return
        inputs = [group for _, group, _ in derived.inputs] if results.get(derived.base) else []
        unreadable = [
            unreadable_result(one)
            for group in (derived.base, *inputs)
            for one in chart.unreadable_results.get(group, ())
            if may_be_inside(one.date, asked.fact.within, chart.now)
        ]
        if unreadable:
            doubts[asked.slot] = [*doubts.get(asked.slot, ()), *unreadable]
            frame[asked.slot] = CANNOT_TELL if asked.fact.form == "result" else Undecided([], [UNKNOWN])

    def _fill_near(
        self, frame: list[Any], doubts: Doubts, asked: Asked, chart: Chart, results: Mapping[str, list[Result]]
    ) -> None:
        fact = asked.fact
        anchor = frame[self._slots[fact.near]] if fact.near is not None else ABSENT
        if anchor is ABSENT or anchor is CANNOT_TELL:
            frame[asked.slot] = anchor
            return
        best: Any = None
        nearest = float("inf")
        for result in results.get(fact.groups[0], ()):
            distance = _distance(result.date, anchor.date)
            if distance < nearest and (fact.within is None or distance <= fact.within):
                best, nearest = result, distance
        if best is not None:
            frame[asked.slot] = best
            return
        unreadable = [
            unreadable_result(one)
            for one in chart.unreadable_results.get(fact.groups[0], ())
            if fact.within is None or one.date is None or _distance(one.date, anchor.date) <= fact.within
        ]
        if unreadable:
            doubts[asked.slot] = [*doubts.get(asked.slot, ()), *unreadable]
            frame[asked.slot] = CANNOT_TELL

    def _fill_lists(self, frame: list[Any], doubts: Doubts, kind: str, chart: Chart) -> None:
        asking = self._asking.get(kind)
        by_group: dict[str, list[Any]] = getattr(chart, kind)
        if not asking:
            return
        gathered: dict[int, tuple[Asked, list[Any]]] = {}
        for group, items in by_group.items():
            for asked in asking.get(group, ()):
                before = gathered.get(asked.slot)
                gathered[asked.slot] = (asked, items if before is None else _joined(before[1], items))
        if kind == "encounters" and chart.current_encounter is not None:
            for asked in asking.get("current", ()):
                gathered[asked.slot] = (asked, [chart.current_encounter])
        for asked, items in gathered.values():
            belongs = asked.belongs
            certain: list[Any] = []
            maybe: list[Any] = []
            for item in items:
                fits = belongs(item, chart)
                if fits is True:
                    certain.append(item)
                elif fits is not False:
                    maybe.append(item)
            if certain or maybe:
                _set_list(frame, doubts, asked, certain, maybe)


def _fill_results(
    frame: list[Any], doubts: Doubts, asked: Asked, chart: Chart, results: Mapping[str, list[Result]]
) -> None:
    fact = asked.fact
    single, within = fact.form == "result", fact.within
    inside: list[Any] = []
    doubtful: list[Doubt] = []
    for result in results.get(fact.groups[0], ()):
        fits = True if within is None or result.age is None else result.age <= within
        if fits is True:
            inside.append(result)
            if single and not doubtful:
                break
        elif fits is UNKNOWN:
            doubtful.append(Doubt("uncertain", f"{result.id} has no exact date"))
    newest = inside[0] if inside else None
    unreadable = [
        unreadable_result(one)
        for one in chart.unreadable_results.get(fact.groups[0], ())
        if may_be_inside(one.date, within, chart.now) and (newest is None or may_be_newer(one.date, newest.date))
    ]
    earlier = doubts.get(asked.slot, ())
    inexact = [one for one in inside if isinstance(one.value, Interval) or isinstance(one.age, Interval)]
    vague = [Doubt("uncertain", f"{one.id} is not exact") for one in inexact]
    if unreadable or doubtful or vague:
        doubts[asked.slot] = [*earlier, *unreadable, *doubtful, *vague]
    if single:
        if newest is not None:
            frame[asked.slot] = newest
        elif unreadable or doubtful:
            frame[asked.slot] = CANNOT_TELL
    elif earlier or unreadable or doubtful:
        frame[asked.slot] = Undecided(inside, [UNKNOWN])
    elif inside:
        frame[asked.slot] = inside


def _set_list(frame: list[Any], doubts: Doubts, asked: Asked, certain: list[Any], maybe: list[Any]) -> None:
    if len(certain) > 1:
        certain.sort(key=_newest_first)
    earlier = doubts.get(asked.slot)
    vague = [item for item in certain if item.age is None or isinstance(item.age, Interval)]
    later = [Doubt("uncertain", f"{item.id} has no exact date") for item in (*maybe, *vague)]
    if asked.dosed and asked.fact.form == "medications":
        later += [Doubt("uncertain", f"the dose of {item.id} cannot be read") for item in certain if item.dose is None]
    if later:
        doubts[asked.slot] = [*(earlier or ()), *later]
    if earlier:
        frame[asked.slot] = Undecided(certain, [*maybe, UNKNOWN])
    elif maybe:
        frame[asked.slot] = Undecided(certain, maybe)
    else:
        frame[asked.slot] = certain


def _belongs(fact: Fact) -> Belongs:
    """Whether an item of one of the fact's groups belongs to it: True, False, or unknown."""
    within = fact.within

    def in_time(item: Any, _chart: Chart) -> Any:
        if within is None:
            return True
        return UNKNOWN if item.age is None else item.age <= within

    def finding(item: Any, chart: Chart) -> Any:
        if not (item.active or fact.any_status):
            return False
        if within is None or (item.reason_now and within >= SYMPTOM_GATE):
            return True
        fits = UNKNOWN if item.age is None else item.age <= within
        if fits is True or within < SYMPTOM_GATE or item.recorded is None or item.recorded is UNKNOWN:
            return fits
        first, last = instants(item.recorded)
        lately = True if first >= chart.now - within else UNKNOWN if last >= chart.now - within else False
        return lately if lately is True or fits is False else fits

    def medication(item: Any, chart: Chart) -> Any:
        if item.status == "draft":
            return _drafted(fact, item, chart)
        if fact.drafts == "only":
            return False
        if item.status == "active":
            return True
        if item.status == "unknown":
            return UNKNOWN
        if fact.ended is None or item.status == "proposed" or (item.status == "not-taken" and item.end is None):
            return False
        return UNKNOWN if item.end is None else item.end >= chart.now - fact.ended

    def order(item: Any, chart: Chart) -> Any:
        if item.status == "draft":
            return _drafted(fact, item, chart)
        return False if fact.drafts == "only" else in_time(item, chart)

    forms: dict[str, Belongs] = {
        "findings": finding, "conditions": finding, "medications": medication, "orders": order,
    }  # fmt: skip
    return forms.get(fact.form, in_time)


def _drafted(fact: Fact, item: Any, chart: Chart) -> bool:
    chosen = chart.hook != "order-select" or fact.drafts != "only" or item.id in chart.selected
    return fact.drafts != "none" and chosen


def _joined(first: list[Any], second: list[Any]) -> list[Any]:
    """The items of both lists, each once."""
    known = {id(item) for item in first}
    return first + [item for item in second if id(item) not in known]


def _newest_first(item: Any) -> tuple[int, str]:
    for name in ("start", "onset", "date", "recorded"):
        date = getattr(item, name, None)
        if date is not None:
            return (0 if date is UNKNOWN else -instants(date)[1]), item.id
    return 0, item.id


def _distance(first: Any, second: Any) -> float:
    if first is None or second is None:
        return float("inf")
    (lo, hi), (other_lo, other_hi) = instants(first), instants(second)
    return max(0, other_lo - hi, lo - other_hi)
