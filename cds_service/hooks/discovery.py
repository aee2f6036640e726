"""Discovery: what `GET /cds-services` says of the services (CDS Hooks 2.0.1, discovery)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from cds_service.knowledge.services import Service

_ID: Final = re.compile(r"[A-Za-z0-9._-]+")


def discovery(services: Sequence[Service]) -> bytes:
    """The JSON of discovery, services and their prefetch keys in the order given.

    Raises ValueError when an id cannot stand in a URL, or two services share one.
    """
    seen = set()
    for service in services:
        if not _ID.fullmatch(service.id) or service.id == "feedback":
            raise ValueError(f"service {service.id!r}: expected an id of letters, digits, '.', '_' and '-'")
        if service.id in seen:
            raise ValueError(f"service {service.id!r}: expected each id once, found it twice")
        seen.add(service.id)
    return msgspec.json.encode({"services": [_entry(service) for service in services]})


def _entry(service: Service) -> dict[str, object]:
    entry = {
        "hook": service.hook,
        "id": service.id,
        "title": service.title,
        "description": service.description,
        "usageRequirements": service.usage_requirements,
        "prefetch": dict(service.prefetch),
    }
    return {name: value for name, value in entry.items() if value}
