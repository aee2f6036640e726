"""A PostgreSQL server, through psycopg 3: how it is reached, and how a transaction begins."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, text

ALONE: Final = text("SELECT pg_advisory_xact_lock(7305826091244871)")
"""What keeps others from changing the schema, until the transaction ends. The number is ours, chosen at random."""
_CONNECT_SECONDS: Final = 2
_REST_SECONDS: Final = 1.0
"""How long a connection at rest may take to say that it lives."""
_DEFAULTS: Final[dict[str, Any]] = {
    "connect_timeout": _CONNECT_SECONDS,
    "application_name": "cds-service",
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
_SETTINGS: Final = (
    "SELECT set_config('lock_timeout', %(lock_ms)s, true), set_config('statement_timeout', %(ms)s, true), "
    "set_config('synchronous_commit', CASE WHEN NOT %(durable)s THEN 'off' "
    "WHEN current_setting('synchronous_commit') = 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)"
)


class PatientConnection(psycopg.Connection[Any]):
    """A connection that gives up when the server says nothing for `longest` seconds, and is closed then.

    The server's own timeouts end a statement that takes long; a server that hangs, or a network that swallows
    everything, ends nothing by itself.
    """

    longest: float = _REST_SECONDS

    def wait(self, gen: Generator[Any, Any, Any], *options: Any, **named: Any) -> Any:
        """Wait for an exchange with the server. Raises psycopg.OperationalError when it takes too long."""
        try:
            return super().wait(_within(gen, time.monotonic() + self.longest), *options, **named)
        except _Silent:
            self.close()
            raise psycopg.OperationalError("the server does not answer") from None

    def __del__(self, *_: Any) -> None:
        """One that nobody holds any more is closed without a warning: a pool may end with its process."""


class _Silent(Exception):
    """The server has said nothing for too long."""


def _within(gen: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                gen.close()
                raise _Silent
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value


def engine_for(url: URL) -> Engine:
    """An engine with a few connections to the server of `url`, each looked at before it is used again."""
    options = {name: value for name, value in _DEFAULTS.items() if name not in url.query}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        connect_args=options,
        use_native_hstore=False,
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=4,
        pool_timeout=1,
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, named: Any) -> PatientConnection:
        return PatientConnection.connect(*arguments, **named)

    @event.listens_for(engine, "checkin")
    def _rest(connection: Any, _record: Any) -> None:
        if connection is not None:
            connection.longest = _REST_SECONDS

    return engine


def start(connection: Connection, patience_ms: int, *, durable: bool, write: bool) -> None:
    """Begin a transaction whose statements take `patience_ms` at most, the wait for locks among it, which ends a little
    earlier: so the error tells which of the two it was.

    A durable one is on the disk when it is committed; another may be lost when the server fails, never torn.
    Raises SQLAlchemyError.
    """
    driver: Any = connection.connection.driver_connection
    driver.longest = patience_ms / 1000 + _REST_SECONDS
    connection.exec_driver_sql(
        _SETTINGS, {"ms": str(patience_ms), "lock_ms": str(patience_ms * 9 // 10), "durable": durable}
    )
