"""Reading the card language: text with its place in a file becomes a tree of expressions.

The language is a strict subset of CQL 1.5 expression text; `grammar.lark` is its grammar.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from lark import Lark, Token, Tree, UnexpectedInput

from cds_service.fhir.uncertain import DAY, HOUR
from cds_service.knowledge import syntax as s
from cds_service.knowledge.reading import Node, Problems

_UNITS: Final = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
_RESERVED: Final = {"without", "between", "implies", "xor", "if", "sort", "First", "Last", "contains", "as", "Round"}


@cache
def _grammar() -> Lark:
    text = files("cds_service.knowledge").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", start="definition", propagate_positions=True, maybe_placeholders=True)


def parse(node: Node, problems: Problems) -> s.Expression | None:
    """The expression a scalar of a card file states; None and a problem when it is no expression of the language."""
    if node.raw is None:
        if isinstance(node.value, str):
            problems.add(node, "a condition in quotes", "the condition as plain, '>' or '|' text, without quotes")
        else:
            problems.add(node, node.words, "a condition")
        return None
    try:
        tree = _grammar().parse(node.raw)
    except UnexpectedInput as error:
        _refuse(node, error, problems)
        return None
    return _Builder(node).build(cast("Tree[Token] | Token", tree))


def duration(text: str) -> int | None:
    """The milliseconds of `7 days` (hours, days, weeks); None when the text is no duration."""
    match = re.fullmatch(r"\s*([0-9]+)\s+(hour|day|week)s?\s*", text)
    return int(match[1]) * _UNITS[match[2]] if match else None


def _place(node: Node, line: int, column: int) -> tuple[int, int]:
    return node.raw_line + line - 1, column + (node.raw_column - 1 if line == 1 else 0)


def _refuse(node: Node, error: UnexpectedInput, problems: Problems) -> None:
    line, column = _place(node, max(error.line, 1), max(error.column, 1))
    token = getattr(error, "token", None)
    if token is None:
        found = f"'{(node.raw or '')[error.pos_in_stream or 0 :].split()[0]}'"
    elif token.type == "$END":
        lines = (node.raw or "").rstrip().split("\n")
        line, column = _place(node, len(lines), len(lines[-1]) + 1)
        found = "the end of the condition"
    else:
        found = f"'{token}'"
    if token is not None and str(token) in _RESERVED:
        problems.at(node.path, line, column, found, "only the operators of the card language (docs/card-language.md)")
        return
    expected = sorted(getattr(error, "expected", None) or getattr(error, "allowed", None) or ())
    names = ", ".join(_TERMINALS.get(name, name.lower().lstrip("_")) for name in expected) or "an expression"
    problems.at(node.path, line, column, found, f"one of: {names}")


_TERMINALS: Final = {
    "NAME": "a name", "ALIAS": "an alias (one capital letter)", "NUMBER": "a number", "STRING": "'text'",
    "LPAR": "(", "RPAR": ")", "LBRACE": "{", "RBRACE": "}", "COMMA": "a comma", "DOT": ".", "PLUS": "+ or -",
    "TIMES": "* or /", "CARET": "^", "COMPARISON": "< <= > >=", "EQUALITY": "= or !=", "UNIT": "hours, days or weeks",
    "NEARNESS": "or less, or more", "$END": "the end", "END": "end",
}  # fmt: skip


class _Builder:
    """Turns lark's trees into expressions, with places in the file."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.raw = node.raw or ""

    def build(self, tree: Tree[Token] | Token) -> s.Expression:
        assert isinstance(tree, Tree)  # noqa: S101 - the grammar gives no bare token here
        expression: s.Expression = getattr(self, "_" + tree.data)(tree, self._at(tree))
        return expression

    def _at(self, tree: Tree[Token]) -> dict[str, Any]:
        meta = tree.meta
        line, column = _place(self.node, meta.line, meta.column)
        text = " ".join(self.raw[meta.start_pos : meta.end_pos].split())
        return {"text": text, "line": line, "column": column}

    def _children(self, tree: Tree[Token]) -> list[Any]:
        return [child for child in tree.children if child is not None]

    def _logic(self, operator: Any, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        left, right = self._children(tree)
        return s.Binary(operator=operator, left=self.build(left), right=self.build(right), **at)

    def _union(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return self._logic("union", tree, at)

    def _disjunction(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return self._logic("or", tree, at)

    def _conjunction(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return self._logic("and", tree, at)

    def _infix(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        left, operator, right = self._children(tree)
        return s.Binary(operator=cast("Any", str(operator)), left=self.build(left), right=self.build(right), **at)

    _comparison = _equal = _arithmetic = _infix

    def _member(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        of, *values = self._children(tree)
        return s.Member(of=self.build(of), values=tuple(str(value)[1:-1] for value in values), **at)

    def _timing(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        left, *amount, relation, right = self._children(tree)
        timing = s.Timing(left=self.build(left), right=self.build(right), relation=relation.data, **at)
        if amount:
            number, unit, nearness = amount
            timing.amount = _milliseconds(number, unit)
            timing.at_most = nearness.endswith("less")
        return timing

    def _within(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        left, number, unit, right = self._children(tree)
        amount = _milliseconds(number, unit)
        return s.Timing(left=self.build(left), right=self.build(right), relation="within", amount=amount, **at)

    def _negation(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return s.Not(of=self.build(self._children(tree)[1]), **at)

    def _exists(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return s.Exists(of=self.build(self._children(tree)[0]), **at)

    def _is_test(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        of, *words = self._children(tree)
        what = {"null": None, "true": True, "false": False}[str(words[-1])]
        return s.Test(of=self.build(of), negated=len(words) > 1, what=what, **at)

    def _attribute(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        of, name = self._children(tree)
        return s.Attribute(of=self.build(of), name=str(name), **at)

    def _date_from(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return s.DateFrom(of=self.build(self._children(tree)[0]), **at)

    def _case(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        parts = [self.build(child) for child in self._children(tree)]
        return s.Case(branches=list(zip(parts[:-1:2], parts[1:-1:2], strict=True)), otherwise=parts[-1], **at)

    def _paren(self, tree: Tree[Token], _at: dict[str, Any]) -> s.Expression:
        return self.build(self._children(tree)[0])

    def _name(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return s.Name(name=str(self._children(tree)[0]), **at)

    _source_name = _name

    def _call(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        function, *arguments = self._children(tree)
        return s.Call(function=str(function), arguments=[self.build(a) for a in arguments], **at)

    def _query(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        source, *clauses = self._children(tree)
        query = s.Query(source=self._source(source), withs=[], where=None, result=None, all_results=False, **at)
        for clause in clauses:
            parts = self._children(clause)
            if clause.data == "with_clause":
                query.withs.append(s.With(source=self._source(parts[0]), condition=self.build(parts[1])))
            elif clause.data == "where_clause":
                query.where = self.build(parts[0])
            else:
                query.all_results = len(parts) > 1
                query.result = self.build(parts[-1])
        return query

    def _source(self, tree: Tree[Token]) -> s.Source:
        of, alias = self._children(tree)
        return s.Source(of=self.build(of), alias=str(alias))

    def _number(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return s.Constant(value=float(self._children(tree)[0]), **at)

    def _quantity(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        number, unit = self._children(tree)
        return s.Quantity(value=float(number), unit=str(unit)[1:-1], **at)

    def _duration(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        number, unit = self._children(tree)
        return s.Duration(value=_milliseconds(number, unit), **at)

    def _string(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return s.Constant(value=str(self._children(tree)[0])[1:-1], **at)

    def _null(self, _tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return s.Constant(value=None, **at)

    def _boolean(self, tree: Tree[Token], at: dict[str, Any]) -> s.Expression:
        return s.Constant(value=str(self._children(tree)[0]) == "true", **at)


def _milliseconds(number: Token, unit: Token) -> int:
    return round(float(number) * _UNITS[str(unit).rstrip("s")])
