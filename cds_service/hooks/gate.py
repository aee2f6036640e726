"""Who may wait for a FHIR server now: one that hangs holds up neither the other clients nor its own for long."""

from __future__ import annotations

import time
from threading import BoundedSemaphore, Lock
from typing import Final, Literal

WAITING: Final = 8
"""Calls of one client that wait for FHIR servers at a time in a process: half of those that it answers at a time."""
FAILURES: Final = 3
"""Calls in a row that a FHIR server leaves without any answer before it is left alone."""
REST_SECONDS: Final = 10.0
"""How long it is left alone; then one call tries it again."""
_SILENT: Final = ("timeout", "no-connection")

Closed = Literal["too many calls wait", "no answer lately"]
"""Why a FHIR server is not asked now."""


class Gate:
    """The way of one client's calls to its FHIR servers, for all threads of a process."""

    def __init__(self) -> None:
        self._free = BoundedSemaphore(WAITING)
        self._lock = Lock()
        self._failures: dict[str, int] = {}
        self._rests_until: dict[str, float] = {}

    def enter(self, base: str) -> Closed | None:
        """Why the server `base` is not asked now; None when it is, and `leave` must be called then. Never waits."""
        if not self._free.acquire(blocking=False):
            return "too many calls wait"
        now = time.monotonic()
        with self._lock:
            if self._failures.get(base, 0) < FAILURES:
                return None
            if now >= self._rests_until[base]:
                self._rests_until[base] = now + REST_SECONDS  # one tries, the others do not wait for it
                return None
        self._free.release()
        return "no answer lately"

    def leave(self, base: str, answered: bool | None) -> None:
        """Note whether the server gave any answer; None when it was not asked."""
        with self._lock:
            if answered:
                self._failures.pop(base, None)
            elif answered is not None:
                self._failures[base] = self._failures.get(base, 0) + 1
                self._rests_until[base] = time.monotonic() + REST_SECONDS
        self._free.release()


class Visit:
    """One call on its way to the server `base`: through the gate when it first has something to ask, until its `end`.
    `closed` says why the gate let it not through. What it asks runs in several threads.
    """

    def __init__(self, gate: Gate, base: str) -> None:
        self.closed: Closed | None = None
        self._gate = gate
        self._base = base
        self._inside = self._asked = self._answered = False

    def may_ask(self) -> bool:
        """Whether the server may be asked, until the `end`."""
        if not self._inside and self.closed is None:
            self.closed = self._gate.enter(self._base)
            self._inside = self.closed is None
        return self._inside

    def asks(self) -> None:
        """Note that the server is asked."""
        self._asked = True

    def hears(self, failure: str | None = None) -> None:
        """Note that it answered, or failed in this way (`OutgoingError.kind`)."""
        if failure not in _SILENT:
            self._answered = True

    def end(self) -> None:
        """Leave the gate."""
        if self._inside:
            self._inside = False
            self._gate.leave(self._base, self._answered if self._asked else None)
