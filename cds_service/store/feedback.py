"""The table of feedback: what became of the cards, each event once. No patient data, save what a clinician types."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import URL, BigInteger, Column, Engine, MetaData, String, Table, Text, create_engine, event, false
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

from cds_service.hooks.feedback import FeedbackEntry

_log = logging.getLogger(__name__)

LONGEST_COMMENT: Final = 1000
"""Characters of a clinician's comment that are kept."""
_BUSY_MS: Final = 2000

_feedback: Final = Table(
    "feedback",
    MetaData(),
    Column("card", String(200), primary_key=True, comment="uuid of the card, as the client sent it"),
    Column("outcome", String(10), primary_key=True, comment="accepted or overridden"),
    Column("suggestion", String(200), primary_key=True, comment="uuid of the accepted suggestion, else empty"),
    Column("at", BigInteger, primary_key=True, comment="when, in milliseconds since 1970 UTC"),
    Column("service", String(100), nullable=False, comment="id of the service that the feedback was sent to"),
    Column("reason", String(200), comment="code of the override reason"),
    Column("reason_system", String(500)),
    Column("comment", Text, comment="the clinician's own words; may hold patient data"),
)


class Unwritable(Exception):
    """The database cannot be opened or written. The text names the kind of error, never a value."""


class FeedbackStore:
    """Feedback in a SQLite file in WAL mode, by its SQLAlchemy URL.

    Nothing is opened until it is needed: a worker has connections of its own, and a database that is away when the
    service starts is used once it is there. The methods may be called from several threads.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine: Engine | None = None
        self._lock = Lock()

    def save(self, service_id: str, entries: Sequence[FeedbackEntry]) -> None:
        """Keep all entries or none. One that is there already (card, outcome, suggestion, time) stays as it is.

        Raises Unwritable.
        """
        rows = [row for entry in entries for row in _rows(service_id, entry)]
        if not rows:
            return
        try:
            with self._open().begin() as connection:
                connection.execute(insert(_feedback).on_conflict_do_nothing(), rows)
        except (SQLAlchemyError, OSError) as error:
            raise Unwritable(type(error).__name__) from None

    def writable(self) -> bool:
        """Whether the database can be written now; logs the kind of error when it cannot."""
        try:
            with self._open().begin() as connection:
                connection.execute(_feedback.delete().where(false()))
        except (SQLAlchemyError, OSError) as error:
            _log.warning("the database cannot be written: %s", type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Give back all connections."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _open(self) -> Engine:
        with self._lock:
            if self._engine is None:
                engine = _engine(self._url)
                with engine.begin() as connection:
                    connection.execute(CreateTable(_feedback, if_not_exists=True))
                self._engine = engine
            return self._engine


def _engine(url: URL) -> Engine:
    file = Path(url.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    engine = create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("PRAGMA journal_mode = WAL")

    return engine


def _rows(service_id: str, entry: FeedbackEntry) -> list[dict[str, Any]]:
    return [
        {
            "card": entry.card,
            "outcome": entry.outcome,
            "suggestion": suggestion,
            "at": entry.at,
            "service": service_id,
            "reason": entry.reason,
            "reason_system": entry.reason_system,
            "comment": entry.comment[:LONGEST_COMMENT] if entry.comment else None,
        }
        for suggestion in entry.suggestions or ("",)
    ]
