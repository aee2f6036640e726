"""The schema of the database and its changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from databases import NOW, OVERRIDDEN, OnDatabase, changed, engine_past_us, execute, in_processes, rows, sqlite_url
from sqlalchemy import text

from cds_service.store import migrations
from cds_service.store.database import Database, Unwritable
from cds_service.store.feedback import FeedbackStore
from cds_service.store.migrations import HEAD, migrate
from cds_service.store.tables import FEEDBACK, METADATA, SHOWN

BEFORE_REVISIONS = """
CREATE TABLE feedback (
    card VARCHAR(200) NOT NULL, outcome VARCHAR(10) NOT NULL, suggestion VARCHAR(200) NOT NULL, at BIGINT NOT NULL,
    service VARCHAR(100) NOT NULL, reason VARCHAR(200), reason_system VARCHAR(500), comment TEXT,
    PRIMARY KEY (card, outcome, suggestion, at)
)"""
SHOWN_THEN = "INSERT INTO shown VALUES ('{0}', 'id', NULL, '1', 'info', '', 's', '{1}', 'h', 1, 'p', 'c')"
ANSWERED_THEN = "INSERT INTO feedback VALUES ('a', '{0}', 'overridden', '', 1, 1, 's', NULL, NULL, NULL)"
ROW_OF_THEN = "INSERT INTO feedback VALUES ('c-{0}', 'accepted', 's-1', {0}, 'old', NULL, NULL, 'By phone.')"


@pytest.fixture
def url(tmp_path: Path) -> str:
    (tmp_path / "new" / "folder").mkdir(parents=True)
    return sqlite_url(tmp_path)


class TestSchema(OnDatabase):
    def test_the_tables_are_what_the_migrations_make(self, database: Database) -> None:
        assert migrate(database) == HEAD
        with database.begin(patience_ms=2000) as connection:
            assert compare_metadata(MigrationContext.configure(connection), METADATA) == []

    def test_a_database_of_before_revisions_keeps_its_rows(self, url: str, database: Database) -> None:
        execute(url, BEFORE_REVISIONS, *(ROW_OF_THEN.format(number) for number in range(3)))
        assert [tuple(row) for row in rows(database, FEEDBACK)] == [
            ("local", f"c-{number}", "accepted", "s-1", number, number, "old", None, None, "By phone.")
            for number in range(3)
        ]
        assert migrate(database) == HEAD
        with database.begin(patience_ms=2000) as connection:
            assert compare_metadata(MigrationContext.configure(connection), METADATA) == []

    def test_a_database_of_before_the_third_revision_learns_which_cards_were_answered(
        self, url: str, database: Database
    ) -> None:
        engine = engine_past_us(url)
        with engine.begin() as connection:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(Path(migrations.__file__).parent))
            command.upgrade(config, "0002")
            for card, client in (("c-1", "a"), ("c-2", "b"), ("c-3", "a")):
                connection.execute(text(SHOWN_THEN.format(card, client)))
            for card in ("c-1", "c-2", "c-4"):
                connection.execute(text(ANSWERED_THEN.format(card)))
        engine.dispose()
        assert {row.uuid: row.answered for row in rows(database, SHOWN)} == {"c-1": True, "c-2": False, "c-3": False}

    def test_a_change_that_fails_leaves_everything_as_it_was(self, url: str, database: Database) -> None:
        execute(url, BEFORE_REVISIONS, ROW_OF_THEN.format(1), "CREATE TABLE shown (mine INTEGER)")
        assert not database.writable()
        execute(url, "DROP TABLE shown")
        assert [row.card for row in rows(database, FEEDBACK)] == ["c-1"]

    def test_processes_that_open_a_new_database_at_once_make_it_once(self, url: str, database: Database) -> None:
        def begin(index: int) -> bool:
            FeedbackStore(database).save("a", "s", [changed(OVERRIDDEN, card=f"c-{index}")], NOW)
            return migrate(database) == HEAD

        assert in_processes(4, begin) == [True] * 4
        assert len(rows(database, FEEDBACK)) == 4

    def test_threads_that_open_a_new_database_at_once_make_it_once(self, url: str) -> None:
        def begin(_: int) -> bool:
            database = Database(url)
            found = migrate(database) == HEAD
            database.close()
            return found

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(begin, range(8)))

    def test_a_database_of_a_newer_version_is_refused_and_left_alone(
        self, url: str, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert database.writable()
        execute(url, "UPDATE alembic_version SET version_num = '0999'")
        newer = Database(url)
        with pytest.raises(Unwritable, match="NewerSchema"):
            migrate(newer)
        assert not newer.writable()
        assert f"its schema is 0999, expected {HEAD} at most" in caplog.text
        execute(url, f"UPDATE alembic_version SET version_num = '{HEAD}'")  # noqa: S608 (our own constant)
        assert newer.writable()
        newer.close()
