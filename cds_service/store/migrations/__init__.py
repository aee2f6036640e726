"""The schema of the database and its changes, through alembic.

A change is a file in `versions/`; its revision goes to the end of REVISIONS. Alembic is imported only when a database
has to be changed.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

if TYPE_CHECKING:
    from cds_service.store.database import Database

REVISIONS: Final = ("0001", "0002", "0003")
"""All revisions of the schema, in their order."""
HEAD: Final = REVISIONS[-1]
"""The revision that this version of the service works with."""
_PATIENCE_MS: Final = 60_000
_alembic = Lock()


class NewerSchema(Exception):
    """The database has a revision that this version of the service does not know."""


def migrate(database: Database) -> str:
    """Bring the database to the newest revision, which is returned.

    Raises Unwritable. Every database is brought there when it is first opened; this is for doing so beforehand.
    """
    with database.begin(patience_ms=_PATIENCE_MS, durable=True) as connection:
        return str(revision_of(connection))


def revision_of(connection: Connection) -> str | None:
    """The revision of the schema; None for an empty database, and for one of before revisions were kept.

    Raises NewerSchema, SQLAlchemyError.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found not in REVISIONS:
        raise NewerSchema(str(found))
    return found


def upgrade(connection: Connection) -> None:
    """Bring the schema to HEAD in the transaction of `connection`, which keeps others from doing the same.

    Raises NewerSchema, SQLAlchemyError.
    """
    if revision_of(connection) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with _alembic:  # what alembic works on stands in its modules, for one thread at a time
        command.upgrade(config, "head")


def _renew_lock() -> None:
    global _alembic
    _alembic = Lock()


os.register_at_fork(after_in_child=_renew_lock)
