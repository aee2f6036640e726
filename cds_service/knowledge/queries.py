"""Queries: `Symptom M with Statin S such that … where … return …`, on lists whose items may be uncertain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cds_service.chart.items import ABSENT, CANNOT_TELL, Undecided
from cds_service.fhir.uncertain import UNKNOWN
from cds_service.knowledge import aggregate
from cds_service.knowledge import syntax as s
from cds_service.knowledge.logic import Frame, all_of
from cds_service.knowledge.syntax import Run

Allocate = Callable[[Any], int]
CompileExpression = Callable[[s.Expression, Allocate], Run]


def compile_query(e: s.Query, allocate: Allocate, compile_expression: CompileExpression) -> Run:
    """The closure of a query: a list of items or values, or, for a query on one item, that item or nothing."""
    source = compile_expression(e.source.of, allocate)
    slot = e.source.slot = allocate(None)
    tests: list[Run] = [_with(clause, allocate, compile_expression) for clause in e.withs]
    if e.where is not None:
        tests.append(compile_expression(e.where, allocate))
    keep = all_of(tests)
    result = compile_expression(e.result, allocate) if e.result is not None else None
    if e.source.of.type.kind == "item":
        return _query_of_item(source, slot, keep, result)
    distinct = not e.all_results

    def query(frame: Frame) -> Any:
        value = source(frame)
        if value is UNKNOWN:
            return UNKNOWN
        certain: list[object] = []
        maybe: list[object] = []
        undecided = isinstance(value, Undecided)
        for item in value.certain if undecided else value:
            frame[slot] = item
            kept = keep(frame)
            if kept is not False:
                (certain if kept is True else maybe).append(item if result is None else result(frame))
        for item in value.maybe if undecided else ():
            frame[slot] = item
            if item is UNKNOWN:
                maybe.append(UNKNOWN)
            elif keep(frame) is not False:
                maybe.append(item if result is None else result(frame))
        if result is not None and distinct:
            certain = aggregate.distinct(certain)
        return Undecided(certain, maybe) if maybe else certain

    return query


def _query_of_item(source: Run, slot: int, keep: Run, result: Run | None) -> Run:
    def query(frame: Frame) -> Any:
        item = source(frame)
        if item is ABSENT:
            return ABSENT if result is None else None
        if item is CANNOT_TELL:
            return CANNOT_TELL if result is None else UNKNOWN
        frame[slot] = item
        kept = keep(frame)
        if kept is True:
            return item if result is None else result(frame)
        if kept is False:
            return ABSENT if result is None else None
        return CANNOT_TELL if result is None else UNKNOWN

    return query


def _with(clause: s.With, allocate: Allocate, compile_expression: CompileExpression) -> Run:
    source = compile_expression(clause.source.of, allocate)
    slot = clause.source.slot = allocate(None)
    condition = compile_expression(clause.condition, allocate)

    def paired(frame: Frame) -> Any:
        value = source(frame)
        if value is UNKNOWN or value is CANNOT_TELL:
            return UNKNOWN
        if value is ABSENT:
            return False
        found: Any = False
        if isinstance(value, Undecided):
            items, found = value.certain, UNKNOWN
        else:
            items = value if isinstance(value, list) else [value]
        for item in items:
            frame[slot] = item
            holds = condition(frame)
            if holds is True:
                return True
            if holds is not False:
                found = UNKNOWN
        return found

    return paired
