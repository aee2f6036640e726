"""Changes of the knowledge, one place at a time, to see whether the cases would notice.

A change is made in the parsed conditions and facts in place and taken back again; nothing is written to a file. The
kinds: flip a comparison or move its edge, move a threshold by its last decimal, drop a term, swap `and` with `or`,
shorten or lengthen a window, swap or drop a code group, remove an `unless`, a `lower` or its `for`, drop a group of
`drafts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Final

import msgspec

from cds_service.chart.codes import Codes
from cds_service.chart.items import Fact
from cds_service.fhir.uncertain import DAY, HOUR
from cds_service.knowledge import syntax as s
from cds_service.knowledge.card import Card, Indicator, Lower, Unless

Put = Callable[[Any], None]
_FLIPPED: Final = {
    "<": (">", "<="), "<=": (">=", "<"), ">": ("<", ">="), ">=": ("<=", ">"), "=": ("!=",), "!=": ("=",),
    "before": ("after", "on_or_before"), "after": ("before", "on_or_after"),
    "on_or_before": ("on_or_after", "before"), "on_or_after": ("on_or_before", "after"), "within": (),
}  # fmt: skip
_NOT_PARTS: Final = {"target", "type", "run", "reached"}
_OTHER: Final = {"and": "or", "or": "and"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change: where it is made, what it does in words, and the two steps. `make` returns what takes it back. `of`
    is the fact or definition that is changed, None for a condition of the card itself.
    """

    line: int
    words: str
    make: Callable[[], Callable[[], None]]
    of: s.Named | None = None


@dataclass(slots=True)
class _Root:
    """What holds the outermost expression of a condition, so that it can be exchanged."""

    expression: s.Expression


@dataclass(slots=True)
class _Exception:
    """An `unless` or `lower` at work."""

    of: Unless | Lower
    when: _Root
    applies_to: frozenset[str]


class Workpiece:
    """A card taken apart so that each of its places can be changed; `card()` puts it together again.

    `own` are the facts and definitions of the card's file. For the shared ones there is no card.
    """

    def __init__(self, card: Card | None, own: list[s.Named]) -> None:
        self._card = card
        self.own = own
        self._tiers: list[tuple[Indicator, _Root]] = []
        self._unless: list[_Exception] = []
        self._lower: list[_Exception] = []
        self._members: dict[tuple[int, int], _Root] = {}
        self._drafts: list[Fact | s.Named] = []
        if card is None:
            return
        self._population = _Root(card.population)
        self._tiers = [(indicator, _Root(condition)) for indicator, condition in card.tiers]
        self._unless = [_Exception(one, _Root(one.when), one.applies_to) for one in card.unless]
        self._lower = [_Exception(one, _Root(one.when), one.applies_to) for one in card.lower]
        for at, offer in enumerate(card.offers):
            for number, (_, condition) in enumerate(offer.members):
                if condition is not None:
                    self._members[at, number] = _Root(condition)
        named = {one.fact: one for one in own if one.fact is not None and one.fact.drafts == "only"}
        self._drafts = [named.get(fact, fact) for fact in card.drafts]

    def card(self) -> Card | None:
        """The card as it is after the change."""
        card = self._card
        if card is None:
            return None
        drafts = tuple(one.fact if isinstance(one, s.Named) else one for one in self._drafts)
        facts = [named.fact for named in {**card.names, **{one.name: one for one in self.own}}.values()]
        asked = (id_ for fact in facts if fact is not None and fact.form == "cards" for id_ in fact.groups)
        return replace(
            card,
            population=self._population.expression,
            tiers=tuple((indicator, root.expression) for indicator, root in self._tiers),
            unless=tuple(_put_together(one) for one in self._unless),
            lower=tuple(_put_together(one) for one in self._lower),
            offers=tuple(
                replace(
                    offer,
                    members=tuple(
                        (id_, self._members[at, number].expression if condition is not None else None)
                        for number, (id_, condition) in enumerate(offer.members)
                    ),
                )
                for at, offer in enumerate(card.offers)
            ),
            drafts=tuple(fact for fact in drafts if fact is not None),
            asks=tuple(dict.fromkeys(asked)),
        )

    def roots(self) -> list[_Root]:
        """What holds the conditions of the card itself; definitions not among them."""
        if self._card is None:
            return []
        exceptions = [one.when for one in (*self._unless, *self._lower)]
        return [self._population, *(root for _, root in self._tiers), *exceptions, *self._members.values()]

    def changes(self, codes: Codes) -> Iterator[Change]:
        """Every change of this card, in the order of its parts."""
        holders: list[Any] = [*self.roots(), *(named for named in self.own if named.expression is not None)]
        for holder in holders:
            for node, put in _places(holder.expression, partial(setattr, holder, "expression")):
                for change in _changes_of(node, put):
                    yield replace(change, of=holder if isinstance(holder, s.Named) else None)
        for named in self.own:
            if named.fact is not None:
                for words, fact in _other_facts(named.fact, codes):
                    yield Change(named.line, f"{named.name}: {words}", partial(_set, named, "fact", fact), named)
        for what, exceptions in (("unless", self._unless), ("lower", self._lower)):
            for one in exceptions:
                line = one.of.when.line
                yield Change(line, f"{what} removed: {one.of.reason}", partial(_without, exceptions, one))
                if one.applies_to != {"warning", "info"}:
                    usual = partial(_set, one, "applies_to", frozenset({"warning", "info"}))
                    yield Change(line, f"'for' of the {what} removed: {one.of.reason}", usual)
        for at, drafts in enumerate(self._drafts):
            if isinstance(drafts, Fact):
                for group in drafts.groups:
                    left = tuple(one for one in drafts.groups if one != group)
                    fewer = msgspec.structs.replace(drafts, groups=left)
                    yield Change(1, f"drafts: {group} dropped", partial(_set_item, self._drafts, at, fewer))


