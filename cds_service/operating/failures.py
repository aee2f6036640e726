"""What fails while calls are still answered: counted each time, told in the log once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from cds_service.operating.metrics import Part

_log = logging.getLogger(__name__)

_AGAIN_AFTER: Final = 60.0
"""Seconds between two lines of the log about one part."""


class Failures:
    """Takes note of failures; `count` counts them. The methods may be called from several threads."""

    def __init__(self, count: Callable[[Part], None]) -> None:
        self._count = count
        self._told: dict[Part, float] = {}
        self._lock = Lock()

    def note(self, part: Part, kind: str) -> None:
        """Note that a part failed with an error of this kind."""
        self._count(part)
        now = time.monotonic()
        with self._lock:
            due = now - self._told.get(part, -_AGAIN_AFTER) >= _AGAIN_AFTER
            if due:
                self._told[part] = now
        if due:
            _log.warning("the database could not be used for %s: %s", part, kind)
