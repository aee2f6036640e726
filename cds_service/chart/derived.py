"""Computed results: corrected calcium, sodium at normal glucose, eGFR from creatinine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from cds_service.chart.codes import Codes
from cds_service.chart.groups import Derived
from cds_service.chart.items import ABSENT, Absent, Result
from cds_service.chart.latest import newest_first
from cds_service.chart.moment import Moment, last
from cds_service.chart.patient import Person
from cds_service.chart.units import Scale
from cds_service.fhir.uncertain import Interval, Span


def add_derived(results: dict[str, list[Result]], codes: Codes, moment: Moment, person: Person, hook: str) -> None:
    """Add the computed results of each group that has them: one for each result of its base, newest first.

    A result that was reported for the same moment wins over a computed one.
    """
    for name in codes.in_order:
        derived = codes.derived[name]
        group = codes.results[name]
        if derived.base not in results:
            continue
        reported = results.get(name, [])
        taken = {_moment_of(result) for result in reported}
        computed = []
        for base in results.get(derived.base, ()):
            if _moment_of(base) in taken:
                continue
            frame: list[Any] = [moment.now, person.gender, person.age_years, person.age_months, hook, _unrounded(base)]
            frame += [_nearest(results.get(of, ()), base, within) for _, of, within in derived.inputs]
            value = _value(derived, frame)
            if isinstance(value, (int, float, Interval)):
                computed.append(_result(value, base, name, codes.scales[name]))
        if computed:
            ranked = [(last(result.date), int(not result.computed), result) for result in (*reported, *computed)]
            results[name] = newest_first(ranked, group)


def _value(derived: Derived, frame: list[Any]) -> Any:
    try:
        if derived.valid is not None and derived.valid(frame) is not True:
            return None
        return derived.value(frame)
    except ArithmeticError:
        return None


def _unrounded(result: Result) -> Result:
    return replace(result, value=result.exact) if result.exact is not None else result


def _nearest(results: Sequence[Result], base: Result, within: int) -> Result | Absent:
    """The result nearest in time to `base`, inside the window; ABSENT when there is none."""
    best: Result | Absent = ABSENT
    distance = within + 1
    for result in results:
        apart = _apart(result.date, base.date)
        if apart is not None and apart < distance:
            best, distance = _unrounded(result), apart
    return best


def _moment_of(result: Result) -> tuple[Any, Any]:
    date = result.date
    return (date.lo, date.hi) if isinstance(date, Span) else (date, date)


def _apart(a: Any, b: Any) -> int | None:
    """Milliseconds between two dates; dates without time count by the nearest moments they may stand for."""
    a_lo, a_hi = (a.lo, a.hi) if isinstance(a, Span) else (a, a)
    b_lo, b_hi = (b.lo, b.hi) if isinstance(b, Span) else (b, b)
    if not isinstance(a_lo, int) or not isinstance(b_lo, int):
        return None
    return max(0, a_lo - b_hi, b_lo - a_hi)


def _result(value: float | Interval, base: Result, group: str, scale: Scale) -> Result:
    if isinstance(value, Interval):
        rounded: float | Interval = scale.outward(value)
    else:
        rounded = scale.round(value)
    return replace(base, group=group, value=rounded, exact=value, low=None, high=None, computed=True)
