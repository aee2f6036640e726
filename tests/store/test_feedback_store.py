"""The table of feedback."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cds_service.hooks.feedback import FeedbackEntry
from cds_service.store.feedback import LONGEST_COMMENT, FeedbackStore, Unwritable

ACCEPTED = FeedbackEntry(card="c-1", outcome="accepted", at=1_795_166_691_567, suggestions=("s-1", "s-2"))
OVERRIDDEN = FeedbackEntry(card="c-1", outcome="overridden", at=1_795_166_700_000, reason="noted", comment="By phone.")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "feedback.sqlite3"


@pytest.fixture
def store(file: Path) -> Iterator[FeedbackStore]:
    store = FeedbackStore(f"sqlite:///{file}")
    yield store
    store.close()


def rows(file: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(
            "SELECT card, outcome, suggestion, at, service, reason, comment FROM feedback"
        ).fetchall()


def test_feedback_is_kept_a_row_for_each_suggestion(store: FeedbackStore, file: Path) -> None:
    store.save("leg-weakness-patient-view", [ACCEPTED, OVERRIDDEN])
    assert sorted(rows(file)) == [
        ("c-1", "accepted", "s-1", ACCEPTED.at, "leg-weakness-patient-view", None, None),
        ("c-1", "accepted", "s-2", ACCEPTED.at, "leg-weakness-patient-view", None, None),
        ("c-1", "overridden", "", OVERRIDDEN.at, "leg-weakness-patient-view", "noted", "By phone."),
    ]


def test_FB_09_the_same_event_is_kept_once(store: FeedbackStore, file: Path) -> None:
    for _ in range(3):
        store.save("s", [OVERRIDDEN, OVERRIDDEN, ACCEPTED])
    store.save("s", [msgspec.structs.replace(OVERRIDDEN, at=OVERRIDDEN.at + 1)])
    assert len(rows(file)) == 4


def test_FB_09_a_batch_of_500_is_kept(store: FeedbackStore, file: Path) -> None:
    store.save("s", [msgspec.structs.replace(OVERRIDDEN, card=f"c-{number}") for number in range(500)])
    assert len(rows(file)) == 500


def test_FB_12_all_entries_are_kept_or_none(store: FeedbackStore, file: Path) -> None:
    assert store.writable()
    wrong = msgspec.structs.replace(OVERRIDDEN, at=2**70)
    with pytest.raises(OverflowError):
        store.save("s", [ACCEPTED, wrong])
    assert rows(file) == []


def test_FB_15_a_long_comment_is_cut(store: FeedbackStore, file: Path) -> None:
    store.save("s", [msgspec.structs.replace(OVERRIDDEN, comment="x" * 5000)])
    assert rows(file)[0][-1] == "x" * LONGEST_COMMENT


def test_text_is_never_read_as_sql(store: FeedbackStore, file: Path) -> None:
    evil = "'; DROP TABLE feedback; --"
    store.save(evil, [FeedbackEntry(card=evil, outcome="overridden", at=1, reason=evil, comment=evil)])
    assert rows(file)[0][0] == evil


def test_nothing_is_opened_before_it_is_needed(store: FeedbackStore, file: Path) -> None:
    store.save("s", [])
    assert not file.exists()


def test_the_file_is_for_its_owner_alone_and_in_wal_mode(store: FeedbackStore, file: Path) -> None:
    assert store.writable()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_two_stores_may_begin_at_once(file: Path) -> None:
    def save(number: int) -> None:
        store = FeedbackStore(f"sqlite:///{file}")
        store.save("s", [msgspec.structs.replace(OVERRIDDEN, card=f"c-{number}")])
        store.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(32)))
    assert len(rows(file)) == 32


def test_one_store_serves_several_threads(store: FeedbackStore, file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.save("s", [msgspec.structs.replace(OVERRIDDEN, card=f"c-{n}")]), range(64)))
    assert len(rows(file)) == 64


def test_a_database_that_cannot_be_written_is_said_and_used_when_it_comes_back(
    store: FeedbackStore, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.parent.mkdir(exist_ok=True)
    file.parent.write_text("a file where the folder should be")
    assert not store.writable()
    with pytest.raises(Unwritable):
        store.save("s", [OVERRIDDEN])
    assert "By phone" not in caplog.text
    file.parent.unlink()
    assert store.writable()
    store.save("s", [OVERRIDDEN])
    assert len(rows(file)) == 1


def test_a_locked_database_is_not_writable(store: FeedbackStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.store.feedback._BUSY_MS", 10)
    assert store.writable()
    store.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert not store.writable()
        other.execute("ROLLBACK")
    assert store.writable()
