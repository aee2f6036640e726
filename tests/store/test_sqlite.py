"""SQLite in real trouble: locked, full, unreadable, not there. Feedback is refused, cards flow, and it is said."""

from __future__ import annotations

import logging
import resource
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from databases import ADDRESS, NOW, OVERRIDDEN, OnDatabase, changed, give, rows, sent, sqlite_url
from flask.testing import FlaskClient
from sqlalchemy import select

from cds_service.folders import data_folder
from cds_service.store.database import Database, Unwritable
from cds_service.store.feedback import FeedbackStore
from cds_service.store.purge import purge
from cds_service.store.seen import SeenTokens
from cds_service.store.tables import FEEDBACK, SHOWN, TOKEN

CARDS = (data_folder("fixtures") / "requests" / "several-causes-at-once.json").read_bytes()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


@pytest.fixture
def file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another connection is in the middle of writing."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """No file of this process grows beyond the size of the database: what a full disk does to a write."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def emptied(file: Path) -> None:
    """Move the log into the database, so that the next write makes a file grow."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def call(caller: FlaskClient) -> Any:
    return caller.post(ADDRESS, data=CARDS, content_type="application/json")


def refused(told: Any) -> bool:
    """Whether feedback is to be sent again later, and nothing more is said."""
    text = told.get_data(as_text=True)
    return bool(told.status_code == 503 and told.headers["Retry-After"] == "5" and "could not be stored" in text)


class TestSqlite(OnDatabase):
    def test_nothing_is_opened_before_it_is_needed(self, database: Database, file: Path) -> None:
        FeedbackStore(database).save("a", "s", [], NOW)
        assert not file.exists()

    def test_the_file_is_for_its_owner_alone_and_in_wal_mode(self, database: Database, file: Path) -> None:
        assert database.writable()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        for other in file.parent.iterdir():
            assert stat.S_IMODE(other.stat().st_mode) == 0o600
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_what_is_durable_is_on_the_disk_when_it_is_committed(self, database: Database) -> None:
        for durable, level in ((True, 2), (False, 1), (True, 2)):
            with database.begin(patience_ms=500, durable=durable) as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level

    def test_a_locked_database_refuses_feedback_after_a_while_and_cards_do_not_wait(
        self, database: Database, caller: FlaskClient, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert give(caller, sent()).status_code == 200
        caplog.set_level(logging.WARNING)
        with locked(file):
            started = time.monotonic()
            assert refused(give(caller, sent("c-2")))
            assert 1.5 < time.monotonic() - started < 6
            for _ in range(3):
                started = time.monotonic()
                assert call(caller).get_json()["cards"]
                assert time.monotonic() - started < 1.5
            assert caller.get("/health/ready").get_json()["status"] == "degraded"
        assert "SQLITE_BUSY" in caplog.text
        assert "By phone" not in caplog.text
        assert caller.get("/health/ready").get_json()["status"] == "ready"
        assert give(caller, sent("c-2")).status_code == 200
        assert {row.card for row in rows(database, FEEDBACK)} == {"c-1", "c-2"}

    def test_who_has_little_patience_waits_as_long_as_it_says_once_and_then_not_at_all(
        self, database: Database, file: Path
    ) -> None:
        assert database.writable()
        with locked(file):
            for least, most in ((0.15, 1.5), (0, 0.15), (0, 0.15)):
                started = time.monotonic()
                with pytest.raises(Unwritable, match="SQLITE_BUSY"), database.begin(patience_ms=200):
                    pass
                assert least <= time.monotonic() - started < most
            assert not database.writable()
        assert database.writable()
        with database.begin(patience_ms=200):
            pass

    def test_a_statement_that_is_given_up_is_no_sign_that_the_database_is_away(self, database: Database) -> None:
        assert database.writable()

        def interrupted() -> None:
            with database.begin(patience_ms=200) as connection:
                driver: Any = connection.connection.driver_connection
                driver.set_progress_handler(lambda: 1, 1)
                try:
                    connection.execute(select(TOKEN))
                finally:
                    driver.set_progress_handler(None, 1)

        with pytest.raises(Unwritable, match="SQLITE_INTERRUPT"):
            interrupted()
        with database.begin(patience_ms=200) as connection:
            assert connection.execute(select(TOKEN)).all() == []

    def test_a_full_disk_refuses_feedback_and_cards_flow(
        self, database: Database, caller: FlaskClient, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert give(caller, sent()).status_code == 200
        emptied(file)
        with full_disk(file):
            batch = [sent(f"d-{number}", overrideReason={"userComment": "y" * 900}) for number in range(500)]
            assert refused(give(caller, *batch))
            assert call(caller).get_json()["cards"]
        assert "y" * 10 not in caplog.text
        assert len(rows(database, FEEDBACK)) == 1
        assert give(caller, *batch).status_code == 200
        assert len(rows(database, FEEDBACK)) == 501

    def test_a_full_disk_is_not_writable(self, database: Database, file: Path) -> None:
        assert database.writable()
        emptied(file)
        database.close()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            assert not database.writable()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert database.writable()

    def test_a_database_that_cannot_be_opened_is_used_when_it_can(
        self, database: Database, caller: FlaskClient, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file.parent.parent.mkdir()
        file.parent.write_text("a file where the folder should be")
        assert refused(give(caller, sent()))
        assert call(caller).get_json()["cards"]
        assert caller.get("/health/ready").get_json()["status"] == "degraded"
        assert "By phone" not in caplog.text
        file.parent.unlink()
        assert caller.get("/health/ready").get_json()["status"] == "ready"
        assert give(caller, sent()).status_code == 200
        assert call(caller).get_json()["cards"]
        assert len(rows(database, FEEDBACK)) == 1
        assert rows(database, SHOWN)

    def test_a_folder_in_which_nothing_can_be_made_is_refused(self) -> None:
        database = Database("sqlite:////proc/cds.sqlite3")
        assert not database.writable()
        with pytest.raises(Unwritable), database.begin(patience_ms=200):
            pass

    def test_a_folder_in_the_place_of_the_file_is_refused(self, database: Database, file: Path) -> None:
        file.mkdir(parents=True)
        assert not database.writable()
        file.rmdir()
        assert database.writable()

    @pytest.mark.parametrize("content", [b"x" * 8192, b"SQLite format 3\0" + b"\xff" * 8176], ids=["other", "torn"])
    def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(
        self, caller: FlaskClient, file: Path, content: bytes
    ) -> None:
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        assert refused(give(caller, sent()))
        assert call(caller).get_json()["cards"]
        assert caller.get("/health/ready").get_json()["status"] == "degraded"
        assert file.read_bytes() == content

    def test_JWT_11_without_the_database_a_process_remembers_tokens_itself_and_says_so_once(
        self, database: Database, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "cds_service.store.seen")
        seen = SeenTokens(database)
        assert seen.first_time("i", "before", NOW + 10, NOW)
        with locked(file):
            for jti in ("one", "two"):
                assert seen.first_time("i", jti, NOW + 10, NOW)
                assert not seen.first_time("i", jti, NOW + 10, NOW)
            assert seen.first_time("i", "one", NOW + 99, NOW + 11)
            assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert database.writable()
        assert not seen.first_time("i", "one", NOW + 99, NOW + 12)
        assert seen.first_time("i", "three", NOW + 99, NOW + 12)
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
        assert len(rows(database, TOKEN)) == 4
        assert not SeenTokens(database).first_time("i", "one", NOW + 99, NOW + 13)

    def test_JWT_11_what_was_seen_without_the_database_costs_nothing_then_and_goes_into_it_bit_by_bit(
        self, database: Database, file: Path
    ) -> None:
        assert database.writable()
        seen = SeenTokens(database)
        with locked(file):
            started = time.process_time()
            for number in range(20_000):
                assert seen.first_time("i", str(number), NOW + 10, NOW)
            assert time.process_time() - started < 2
        assert database.writable()
        kept = []
        for number in range(41):
            assert seen.first_time("i", f"later {number}", NOW + 10, NOW)
            kept.append(len(rows(database, TOKEN)) if number % 20 == 0 else 0)
        assert (kept[0], kept[20], kept[40]) == (501, 10_521, 20_041)
        other = SeenTokens(database)
        assert not any(other.first_time("i", str(number), NOW + 10, NOW) for number in (0, 9_999, 19_999))

    def test_nothing_of_what_was_purged_is_left_in_the_file(self, database: Database, file: Path) -> None:
        entries = [changed(OVERRIDDEN, card=f"c-{number}", comment="Jane Doe " * 90) for number in range(50)]
        FeedbackStore(database).save("a", "s", entries, NOW)
        emptied(file)
        assert b"Jane" in file.read_bytes()
        assert purge(database, NOW + 1, NOW)["feedback"] == 50
        emptied(file)
        assert b"Jane" not in file.read_bytes()

    def test_feedback_waits_for_another_that_writes(self, database: Database, file: Path) -> None:
        assert database.writable()
        with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            ending = Timer(0.3, other.execute, ["COMMIT"])
            ending.start()
            FeedbackStore(database).save("a", "s", [OVERRIDDEN], NOW)
            ending.join()
        assert len(rows(database, FEEDBACK)) == 1
