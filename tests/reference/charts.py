"""Random charts for the expressions of a library: each fact as our items, and as the engine's parameters.

Values lie at, just above and just below the literals of the expressions, dates at the literal distances from now and
from each other. Facts and attributes are often absent, lists empty, dates equal or without a time.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from cds_service.chart import items
from cds_service.chart.moment import Moment
from cds_service.chart.patient import read_patient
from cds_service.fhir.resources import Patient
from cds_service.fhir.uncertain import DAY, HOUR
from cds_service.knowledge import syntax as s
from cds_service.knowledge.compile import AGE_IN_MONTHS, AGE_IN_YEARS, GENDER, HOOK, NOW
from cds_service.knowledge.types import DATE, Type, attributes

from .to_cql import Library, unit_in_cql

NOW_TIME: Final = datetime(2026, 6, 15, 12, tzinfo=UTC)
NOW_MS: Final = int(NOW_TIME.timestamp() * 1000)
MOMENT: Final = Moment(NOW_MS)
MINUTE: Final = 60_000
_CLASSES: Final[dict[str, type[Any]]] = {
    "result": items.Result, "results": items.Result, "findings": items.Finding, "conditions": items.Finding,
    "medications": items.Medication, "orders": items.Order, "procedures": items.Procedure,
    "encounters": items.Encounter, "cards": items.CardItem,
}  # fmt: skip
_DATED: Final = {"findings": "onset", "conditions": "onset", "medications": "start", "encounters": "start"}
"""The date that `age` counts from, where it is not `date`."""
_ALWAYS_THERE: Final = {"group", "name", "ingredient", "status", "indicator", "own_card"}
_HOOKS: Final = ("patient-view", "order-select", "order-sign", "encounter-discharge")


@dataclass
class Literals:
    """The literals of some expressions: what random values should lie near to.

    Quantities, by unit, and numbers stand there once, durations as often as they are used, words by the attribute that
    they are compared with. `shifts` says whether dates are computed, `extremes` whether the first or last of several is
    taken. The engine shifts `2026-05` by whole months only, so that seven days before it is May again; of dates that do
    not compare, such as a day and an instant of it, it takes the one that stands first.
    """

    quantities: dict[str, set[float]] = field(default_factory=lambda: defaultdict(set))
    numbers: set[float] = field(default_factory=set)
    durations: list[int] = field(default_factory=lambda: [0, HOUR, DAY])
    words: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    shifts: bool = False
    extremes: bool = False


def literals(expressions: Iterable[s.Expression]) -> Literals:
    """The literals that stand in some expressions."""
    found = Literals()
    for expression in expressions:
        for part in s.walk(expression):
            if part.type == DATE and isinstance(part, s.Call):
                found.extremes |= part.function in ("Min", "Max")
            found.shifts |= part.type == DATE and isinstance(part, s.Binary)
            if isinstance(part, s.Quantity):
                found.quantities[part.unit].add(part.value)
            elif isinstance(part, s.Duration):
                found.durations.append(part.value)
            elif isinstance(part, s.Timing) and part.amount is not None:
                found.durations.append(part.amount)
                found.shifts = True
            elif isinstance(part, s.Constant) and isinstance(part.value, float):
                found.numbers.add(part.value)
            elif isinstance(part, s.Member) and isinstance(part.of, s.Attribute):
                found.words[part.of.name].update(part.values)
            elif isinstance(part, s.Binary) and isinstance(part.left, s.Attribute):
                word = part.right.value if isinstance(part.right, s.Constant) else None
                found.words[part.left.name].update([word] if isinstance(word, str) else [])
    return found


@dataclass
class RandomChart:
    """One chart: `given` and `facts` are ours, by their slot in a frame; `parameters` and `patient` are theirs.

    `to_the_minute` says that no date lacks its time.
    """

    given: dict[int, Any]
    facts: dict[int, Any]
    parameters: dict[str, Any]
    patient: dict[str, str]
    to_the_minute: bool

    def request(self) -> dict[str, Any]:
        """The chart as `run.mjs` reads it."""
        return {"now": f"{NOW_TIME:%Y-%m-%dT%H:%M:%S.000Z}", "patient": self.patient, "parameters": self.parameters}


def random_chart(library: Library, near: Literals, seed: str) -> RandomChart:
    """A chart for the facts of a library, the same for the same seed."""
    return _Maker(random.Random(seed), near).chart(library)


class _Maker:
    def __init__(self, rng: random.Random, near: Literals) -> None:
        self.rng = rng
        self.near = near
        self.instants = [NOW_MS, rng.choice((NOW_MS, NOW_MS // DAY * DAY))]
        self.distances = [0, *rng.choices(near.durations, k=rng.choice((1, 2, 4)))]
        self.values: dict[str, list[float]] = defaultdict(list)
        self.pool: dict[Type, list[tuple[Any, dict[str, Any]]]] = defaultdict(list)
        self.without_time = rng.choice((0.0, 0.0, 1.0) if near.extremes else (0.0, 0.0, 0.3, 1.0))
        self.present = rng.choice((0.4, 0.7, 0.95))
        self.count = 0

    def chart(self, library: Library) -> RandomChart:
        rng = self.rng
        given, patient = self._patient()
        given[NOW], given[HOOK] = NOW_MS, rng.choice(_HOOKS)
        parameters: dict[str, Any] = {}
        facts: dict[int, Any] = {}
        drawn: dict[int, Any] = {}
        names = list(library.facts)
        rng.shuffle(names)
        for name in names:
            slot = library.facts[name].slot
            if slot not in facts:
                facts[slot], drawn[slot] = self._fact(library.facts[name].type)
            if drawn[slot] is not None:
                parameters[name] = drawn[slot]
        return RandomChart(given, facts, {"Hook": given[HOOK], "facts": parameters}, patient, self.without_time == 0)

    def _fact(self, of: Type) -> tuple[Any, Any]:
        there = self.rng.random() < self.present
        if of.kind != "list" or of.of is None:
            return self._item(of) if there else (items.ABSENT, None)
        number = self.rng.choice((1, 1, 2, 3)) if there else 0
        chosen = {theirs["id"]: (ours, theirs) for ours, theirs in (self._item(of.of) for _ in range(number))}
        return [ours for ours, _ in chosen.values()], [theirs for _, theirs in chosen.values()]

    def _patient(self) -> tuple[dict[int, Any], dict[str, str]]:
        rng = self.rng
        gender = rng.choice(("male", "female", "other", "unknown", None))
        patient = {} if gender is None else {"gender": gender}
        if rng.random() < 0.95:
            years = int(rng.choice([*(n for n in self.near.numbers if n < 120), rng.randint(0, 95)]))
            days = rng.choice((-1, 0, 1, rng.randint(-400, 400)))
            born = _years_before(NOW_TIME.date(), years) + timedelta(days=days)
            patient["birthDate"] = f"{min(born, NOW_TIME.date())}"[: rng.choice((10, 10, 10, 10, 7, 4))]
        known = Patient(gender=patient.get("gender"), birthDate=patient.get("birthDate"))
        person = read_patient(known, MOMENT)
        given = {GENDER: person.gender, AGE_IN_YEARS: person.age_years, AGE_IN_MONTHS: person.age_months}
        return given, patient

    def _item(self, of: Type) -> tuple[Any, dict[str, Any]]:
        rng = self.rng
        if self.pool[of] and rng.random() < 0.3:
            return rng.choice(self.pool[of])
        self.count += 1
        form = str(of.form)
        ours: dict[str, Any] = {}
        theirs: dict[str, Any] = {}
        for name, attribute in attributes(of).items():
            if name in ("id", "age"):
                continue
            absent = name not in _ALWAYS_THERE and rng.random() < 0.12
            ours[name], theirs[name] = (None, None) if absent else self._value(name, attribute)
        if form != "cards":
            ours["age"], theirs["age"] = _age(ours[_DATED.get(form, "date")])
        ours["id"] = theirs["id"] = f"{form}/{self.count}"
        if form in ("result", "results"):
            ours["group"] = "any"
        made = _CLASSES[form](**ours), theirs
        self.pool[of].append(made)
        return made

    def _value(self, name: str, of: Type) -> tuple[Any, Any]:
        if of.kind in ("quantity", "number"):
            value = self._quantity(of.unit)
            return value, {"value": value, "unit": unit_in_cql(of)} if of.kind == "quantity" else value
        if of.kind == "date":
            return self._date(future=name in ("planned", "end", "value"))
        if of.kind == "boolean":
            flag = self.rng.random() < 0.5
            return flag, flag
        word = self.rng.choice([*sorted(self.near.words[name]), "one", "two"])
        return word, word

    def _quantity(self, unit: str) -> float:
        rng = self.rng
        written = sorted(self.near.quantities[unit] if unit else self.near.numbers) or [1.0]
        decimals = max(_decimals(value) for value in written)
        kind = rng.random()
        base = rng.choice(written)
        if kind > 0.65 and self.values[unit]:
            base = rng.choice(self.values[unit])
            other = rng.choice([*(n for n in self.near.numbers if n <= 20), 1.0])
            if kind > 0.85:
                base += rng.choice((-1, 1)) * rng.choice(written)
            elif other > 0:
                base = rng.choice((base * other, base / other))
        step = 10.0**-decimals
        value = round(base + rng.choice((-1, 0, 0, 1)) * rng.choice((step, step, base / 2)), decimals)
        value = abs(value) or step
        self.values[unit].append(value)
        return value

    def _date(self, *, future: bool) -> tuple[Any, Any]:
        rng = self.rng
        shift = rng.choice((-1, 1)) * rng.choice(self.distances) + rng.choice((-MINUTE, 0, 0, 0, MINUTE))
        instant = rng.choice(self.instants) + shift
        if not future and instant > NOW_MS:
            instant = 2 * NOW_MS - instant
        self.instants.append(instant)
        time = f"{datetime.fromtimestamp(instant / 1000, UTC):%Y-%m-%dT%H:%M:%S.000Z}"
        if rng.random() < self.without_time:
            time = time[: rng.choice((10, 10, 10, 10 if self.near.shifts or self.near.extremes else 7))]
        return MOMENT.date(time), {"time": time}


def _age(when: Any) -> tuple[Any, Any]:
    age = MOMENT.age(when)
    return (age, {"value": round(age / DAY, 8), "unit": "d"}) if isinstance(age, int) else (None, None)


def _decimals(value: float) -> int:
    return len(f"{value:g}".partition(".")[2])


def _years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years, day=min(day.day, 28))


def frame(start: list[Any], slots: Mapping[int, Any]) -> list[Any]:
    """A copy of a frame with some of its slots filled."""
    fresh = list(start)
    for slot, value in slots.items():
        fresh[slot] = value
    return fresh
