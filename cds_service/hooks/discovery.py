"""Discovery: what `GET /cds-services` says of the services, in the version a client speaks (CDS Hooks, discovery)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from cds_service.hooks.clients import Profile
from cds_service.hooks.profiles import service_for
from cds_service.hooks.templates import require_templates
from cds_service.knowledge.services import Service

_ID: Final = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]+")
_VERSION: Final = "3.0.0"
"""What a service of profile 3.0 says of itself; older clients know no such member."""


def discovery(services: Sequence[Service], profile: Profile = "2.0.1") -> bytes:
    """The JSON of discovery for clients of `profile`, services and their prefetch keys in the order given.

    Raises ValueError when an id cannot stand in a URL, two services share one, or a prefetch template is not what such
    clients understand.
    """
    seen = set()
    for service in services:
        if not _ID.fullmatch(service.id) or service.id == "feedback":
            raise ValueError(f"service {service.id!r}: expected an id of letters, digits, '.', '_' and '-'")
        if service.id in seen:
            raise ValueError(f"service {service.id!r}: expected each id once, found it twice")
        seen.add(service.id)
    return msgspec.json.encode({"services": [_entry(service_for(service, profile), profile) for service in services]})


def _entry(service: Service, profile: Profile) -> dict[str, object]:
    require_templates(service, profile)
    entry = {
        "hook": service.hook,
        "id": service.id,
        "title": service.title,
        "description": service.description,
        "version": _VERSION if profile == "3.0" else "",
        "usageRequirements": "" if profile in ("1.0", "1.1") else service.usage_requirements,
        "prefetch": dict(service.prefetch),
    }
    return {name: value for name, value in entry.items() if value}
