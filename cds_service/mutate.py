"""`cds-service check --mutate`: the knowledge changed one place at a time; do the cases of the card notice?"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import click

from cds_service.chart.chart import Chart
from cds_service.chart.facts import FactPlan
from cds_service.chart.items import Fact
from cds_service.check import all_cases, chart_of_case, compare
from cds_service.evaluate import evaluate
from cds_service.knowledge import syntax as s
from cds_service.knowledge.card import Card
from cds_service.knowledge.cases import Case
from cds_service.knowledge.compile import compile_definition, compile_expression
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import card_facts, load_knowledge
from cds_service.knowledge.mutations import Change, Workpiece

SHARED: Final = "shared.yaml"
"""What stands for the shared facts and definitions among the names of cards."""
_BETWEEN: Final = 100
"""Places for changed facts, before those of queries."""
ENOUGH: Final = 0.95
"""The part of the changes that the cases of a card must notice."""


@dataclass(frozen=True, slots=True)
class Mutated:
    """The changes of one card: how many were made, and those that no case noticed, as lines to print."""

    card: str
    path: Path
    made: int
    survived: tuple[str, ...]

    @property
    def caught(self) -> float:
        """The part of the changes that was noticed."""
        return 1 - len(self.survived) / self.made if self.made else 1.0


def run_mutate(folder: Path, only: Iterable[str] = ()) -> int:
    """Change all cards, or those named, and print what was noticed; 1 when that is too little for one of them."""
    knowledge = load_knowledge(folder)
    names = list(only) or [*(card.id for card in knowledge.order), SHARED]
    results = []
    with ProcessPoolExecutor() as pool:
        for result in pool.map(mutate, [folder] * len(names), names):
            results.append(result)
            caught = result.made - len(result.survived)
            click.echo(f"{result.card}: {caught} of {result.made} changes noticed ({result.caught:.1%})")
            for line in result.survived:
                click.echo(f"  {line}")
    made = sum(result.made for result in results)
    caught = made - sum(len(result.survived) for result in results)
    short = [result.card for result in results if result.caught < ENOUGH]
    click.echo(f"{caught} of {made} changes noticed ({caught / max(made, 1):.1%}).")
    if short:
        click.echo(f"Too few for: {', '.join(short)}; expected {ENOUGH:.0%} of each.")
    return 1 if short else 0


@cache
def _loaded(folder: Path) -> tuple[Knowledge, dict[str, list[tuple[Case, Chart]]]]:
    knowledge = load_knowledge(folder)
    charts: dict[str, list[tuple[Case, Chart]]] = {}
    for case in all_cases(knowledge):
        charts.setdefault(case.card, []).append((case, chart_of_case(case, knowledge)))
    return knowledge, charts


def mutate(folder: Path, name: str) -> Mutated:
    """Change one card, or the shared definitions, in each of its places."""
    knowledge, charts = _loaded(folder)
    card = knowledge.cards.get(name)
    path = card.path if card is not None else folder / SHARED
    own = [named for named in (card.names if card else knowledge.shared).values() if named.path == path]
    workpiece = Workpiece(card, own)
    bench = _Bench(knowledge, workpiece, card)
    made, survived = 0, []
    for change in workpiece.changes(knowledge.codes):
        made += 1
        if not bench.noticed(change, charts):
            survived.append(f"{path}:{change.line}: {change.words}")
    bench.knowledge([one.id for one in knowledge.order] if card is None else [name])
    return Mutated(name, path, made, tuple(survived))


class _Bench:
    """Where a changed card is compiled and its cases are judged again. `longest` is the longest frame so far: cards of
    earlier changes keep the places of their queries.
    """

    longest = 0

    def __init__(self, knowledge: Knowledge, workpiece: Workpiece, card: Card | None) -> None:
        self._knowledge = knowledge
        self._workpiece = workpiece
        self._card = card
        self._start = knowledge.plan.start
        self._compiled: set[str] = set()
        self._plans: dict[tuple[Fact, ...], FactPlan] = {}

    def noticed(self, change: Change, charts: dict[str, list[tuple[Case, Chart]]]) -> bool:
        """Whether a case of the card (for a shared place: of any card that uses it) fails after the change."""
        slots = {named.name: named.slot for named in self._workpiece.own}
        undo = change.make()
        try:
            users = self._users(change)
            changed = self.knowledge(users)
            for id_ in users:
                card = changed.cards[id_]
                alone = replace(changed, order=tuple(_with_asked(card, changed.cards)))
                for case, chart in charts.get(card.id, ()):
                    if any(compare(case, evaluate(chart, alone, also_drafts=True))):
                        return True
            return False
        finally:
            undo()
            for named in self._workpiece.own:
                named.slot = slots[named.name]

    def _users(self, change: Change) -> list[str]:
        """The cards whose cases are asked: the changed one; for a shared place those that reach it."""
        if self._card is not None:
            return [self._card.id]
        named = change.of
        return [card.id for card in self._knowledge.order if named is not None and card.names.get(named.name) is named]

    def knowledge(self, users: Iterable[str]) -> Knowledge:
        """The knowledge with the workpiece as it stands; the cards that use it are compiled anew."""
        known = self._knowledge
        slots = itertools.count(len(self._start))

        def allocate(_start: Any) -> int:
            return next(slots)

        slot_of = dict(known.slot_of)
        card = self._workpiece.card()
        new = [named.fact for named in self._workpiece.own if named.fact is not None]
        for fact in (*new, *(card.drafts if card is not None else ())):
            if fact not in slot_of:
                slot_of[fact] = allocate(None)
        for named in self._workpiece.own:
            if named.fact is not None:
                named.slot = slot_of[named.fact]
        for _ in range(_BETWEEN):
            allocate(None)
        cards = dict(known.cards)
        if card is None:
            now = set(users)
            for other in (cards[id_] for id_ in now | self._compiled):
                _compile(other, [*known.shared.values(), *other.names.values()], allocate)
            self._compiled = now  # they still hold this change when the next one is made
        else:
            cards[card.id] = card
            _compile(card, self._workpiece.own, allocate)
        added = tuple(slot_of)[len(known.slot_of) :]
        _Bench.longest = max(_Bench.longest, allocate(None))
        if added not in self._plans or len(self._plans[added].start) < _Bench.longest:
            start = [*self._start, *[None] * (_Bench.longest - len(self._start))]
            self._plans = {
                added: FactPlan(
                    slot_of, start, known.codes, known.plan.dosed | {fact for fact in new if fact not in known.slot_of}
                )
            }
        plan = self._plans[added]
        order = tuple(cards[one.id] for one in known.order)
        return replace(known, cards=cards, order=order, plan=plan, slot_of=slot_of, card_facts=card_facts(cards))


def _compile(card: Card, names: Iterable[s.Named], allocate: Any) -> None:
    for named in names:
        if named.expression is not None:
            for part in s.walk(named.expression):
                part.run, part.reached = s.not_compiled, None
    for named in names:
        compile_definition(named, allocate)
    for condition in card.conditions:
        for part in s.walk(condition):
            part.reached = None
        compile_expression(condition, allocate)


def _with_asked(card: Card, cards: Any) -> Iterator[Card]:
    """The card after all cards that it asks."""
    found: dict[str, Card] = {}

    def visit(one: Card) -> None:
        for id_ in one.asks:
            if id_ not in found:
                visit(cards[id_])
        found[one.id] = one

    visit(card)
    yield from found.values()
