"""The services and their prefetch templates, derived from the facts that their cards use; nothing is written by hand.

One key per file of result groups, named after it, holding the codes of that file that the cards use: a new card may
lengthen a template and never renames a key. The other records are asked by patient alone. No category, no `_count`,
no dates: the chart filters (CDS Hooks 2.0.1, Prefetch query restrictions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from cds_service.chart.codes import Codes
from cds_service.chart.groups import SYSTEMS
from cds_service.chart.items import Fact
from cds_service.chart.needs import measured_groups, prefetch_keys
from cds_service.knowledge.card import Card, Suggestion
from cds_service.knowledge.services import HOOKS, Hook, Service

TEMPLATE_LIMIT: Final = 2_000
"""A template stays shorter than this, so that clients which build URLs from it can."""
_TITLES: Final[dict[Hook, tuple[str, str]]] = {
    "patient-view": (
        "Leg weakness",
        "Looks for causes and red flags of leg weakness in results, medications, conditions and symptoms.",
    ),
    "order-select": ("Leg weakness: orders chosen", "Checks chosen orders against causes of leg weakness."),
    "order-sign": ("Leg weakness: orders to sign", "Checks orders to be signed against causes of leg weakness."),
    "encounter-discharge": ("Leg weakness: discharge", "Looks for unresolved red flags of leg weakness at discharge."),
}  # fmt: skip
_USAGE: Final = (
    "Not a medical device. Needs FHIR R4. Required prefetch keys: {}. The others may be left out; the answer then says "
    "what was not considered."
)


def cards_of(hook: str, cards: Mapping[str, Card], statuses: Iterable[str]) -> list[Card]:
    """The cards a service judges: those of its hook, and those that they name."""
    wanted = [card for card in cards.values() if hook in card.hooks and card.status in statuses]
    reached: dict[str, Card] = {}
    while wanted:
        card = wanted.pop()
        if card.id not in reached:
            reached[card.id] = card
            wanted += [cards[id_] for id_ in card.asks if id_ in cards and cards[id_].status != "retired"]
    return list(reached.values())


def facts_of(card: Card, suggestions: Mapping[str, Suggestion]) -> set[Fact]:
    """The facts that a card and its suggestions ask for."""
    facts = {named.fact for named in card.names.values() if named.fact is not None}
    facts.update(card.drafts)
    for offer in card.offers:
        for id_, _ in offer.members:
            facts.update(fact for fact in (suggestions[id_].left_out_when, suggestions[id_].about) if fact is not None)
    facts.update([fact.near for fact in facts if fact.near is not None])
    return facts


def services(
    cards: Mapping[str, Card], suggestions: Mapping[str, Suggestion], codes: Codes, *, also_drafts: bool = False
) -> tuple[Service, ...]:
    """One service for each hook that a card names; with `also_drafts`, cards of status draft count too."""
    statuses = ("active", "silent", "draft") if also_drafts else ("active", "silent")
    found = []
    for hook in HOOKS:
        judged = cards_of(hook, cards, statuses)
        if not any(hook in card.hooks for card in judged):
            continue
        facts = {fact for card in judged for fact in facts_of(card, suggestions)}
        prefetch = templates(facts, codes)
        title, description = _TITLES[hook]
        required = {key for key in prefetch if _required(key, codes)}
        found.append(
            Service(
                id=f"leg-weakness-{hook}",
                hook=hook,
                title=title,
                description=description,
                usage_requirements=_USAGE.format(", ".join(key for key in prefetch if key in required)),
                prefetch=prefetch,
                required=frozenset(required),
            )
        )
    return tuple(found)


def templates(facts: Iterable[Fact], codes: Codes) -> dict[str, str]:
    """The prefetch templates for some facts: the records first, then the files of results, in the order of their
    files.
    """
    keys: set[str] = {"patient"}
    searched: dict[str, set[tuple[str, str]]] = {}
    for fact in facts:
        keys.update(prefetch_keys(fact, codes))
        for key, code in _codes_of(fact, codes):
            searched.setdefault(key, set()).add(code)
    found = {}
    for key, record in codes.records.items():
        if key in keys:
            patient = "{{context.patientId}}"
            found[key] = f"{record.type}/{patient}" if record.read else f"{record.type}?patient={patient}"
    for key in codes.files:
        if searched.get(key):
            tokens = ",".join(f"{system}|{code}" for system, code in sorted(searched[key]))
            found[key] = f"Observation?patient={{{{context.patientId}}}}&code={tokens}"
    return found


def _codes_of(fact: Fact, codes: Codes) -> Iterable[tuple[str, tuple[str, str]]]:
    if fact.form in ("result", "results"):
        for group in {measured for name in fact.groups for measured in measured_groups(name, codes)}:
            result = codes.results[group]
            for own in result.codes:
                yield result.file, (SYSTEMS[own.system][0], own.code)
            if result.haemolysis:
                for sign in (*codes.qualifiers.haemolysis_index, *codes.qualifiers.haemolysis_seen):
                    yield result.file, (SYSTEMS[sign.system][0], sign.code)
    elif fact.form == "findings":
        leaves = {leaf for group in fact.groups for leaf in codes.findings[group].leaves}
        for key, file in codes.files.items():
            for leaf in leaves.intersection(file.findings):
                for code in codes.findings[leaf].codes:
                    if code.system == "snomed":
                        yield key, (SYSTEMS["snomed"][0], code.code)


def _required(key: str, codes: Codes) -> bool:
    return codes.records[key].required if key in codes.records else codes.files[key].required
