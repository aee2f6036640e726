"""Computed results: their expressions, checked and compiled.

They are written in the card language, with `^` besides, over `Base` (the result they start from) and their inputs,
whose values are unrounded here.
"""

from __future__ import annotations

from typing import Any

from cds_service.chart.codes import Codes
from cds_service.chart.groups import Derived, DerivedSpec, ResultGroup
from cds_service.knowledge import syntax as s
from cds_service.knowledge.checking import GENDERS, Checker
from cds_service.knowledge.compile import FIRST_FREE, compile_expression
from cds_service.knowledge.language import parse
from cds_service.knowledge.reading import Node, Problems
from cds_service.knowledge.types import BOOLEAN, Type, item, quantity


def compile_derived(codes: Codes, problems: Problems) -> Codes:
    """The codes with the computed results ready to run; a mistake in an expression is a problem with its place."""
    derived = {}
    for name, group in codes.results.items():
        if group.derived is not None:
            compiled = _compile(group, group.derived, codes, problems)
            if compiled is not None:
                derived[name] = compiled
    return codes.with_derived(derived)


def _compile(group: ResultGroup, spec: DerivedSpec, codes: Codes, problems: Problems) -> Derived | None:
    at: Node = spec.value_at
    known: dict[str, s.Named] = {}
    sources = [("Base", spec.base), *((name, source) for name, source, _ in spec.inputs)]
    for position, (name, source) in enumerate(sources):
        if source not in codes.results:
            problems.add(at, f"the unknown result group '{source}'", "a result group")
            return None
        of = item("result", codes.results[source].unit or "")
        known[name] = s.Named(name=name, slot=FIRST_FREE + position, type=of, path=at.path, line=at.line)
    before = len(problems.found)
    value = _expression(at, quantity(group.unit or "1"), known, problems)
    valid = _expression(spec.valid_at, BOOLEAN, known, problems) if spec.valid_at is not None else None
    if value is None or len(problems.found) > before:
        return None
    for part in (*s.walk(value), *(s.walk(valid) if valid is not None else ())):
        if isinstance(part, s.Query):
            problems.at(at.path, part.line, part.column, "a query in a computed result", "Base and its inputs only")
            return None
    if value.type != quantity(group.unit or "1"):
        problems.add(at, f"{value.type}", f"a quantity in '{group.unit}'")
        return None
    return Derived(
        spec.base,
        spec.inputs,
        compile_expression(value, _no_slot),
        compile_expression(valid, _no_slot) if valid is not None else None,
    )


def _expression(node: Node, expected: Type, known: dict[str, s.Named], problems: Problems) -> s.Expression | None:
    expression = parse(node, problems)
    if expression is not None:
        words = {"gender": GENDERS}
        Checker(node.path, problems, known.get, words, power=True).check(expression, expected)
    return expression


def _no_slot(_start: Any) -> int:
    raise ValueError("a computed result has no queries")
