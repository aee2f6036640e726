"""From a checked expression to a closure `run(frame)`.

A frame is a list: the given values (now, gender, age in years, age in months, hook), then a slot for each fact, each
definition and each alias. A closure returns a float, int (date or duration), str, bool, item, list or `Undecided`;
`None` is the CQL null and `UNKNOWN` means that we cannot tell. Definitions are judged at most once per frame.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from cds_service.chart.items import ABSENT, CANNOT_TELL, Undecided
from cds_service.fhir.uncertain import UNKNOWN, Span
from cds_service.knowledge import aggregate
from cds_service.knowledge import syntax as s
from cds_service.knowledge.logic import Frame, all_of, any_of, every
from cds_service.knowledge.queries import Allocate, compile_query
from cds_service.knowledge.syntax import Run

NOW, GENDER, AGE_IN_YEARS, AGE_IN_MONTHS, HOOK, FIRST_FREE = range(6)
NOT_YET: Final = object()
"""What a definition's slot holds until it is judged."""

_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_COMPUTE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow,
}  # fmt: skip


def compile_expression(expression: s.Expression, allocate: Allocate) -> Run:
    """The closure of an expression whose types were checked; `allocate(start value)` gives a free slot of the frame."""
    run: Run = _BUILD[type(expression)](expression, allocate)
    expression.run = run
    return run


def compile_definition(named: s.Named, allocate: Allocate) -> None:
    """Compile a definition, unless it is a fact or compiled already, so that its slot is filled once per frame."""
    expression = named.expression
    if expression is None or expression.run is not s.not_compiled:
        return
    body = compile_expression(expression, allocate)
    slot = named.slot

    def once(frame: Frame) -> Any:
        value = frame[slot]
        if value is NOT_YET:
            value = frame[slot] = body(frame)
        return value

    expression.run = once


def _constant(e: s.Constant, _allocate: Allocate) -> Run:
    value = e.value
    return lambda _frame: value


def _quantity(e: s.Quantity | s.Duration, _allocate: Allocate) -> Run:
    value = e.value
    return lambda _frame: value


def _name(e: s.Name, allocate: Allocate) -> Run:
    if e.name == "Hook":
        return lambda frame: frame[HOOK]
    target = e.target
    if isinstance(target, s.Named) and target.expression is not None:
        if target.expression.run is s.not_compiled:
            compile_definition(target, allocate)
        return target.expression.run
    slot = target.slot if target is not None else -1
    return lambda frame: frame[slot]


def _attribute(e: s.Attribute, allocate: Allocate) -> Run:
    if isinstance(e.of, s.Name) and e.of.name == "Patient":
        return lambda frame: frame[GENDER]
    get = attrgetter(e.name)
    if isinstance(e.of, s.Name) and not (isinstance(e.of.target, s.Named) and e.of.target.expression):
        e.of.run = _name(e.of, allocate)
        slot = e.of.target.slot if e.of.target is not None else -1
        return lambda frame: get(frame[slot])
    of = compile_expression(e.of, allocate)
    return lambda frame: get(of(frame))


def _not(e: s.Not, allocate: Allocate) -> Run:
    of = compile_expression(e.of, allocate)

    def negation(frame: Frame) -> Any:
        value = of(frame)
        return not value if value is True or value is False else value

    return negation


def _exists(e: s.Exists, allocate: Allocate) -> Run:
    of = compile_expression(e.of, allocate)

    def exists(frame: Frame) -> Any:
        value = of(frame)
        if value is UNKNOWN:
            return UNKNOWN
        if not value:
            return False
        undecided = isinstance(value, Undecided)
        doubtful = undecided
        for one in value.certain if undecided else value:
            if one is UNKNOWN:
                doubtful = True
            elif one is not None:
                return True
        return UNKNOWN if doubtful else False

    return exists


def _test(e: s.Test, allocate: Allocate) -> Run:
    of = compile_expression(e.of, allocate)
    what, holds, fails = e.what, not e.negated, e.negated
    nothing = (None, ABSENT) if what is None else (what,)

    def test(frame: Frame) -> Any:
        value = of(frame)
        if value is UNKNOWN or value is CANNOT_TELL:
            return UNKNOWN
        return holds if any(value is one for one in nothing) else fails

    return test


def _binary(e: s.Binary, allocate: Allocate) -> Run:
    if e.operator in ("and", "or"):
        parts = [compile_expression(part, allocate) for part in operands(e)]
        return all_of(parts) if e.operator == "and" else any_of(parts)
    left, right = compile_expression(e.left, allocate), compile_expression(e.right, allocate)
    if e.operator == "union":
        return lambda frame: aggregate.union(left(frame), right(frame))
    if e.operator in _COMPARE:
        return _comparison(_COMPARE[e.operator], left, right, e.right)
    return _computation(_COMPUTE[e.operator], left, right, exact=e.type.kind in ("date", "duration"))


def operands(e: s.Binary) -> list[s.Expression]:
    """The parts of a chain of the same `and` or `or`, left to right."""
    parts: list[s.Expression] = []
    for side in (e.left, e.right):
        if isinstance(side, s.Binary) and side.operator == e.operator:
            parts += operands(side)
        else:
            parts.append(side)
    return parts


