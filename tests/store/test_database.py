"""The database itself: transactions, processes, and what is said when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from databases import OnDatabase, in_processes, rows, sqlite_url
from sqlalchemy import select

from cds_service.store.database import Database, Unwritable
from cds_service.store.tables import PROBE, TOKEN


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


class TestDatabase(OnDatabase):
    def test_what_fails_inside_is_undone(self, database: Database) -> None:
        def stop() -> None:
            with database.begin(patience_ms=500) as connection:
                connection.execute(TOKEN.insert(), {"id": "x", "until": 1})
                raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            stop()
        assert rows(database, TOKEN) == []

    def test_an_error_is_named_by_its_kind_and_a_fault_of_ours_is_no_failure_of_the_database(
        self, database: Database
    ) -> None:
        token = {"id": "Jane Doe", "until": 1}
        with pytest.raises(Unwritable) as error, database.begin(patience_ms=500) as connection:
            connection.execute(TOKEN.insert(), [token, token])
        assert "Jane" not in str(error.value)
        assert error.value.__cause__ is None
        with database.begin(patience_ms=500) as connection:
            connection.execute(TOKEN.insert(), token)
        assert len(rows(database, TOKEN)) == 1

    def test_to_be_writable_is_to_have_been_written(self, database: Database) -> None:
        assert database.writable()
        assert database.writable()
        assert [tuple(row) for row in rows(database, PROBE)] == [(1, 2)]

    def test_it_may_be_used_again_after_it_was_closed(self, database: Database) -> None:
        assert database.writable()
        database.close()
        assert database.writable()

    def test_a_new_process_leaves_the_connections_of_its_parent_alone(self, database: Database) -> None:
        def use(index: int) -> bool:
            with database.begin(patience_ms=5000) as connection:
                connection.execute(TOKEN.insert(), {"id": f"child {index}", "until": 1})
            database.close()
            return True

        with database.begin(patience_ms=2000, write=False) as connection:
            connection.execute(select(TOKEN))
            assert in_processes(2, use) == [True, True]
            connection.execute(select(TOKEN))
        assert [row.id for row in rows(database, TOKEN)] == ["child 0", "child 1"]

    def test_who_reads_does_not_wait_for_who_writes(self, database: Database) -> None:
        assert database.writable()
        with database.begin(patience_ms=500) as writing:
            writing.execute(TOKEN.insert(), {"id": "x", "until": 1})
            with database.begin(patience_ms=50, write=False) as reading:
                assert reading.execute(select(TOKEN)).all() == []
