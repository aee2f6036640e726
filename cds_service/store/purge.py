"""What is older than the retention of the installation is deleted."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Table, func, select

from cds_service.fhir.uncertain import DAY
from cds_service.store.database import Database
from cds_service.store.tables import FEEDBACK, SHOWN, TOKEN

_PATIENCE_MS: Final = 10_000


def purge(database: Database, before: int, now: int) -> dict[str, int]:
    """Delete feedback that came, and cards that were shown, before `before`, and the tokens that have expired `now`.

    Times are in milliseconds since 1970 UTC. Returns how many rows were deleted, by table. Raises Unwritable; what was
    deleted until then stays deleted.
    """
    return {
        "feedback": _delete(database, FEEDBACK, FEEDBACK.c.received_at, before),
        "shown": _delete(database, SHOWN, SHOWN.c.at, before),
        "token": _delete(database, TOKEN, TOKEN.c.until, now),
    }


def _delete(database: Database, table: Table, time: Column[int], before: int) -> int:
    """Delete a day's rows at a time, so that nobody who writes waits for long."""
    deleted = 0
    while True:
        with database.begin(patience_ms=_PATIENCE_MS, durable=True) as connection:
            oldest = connection.execute(select(func.min(time))).scalar()
            if oldest is None or oldest >= before:
                return deleted
            deleted += connection.execute(table.delete().where(time < min(before, oldest + DAY))).rowcount