def _comparison(compare: Callable[[Any, Any], Any], left: Run, right: Run, constant: s.Expression) -> Run:
    if isinstance(constant, (s.Constant, s.Quantity, s.Duration)) and constant.value is not None:
        limit = constant.value

        def against_limit(frame: Frame) -> Any:
            value = left(frame)
            return None if value is None else compare(value, limit)

        return against_limit

    def comparison(frame: Frame) -> Any:
        first, second = left(frame), right(frame)
        return None if first is None or second is None else compare(first, second)

    return comparison


def _computation(compute: Callable[[Any, Any], Any], left: Run, right: Run, *, exact: bool) -> Run:
    def computation(frame: Frame) -> Any:
        first, second = left(frame), right(frame)
        if first is None or second is None:
            return None
        try:
            value = compute(first, second)
        except ZeroDivisionError:
            return None
        return value if exact or value is UNKNOWN else round(value, 8)  # CQL computes with 8 decimals

    return computation


def _timing(e: s.Timing, allocate: Allocate) -> Run:
    left, right = compile_expression(e.left, allocate), compile_expression(e.right, allocate)
    amount, compare = e.amount, _RELATIONS[e.relation]
    if amount is None:
        return lambda frame: _dated(compare, left(frame), right(frame))
    if e.relation == "within":
        return lambda frame: _dated(lambda x, y: every((x >= y - amount, x <= y + amount)), left(frame), right(frame))
    earlier = e.relation in ("before", "on_or_before")
    by = -amount if earlier else amount
    if not e.at_most:
        beyond = operator.le if earlier else operator.ge
        return lambda frame: _dated(lambda x, y: beyond(x, y + by), left(frame), right(frame))
    inside = operator.ge if earlier else operator.le
    return lambda frame: _dated(lambda x, y: every((compare(x, y), inside(x, y + by))), left(frame), right(frame))


_RELATIONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "before": operator.lt, "after": operator.gt, "on_or_before": operator.le, "on_or_after": operator.ge,
    "within": operator.eq,
}  # fmt: skip


def _dated(compare: Callable[[Any, Any], Any], first: Any, second: Any) -> Any:
    if first is None or second is None:
        return None
    return UNKNOWN if first is UNKNOWN or second is UNKNOWN else compare(first, second)


def _member(e: s.Member, allocate: Allocate) -> Run:
    of, values = compile_expression(e.of, allocate), frozenset(e.values)

    def member(frame: Frame) -> Any:
        value = of(frame)
        return value if value is None or value is UNKNOWN else value in values

    return member


def _date_from(e: s.DateFrom, allocate: Allocate) -> Run:
    of = compile_expression(e.of, allocate)

    def day(frame: Frame) -> Any:
        value = of(frame)
        if isinstance(value, int):
            return value // 86_400_000
        if isinstance(value, Span):
            return value.lo // 86_400_000 if value.precision == "day" else UNKNOWN
        return value

    return day


def _case(e: s.Case, allocate: Allocate) -> Run:
    branches = [(compile_expression(c, allocate), compile_expression(v, allocate)) for c, v in e.branches]
    otherwise = compile_expression(e.otherwise, allocate)

    def case(frame: Frame) -> Any:
        for condition, value in branches:
            holds = condition(frame)
            if holds is True:
                return value(frame)
            if holds is UNKNOWN:
                return UNKNOWN
        return otherwise(frame)

    return case


def _call(e: s.Call, allocate: Allocate) -> Run:
    if e.function in ("Now", "AgeInYears", "AgeInMonths"):
        slot = {"Now": NOW, "AgeInYears": AGE_IN_YEARS, "AgeInMonths": AGE_IN_MONTHS}[e.function]
        return lambda frame: frame[slot]
    arguments = [compile_expression(argument, allocate) for argument in e.arguments]
    if e.function == "Coalesce":

        def coalesce(frame: Frame) -> Any:
            for argument in arguments:
                value = argument(frame)
                if value is not None:
                    return value
            return None

        return coalesce
    of, compute = arguments[0], aggregate.FUNCTIONS[e.function]
    return lambda frame: compute(of(frame))


def _labels(e: s.Labels, allocate: Allocate) -> Run:
    entries = [(label, compile_expression(condition, allocate)) for label, condition in e.entries]

    def labels(frame: Frame) -> Any:
        certain: list[object] = []
        maybe: list[object] = []
        for label, condition in entries:
            holds = condition(frame)
            if holds is True:
                certain.append(label)
            elif holds is not False:
                maybe.append(label)
        return Undecided(certain, maybe) if maybe else certain

    return labels


_BUILD: Final[dict[type[s.Expression], Callable[[Any, Allocate], Run]]] = {
    s.Constant: _constant, s.Quantity: _quantity, s.Duration: _quantity, s.Name: _name, s.Attribute: _attribute,
    s.Not: _not, s.Exists: _exists, s.Test: _test, s.Binary: _binary, s.Timing: _timing, s.Member: _member,
    s.DateFrom: _date_from, s.Case: _case, s.Call: _call, s.Labels: _labels,
    s.Query: lambda e, allocate: compile_query(e, allocate, compile_expression),
}  # fmt: skip
