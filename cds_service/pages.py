"""`cds-service pages`: what each card does, written for people from its definition, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from cds_service.check import all_cases, chart_of_case
from cds_service.evaluate import evaluate
from cds_service.hooks.cards import CardWriter
from cds_service.knowledge import syntax as s
from cds_service.knowledge.card import INDICATORS, Card, Guideline
from cds_service.knowledge.cases import Case
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import load_knowledge
from cds_service.knowledge.reading import KnowledgeError, Node, Problems, read_yaml
from cds_service.select import Shown

_NOTE: Final = (
    "<!-- Written by `cds-service pages` from the definitions in cards/. Change those, then run it again. -->"
)
_REVIEW: Final = (
    "Every threshold needs review by the clinicians of a site before clinical use. A card proposes; a person decides."
)


def run_pages(cards: Path, into: Path) -> int:
    """Write the pages of a folder of cards into a folder, and remove those of cards that are gone.

    The exit code: 1 when the cards have mistakes.
    """
    try:
        written = pages(cards)
    except KnowledgeError as error:
        click.echo(str(error), err=True)
        return 1
    into.mkdir(parents=True, exist_ok=True)
    for path in into.glob("*.md"):
        if path.name not in written and path.read_text(encoding="utf-8").startswith(_NOTE):
            path.unlink()
    for name, text in written.items():
        (into / name).write_text(text, encoding="utf-8")
    click.echo(f"{len(written)} pages written to {into}")
    return 0


def pages(folder: Path) -> dict[str, str]:
    """The pages of a folder of cards by file name: one for each card, and README.md as their index.

    Raises KnowledgeError.
    """
    knowledge = load_knowledge(folder)
    shared = read_yaml(folder / "shared.yaml", Problems())
    cases: dict[str, list[Case]] = {}
    for case in all_cases(knowledge):
        cases.setdefault(case.card, []).append(case)
    written = {"README.md": _index(knowledge)}
    for card in knowledge.cards.values():
        written[f"{card.id}.md"] = "\n".join(_page(card, knowledge, shared, cases.get(card.id, [])))
    return written


def _index(knowledge: Knowledge) -> str:
    topics: dict[str, list[Card]] = {}
    for card in knowledge.cards.values():
        topics.setdefault(card.path.parent.name, []).append(card)
    lines = [_NOTE, "", "# The cards", "", _REVIEW, ""]
    for topic, held in topics.items():
        lines += [
            f"## {topic}",
            "",
            "| card | what it is about | indicators | hooks | claims |",
            "|---|---|---|---|---|",
        ]
        for card in sorted(held, key=lambda one: (one.priority, one.id)):
            tiers = ", ".join(indicator for indicator, _ in card.tiers)
            status = "" if card.status == "active" else f" ({card.status})"
            lines.append(
                f"| [{card.id}]({card.id}.md) | {card.title}{status} | {tiers} | {', '.join(card.hooks)} | "
                f"{', '.join(card.claims)} |"
            )
        lines.append("")
    return "\n".join(lines)


def _page(card: Card, knowledge: Knowledge, shared: Node, cases: list[Case]) -> Iterator[str]:
    node = read_yaml(card.path, Problems())
    yield from (_NOTE, "", f"# {card.title}", "")
    about = f"`{card.id}`, version {card.version}, {card.status}, priority {card.priority}; at {', '.join(card.hooks)}."
    if card.drafts:
        groups = (group for fact in card.drafts for group in fact.groups)
        about += f" At order hooks it speaks about drafts of {', '.join(dict.fromkeys(groups))}."
    if card.merge_into is not None:
        milder = INDICATORS[INDICATORS.index(card.own_card) + 1 :]
        about += (
            f" As {' or '.join(milder)} it is a line of [{card.merge_into}]({card.merge_into}.md) when that is shown."
        )
    about += "".join(f" {sentence}" for sentence in _away(node))
    yield from (about, "", _REVIEW, "", "## What it looks for", "", f"For whom: {_code(node.value['population'])}", "")
    for indicator, condition in node.value["indicator"].items():
        yield from (f"**{indicator}** when", "", *_block(condition), "")
    yield from _names(card, node, shared)
    yield from _limits(card, knowledge, shared)
    yield from _exceptions(node)
    yield from _words(card, knowledge, node, cases)
    yield from _suggestions(card, knowledge)
    yield from ("## Limitations", "", " ".join(card.limitations.split()), "", "## Where it comes from", "")
    for id_ in card.claims:
        claim = knowledge.claims[id_]
        yield f"- {id_} ({claim.type}): {' '.join(claim.statement.split())}"
    yield ""


def _away(node: Node) -> Iterator[str]:
    """How long it stays away, in an installation that remembers, where it is not as usual."""
    said = {key: found.plain() for key in ("repeat", "answered", "overridden") if (found := node.get(key)) is not None}
    if "repeat" in said:
        yield f"Once shown, it stays away for {said['repeat']}."
    if "answered" in said:
        yield f"Once accepted or overridden, it stays away for {said['answered']} while nothing is new."
    if "overridden" in said:
        periods = ", ".join(f"{tier} for {days}" for tier, days in said["overridden"].items())
        yield f"Once overridden, it stays away while nothing is new: {periods}."


def _names(card: Card, node: Node, shared: Node) -> Iterator[str]:
    facts, definitions = [], []
    for name, named in sorted(card.names.items()):
        own = named.path == card.path
        where = "facts" if named.fact is not None else "define"
        section = (node if own else shared).get(where)
        held = section.get(name) if section is not None else None
        if held is None:
            continue
        if named.fact is not None:
            facts.append(f"| {name} | `{_flow(held.plain())}` | {'this card' if own else 'shared'} |")
        else:
            definitions += [f"**{name}**" + ("" if own else " (shared)"), "", *_block(held), ""]
    if facts:
        yield from ("### Facts it asks for", "", "| name | what is asked | defined in |", "|---|---|---|", *facts, "")
    if definitions:
        yield from ("### Definitions", "", *definitions)


def _limits(card: Card, knowledge: Knowledge, shared: Node) -> Iterator[str]:
    yield from ("## Thresholds and their sources", "", "| limit | source |", "|---|---|")
    for literal, ids in card.sources.items():
        yield f"| `{literal}` | {_sources(ids, knowledge.guidelines)} |"
    outer = {name: named for name, named in card.names.items() if named.path != card.path}
    reached = [part for named in outer.values() if named.expression is not None for part in s.walk(named.expression)]
    used = {part.text for part in reached} | outer.keys()
    for literal, child in shared.value["sources"].items():
        text = " ".join(literal.split())
        if text in used:
            yield f"| `{text}` (shared) | {_sources((one.value for one in child.each()), knowledge.guidelines)} |"
    yield ""


def _sources(ids: Iterable[str], guidelines: Mapping[str, Guideline]) -> str:
    found = []
    for id_ in ids:
        one = guidelines[id_]
        name = f"[{one.name}]({one.url})" if one.url else one.name
        year = f", {one.year}" if one.year else ""
        found.append(f"{one.organisation}: {name}{year}" + ("" if one.checked else " (not checked against its text)"))
    return "; ".join(found)


def _exceptions(node: Node) -> Iterator[str]:
    for key, title in (("unless", "## When it stays quiet"), ("lower", "## When it is milder")):
        entries = list(node.get(key) or ())
        if not entries:
            continue
        yield from (title, "")
        for entry in entries:
            applies = entry.get("for")
            tiers = applies.plain() if applies is not None else ["warning", "info"]
            to = entry.get("to")
            much = f", to {to.value} at most" if to is not None else ""
            reason = " ".join(str(entry.value["reason"].value).split())
            yield from (f"{reason} ({', '.join(tiers)}{much})", "", *_block(entry.value["when"]), "")


def _words(card: Card, knowledge: Knowledge, node: Node, cases: list[Case]) -> Iterator[str]:
    yield from ("## What it says", "", "```jinja", str(node.value["summary"].value).strip(), "```", "")
    yield from ("```jinja", str(node.value["detail"].value).strip(), "```", "")
    shown = next((case for case in cases if case.expect in INDICATORS), None)
    if shown is None:
        return
    judgement = evaluate(chart_of_case(shown, knowledge), knowledge, also_drafts=True)
    written = CardWriter(judgement).card(Shown(judgement.by_id[card.id]))
    yield from (f"For example, as {written['indicator']} ({shown.name}):", "", f"> **{written['summary']}**", ">")
    yield from (f"> {line}".rstrip() for line in written["detail"].splitlines())
    yield ""


def _suggestions(card: Card, knowledge: Knowledge) -> Iterator[str]:
    if card.offers:
        yield from ("## What it suggests", "")
        for offer in card.offers:
            if offer.label is not None:
                yield f"- {offer.label}:"
            for id_, condition in offer.members:
                when = f", when `{condition.text}`" if condition is not None else ""
                yield f"{'  ' if offer.label is not None else ''}- {knowledge.suggestions[id_].label} (`{id_}`){when}"
        yield ""
    reasons = (knowledge.override_reasons[code] for code in card.override_reasons)
    yield from (f"It may be declined because: {'; '.join(reasons)}.", "")


def _block(node: Node) -> list[str]:
    """A condition, or the conditions of a labelled list, as a block of code."""
    if isinstance(node.value, dict):
        return ["```cql", *(f"{label}: {_joined(child)}" for label, child in node.items()), "```"]
    return ["```cql", str(node.value).strip(), "```"]


def _joined(node: Node) -> str:
    return " ".join(str(node.value).split())


def _code(node: Node) -> str:
    return f"`{_joined(node)}`"


def _flow(value: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key}: {'[' + ', '.join(map(str, one)) + ']' if isinstance(one, list) else one}" for key, one in value.items()
    )