def _put_together(one: _Exception) -> Any:
    return replace(one.of, when=one.when.expression, applies_to=one.applies_to)


def _places(node: Any, put: Put) -> Iterator[tuple[Any, Put]]:
    """Every expression of a tree with what exchanges it; sources and `with` clauses are passed through."""
    if isinstance(node, s.Expression):
        yield node, put
    for field in fields(node):
        if field.name not in _NOT_PARTS:
            yield from _inside(getattr(node, field.name), partial(setattr, node, field.name))


def _inside(value: Any, put: Put) -> Iterator[tuple[Any, Put]]:
    if isinstance(value, (s.Expression, s.Source, s.With)):
        yield from _places(value, put)
    elif isinstance(value, list):
        for at, one in enumerate(value):
            if isinstance(one, tuple):
                for number, part in enumerate(one):
                    yield from _inside(part, partial(_put_in_tuple, value, at, number))
            else:
                yield from _inside(one, partial(value.__setitem__, at))


def _put_in_tuple(holder: list[Any], at: int, number: int, part: Any) -> None:
    before = holder[at]
    holder[at] = (*before[:number], part, *before[number + 1 :])


def _changes_of(node: Any, put: Put) -> Iterator[Change]:
    def change(words: str, make: Callable[[], Callable[[], None]]) -> Change:
        return Change(node.line, f"{words} in: {node.text}", make)

    def exchanged(words: str, part: s.Expression) -> Change:
        return change(words, partial(_exchange, put, node, part))

    if isinstance(node, s.Binary) and node.operator in _OTHER:
        other = _OTHER[node.operator]
        yield change(
            f"'{other}' for '{node.operator}' before {node.right.text}", partial(_set, node, "operator", other)
        )
        for dropped, left in ((node.left, node.right), (node.right, node.left)):
            if not (isinstance(dropped, s.Binary) and dropped.operator == node.operator):
                yield exchanged(f"dropped {dropped.text}", left)
    elif isinstance(node, s.Binary):
        for other in _FLIPPED.get(node.operator, ()):
            yield change(f"{other} for {node.operator}", partial(_set, node, "operator", other))
    elif isinstance(node, s.Timing):
        for other in _FLIPPED[node.relation]:
            yield change(f"{other} for {node.relation}", partial(_set, node, "relation", other))
        if node.amount is not None:
            for words, amount in _windows(node.amount):
                yield change(words, partial(_set, node, "amount", amount))
            if node.relation != "within":
                yield change("'or less' and 'or more' swapped", partial(_set, node, "at_most", not node.at_most))
    elif isinstance(node, (s.Quantity, s.Constant)):
        if isinstance(node.value, float):
            step = _last_decimal(node.text)
            for number in (round(node.value - step, 6), round(node.value + step, 6)):
                yield Change(node.line, f"{number:g} for {node.text}", partial(_set, node, "value", number))
    elif isinstance(node, s.Duration):
        for words, amount in _windows(node.value):
            yield change(words, partial(_set, node, "value", amount))
    elif isinstance(node, s.Not):
        yield exchanged("'not' dropped", node.of)
    elif isinstance(node, s.Test):
        yield change("the opposite", partial(_set, node, "negated", not node.negated))
    elif isinstance(node, s.Member) and len(node.values) > 1:
        for value in node.values:
            fewer = tuple(one for one in node.values if one != value)
            yield change(f"'{value}' dropped", partial(_set, node, "values", fewer))
    elif isinstance(node, s.Case):
        for branch in node.branches if len(node.branches) > 1 else ():
            yield change(f"dropped when {branch[0].text}", partial(_without, node.branches, branch))
    elif isinstance(node, s.Labels):
        for entry in node.entries:
            yield Change(entry[1].line, f"label '{entry[0]}' dropped", partial(_without, node.entries, entry))
    elif isinstance(node, s.Query):
        if node.where is not None:
            yield change("'where' dropped", partial(_set, node, "where", None))
        for clause in node.withs:
            yield change("'with' dropped", partial(_without, node.withs, clause))


