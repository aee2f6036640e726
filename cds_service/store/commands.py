"""The commands that care for the database: `cds-service migrate` and `cds-service purge`."""

from __future__ import annotations

import logging
import time

import click
from sqlalchemy.engine import make_url

from cds_service.config import Config
from cds_service.fhir.uncertain import DAY
from cds_service.store.database import Database, Unwritable
from cds_service.store.migrations import migrate
from cds_service.store.purge import purge

_log = logging.getLogger(__name__)


def prepare(config: Config) -> None:
    """Bring the database to the newest revision before the workers need it; the log says when it cannot be used yet."""
    database = Database(config.database)
    try:
        migrate(database)
    except Unwritable as error:
        _log.warning("the database %s cannot be used yet: %s", place_of(config.database), error)
    finally:
        database.close()


def run_migrate(config: Config) -> int:
    """Bring the database to the newest revision and say which that is; 0, or 1 when it cannot be used."""
    try:
        revision = migrate(Database(config.database))
    except Unwritable as error:
        return _refuse(config, error)
    click.echo(f"The database is at revision {revision}.")
    return 0


def run_purge(config: Config) -> int:
    """Delete what is older than the retention and say how much; 0, or 1 when the database cannot be used."""
    now = time.time_ns() // 1_000_000
    try:
        deleted = purge(Database(config.database), now - config.retention_days * DAY, now)
    except Unwritable as error:
        return _refuse(config, error)
    for table, count in deleted.items():
        click.echo(f"{table}: {count} deleted")
    return 0


def place_of(database: str) -> str:
    """Where a database is, without user and password: its file, or its name and host."""
    url = make_url(database)
    return str(url.database) if url.host is None else f"{url.database} on {url.host}:{url.port or 5432}"


def _refuse(config: Config, error: Unwritable) -> int:
    click.echo(f"Error: the database {place_of(config.database)} cannot be used ({error})", err=True)
    return 1
