"""The tokens that were used: each is good for one call, in whatever process or host of the installation."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from itertools import islice
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.store.database import Database, Unwritable
from cds_service.store.tables import TOKEN

_log = logging.getLogger(__name__)

_PATIENCE_MS: Final = 200
_CLEANED_EVERY_MS: Final = 60_000
_BATCH: Final = 500
"""Tokens that one call brings into a database that is back."""
_LATEST: Final = 2**62


def _using(insert: Any) -> Any:
    """The insertion that makes no row when the token is there and has not expired `now`."""
    made = insert(TOKEN)
    return made.on_conflict_do_update(
        index_elements=[TOKEN.c.id], set_={"until": made.excluded.until}, where=TOKEN.c.until < bindparam("now")
    ).execution_options(preserve_rowcount=True)


_USE: Final[Mapping[str, Any]] = {"sqlite": _using(sqlite.insert), "postgresql": _using(postgresql.insert)}
_EXPIRED: Final = TOKEN.delete().where(TOKEN.c.until < bindparam("now"))


class SeenTokens:
    """The used tokens of an installation, in its database, and those of this process in its memory too.

    While the database is away each process knows only what it saw itself; that goes into the database when it is back,
    a batch with each call.
    The methods may be called from several threads.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._here: dict[str, int] = {}
        self._unsaved: dict[str, int] = {}
        self._lock = Lock()
        self._away = False
        self._cleaned_at = 0

    def first_time(self, issuer: str, jti: str, until: int, now: int) -> bool:
        """Whether the token `jti` of `issuer` is used for the first time; it is remembered `until` it expires.

        Times are in milliseconds since 1970 UTC. Never raises.
        """
        id_ = hashlib.sha256(f"{issuer}\0{jti}".encode("utf-8", "surrogatepass")).hexdigest()
        until = min(until, _LATEST)
        with self._lock:
            if self._here.get(id_, -1) >= now:
                return False
            self._here[id_] = until
            cleaning = now - self._cleaned_at >= _CLEANED_EVERY_MS
            if cleaning:
                self._here, self._unsaved = _unexpired(self._here, now), _unexpired(self._unsaved, now)
                self._cleaned_at = now
        try:
            with self._database.begin(patience_ms=_PATIENCE_MS) as connection:
                first = _use(connection, {id_: until}, now) == 1
                if cleaning:
                    connection.execute(_EXPIRED, {"now": now})
        except Unwritable as error:
            self._keep(id_, until, error)
            return True
        if self._away:
            self._save_some(now)
        return first

    def _keep(self, id_: str, until: int, error: Unwritable) -> None:
        with self._lock:
            self._unsaved[id_] = until
            if not self._away:
                self._away = True
                _log.warning("used tokens are remembered in this process only, the database is away: %s", error)

    def _save_some(self, now: int) -> None:
        """Bring a batch of what was seen without the database into it, which is there again."""
        with self._lock:
            batch = dict(sorted(islice(self._unsaved.items(), _BATCH)))
            for id_ in batch:
                del self._unsaved[id_]
        try:
            if batch:
                with self._database.begin(patience_ms=_PATIENCE_MS) as connection:
                    _use(connection, batch, now)
        except Unwritable:
            with self._lock:
                self._unsaved.update(batch)
                self._away = True
            return
        with self._lock:
            if self._away and not self._unsaved:
                self._away = False
                _log.info("used tokens are remembered in the database again")


def _unexpired(tokens: Mapping[str, int], now: int) -> dict[str, int]:
    return {id_: until for id_, until in tokens.items() if until >= now}


def _use(connection: Connection, tokens: Mapping[str, int], now: int) -> int:
    """How many rows were made or renewed, when it is one token."""
    rows = [{"id": id_, "until": until, "now": now} for id_, until in tokens.items()]
    return connection.execute(_USE[connection.dialect.name], rows if len(rows) > 1 else rows[0]).rowcount
