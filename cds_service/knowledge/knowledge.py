"""The knowledge: all definitions, code groups, suggestions and sources, loaded and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cds_service.chart.codes import Codes
from cds_service.chart.facts import FactPlan
from cds_service.chart.items import Fact
from cds_service.knowledge.card import Card, Claim, Guideline, Suggestion
from cds_service.knowledge.services import Service
from cds_service.knowledge.syntax import Named
from cds_service.knowledge.words import Words


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Knowledge:
    """Everything the service knows.

    `order` holds all cards that are not retired, each after those it names. `plan` fills the facts of a chart into a
    frame; `slot_of` gives their places. `card_facts` gives, for each card, the slots that must hold other cards
    before it is judged.
    """

    version: str
    codes: Codes
    cards: Mapping[str, Card]
    order: tuple[Card, ...]
    shared: Mapping[str, Named]
    suggestions: Mapping[str, Suggestion]
    guidelines: Mapping[str, Guideline]
    claims: Mapping[str, Claim]
    override_reasons: Mapping[str, str]
    words: Words
    plan: FactPlan
    slot_of: Mapping[Fact, int]
    card_facts: Mapping[str, tuple[tuple[int, tuple[str, ...]], ...]]
    services: tuple[Service, ...]

    def __repr__(self) -> str:
        return f"Knowledge({self.version!r})"

    def service(self, id_: str) -> Service | None:
        """The service with this id, or None."""
        return next((service for service in self.services if service.id == id_), None)
