"""What the tests of the store share. Each class of tests runs on SQLite here and on PostgreSQL in `tests/postgres`: a
module gives the fixture `url` of a new, empty database.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, Table, create_engine, select, text
from sqlalchemy.engine import make_url

from cds_service.app import create_app
from cds_service.config import Config
from cds_service.hooks.feedback import FeedbackEntry
from cds_service.knowledge.knowledge import Knowledge
from cds_service.store.database import Database

NOW: Final = 1_795_168_800_000
"""The moment of the fixtures, 2026-11-20T10:00:00Z."""
SERVICE: Final = "leg-weakness-patient-view"
ADDRESS: Final = f"/cds-services/{SERVICE}"
Struct = TypeVar("Struct", bound=msgspec.Struct)

KEY: Final = "the secret of an installation of the tests"
SQL: Final = "'); DROP TABLE feedback; --"
ACCEPTED: Final = FeedbackEntry(card="c-1", outcome="accepted", at=NOW - 9000, suggestions=("s-1", "s-2"))
OVERRIDDEN: Final = FeedbackEntry(card="c-1", outcome="overridden", at=NOW - 5000, reason="noted", comment="By phone.")


class OnDatabase:
    """Tests that use a database, and an application that has it too."""

    @pytest.fixture
    def database(self, url: str) -> Iterator[Database]:
        """The database of the test."""
        database = Database(url)
        yield database
        database.close()

    @pytest.fixture
    def settings(self, config: Config, url: str) -> Config:
        """The settings of the application."""
        return changed(config, database=url, secret=KEY)

    @pytest.fixture
    def clock(self) -> list[int]:
        """The time of the application, to be set."""
        return [NOW]

    @pytest.fixture
    def caller(self, settings: Config, knowledge: Knowledge, clock: list[int]) -> FlaskClient:
        """A client of the application."""
        return create_app(settings, knowledge, lambda: clock[0]).test_client()


def sqlite_url(folder: Path) -> str:
    """The URL of a new database in a folder that is not there yet."""
    return f"sqlite:///{folder / 'new' / 'folder' / 'cds.sqlite3'}"


def changed(value: Struct, **changes: Any) -> Struct:
    """A copy of a struct with other members."""
    copy: Struct = msgspec.structs.replace(value, **changes)
    return copy


def sent(card: str = "c-1", **changes: Any) -> dict[str, Any]:
    """An entry of feedback as a client sends it: overridden, unless changed."""
    reason = {"reason": {"code": "noted", "system": "urn:reasons"}, "userComment": "By phone."}
    entry = {"card": card, "outcome": "overridden", "outcomeTimestamp": "2026-11-20T09:25:10Z"}
    return {**entry, "overrideReason": reason, **changes}


def give(caller: FlaskClient, *entries: Any) -> Any:
    """What the application answers to feedback."""
    return caller.post(f"{ADDRESS}/feedback", json={"feedback": list(entries)})


def rows(database: Database, table: Table) -> list[Any]:
    """All rows of a table, in the order of its primary key."""
    with database.begin(patience_ms=2000, write=False) as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)))


def engine_past_us(url: str) -> Engine:
    """An engine for a database that is not ours."""
    place = make_url(url)
    return create_engine(
        place.set(drivername="postgresql+psycopg") if place.get_backend_name() == "postgresql" else place
    )


def execute(url: str, *statements: str) -> None:
    """Run SQL on a database past the service."""
    engine = engine_past_us(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def in_processes(number: int, work: Callable[[int], bool]) -> list[bool]:
    """What `work` gives in so many processes that are forked from this one and begin at once; False when it raises."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(number), context.Queue()

    def run(index: int) -> None:
        barrier.wait(20)
        done = False
        try:
            done = work(index)
        finally:
            results.put(done)

    processes = [context.Process(target=run, args=(index,)) for index in range(number)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(20)
    return found
