"""Checks on the limits of a card: each has a source, and a milder tier has no lower bound."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cds_service.knowledge import syntax as s
from cds_service.knowledge.compile import operands
from cds_service.knowledge.reading import Node, Problems

_COMPARISONS = ("<", "<=", ">", ">=", "=", "!=")
_ARITHMETIC = ("+", "-", "*", "/")
_COUNTS = ("Count", "AgeInYears", "AgeInMonths")


def check_sources(node: Node, expressions: Iterable[s.Expression], sources: set[str], problems: Problems) -> None:
    """Every limit that a condition compares with stands under `sources`, by its literal or by the whole comparison."""
    for expression in expressions:
        for literal in _unsourced(expression, sources, named=False):
            problems.at(
                node.path, literal.line, literal.column, f"the limit {literal.text} without a source",
                "its literal, or its comparison, as a key of 'sources'",
            )  # fmt: skip


def _unsourced(expression: s.Expression, sources: set[str], *, named: bool) -> list[s.Expression]:
    named = named or expression.text in sources
    if isinstance(expression, s.Quantity):
        return [] if named else [expression]
    found: list[s.Expression] = []
    if isinstance(expression, s.Binary) and expression.operator in _COMPARISONS:
        sides = (expression.left, expression.right)
        counted = any(isinstance(side, s.Call) and side.function in _COUNTS for side in sides)
        for side in sides:
            if isinstance(side, s.Constant) and isinstance(side.value, float) and not counted:
                found += [] if named or side.text in sources else [side]
    for child in expression.children():
        found += _unsourced(child, sources, named=named)
    return found


def check_bounds(condition: s.Expression, path: Path, problems: Problems) -> None:
    """Refuse `3.0 <= k and k < 3.5` in a milder tier: the order of the tiers says it, and `<3.5` would be unknown."""
    for part in s.walk(condition):
        if not (isinstance(part, s.Binary) and part.operator == "and"):
            continue
        bounds: dict[str, set[str]] = {}
        for operand in operands(part):
            if isinstance(operand, s.Binary) and operand.operator in ("<", "<=", ">", ">="):
                value, limit = operand.left, operand.right
                if isinstance(limit, s.Quantity) and isinstance(value, s.Attribute):
                    bounds.setdefault(value.text, set()).add(operand.operator[0])
        for text, directions in bounds.items():
            if len(directions) > 1:
                expected = "one bound: tiers are tried from critical to info"
                problems.at(path, part.line, part.column, f"a lower and an upper bound on {text}", expected)
                return
