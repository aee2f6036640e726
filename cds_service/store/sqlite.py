"""A SQLite file: how it is opened, and how a transaction begins."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

ALONE: Final = text("SELECT 1")
"""What keeps others from changing the schema: nothing more, a transaction that writes is alone in SQLite."""
_OPENING_MS: Final = 1000


def engine_for(url: URL) -> Engine:
    """An engine for the file of `url` in WAL mode. File and folder are made, for their owner alone.

    Raises OSError.
    """
    file = Path(url.database or "")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # a file that is there is not opened: closing it would end SQLite's own locks
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    engine = create_engine(url, hide_parameters=True, connect_args={"isolation_level": None}, pool_timeout=1)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {_OPENING_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted may be a clinician's words about a patient

    return engine


def start(connection: Connection, patience_ms: int, *, durable: bool, write: bool) -> None:
    """Begin a transaction that waits `patience_ms` for the lock when it writes; reading needs none.

    A durable one is on the disk when it is committed; another may be lost when the power fails, never torn.
    Raises sqlite3.Error.
    """
    driver: Any = connection.connection.driver_connection
    wanted = patience_ms, durable
    if connection.info.get("wanted") != wanted:
        driver.execute(f"PRAGMA busy_timeout = {patience_ms:d}")
        driver.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.info["wanted"] = wanted
    driver.execute("BEGIN IMMEDIATE" if write else "BEGIN")
