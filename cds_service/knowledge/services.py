"""The services this knowledge offers: one per hook, with the prefetch its cards ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

import msgspec

Hook = Literal["patient-view", "order-select", "order-sign", "encounter-discharge"]
HOOKS: Final[tuple[Hook, ...]] = get_args(Hook)
"""The hooks that a card definition may name, as CDS Hooks spells them."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One CDS service as discovery shows it, and the prefetch keys without which it cannot answer.

    `prefetch` maps a key to its template, a FHIR read or search with tokens such as `{{context.patientId}}`; `required`
    holds those keys that a request must satisfy. `usage_requirements` and `title` may be empty: then they are not sent.
    """

    id: str
    hook: Hook
    title: str
    description: str
    usage_requirements: str
    prefetch: Mapping[str, str]
    required: frozenset[str]
