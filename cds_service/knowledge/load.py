"""Loading the folder of cards: read, check, compile. Loading runs no code from the files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cds_service import __version__
from cds_service.chart.facts import FactPlan
from cds_service.chart.items import Fact
from cds_service.chart.needs import horizon, record_horizon
from cds_service.knowledge.card import Card
from cds_service.knowledge.codes import load_codes
from cds_service.knowledge.compile import FIRST_FREE, compile_definition
from cds_service.knowledge.derived import compile_derived
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.names import Frames, Names, words_of
from cds_service.knowledge.prefetch import TEMPLATE_LIMIT, facts_of, services
from cds_service.knowledge.read_card import Surroundings, read_card
from cds_service.knowledge.reading import Node, Problems, read_yaml
from cds_service.knowledge.schema import SharedSchema, conforms
from cds_service.knowledge.sources import read_claims, read_guidelines, read_override_reasons
from cds_service.knowledge.suggestions import read_suggestions
from cds_service.knowledge.syntax import Attribute, Named, facts_in, walk
from cds_service.knowledge.thresholds import check_sources
from cds_service.knowledge.words import Words

_NO_CARDS: Final = {"codes", "suggestions", "sources"}


def load_knowledge(folder: Path) -> Knowledge:
    """The knowledge of a folder.

    Raises KnowledgeError with every mistake found: file, line, column, what was found, what was expected.
    """
    problems = Problems()
    if not folder.is_dir():
        problems.at(folder, 1, 1, "no folder", "the folder of cards")
        problems.check()
    codes = load_codes(folder / "codes", problems)
    problems.check()
    codes = compile_derived(codes, problems)
    frames = Frames(FIRST_FREE)
    paths = card_paths(folder)
    shared_node = read_yaml(folder / "shared.yaml", problems)
    nodes = {path: read_yaml(path, problems) for path in paths}
    conforms(SharedSchema, shared_node, problems)
    problems.check()
    closed = words_of(codes)
    shared = Names(shared_node, codes, frames, problems)
    shared.all(closed)
    titles = {path.stem: _title(node, path) for path, node in nodes.items()}
    around = Surroundings(
        codes=codes,
        shared=shared,
        shared_sources=frozenset(" ".join(key.split()) for key, _ in shared_node.value["sources"].items()),
        frames=frames,
        words=Words(codes, titles),
        closed=closed,
        suggestions=read_suggestions(folder / "suggestions", codes, problems),
        guidelines=read_guidelines(folder / "sources", problems),
        claims=read_claims(folder / "sources", problems),
        override_reasons=read_override_reasons(folder / "override_reasons.yaml", problems),
    )
    for _, child in shared_node.value["sources"].items():
        for one in child.each():
            if not one.is_among(around.guidelines):
                problems.unknown(one, "guideline", "an id of cards/sources/guidelines.yaml")
    expressions = [named.expression for named in shared.known.values() if named.expression is not None]
    check_sources(shared_node, expressions, set(around.shared_sources), problems)
    if not problems.found:
        for named in shared.known.values():
            compile_definition(named, frames.allocate)
    read = {path.stem: read_card(node, around, problems) for path, node in nodes.items()}
    cards = {id_: card for id_, card in read.items() if card is not None}
    _check_named_cards(shared_node, nodes, set(read), problems)
    order = _order(cards, problems)
    problems.check()
    for card in cards.values():
        for fact in facts_of(card, around.suggestions):
            frames.fact(fact)
    facts = list(frames.facts)
    codes = codes.with_horizon(horizon(facts, codes), record_horizon(facts, codes))
    knowledge = Knowledge(
        version=f"{__version__}+{fingerprint(folder)}",
        codes=codes,
        cards=cards,
        order=order,
        shared=shared.known,
        suggestions=around.suggestions,
        guidelines=around.guidelines,
        claims=around.claims,
        override_reasons=around.override_reasons,
        words=around.words,
        plan=FactPlan(frames.facts, frames.start, codes, _dosed(cards, shared.known)),
        slot_of=dict(frames.facts),
        card_facts=card_facts(cards),
        services=services(cards, around.suggestions, codes),
    )
    _check_templates(knowledge, folder, problems)
    problems.check()
    return knowledge


def card_paths(folder: Path) -> list[Path]:
    """The card definitions of a folder, sorted by topic and name."""
    return sorted(
        path
        for path in folder.glob("*/*.yaml")
        if path.parent.name not in _NO_CARDS and not path.name.endswith(".cases.yaml")
    )


def _title(node: Node, path: Path) -> str:
    title = node.get("title")
    return str(title.value) if title is not None else path.stem


def _check_named_cards(shared: Node, nodes: Mapping[Path, Node], known: set[str], problems: Problems) -> None:
    for node in (shared, *nodes.values()):
        for _, fact in (node.get("facts") or Node({}, node.path, 1, 1)).items():
            named = fact.get("cards")
            for one in named.each() if named is not None else ():
                if not one.is_among(known):
                    problems.unknown(one, "card", "the id of a card")
        into = node.get("merge_into")
        if into is not None and not into.is_among(known):
            problems.unknown(into, "card", "the id of a card")
        elif into is not None:
            target = next(one for path, one in nodes.items() if path.stem == into.value)
            if target.get("merge_into") is not None or "merged" not in str((target.get("detail") or target).value):
                problems.add(into, f"'{into.value}'", "a card that is no line itself and whose detail lists 'merged'")


def _order(cards: Mapping[str, Card], problems: Problems) -> tuple[Card, ...]:
    """The cards that are not retired, each after those it names; a circle is a problem."""
    ordered: dict[str, Card] = {}
    open_: list[str] = []

    def visit(card: Card) -> None:
        if card.id in ordered or card.status == "retired":
            return
        if card.id in open_:
            circle = " → ".join((*open_[open_.index(card.id) :], card.id))
            problems.at(card.path, 1, 1, f"a circle between cards: {circle}", "cards that do not name each other")
            return
        open_.append(card.id)
        for id_ in card.asks:
            if id_ in cards:
                visit(cards[id_])
        open_.pop()
        ordered[card.id] = card

    for card in cards.values():
        visit(card)
    return tuple(ordered.values())


def _dosed(cards: Mapping[str, Card], shared: Mapping[str, Named]) -> frozenset[Fact]:
    """The facts of which a condition or definition asks the dose."""
    expressions = [named.expression for named in shared.values() if named.expression is not None]
    for card in cards.values():
        expressions += card.conditions
        expressions += [named.expression for named in card.names.values() if named.expression is not None]
    return frozenset(
        named.fact
        for expression in expressions
        if any(isinstance(part, Attribute) and part.name in ("dose", "equivalent") for part in walk(expression))
        for named in facts_in(expression)
        if named.fact is not None
    )


def card_facts(cards: Mapping[str, Card]) -> dict[str, tuple[tuple[int, tuple[str, ...]], ...]]:
    """For each card that names others: the slots that hold them, with the ids of those that are not retired."""
    found = {}
    for card in cards.values():
        slots = {n.slot: n.fact.groups for n in card.names.values() if n.fact is not None and n.fact.form == "cards"}
        if slots:
            found[card.id] = tuple(
                (slot, tuple(id_ for id_ in ids if cards[id_].status != "retired")) for slot, ids in slots.items()
            )
    return found


def _check_templates(knowledge: Knowledge, folder: Path, problems: Problems) -> None:
    for service in knowledge.services:
        for key, template in service.prefetch.items():
            if len(template) >= TEMPLATE_LIMIT:
                path = folder / "codes" / "results" / f"{key}.yaml"
                problems.at(
                    path, 1, 1, f"a prefetch template of {len(template)} characters", f"fewer than {TEMPLATE_LIMIT}"
                )


def fingerprint(folder: Path, *, with_cases: bool = False) -> str:
    """Twelve digits that change with any file of the folder of cards; with the cases beside them only when asked."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (with_cases or not path.name.endswith(".cases.yaml")):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
