"""Feedback as it is kept."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from databases import (
    ACCEPTED,
    ADDRESS,
    NOW,
    OVERRIDDEN,
    SERVICE,
    SQL,
    OnDatabase,
    changed,
    give,
    in_processes,
    rows,
    sent,
    sqlite_url,
)
from flask.testing import FlaskClient

from cds_service.store.database import Database, Unwritable
from cds_service.store.feedback import LONGEST_COMMENT, FeedbackStore
from cds_service.store.tables import FEEDBACK

PLACES = ("card", "suggestion", "code", "system", "comment")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


class TestFeedback(OnDatabase):
    @pytest.fixture
    def store(self, database: Database) -> FeedbackStore:
        return FeedbackStore(database)

    def test_FB_03_FB_05_FB_07_it_is_kept_a_row_for_each_suggestion(
        self, store: FeedbackStore, database: Database
    ) -> None:
        store.save("main-ehr", SERVICE, [OVERRIDDEN, ACCEPTED], NOW)
        assert [tuple(row) for row in rows(database, FEEDBACK)] == [
            ("main-ehr", "c-1", "accepted", "s-1", ACCEPTED.at, NOW, SERVICE, None, None, None),
            ("main-ehr", "c-1", "accepted", "s-2", ACCEPTED.at, NOW, SERVICE, None, None, None),
            ("main-ehr", "c-1", "overridden", "", OVERRIDDEN.at, NOW, SERVICE, "noted", None, "By phone."),
        ]

    def test_FB_03_a_card_that_we_do_not_know_is_kept_and_its_uuid_may_come_in_capitals(
        self, caller: FlaskClient, database: Database
    ) -> None:
        uuid = str(uuid4())
        assert give(caller, sent(uuid.upper()), sent("Not-A-Uuid")).status_code == 200
        assert {row.card for row in rows(database, FEEDBACK)} == {uuid, "Not-A-Uuid"}

    def test_FB_09_the_same_event_is_kept_once_for_each_client(self, store: FeedbackStore, database: Database) -> None:
        for received in range(3):
            store.save("a", "s", [OVERRIDDEN, OVERRIDDEN, ACCEPTED], NOW + received)
        store.save("a", "s", [changed(OVERRIDDEN, at=OVERRIDDEN.at + 1)], NOW)
        store.save("b", "s", [OVERRIDDEN], NOW)
        kept = rows(database, FEEDBACK)
        assert len(kept) == 5
        assert {row.received_at for row in kept} == {NOW}

    def test_FB_09_a_batch_of_500_over_http_is_kept_once(self, caller: FlaskClient, database: Database) -> None:
        batch = [sent(str(uuid4())) for _ in range(500)]
        for _ in range(2):
            assert give(caller, *batch).status_code == 200
        kept = rows(database, FEEDBACK)
        assert len(kept) == 500
        assert {row.card for row in kept} == {entry["card"] for entry in batch}

    def test_FB_09_a_batch_may_name_many_cards_and_one_again(self, caller: FlaskClient, database: Database) -> None:
        later = sent(outcomeTimestamp="2026-11-20T09:30:00Z")
        assert give(caller, sent(), sent("c-2"), sent(), later).status_code == 200
        assert [row.card for row in rows(database, FEEDBACK)] == ["c-1", "c-1", "c-2"]

    def test_FB_10_FB_11_nothing_to_report_is_answered_with_200_and_no_body(
        self, caller: FlaskClient, database: Database
    ) -> None:
        for entries in ([], [sent()]):
            told = give(caller, *entries)
            assert (told.status_code, told.data) == (200, b"")
            assert len(rows(database, FEEDBACK)) == len(entries)

    def test_FB_12_one_wrong_entry_refuses_all_by_its_index(self, caller: FlaskClient, database: Database) -> None:
        told = give(caller, sent(), sent("c-2", outcome="ignored"))
        assert told.status_code == 400
        assert told.json["issue"][0]["expression"] == ["feedback[1].outcome"]
        assert rows(database, FEEDBACK) == []

    def test_FB_12_all_entries_are_kept_or_none(self, store: FeedbackStore, database: Database) -> None:
        too_late = changed(OVERRIDDEN, card="z", at=2**70)
        with pytest.raises((Unwritable, OverflowError)):
            store.save("a", "s", [*(changed(OVERRIDDEN, card=f"c-{number}") for number in range(1000)), too_late], NOW)
        assert rows(database, FEEDBACK) == []

    def test_FB_15_a_long_comment_is_cut(self, caller: FlaskClient, database: Database) -> None:
        assert give(caller, sent(overrideReason={"userComment": "x" * 5000})).status_code == 200
        assert rows(database, FEEDBACK)[0].comment == "x" * LONGEST_COMMENT

    def test_FB_15_a_comment_is_in_no_log(self, caller: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        said = sent(overrideReason={"userComment": "Jane Doe asked me to wait"})
        assert give(caller, said).status_code == 200
        assert give(caller, said, sent(outcome="Jane Doe")).status_code == 400
        assert caplog.text
        assert "Jane" not in caplog.text

    def test_sql_in_every_string_is_kept_as_text(self, caller: FlaskClient, database: Database) -> None:
        reason = {"reason": {"code": SQL, "system": SQL}, "userComment": SQL}
        accepted = {"outcome": "accepted", "acceptedSuggestions": [{"id": SQL}]}
        assert give(caller, sent(SQL, overrideReason=reason), sent(SQL, **accepted)).status_code == 200
        kept = rows(database, FEEDBACK)
        assert [(row.card, row.suggestion) for row in kept] == [(SQL, SQL), (SQL, "")]
        assert (kept[1].reason, kept[1].reason_system, kept[1].comment) == (SQL, SQL, SQL)

    @pytest.mark.parametrize("found", ["\\u0000", "\\ud800", "\\udc00x"], ids=["NUL", "high", "low"])
    @pytest.mark.parametrize("place", PLACES)
    def test_what_no_database_can_keep_is_refused(
        self, caller: FlaskClient, database: Database, found: str, place: str
    ) -> None:
        texts = dict.fromkeys(PLACES, "text") | {place: "a???b"}
        reason = {"reason": {"code": texts["code"], "system": texts["system"]}, "userComment": texts["comment"]}
        wrong = sent(texts["card"], overrideReason=reason)
        if place == "suggestion":
            wrong |= {"outcome": "accepted", "acceptedSuggestions": [{"id": texts["suggestion"]}]}
        body = json.dumps({"feedback": [sent(), wrong]}).replace("???", found)
        told = caller.post(f"{ADDRESS}/feedback", data=body, content_type="application/json")
        assert told.status_code == 400
        if found == "\\u0000":
            assert "expected text without NUL characters" in told.get_data(as_text=True)
        assert rows(database, FEEDBACK) == []

    def test_several_threads_save_the_same_at_once(self, store: FeedbackStore, database: Database) -> None:
        batch = [changed(OVERRIDDEN, card=f"c-{number}") for number in range(50)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda turn: store.save("a", "s", batch[:: 1 if turn % 2 else -1], NOW), range(16)))
        assert len(rows(database, FEEDBACK)) == 50

    def test_several_processes_save_at_once(self, store: FeedbackStore, database: Database) -> None:
        assert database.writable()

        def save(index: int) -> bool:
            for number in range(20):
                store.save("a", "s", [changed(OVERRIDDEN, card=f"c-{index}-{number}")], NOW)
            return True

        assert in_processes(4, save) == [True] * 4
        store.save("a", "s", [OVERRIDDEN], NOW)
        assert len(rows(database, FEEDBACK)) == 81
