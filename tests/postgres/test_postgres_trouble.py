"""PostgreSQL in real trouble: stopped, crashed, hanging, locked, read-only, silent. Feedback is refused, cards flow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from databases import KEY, NOW, OVERRIDDEN, OnDatabase, changed, give, rows, sent
from flask.testing import FlaskClient
from loopback import listening
from sqlalchemy import text
from test_sqlite import call, refused

from cds_service.demo import local_session, running_service
from cds_service.store.database import Database, Unwritable
from cds_service.store.feedback import FeedbackStore
from cds_service.store.seen import SeenTokens
from cds_service.store.tables import FEEDBACK, TOKEN
from postgres.cluster import Cluster


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def status(caller: FlaskClient) -> str:
    return str(caller.get("/health/ready").get_json()["status"])


class TestPostgres(OnDatabase):
    def test_a_server_that_stops_and_comes_back_is_used_again(
        self, server: Cluster, caller: FlaskClient, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert give(caller, sent()).status_code == 200
        assert call(caller).get_json()["cards"]
        server.stop()
        try:
            with within(4):
                assert call(caller).get_json()["cards"]
            for _ in range(5):
                with within(1.5):
                    assert call(caller).get_json()["cards"]
            assert refused(give(caller, sent("c-2")))
            assert status(caller) == "degraded"
        finally:
            server.start()
        assert "By phone" not in caplog.text
        assert status(caller) == "ready"
        assert give(caller, sent("c-2")).status_code == 200
        assert {row.card for row in rows(database, FEEDBACK)} == {"c-1", "c-2"}

    def test_what_a_crash_interrupts_is_undone(self, server: Cluster, database: Database) -> None:
        assert database.writable()

        def interrupted() -> None:
            with database.begin(patience_ms=2000) as connection:
                connection.execute(TOKEN.insert(), {"id": "x", "until": 1})
                server.stop("immediate")

        try:
            with pytest.raises(Unwritable):
                interrupted()
        finally:
            server.start()
        assert rows(database, TOKEN) == []

    def test_a_server_that_hangs_is_not_waited_for(
        self, server: Cluster, caller: FlaskClient, database: Database
    ) -> None:
        assert give(caller, sent()).status_code == 200
        assert call(caller).get_json()["cards"]
        with server.hanging():
            with within(6):
                assert call(caller).get_json()["cards"]
            for _ in range(3):
                with within(1.5):
                    assert call(caller).get_json()["cards"]
            with within(10):
                assert refused(give(caller, sent("c-2")))
        assert status(caller) == "ready"
        assert give(caller, sent("c-2")).status_code == 200
        assert {row.card for row in rows(database, FEEDBACK)} == {"c-1", "c-2"}

    def test_a_server_that_takes_calls_and_says_nothing_is_not_waited_for(self) -> None:
        with listening() as silent:
            database = Database(f"postgresql://cds@127.0.0.1:{silent.port}/cds")
            with within(5), pytest.raises(Unwritable), database.begin(patience_ms=200):
                pass
            with within(0.2), pytest.raises(Unwritable), database.begin(patience_ms=200):
                pass

    def test_a_locked_table_refuses_feedback_after_a_while_and_cards_do_not_wait(
        self, url: str, caller: FlaskClient, database: Database
    ) -> None:
        assert give(caller, sent()).status_code == 200
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE feedback, shown IN ACCESS EXCLUSIVE MODE")
            with within(6):
                assert refused(give(caller, sent("c-2")))
            for _ in range(3):
                with within(1.5):
                    assert call(caller).get_json()["cards"]
        assert give(caller, sent("c-2")).status_code == 200
        assert len(rows(database, FEEDBACK)) == 2

    def test_a_statement_that_takes_too_long_is_no_sign_that_the_server_is_away(self, database: Database) -> None:
        assert database.writable()
        with pytest.raises(Unwritable, match="QueryCanceled 57014"), database.begin(patience_ms=200) as connection:
            connection.execute(text("SELECT pg_sleep(5)"))
        with within(1), database.begin(patience_ms=200) as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1

    def test_who_waits_for_a_lock_in_vain_is_told_so_and_does_not_wait_again(
        self, url: str, database: Database
    ) -> None:
        assert database.writable()
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE token IN ACCESS EXCLUSIVE MODE")
            for least, most in ((0.15, 1.5), (0, 0.15)):
                started = time.monotonic()
                with pytest.raises(Unwritable, match="LockNotAvailable"), database.begin(patience_ms=200) as connection:
                    connection.execute(TOKEN.insert(), {"id": "x", "until": 1})
                assert least <= time.monotonic() - started < most

    def test_a_read_only_server_is_not_writable(self, url: str, caller: FlaskClient, database: Database) -> None:
        assert status(caller) == "ready"
        name = url.rpartition("/")[2]
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        standby = Database(url)
        assert not standby.writable()
        with pytest.raises(Unwritable, match="ReadOnlySqlTransaction 25006"):
            FeedbackStore(standby).save("a", "s", [OVERRIDDEN], NOW)
        standby.close()

    def test_what_is_durable_waits_for_the_disk_of_the_server(self, url: str, database: Database) -> None:
        for durable, expected in ((True, "on"), (False, "off"), (True, "on")):
            with database.begin(patience_ms=500, durable=durable) as connection:
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == expected
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = remote_write")
        database.close()
        with database.begin(patience_ms=500, durable=True) as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "remote_write"

    def test_JWT_11_tokens_seen_without_the_server_go_into_it_when_it_is_back(
        self, server: Cluster, database: Database
    ) -> None:
        seen = SeenTokens(database)
        assert seen.first_time("i", "before", NOW + 99, NOW)
        server.stop()
        try:
            assert seen.first_time("i", "during", NOW + 99, NOW)
            assert not seen.first_time("i", "during", NOW + 99, NOW)
        finally:
            server.start()
        assert database.writable()
        assert seen.first_time("i", "after", NOW + 99, NOW)
        other = SeenTokens(database)
        assert [other.first_time("i", jti, NOW + 99, NOW) for jti in ("before", "during", "after")] == [False] * 3

    def test_batches_that_share_entries_in_any_order_do_not_block_each_other(self, database: Database) -> None:
        store = FeedbackStore(database)
        batch = [changed(OVERRIDDEN, card=f"c-{number}") for number in range(500)]
        assert database.writable()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda turn: store.save("a", "s", batch[:: 1 if turn % 2 else -1], NOW), range(8)))
        assert len(rows(database, FEEDBACK)) == 500

    def test_a_service_of_several_workers_keeps_all_feedback(self, url: str, database: Database) -> None:
        with running_service(DATABASE=url, WORKERS="2", SECRET=KEY) as service:
            address = f"{service}/cds-services/leg-weakness-patient-view/feedback"

            def post(number: int) -> int:
                with local_session() as session:
                    entries = [sent(f"c-{number}-{index}") for index in range(10)]
                    return session.post(address, json={"feedback": entries}, timeout=20).status_code

            with ThreadPoolExecutor(8) as pool:
                assert set(pool.map(post, range(40))) == {200}
        assert len(rows(database, FEEDBACK)) == 400
