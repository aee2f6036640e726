"""Names, types and units of an expression, checked when the knowledge loads.

CQL translators and engines accept a comparison of different units, or of a number with a quantity, and answer null or
false. Here such an expression is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cds_service.knowledge import syntax as s
from cds_service.knowledge.reading import Problems
from cds_service.knowledge.types import (
    BOOLEAN,
    DATE,
    DAY,
    DURATION,
    LABELS,
    NULL,
    NUMBER,
    STRING,
    Type,
    attributes,
    list_of,
    quantity,
)

Resolve = Callable[[str], "s.Named | None"]
_ORDERED: Final = {"number", "quantity", "date", "day", "duration"}
_AGGREGATES: Final = {"Min", "Max", "Median"}
_FUNCTIONS: Final[dict[str, Type]] = {"Now": DATE, "AgeInYears": NUMBER, "AgeInMonths": NUMBER}
GENDERS: Final = frozenset({"male", "female", "other", "unknown"})


class Checker:
    """Checks the expressions of one file; `resolve` gives the meaning of a name, `words` the closed sets of
    attributes.
    """

    def __init__(
        self,
        path: Path,
        problems: Problems,
        resolve: Resolve,
        words: Mapping[str, frozenset[str]],
        *,
        power: bool = False,
    ) -> None:
        self.path = path
        self.problems = problems
        self.resolve = resolve
        self.words = words
        self.power = power
        self.aliases: dict[str, tuple[s.Source, Type]] = {}

    def check(self, expression: s.Expression, expected: Type | None = None) -> Type:
        """The type of an expression, noted in it; a wrong one is a problem and has type null."""
        found: Type = getattr(self, f"_{type(expression).__name__.lower()}")(expression)
        expression.type = found
        if expected is not None and found.kind not in (expected.kind, "null"):
            return self._refuse(expression, str(found), str(expected))
        return found

    def _refuse(self, at: s.Expression, found: str, expected: str) -> Type:
        self.problems.at(self.path, at.line, at.column, f"{found} in '{at.text}'", expected)
        return NULL

    def _constant(self, e: s.Constant) -> Type:
        if isinstance(e.value, bool):
            return BOOLEAN
        if e.value is None:
            return NULL
        return STRING if isinstance(e.value, str) else NUMBER

    def _quantity(self, e: s.Quantity) -> Type:
        return NUMBER if e.unit == "1" else quantity(e.unit)

    def _duration(self, _e: s.Duration) -> Type:
        return DURATION

    def _name(self, e: s.Name) -> Type:
        if e.name in self.aliases:
            e.target, found = self.aliases[e.name]
            return found
        if e.name == "Hook":
            return STRING
        named = self.resolve(e.name)
        if named is None:
            return self._refuse(
                e, f"the unknown name '{e.name}'", "a fact or definition of this card or of shared.yaml"
            )
        e.target = named
        return named.type

    def _attribute(self, e: s.Attribute) -> Type:
        if isinstance(e.of, s.Name) and e.of.name == "Patient":
            return STRING if e.name == "gender" else self._refuse(e, f"'Patient.{e.name}'", "Patient.gender")
        of = self.check(e.of)
        if of.kind == "null":
            return NULL
        if of.kind != "item":
            return self._refuse(e, f"a path on {of}", "a path on one item; ask a list with exists (… where …)")
        known = attributes(of)
        if e.name not in known:
            return self._refuse(e, f"the unknown attribute '{e.name}'", f"one of: {', '.join(known)}")
        return known[e.name]

    def _not(self, e: s.Not) -> Type:
        self.check(e.of, BOOLEAN)
        return BOOLEAN

    def _exists(self, e: s.Exists) -> Type:
        of = self.check(e.of)
        if of.kind not in ("list", "labels", "null"):
            self._refuse(e, f"exists on {of}", "exists on a list; a single value: 'is not null'")
        return BOOLEAN

    def _test(self, e: s.Test) -> Type:
        of = self.check(e.of, BOOLEAN if e.what is not None else None)
        if of.kind in ("list", "labels"):
            self._refuse(e, f"a null test on {of}", "exists or not exists")
        return BOOLEAN

    def _datefrom(self, e: s.DateFrom) -> Type:
        self.check(e.of, DATE)
        return DAY

    def _binary(self, e: s.Binary) -> Type:
        if e.operator in ("and", "or"):
            self.check(e.left, BOOLEAN)
            self.check(e.right, BOOLEAN)
            return BOOLEAN
        left, right = self.check(e.left), self.check(e.right)
        if "null" in (left.kind, right.kind):
            return NULL if e.operator in ("+", "-", "*", "/", "^", "union") else BOOLEAN
        if e.operator == "union":
            if left.kind == right.kind == "list" and _union_form(left) == _union_form(right):
                return left
            return self._refuse(e, f"a union of {left} and {right}", "two lists of the same form")
        if e.operator in ("+", "-", "*", "/", "^"):
            return self._arithmetic(e, left, right)
        return self._comparison(e, left, right)

    def _comparison(self, e: s.Binary, left: Type, right: Type) -> Type:
        if "quantity" in (left.kind, right.kind) and "number" in (left.kind, right.kind):
            unit = left.unit or right.unit
            self._refuse(e, "a number without unit", f"a quantity in '{unit}'")
        elif left.kind != right.kind or left.unit != right.unit:
            self._refuse(e, f"{left} compared with {right}", f"two values of one kind and unit, such as {left}")
        elif e.operator in ("=", "!="):
            if left.kind in ("list", "labels", "item"):
                self._refuse(e, f"a comparison of {left}", "a comparison of values")
            self._check_words(e.left, (e.right.value,) if isinstance(e.right, s.Constant) else (), e)
        elif left.kind not in _ORDERED:
            self._refuse(e, f"'{e.operator}' between {left}s", "numbers, quantities, dates or durations")
        return BOOLEAN

    def _check_words(self, of: s.Expression, values: tuple[object, ...], at: s.Expression) -> None:
        name = of.name if isinstance(of, (s.Attribute, s.Name)) else ""
        known = self.words.get(name)
        for value in values:
            if known is not None and value not in known:
                self._refuse(at, f"'{value}', which '{name}' never is", f"one of: {', '.join(sorted(known)[:40])}")

    def _arithmetic(self, e: s.Binary, left: Type, right: Type) -> Type:
        kinds = (left.kind, right.kind)
        numeric = all(kind in ("number", "quantity") for kind in kinds)
        if e.operator == "^":
            if self.power and kinds == ("number", "number"):
                return NUMBER
            return self._refuse(e, "'^'", "'^' between numbers, in derived results only")
        if e.operator in ("+", "-"):
            if kinds == ("date", "duration"):
                return DATE
            if left == right and left.kind in ("number", "quantity", "duration"):
                return left
        elif numeric and e.operator == "*" and "number" in kinds:
            return left if right.kind == "number" else right
        elif numeric and e.operator == "/":
            if right.kind == "number":
                return left
            if left == right:
                return NUMBER
        return self._refuse(e, f"{left} {e.operator} {right}", "operands whose units fit")

    def _timing(self, e: s.Timing) -> Type:
        for side in (e.left, e.right):
            self.check(side, DATE)
        return BOOLEAN

    def _member(self, e: s.Member) -> Type:
        self.check(e.of, STRING)
        self._check_words(e.of, e.values, e)
        return BOOLEAN

    def _case(self, e: s.Case) -> Type:
        for condition, _ in e.branches:
            self.check(condition, BOOLEAN)
        return self._same(e, [value for _, value in e.branches] + [e.otherwise])

    def _same(self, e: s.Expression, values: list[s.Expression]) -> Type:
        found = [t for t in map(self.check, values) if t.kind != "null"]
        if not found:
            return NULL
        if found[0].kind in ("list", "labels", "item"):
            return self._refuse(e, str(found[0]), "single values")
        if any(t != found[0] for t in found):
            return self._refuse(e, " and ".join(dict.fromkeys(map(str, found))), "values of one kind and unit")
        return found[0]

    def _call(self, e: s.Call) -> Type:
        if e.function in _FUNCTIONS:
            if e.arguments:
                self._refuse(e, "an argument", f"{e.function}()")
            return _FUNCTIONS[e.function]
        if e.function == "Coalesce":
            return self._same(e, e.arguments)
        if e.function not in (*_AGGREGATES, "Count", "Abs"):
            names = ", ".join(sorted((*_FUNCTIONS, *_AGGREGATES, "Count", "Abs", "Coalesce")))
            return self._refuse(e, f"the unknown function '{e.function}'", f"one of: {names}")
        if len(e.arguments) != 1:
            return self._refuse(e, f"{len(e.arguments)} arguments", f"one argument of {e.function}")
        of = self.check(e.arguments[0])
        if of.kind == "null":
            return NULL
        if e.function == "Abs":
            return of if of.kind in ("number", "quantity") else self._refuse(e, f"Abs of {of}", "Abs of a number")
        if e.function == "Count":
            return NUMBER if of.kind in ("list", "labels") else self._refuse(e, f"Count of {of}", "Count of a list")
        held = of.of if of.kind == "list" else None
        if (
            held is None
            or held.kind not in _ORDERED
            or (e.function == "Median" and held.kind not in ("number", "quantity"))
        ):
            return self._refuse(e, f"{e.function} of {of}", f"{e.function} of a list of values: … return …")
        return held

    def _labels(self, e: s.Labels) -> Type:
        for _, condition in e.entries:
            self.check(condition, BOOLEAN)
        return LABELS

    def _query(self, e: s.Query) -> Type:
        source = self._source(e, e.source)
        if source is None:
            return NULL
        opened = [e.source.alias]
        for clause in e.withs:
            inner = self._source(e, clause.source)
            if inner is not None:
                self.check(clause.condition, BOOLEAN)
            self.aliases.pop(clause.source.alias, None)
        if e.where is not None:
            self.check(e.where, BOOLEAN)
        result = source if e.result is None else self.check(e.result)
        for alias in opened:
            self.aliases.pop(alias, None)
        if e.result is None:
            return source
        of = e.source.of.type
        return result if of.kind == "item" or result.kind == "null" else list_of(result)

    def _source(self, e: s.Query, source: s.Source) -> Type | None:
        of = self.check(source.of)
        if of.kind == "null":
            return None
        held = of.of if of.kind == "list" else of
        if held is None or held.kind != "item":
            self._refuse(e, f"a query on {of}", "a query on a fact or a list of items")
            return None
        if source.alias in self.aliases:
            self._refuse(e, f"the alias {source.alias} a second time", "a letter that is free here")
            return None
        self.aliases[source.alias] = (source, held)
        return of


def _union_form(of: Type) -> str:
    form = of.form or ""
    return "findings" if form == "conditions" else form
