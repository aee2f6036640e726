"""One call as an operator may know it: who called what, what came of it, how long it took; nothing of the patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

Kind = Literal["discovery", "call", "feedback"]


class CallRecord(msgspec.Struct, kw_only=True):
    """What happened in one call of a CDS client.

    `at` is its beginning in milliseconds since 1970 UTC, `seconds` what each step took, by name, and `total` all of it.
    `outcomes` counts the outcomes by kind, `unreadable` what could not be read by the kind of reason, `feedback` its
    entries by outcome. `cards` are the id and the indicator of each card shown. `patient` and `clinician` are HMACs
    with the secret of the installation, None when it has none. `hook_instance` is None when the client sent no UUID.
    `reason` says why a call was refused, in words that hold nothing the client sent.
    """

    kind: Kind
    correlation_id: str
    at: int
    client: str | None = None
    service: str | None = None
    hook_instance: str | None = None
    status: int = 0
    reason: str = ""
    total: float = 0.0
    seconds: Mapping[str, float] = {}
    outcomes: Mapping[str, int] = {}
    cards: tuple[tuple[str, str], ...] = ()
    unreadable: Mapping[str, int] = {}
    not_supplied: int = 0
    fetched: int = 0
    feedback: Mapping[str, int] = {}
    patient: str | None = None
    clinician: str | None = None


Observe = Callable[[CallRecord], None]
"""Takes note of a call that has been answered; never raises."""
