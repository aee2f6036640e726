"""The parsed form of a condition: one class per construct of the card language.

Every node knows its text and its place in the file. `type` is set when types are checked, `run` when it is compiled,
`reached` when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cds_service.chart.items import Fact
from cds_service.knowledge.types import NULL, Type

Run = Callable[[list[Any]], Any]


def not_compiled(_frame: list[Any]) -> Any:
    """What `run` is until an expression is compiled."""
    raise RuntimeError("this expression was not compiled")


@dataclass(slots=True, kw_only=True)
class Expression:
    """What all constructs share. `line` and `column` count from 1 and are the file's own."""

    text: str
    line: int
    column: int
    type: Type = NULL
    run: Run = field(default=not_compiled, repr=False)
    reached: tuple[Named, ...] | None = field(default=None, repr=False)

    def children(self) -> Iterator[Expression]:
        """The expressions this one is made of."""
        yield from ()


@dataclass(slots=True, kw_only=True, eq=False)
class Named:
    """What a name stands for: a fact of the chart or a definition, and its slot in the frame."""

    name: str
    slot: int
    type: Type
    path: Path
    line: int
    fact: Fact | None = None
    expression: Expression | None = None


@dataclass(slots=True, kw_only=True)
class Constant(Expression):
    """`3`, `'male'`, `true`, `null`."""

    value: float | str | bool | None


@dataclass(slots=True, kw_only=True)
class Quantity(Expression):
    """`3.5 'mmol/L'`."""

    value: float
    unit: str


@dataclass(slots=True, kw_only=True)
class Duration(Expression):
    """`7 days`; `value` in milliseconds."""

    value: int


@dataclass(slots=True, kw_only=True)
class Name(Expression):
    """A fact, a definition, an alias of a query; `target` is what it means, set when types are checked."""

    name: str
    target: Named | Source | None = None


@dataclass(slots=True, kw_only=True)
class Attribute(Expression):
    """`Potassium.value`."""

    of: Expression
    name: str

    def children(self) -> Iterator[Expression]:
        yield self.of


@dataclass(slots=True, kw_only=True)
class Call(Expression):
    """`Count(…)`, `Now()`."""

    function: str
    arguments: list[Expression]

    def children(self) -> Iterator[Expression]:
        yield from self.arguments


@dataclass(slots=True, kw_only=True)
class Not(Expression):
    """`not x`."""

    of: Expression

    def children(self) -> Iterator[Expression]:
        yield self.of


@dataclass(slots=True, kw_only=True)
class Exists(Expression):
    """`exists x`."""

    of: Expression

    def children(self) -> Iterator[Expression]:
        yield self.of


@dataclass(slots=True, kw_only=True)
class Test(Expression):
    """`x is null`, `x is not true`."""

    of: Expression
    negated: bool
    what: bool | None

    def children(self) -> Iterator[Expression]:
        yield self.of


@dataclass(slots=True, kw_only=True)
class DateFrom(Expression):
    """`date from G.date`: the calendar day."""

    of: Expression

    def children(self) -> Iterator[Expression]:
        yield self.of


@dataclass(slots=True, kw_only=True)
class Binary(Expression):
    """Two operands: logic, comparison, arithmetic, union."""

    operator: Literal["and", "or", "union", "=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "^"]
    left: Expression
    right: Expression

    def children(self) -> Iterator[Expression]:
        yield self.left
        yield self.right


@dataclass(slots=True, kw_only=True)
class Timing(Expression):
    """`x 48 hours or less before y`, `x on or after y`, `x within 3 days of y`; `amount` in milliseconds."""

    left: Expression
    right: Expression
    relation: Literal["before", "after", "on_or_before", "on_or_after", "within"]
    amount: int | None = None
    at_most: bool = True

    def children(self) -> Iterator[Expression]:
        yield self.left
        yield self.right


@dataclass(slots=True, kw_only=True)
class Member(Expression):
    """`x in {'a', 'b'}`."""

    of: Expression
    values: tuple[str, ...]

    def children(self) -> Iterator[Expression]:
        yield self.of


@dataclass(slots=True, kw_only=True)
class Case(Expression):
    """`case when a then b else c end`."""

    branches: list[tuple[Expression, Expression]]
    otherwise: Expression

    def children(self) -> Iterator[Expression]:
        for condition, value in self.branches:
            yield condition
            yield value
        yield self.otherwise


@dataclass(slots=True, kw_only=True)
class Source:
    """A source of a query with its alias; `slot` is the alias's place in the frame, set when compiled."""

    of: Expression
    alias: str
    slot: int = -1


@dataclass(slots=True, kw_only=True)
class With:
    """`with Statin S such that …`."""

    source: Source
    condition: Expression


@dataclass(slots=True, kw_only=True)
class Query(Expression):
    """`Potassium K where … return …`."""

    source: Source
    withs: list[With]
    where: Expression | None
    result: Expression | None
    all_results: bool

    def children(self) -> Iterator[Expression]:
        yield self.source.of
        for clause in self.withs:
            yield clause.source.of
            yield clause.condition
        if self.where is not None:
            yield self.where
        if self.result is not None:
            yield self.result


@dataclass(slots=True, kw_only=True)
class Labels(Expression):
    """A labelled list of a definition: the labels whose condition holds."""

    entries: list[tuple[str, Expression]]

    def children(self) -> Iterator[Expression]:
        for _, condition in self.entries:
            yield condition


def named_in(expression: Expression) -> list[Named]:
    """The facts and definitions that an expression names, without opening the definitions."""
    targets = [part.target for part in walk(expression) if isinstance(part, Name)]
    return [target for target in targets if isinstance(target, Named)]


def facts_in(expression: Expression) -> tuple[Named, ...]:
    """The facts that an expression reaches, through definitions too; worked out once."""
    if expression.reached is None:
        reached: dict[str, Named] = {}
        waiting = named_in(expression)
        while waiting:
            named = waiting.pop()
            if named.name not in reached:
                reached[named.name] = named
                if named.expression is not None:
                    waiting += named_in(named.expression)
        expression.reached = tuple(named for named in reached.values() if named.fact is not None)
    return expression.reached


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and all it is made of, outermost first; names of definitions are not opened."""
    yield expression
    for child in expression.children():
        yield from walk(child)
