"""The names of a card: its own facts and definitions, and the shared ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from cds_service.chart.codes import Codes
from cds_service.chart.items import Fact, Form
from cds_service.knowledge import syntax as s
from cds_service.knowledge.card import INDICATORS
from cds_service.knowledge.checking import GENDERS, Checker
from cds_service.knowledge.compile import NOT_YET
from cds_service.knowledge.language import duration, parse
from cds_service.knowledge.reading import Node, Problems
from cds_service.knowledge.services import HOOKS
from cds_service.knowledge.types import NULL, Kind, Type, item, list_of

FORMS: Final[tuple[str, ...]] = get_args(Form)
_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]+$")
_TAKEN: Final = {
    "Patient", "Hook", "Now", "Count", "Min", "Max", "Median", "Coalesce", "Abs",
    "Code", "Concept", "Interval", "List", "Tuple",
}  # fmt: skip
"""Names that the language, or CQL, has for itself."""
_OPTIONS: Final[dict[str, set[str]]] = {
    "result": {"within", "near"}, "results": {"within"}, "findings": {"within", "status"}, "conditions": {"status"},
    "medications": {"ended", "drafts"}, "orders": {"within", "drafts"}, "procedures": {"within"},
    "encounters": {"within"}, "cards": set(),
}  # fmt: skip
_VALUES: Final[dict[str, Kind]] = {"quantity": "quantity", "string": "string", "date": "date", "pressure": "item"}


class Frames:
    """Hands out the slots of a frame: one for each distinct fact, each definition, each alias."""

    def __init__(self, first_free: int) -> None:
        self.facts: dict[Fact, int] = {}
        self.start: list[Any] = [None] * first_free

    def allocate(self, start: Any) -> int:
        """A new slot that holds `start` in a fresh frame."""
        self.start.append(start)
        return len(self.start) - 1

    def fact(self, fact: Fact) -> int:
        """The slot of a fact; equal facts share one."""
        if fact not in self.facts:
            self.facts[fact] = self.allocate(None)
        return self.facts[fact]


def words_of(codes: Codes) -> Mapping[str, frozenset[str]]:
    """The closed sets that attributes are compared with, so that a misspelt word is found."""
    drugs = {drug for group in codes.medications.values() for drug in group.ingredients}
    groups = {*codes.results, *codes.findings, *codes.medications, *codes.orders, *codes.encounters}
    return {
        "group": frozenset(groups),
        "ingredient": frozenset(drugs),
        "indicator": frozenset(INDICATORS),
        "gender": GENDERS,
        "side": frozenset({"left", "right", "both"}),
        "severity": frozenset({"mild", "moderate", "severe"}),
        "Hook": frozenset(HOOKS),
    }


class Names:
    """The facts and definitions of one file, over those of `outer` (the shared ones)."""

    def __init__(
        self, node: Node, codes: Codes, frames: Frames, problems: Problems, outer: Names | None = None
    ) -> None:
        self.node = node
        self.codes = codes
        self.frames = frames
        self.problems = problems
        self.outer = outer
        self.known: dict[str, s.Named] = {}
        self._facts: dict[str, Node] = {}
        self._defines: dict[str, Node] = {}
        self._open: list[str] = []
        for section, into in (("facts", self._facts), ("define", self._defines)):
            for name, child in (node.get(section) or Node({}, node.path, 1, 1)).items():
                if self._free(name, child):
                    into[name] = child

    def _free(self, name: str, node: Node) -> bool:
        expected = "a name of its own"
        if not _NAME.match(name):
            self.problems.add(node, f"the name '{name}'", "a name of letters and digits, beginning with a capital")
        elif name in _TAKEN:
            self.problems.add(node, f"the name '{name}', which the language has", expected)
        elif name in self._facts or name in self._defines:
            self.problems.add(node, f"the name '{name}' a second time", expected)
        elif self.outer is not None and (name in self.outer._facts or name in self.outer._defines):
            self.problems.add(node, f"the name '{name}', which is a shared one", expected)
        else:
            return True
        return False

    def all(self, words: Mapping[str, frozenset[str]]) -> dict[str, s.Named]:
        """Every name of this file, resolved."""
        self.words = words
        for name in (*self._facts, *self._defines):
            self.resolve(name)
        return self.known

    def resolve(self, name: str) -> s.Named | None:
        """What a name means: of this file, else of the shared ones; None when it is unknown."""
        if name in self.known:
            return self.known[name]
        if name in self._facts:
            return self._named_fact(name, self._facts[name])
        if name in self._defines:
            return self._named_definition(name, self._defines[name])
        return self.outer.resolve(name) if self.outer is not None else None

    def _named_fact(self, name: str, node: Node) -> s.Named:
        fact = self.read_fact(node)
        slot, of = (self.frames.fact(fact), self.type_of(fact)) if fact is not None else (-1, NULL)
        named = s.Named(name=name, slot=slot, type=of, path=node.path, line=node.line, fact=fact)
        self.known[name] = named
        return named

    def _named_definition(self, name: str, node: Node) -> s.Named | None:
        if name in self._open:
            circle = " → ".join((*self._open[self._open.index(name) :], name))
            self.problems.add(node, f"a circle: {circle}", "definitions that do not name themselves")
            return None
        self._open.append(name)
        expression = self.read_expression(node)
        self._open.pop()
        slot, of = (self.frames.allocate(NOT_YET), expression.type) if expression is not None else (-1, NULL)
        named = s.Named(name=name, slot=slot, type=of, path=node.path, line=node.line, expression=expression)
        self.known[name] = named
        return named

    def read_expression(self, node: Node, expected: Type | None = None) -> s.Expression | None:
        """The checked expression of a node: an expression, or a labelled list of conditions."""
        if isinstance(node.value, dict):
            entries = []
            for label, child in node.items():
                condition = parse(child, self.problems)
                if condition is not None:
                    entries.append((label, condition))
            expression: s.Expression | None = s.Labels(text="", line=node.line, column=node.column, entries=entries)
        else:
            expression = parse(node, self.problems)
        if expression is not None:
            Checker(node.path, self.problems, self.resolve, self.words).check(expression, expected)
        return expression

    def type_of(self, fact: Fact) -> Type:
        """The type of a fact."""
        if fact.form in ("result", "results"):
            group = self.codes.results[fact.groups[0]]
            of = item(fact.form, group.unit or "", _VALUES.get(group.kind, "null"))
            return of if fact.form == "result" else list_of(of)
        return list_of(item(fact.form))

    def read_fact(self, node: Node) -> Fact | None:
        """The fact a mapping states."""
        forms = [key for key, _ in node.items() if key in FORMS]
        if len(forms) != 1:
            self.problems.add(node, f"{len(forms)} forms of fact", f"one of: {', '.join(FORMS)}")
            return None
        form = forms[0]
        groups = self._groups(form, node.value[form])
        options: dict[str, Any] = {}
        for key, child in node.items():
            if key == form:
                continue
            if key not in _OPTIONS[form]:
                line, column = node.keys[key]
                allowed = ", ".join(sorted(_OPTIONS[form])) or "no option"
                self.problems.at(node.path, line, column, f"'{key}' with {form}", allowed)
                return None
            value = self._option(key, child)
            if value is None:
                return None
            options["any_status" if key == "status" else key] = value
        return Fact(form=form, groups=groups, **options) if groups else None  # type: ignore[arg-type]

    def _option(self, key: str, node: Node) -> Any:
        text = str(node.value)
        if key in ("within", "ended"):
            value: Any = duration(text)
            expected = "a duration such as 90 days"
        elif key == "near":
            named = self.resolve(text)
            value = named.fact if named is not None and named.type.form == "result" else None
            expected = "the name of a single result"
        elif key == "status":
            value = True if text == "any" else None
            expected = "any"
        else:
            value = text if text in ("only", "none") else None
            expected = "only or none"
        if value is None:
            self.problems.add(node, f"'{text}'", expected)
        return value

    def _groups(self, form: str, node: Node) -> tuple[str, ...]:
        known: Callable[[str], bool] = {
            "result": lambda g: g in self.codes.results,
            "results": lambda g: g in self.codes.results,
            "findings": lambda g: g in self.codes.findings,
            "conditions": lambda g: g in self.codes.findings,
            "medications": lambda g: g in self.codes.medications,
            "orders": lambda g: g in self.codes.orders or g in self.codes.results,
            "procedures": lambda g: g in self.codes.orders or g in self.codes.results,
            "encounters": lambda g: g == "current" or g in self.codes.encounters,
            "cards": lambda _id: True,
        }[form]
        groups = []
        for one in node.each():
            if isinstance(one.value, str) and known(one.value):
                groups.append(one.value)
            else:
                self.problems.unknown(one, "code group", f"a group of cards/codes for {form}")
        if form in ("result", "results") and len(groups) > 1:
            self.problems.add(node, "several result groups", "one; two groups are two facts")
            return ()
        return tuple(groups)
