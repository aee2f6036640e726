"""Quantities in the canonical unit of their code group, rounded as a person would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, floor
from typing import Final

from cds_service.chart.groups import Part, ResultGroup, Unit
from cds_service.fhir.resources import Quantity
from cds_service.fhir.uncertain import Interval

UCUM: Final = "http://unitsofmeasure.org"
_EXPONENTS: Final = tuple(10.0**decimals for decimals in range(9))
_INFINITY: Final = float("inf")
HUGE: Final = 1e15
"""No result is so large; rounding takes smaller numbers only."""


class Scale:
    """How the numbers of one result group are read: its units under all their spellings, decimals, plausible range."""

    __slots__ = ("_canonical", "_half", "_name", "_power", "high", "low", "units")

    def __init__(self, group: ResultGroup, units: Mapping[str, Unit] | None = None, part: Part | None = None) -> None:
        self._name = group.name
        self._power = _EXPONENTS[group.decimals]
        self._half = 0.5 + self._power * 5e-9
        plausible = group.plausible_parts.get(part) if part else group.plausible
        self.low, self.high = plausible or (-_INFINITY, _INFINITY)
        own = dict(units if units is not None else group.units)
        self._canonical = frozenset(code for code, unit in own.items() if unit == Unit())
        self.units = {**{text: own[code] for text, code in group.spellings.items() if code in own}, **own}

    def round(self, value: float) -> float:
        """To the decimals of the group, halves away from zero, of the value at eight decimals."""
        if value < 0:
            return -int(self._half - value * self._power) / self._power
        return int(value * self._power + self._half) / self._power

    def outward(self, interval: Interval) -> Interval:
        """An interval with its bounds at the decimals of the group: the lower one down, the upper one up."""
        return Interval(
            self._moved(interval.lo, floor),
            self._moved(interval.hi, ceil),
            lo_open=interval.lo_open,
            hi_open=interval.hi_open,
        )

    def _moved(self, bound: float, towards: Callable[[float], int]) -> float:
        if not -HUGE < bound < HUGE:
            return bound
        return towards(round(bound * self._power, 8)) / self._power

    def unit(self, quantity: Quantity) -> Unit:
        """The unit of a quantity: its UCUM code decides, else its text. Raises ValueError, naming the unit."""
        code, text = quantity.code, quantity.unit
        found = None
        if code:
            found = self.units.get(code) or self.units.get(code.strip())
        if found is None and text and not (code and quantity.system == UCUM):
            found = self.units.get(text) or self.units.get(text.strip())
        if found is None:
            named = code if code and (quantity.system == UCUM or not text) else text
            if not named:
                raise ValueError(f"no unit for {self._name}")
            raise ValueError(f"unit '{named[:40]}' is not known for {self._name}")
        return found

    def read(self, quantity: Quantity) -> tuple[float | Interval, float | Interval]:
        """The exact and the rounded value in the canonical unit; an interval when the value has a comparator,
        whose bounds are rounded outward: `>6.49` says nothing of 6.5.

        Raises ValueError saying what is wrong: no value, no or an unknown unit, outside the plausible range.
        """
        exact = quantity.value
        if exact is None:
            raise ValueError("no value")
        if quantity.code not in self._canonical:
            unit = self.unit(quantity)
            exact = (exact + unit.before) * unit.factor + unit.after
        if 0.0 <= exact < HUGE:
            rounded = int(exact * self._power + self._half) / self._power
        elif -HUGE < exact < 0.0:
            rounded = self.round(exact)
        else:
            raise ValueError(f"not a number that {self._name} can have")
        if not self.low <= rounded <= self.high:
            plausible = f"{self.low:g} to {self.high:g}"
            raise ValueError(f"{rounded:g} is outside the plausible range of {self._name} ({plausible})")
        comparator = quantity.comparator
        if comparator is None:
            return exact, rounded
        interval = _interval(comparator, exact)
        return interval, self.outward(interval)


def _interval(comparator: str, bound: float) -> Interval:
    if comparator == "<":
        return Interval(-_INFINITY, bound, lo_open=True, hi_open=True)
    if comparator == "<=":
        return Interval(-_INFINITY, bound, lo_open=True)
    if comparator == ">":
        return Interval(bound, _INFINITY, lo_open=True, hi_open=True)
    if comparator == ">=":
        return Interval(bound, _INFINITY, hi_open=True)
    raise ValueError("a comparator that is not known")
