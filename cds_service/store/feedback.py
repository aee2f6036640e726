"""Feedback as it is kept: what became of the cards, each event once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam

from cds_service.hooks.feedback import FeedbackEntry
from cds_service.store.database import Database
from cds_service.store.tables import FEEDBACK, SHOWN, keeping_the_first
from cds_service.store.uuids import is_uuid

LONGEST_COMMENT: Final = 1000
"""Characters of a clinician's comment that are kept."""
_PATIENCE_MS: Final = 2000
_INSERT: Final = keeping_the_first(FEEDBACK)
_ANSWERED: Final = (
    SHOWN.update()
    .where(SHOWN.c.uuid == bindparam("answered_card"), SHOWN.c.client == bindparam("by"), ~SHOWN.c.answered)
    .values(answered=True)
)
_KEY: Final = ("card", "outcome", "suggestion", "at")


class FeedbackStore:
    """The feedback of all clients, in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, client: str, service_id: str, entries: Sequence[FeedbackEntry], received: int) -> None:
        """Keep all entries or none; they survive a power cut. One that is there already stays as it is. The cards that
        were shown to the client are marked as answered.

        An entry is the same when client, card, outcome, suggestion and time are. `received` is when they came, in
        milliseconds since 1970 UTC. Raises Unwritable.
        """
        rows = [row for entry in entries for row in _rows(entry)]
        if not rows:
            return
        common = {"client": client, "service": service_id, "received_at": received}
        rows.sort(key=lambda row: tuple(row[name] for name in _KEY))  # in one order, so that no two wait for each other
        with self._database.begin(patience_ms=_PATIENCE_MS, durable=True) as connection:
            connection.execute(_INSERT[connection.dialect.name], [row | common for row in rows])
            cards = dict.fromkeys(row["card"] for row in rows if is_uuid(row["card"]))
            if cards:
                connection.execute(_ANSWERED, [{"answered_card": card, "by": client} for card in cards])


def _rows(entry: FeedbackEntry) -> list[dict[str, Any]]:
    return [
        {
            "card": entry.card.lower() if is_uuid(entry.card) else entry.card,
            "outcome": entry.outcome,
            "suggestion": suggestion,
            "at": entry.at,
            "reason": entry.reason,
            "reason_system": entry.reason_system,
            "comment": entry.comment[:LONGEST_COMMENT] if entry.comment else None,
        }
        for suggestion in entry.suggestions or ("",)
    ]
