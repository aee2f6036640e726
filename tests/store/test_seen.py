"""Tokens that were used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from databases import NOW, SQL, OnDatabase, in_processes, rows, sqlite_url

from cds_service.store.database import Database
from cds_service.store.seen import SeenTokens
from cds_service.store.tables import TOKEN


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


class TestTokens(OnDatabase):
    def test_JWT_11_a_token_is_used_once_until_it_expires(self, database: Database) -> None:
        seen = SeenTokens(database)
        assert seen.first_time("issuer", "jti", NOW + 10, NOW)
        assert not seen.first_time("issuer", "jti", NOW + 10, NOW + 10)
        assert seen.first_time("issuer", "jti", NOW + 99, NOW + 11)
        assert seen.first_time("another", "jti", NOW + 10, NOW)

    def test_JWT_11_a_jti_may_be_any_text_and_expire_at_any_time(self, database: Database) -> None:
        seen = SeenTokens(database)
        for jti in ("", "\0", "\ud800", SQL, "x" * 10_000):
            assert seen.first_time("i", jti, 2**80, NOW)
            assert not seen.first_time("i", jti, 2**80, NOW)

    def test_JWT_11_workers_and_hosts_share_what_they_saw(self, database: Database, url: str) -> None:
        other = Database(url)
        assert SeenTokens(database).first_time("i", "j", NOW + 10, NOW)
        assert not SeenTokens(other).first_time("i", "j", NOW + 10, NOW)
        other.close()

    def test_JWT_11_of_many_at_once_one_is_the_first(self, database: Database) -> None:
        seen = SeenTokens(database)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: seen.first_time("i", "threads", NOW + 10, NOW), range(32)))
        assert found.count(True) == 1
        found = in_processes(4, lambda _: seen.first_time("i", "processes", NOW + 10, NOW))
        assert found.count(True) == 1

    def test_those_that_expired_are_deleted_now_and_then(self, database: Database) -> None:
        seen = SeenTokens(database)
        for number in range(5):
            seen.first_time("i", str(number), NOW + number, NOW)
        seen.first_time("i", "later", NOW + 600_000, NOW + 120_000)
        assert len(rows(database, TOKEN)) == 1