def _last_decimal(text: str) -> float:
    number = text.split()[0]
    return float(10 ** -len(number.partition(".")[2]))


def _windows(amount: int) -> Iterator[tuple[str, int]]:
    step, unit = (DAY, "a day") if amount > DAY and amount % DAY == 0 else (HOUR, "an hour")
    yield f"{unit} less", amount - step
    yield f"{unit} more", amount + step


def _other_facts(fact: Fact, codes: Codes) -> Iterator[tuple[str, Fact]]:
    change = partial(msgspec.structs.replace, fact)
    for option in ("within", "ended"):
        amount = getattr(fact, option)
        if amount is not None:
            for words, other in _windows(amount):
                yield f"{option} {words}", change(**{option: other})
    if fact.any_status:
        yield "status: any removed", change(any_status=False)
    if len(fact.groups) > 1:
        for group in fact.groups:
            yield f"{group} dropped", change(groups=tuple(one for one in fact.groups if one != group))
    if fact.form != "cards" and fact.groups != ("current",):
        for number, group in enumerate(fact.groups):
            instead = _neighbour(fact, group, codes)
            if instead is None:
                continue
            yield f"{instead} for {group}", change(groups=(*fact.groups[:number], instead, *fact.groups[number + 1 :]))


def _neighbour(fact: Fact, group: str, codes: Codes) -> str | None:
    """Another group of the same kind that shares nothing with those of the fact; None when there is no such group."""
    tables: dict[str, Any] = {
        "result": codes.results, "results": codes.results, "findings": codes.findings, "conditions": codes.findings,
        "medications": codes.medications, "encounters": codes.encounters,
    }  # fmt: skip
    table = tables.get(fact.form, {**codes.orders, **codes.results})
    taken = {leaf for one in fact.groups for leaf in _leaves(table, one)}
    alike: list[str] = [name for name in sorted(table) if name == group or _alike(table[name], table[group])]
    start = alike.index(group) + 1
    others = (name for name in (*alike[start:], *alike) if not taken.intersection(_leaves(table, name)))
    return next(others, None)


def _alike(one: Any, other: Any) -> bool:
    """Whether two groups may stand for each other: results only when their values are of one kind."""
    return getattr(one, "kind", None) == getattr(other, "kind", None)


def _leaves(table: Any, group: str) -> tuple[str, ...]:
    return tuple(getattr(table[group], "leaves", None) or (group,))


def _set(owner: Any, name: str, value: Any) -> Callable[[], None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    return partial(setattr, owner, name, before)


def _set_item(holder: list[Any], at: int, value: Any) -> Callable[[], None]:
    before = holder[at]
    holder[at] = value
    return partial(holder.__setitem__, at, before)


def _without(holder: list[Any], one: Any) -> Callable[[], None]:
    at = next(number for number, held in enumerate(holder) if held is one or held == one)
    before = holder.pop(at)
    return partial(holder.insert, at, before)


def _exchange(put: Put, before: s.Expression, after: s.Expression) -> Callable[[], None]:
    put(after)
    return partial(put, before)
