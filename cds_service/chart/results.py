"""Laboratory results and vital signs: which Observation is usable, when it was taken, and what its value is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, Literal

from msgspec import UNSET

from cds_service.chart.answers import flags, keys_of
from cds_service.chart.codes import Codes, Hit
from cds_service.chart.combine import combine
from cds_service.chart.groups import ResultGroup
from cds_service.chart.haemolysis import Signs
from cds_service.chart.items import Date, Number, Result, UnreadableResult
from cds_service.chart.latest import Ranked, newest_first
from cds_service.chart.moment import Moment
from cds_service.chart.patient import Person
from cds_service.chart.pressure import NO_PRESSURE, read_pressure
from cds_service.chart.ranges import limits
from cds_service.chart.subject import name_of
from cds_service.chart.words import whole_text
from cds_service.fhir.lists import is_given
from cds_service.fhir.read import Unreadable
from cds_service.fhir.resources import Entry, Observation
from cds_service.fhir.uncertain import Span

_RANKS: Final = {"final": 0, "amended": 2, "corrected": 4}
"""Statuses of usable results; of one moment the higher rank wins."""
_NO_RESULT: Final = frozenset({"registered", "cancelled", "entered-in-error"})
"""Statuses that say there is no result: nothing to read and nothing to report."""


class ResultReader:
    """Reads the Observations of result groups, one at a time; `finish` puts them in order."""

    def __init__(
        self, codes: Codes, moment: Moment, person: Person, signs: Signs, reports: Callable[[Entry], str | None]
    ) -> None:
        """`reports` gives the date of the report that an Observation without any date belongs to."""
        self.unreadable_results: dict[str, list[UnreadableResult]] = {}
        self.unreadable: list[Unreadable] = []
        self.results: dict[str, list[Result]] = {}
        self.preliminary: dict[str, list[Result]] = {}
        self._codes = codes
        self._moment = moment
        self._dates = moment.dates
        self._person = person
        self._signs = signs
        self._reports = reports
        self._usable: dict[str, list[Ranked]] = defaultdict(list)
        self._preliminary: dict[str, list[Ranked]] = defaultdict(list)
        self.cutoffs = codes.cutoffs(moment.now)

    def read(self, observation: Observation, entry: Entry, hit: Hit) -> None:
        """Add the result of an Observation, or note why it cannot be read."""
        group: ResultGroup = hit.result  # type: ignore[assignment]
        status = observation.status
        rank = _RANKS.get(status)  # type: ignore[arg-type]
        if rank is None and status in _NO_RESULT:
            return
        reference = f"Observation/{observation.id}" if observation.id else name_of(entry)
        date: int | Span | None = None
        exact: Number = None
        value: Any = None
        try:
            date = self._dates.get(observation.effectiveDateTime)  # type: ignore[arg-type]
            if date is None:
                date = self._date(observation, entry)
            age = self._moment.age(date)
            if self._moment.is_future(date):
                self.unreadable.append(Unreadable(reference, f"dated in the future: {group.name} is not used"))
                return
            if rank is None and status != "preliminary":
                raise ValueError(f"status '{status}'" if status else "no status")
            if hit.quantity:
                if observation.valueQuantity is None:
                    raise ValueError(_why_no_quantity(observation, group))
                exact, value = hit.scale.read(observation.valueQuantity)  # type: ignore[union-attr]
            elif group.kind != "pressure":
                value = self._value(observation, group)
            result = Result(
                id=reference,
                group=group.group,
                value=value,
                exact=exact,
                date=date,
                age=age,
                status=status or "",
                point_of_care=hit.poc,
            )
            if group.kind == "pressure":
                half = read_pressure(observation, hit.part, group, self._codes, result)
                if half is not None:
                    self.unreadable.append(Unreadable(reference, half))
        except ValueError as error:
            self.unreadable.append(Unreadable(reference, str(error)))
            if status != "preliminary":
                self._fail(group, observation, reference, str(error), date)
            return
        if observation.referenceRange is not UNSET and hit.scale is not None:
            result.low, result.high = limits(
                observation.referenceRange, hit.scale, self._person, self._codes.qualifiers
            )
        if group.haemolysis:
            result.haemolysed = self._signs.of(observation, reference)
        last = date if isinstance(date, int) else date.hi
        if rank is not None:
            self._usable[group.group].append((last, rank - hit.poc, result))
        else:
            result.preliminary = True
            self._preliminary[group.group].append((last, -hit.poc, result))

    def refuse(
        self, observation: Observation, entry: Entry, groups: set[str], reason: str, *, named: bool = True
    ) -> None:
        """Note an Observation that cannot be used for a reason, though it may be a result of `groups`."""
        if observation.status in _NO_RESULT:
            return
        reference = name_of(entry)
        try:
            date: Date = self._date(observation, entry)
        except ValueError:
            date = None
        if named:
            self.unreadable.append(Unreadable(reference, reason))
        for group in sorted(groups):
            self._fail(self._codes.results[group], observation, reference, reason, date)

    def _fail(self, group: ResultGroup, observation: Observation, reference: str, reason: str, date: Date) -> None:
        said = flags(observation.interpretation)
        flag: Literal["HH", "LL"] | None = "HH" if "HH" in said else "LL" if "LL" in said else None
        self.unreadable_results.setdefault(group.group, []).append(UnreadableResult(reference, reason, date, flag))

    def finish(self) -> None:
        """Put all results in order, newest first, and combine what belongs to one moment or day."""
        for found, into in ((self._usable, self.results), (self._preliminary, self.preliminary)):
            for name, ranked in found.items():
                group = self._codes.results[name]
                if group.haemolysis:
                    self._signs.settle([result for _, _, result in ranked])
                into[name] = combine(newest_first(ranked, group), group)
                if group.kind == "pressure":
                    self._forget_empty_panels(name, into[name])

    def _forget_empty_panels(self, group: str, results: list[Result]) -> None:
        """A panel without components is no fault when its halves came as Observations of their own."""
        dates = {result.date for result in results if isinstance(result.date, int)}
        spare = {
            one.id
            for one in self.unreadable_results.get(group, ())
            if one.reason == NO_PRESSURE and isinstance(one.date, int) and one.date in dates
        }
        if spare:
            left = [one for one in self.unreadable_results.pop(group) if one.id not in spare]
            if left:
                self.unreadable_results[group] = left
            self.unreadable = [one for one in self.unreadable if one.resource not in spare]

    def _date(self, observation: Observation, entry: Entry) -> int | Span:
        period = observation.effectivePeriod
        text = (
            observation.effectiveDateTime
            or observation.effectiveInstant
            or (period.end if period else None)
            or observation.issued
            or (period.start if period else None)
            or self._reports(entry)
        )
        if text is None:
            raise ValueError("no date")
        try:
            return self._moment.date(text)
        except ValueError as error:
            raise ValueError(f"a date that cannot be read: {error}") from None

    def _value(self, observation: Observation, group: ResultGroup) -> str | int | Span | None:
        if group.kind == "none":
            return None
        if group.kind == "string":
            return self._answer(observation, group)
        if observation.valueDateTime is None:
            raise ValueError(_why_no_value(observation))
        try:
            return self._moment.date(observation.valueDateTime)
        except ValueError:
            raise ValueError("a value that is not a date") from None

    def _answer(self, observation: Observation, group: ResultGroup) -> str:
        concept, text = observation.valueCodeableConcept, observation.valueString
        if concept is None and text is None:
            raise ValueError(_why_no_value(observation))
        for coding in (concept.coding if concept is not None else None) or ():
            answer = group.answers.get((coding.system or "", coding.code or ""))
            if answer is not None:
                return answer
        for key in keys_of(concept) if concept is not None else [("", whole_text(text or ""))]:
            answer = group.answers.get(key)
            if answer is not None:
                return answer
        raise ValueError(f"an answer that is not known for {group.name}")


def _why_no_quantity(observation: Observation, group: ResultGroup) -> str:
    if observation.valueString is not None or observation.valueInteger is not None:
        return f"a value without a unit for {group.name}"
    return _why_no_value(observation)


def _why_no_value(observation: Observation) -> str:
    reason = observation.dataAbsentReason
    if reason is not None:
        codes = [coding.code for coding in reason.coding or () if coding.code]
        return f"no value: {codes[0]}" if codes else "no value: a reason in words"
    kinds = (
        ("a coded value", observation.valueCodeableConcept),
        ("a text", observation.valueString),
        ("true or false", observation.valueBoolean),
        ("a whole number", observation.valueInteger),
        ("a date", observation.valueDateTime),
        ("a quantity", observation.valueQuantity),
        ("a range", is_given(observation.valueRange) or None),
        ("a ratio", is_given(observation.valueRatio) or None),
    )
    found = [name for name, value in kinds if value is not None]
    return f"{found[0]} where another kind of value was expected" if found else "no value"
