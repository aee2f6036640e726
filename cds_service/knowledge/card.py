"""Card definitions, suggestions and sources as they are after loading: frozen, checked, compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cds_service.chart.items import Fact
from cds_service.knowledge.syntax import Expression, Named
from cds_service.knowledge.text import Text

Indicator = Literal["critical", "warning", "info"]
INDICATORS: Final[tuple[Indicator, ...]] = ("critical", "warning", "info")
"""From the most to the least urgent."""
LONGEST_AWAY: Final = 365
"""Days that a card may stay away at most; so long at least shown cards are kept."""
STATUSES: Final = ("draft", "silent", "active", "retired")


@dataclass(frozen=True, slots=True)
class Unless:
    """What hides a card: when it is true and the indicator is one of `applies_to`."""

    when: Expression
    reason: str
    applies_to: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lower:
    """What makes a card milder: one tier down, or down to `to`."""

    when: Expression
    reason: str
    applies_to: frozenset[str]
    to: Indicator | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A suggestion of a card: its label (None: the suggestion's own) and its members, each with its condition."""

    label: str | None
    members: tuple[tuple[str, Expression | None], ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A draft resource, or a change of an existing one, for a person to accept.

    `left_out_when` is a fact (orders or conditions): the suggestion is left out when it has items. `about` is a
    medication fact: left out when it has none.
    """

    id: str
    label: str
    action: Literal["create", "update", "delete"]
    resources: tuple[dict[str, Any], ...]
    change: Mapping[str, Any]
    left_out_when: Fact | None
    about: Fact | None
    occurrence: int | None

    @property
    def proposes_problem(self) -> bool:
        """Whether it is a diagnosis for the problem list, provisional until somebody confirms it."""
        return any(resource["resourceType"] == "Condition" for resource in self.resources)


@dataclass(frozen=True, slots=True)
class Guideline:
    """A guideline behind a threshold."""

    id: str
    name: str
    organisation: str
    year: int | None
    url: str | None
    cited_for: str
    checked: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of one of the two articles, in our own words; how it appears in the cards, and in which."""

    id: str
    section: str
    type: str
    statement: str
    appears: tuple[str, ...]
    cards: tuple[str, ...]
    path: Path
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """One card definition."""

    id: str
    title: str
    version: str
    status: Literal["draft", "silent", "active", "retired"]
    priority: int
    hooks: tuple[str, ...]
    drafts: tuple[Fact, ...]
    claims: tuple[str, ...]
    population: Expression
    tiers: tuple[tuple[Indicator, Expression], ...]
    unless: tuple[Unless, ...]
    lower: tuple[Lower, ...]
    summary: Text
    detail: Text
    offers: tuple[Offer, ...]
    override_reasons: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]]
    merge_into: str | None
    own_card: Indicator
    order_select: Indicator
    repeat: int | None
    answered: int | None
    overridden: Mapping[Indicator, int]
    limitations: str
    names: Mapping[str, Named]
    uses: frozenset[int]
    asks: tuple[str, ...]
    waits_for: tuple[str, ...]
    path: Path

    @property
    def conditions(self) -> list[Expression]:
        """All conditions of the card itself: population, tiers, exceptions, suggestions; definitions not among them."""
        found = [self.population, *(condition for _, condition in self.tiers)]
        found += [unless.when for unless in self.unless] + [lower.when for lower in self.lower]
        return found + [when for offer in self.offers for _, when in offer.members if when is not None]

    @property
    def guidelines(self) -> tuple[str, ...]:
        """The ids of the guidelines that the card's thresholds rest on, each once, in the order of the file."""
        return tuple(dict.fromkeys(id_ for ids in self.sources.values() for id_ in ids))
