"""The database: SQLite by default, PostgreSQL by URL. Opened when it is first used, and never waited for too long."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import Pool

from cds_service.store.migrations import HEAD, NewerSchema, revision_of, upgrade
from cds_service.store.tables import PROBE, keeping_the_first

_log = logging.getLogger(__name__)

IMPATIENT_MS: Final = 1000
"""Who waits less than this does not wait at all while the database is known to be down."""
_DOWN_SECONDS: Final = 5.0
_PROBE_MS: Final = 2000
_PROBE_ROW: Final = keeping_the_first(PROBE)
_PROBED: Final = PROBE.update().values(times=PROBE.c.times + 1)
_BACKENDS: Final = {"sqlite": "cds_service.store.sqlite", "postgresql": "cds_service.store.postgresql"}
_TOOK_TOO_LONG: Final = (" SQLITE_INTERRUPT", " 57014")
"""How the kind of error ends when a statement was given up: the database is there all the same."""
_ERRORS: Final = (SQLAlchemyError, OSError, sqlite3.Error, NewerSchema)


class Unwritable(Exception):
    """The database cannot be opened, read or written. The text names the kind of error, never a value."""


class Database:
    """A database by its SQLAlchemy URL, `sqlite:////folder/file` or `postgresql://user@host/name`.

    Nothing is opened until it is needed: a worker has connections of its own, and a database that is away when the
    service starts is used once it is there. Its schema is brought to the newest revision then. The methods may be
    called from several threads.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._backend: Any = import_module(_BACKENDS[self._url.get_backend_name()])
        self._engine: Engine | None = None
        self._opening = Lock()
        self._down = ""
        self._down_until = 0.0
        _databases.add(self)

    @contextmanager
    def begin(self, *, patience_ms: int, durable: bool = False, write: bool = True) -> Iterator[Connection]:
        """A connection in a transaction, which is committed at the end and given up at an error.

        It waits for `patience_ms` where others hold what it needs. What is `durable` survives a power cut. Raises
        Unwritable; for five seconds after that, who has little patience (IMPATIENT_MS) is refused at once, unless only
        a statement took too long.
        """
        self._refuse_while_down(patience_ms)
        try:
            with self._opened(patience_ms).connect() as connection, connection.begin():
                self._backend.start(connection, patience_ms, durable=durable, write=write)
                yield connection
        except _ERRORS as error:
            kind = _kind(error)
            if not isinstance(error, DataError | IntegrityError) and not kind.endswith(_TOOK_TOO_LONG):
                self._down, self._down_until = kind, time.monotonic() + _DOWN_SECONDS
                self._close()
            raise Unwritable(kind) from None
        self._down = ""

    def writable(self) -> bool:
        """Whether the database can be written now: a row of it is. Logs the kind of error when it cannot."""
        try:
            with self.begin(patience_ms=_PROBE_MS) as connection:
                if connection.execute(_PROBED).rowcount == 0:
                    connection.execute(_PROBE_ROW[connection.dialect.name], {"id": 1, "times": 1})
        except Unwritable as error:
            _log.warning("the database cannot be written: %s", error)
            return False
        return True

    def close(self) -> None:
        """Give back all connections. The database may be used again after that."""
        self._close()
        self._down = ""

    def _refuse_while_down(self, patience_ms: int) -> None:
        if self._down and patience_ms < IMPATIENT_MS:
            now = time.monotonic()
            if now < self._down_until:
                raise Unwritable(self._down)
            self._down_until = now + _DOWN_SECONDS  # one tries, the others do not wait for it

    def _opened(self, patience_ms: int) -> Engine:
        engine = self._engine
        if engine is not None:
            return engine
        if not self._opening.acquire(timeout=patience_ms / 1000):
            raise Unwritable("TimeoutError")
        try:
            if self._engine is None:
                self._engine = self._open(patience_ms)
            return self._engine
        finally:
            self._opening.release()

    def _open(self, patience_ms: int) -> Engine:
        engine: Engine = self._backend.engine_for(self._url)
        try:
            with engine.connect() as connection, connection.begin():
                self._backend.start(connection, patience_ms, durable=False, write=False)
                current = revision_of(connection) == HEAD
            if not current:
                with engine.connect() as connection, connection.begin():
                    self._backend.start(connection, patience_ms, durable=True, write=True)
                    connection.execute(self._backend.ALONE)
                    upgrade(connection)
        except NewerSchema as error:
            engine.dispose()
            _log.error(
                "the database is of a newer version of this service: its schema is %s, expected %s at most", error, HEAD
            )
            raise
        except BaseException:
            engine.dispose()
            raise
        return engine

    def _close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _forget(self) -> None:
        """In a new process: leave alone what its parent opened."""
        if self._engine is not None:
            _of_the_parent.append(self._engine.pool)
            self._engine.dispose(close=False)
            self._engine = None
        self._opening = Lock()


_databases: WeakSet[Database] = WeakSet()
_of_the_parent: list[Pool] = []
"""Connections that a parent process opened: closing them here could end them there."""


def _forget_all() -> None:
    for database in list(_databases):
        database._forget()


os.register_at_fork(after_in_child=_forget_all)


def _kind(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    return f"{type(cause).__name__} {code}" if code else type(cause).__name__
