"""What is older than the retention."""

from __future__ import annotations

from pathlib import Path

import pytest
from databases import NOW, OVERRIDDEN, OnDatabase, changed, rows, sqlite_url

from cds_service.fhir.uncertain import DAY
from cds_service.folders import data_folder
from cds_service.hooks.call import answer
from cds_service.knowledge.knowledge import Knowledge
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackStore
from cds_service.store.memory import CardMemory
from cds_service.store.purge import purge
from cds_service.store.seen import SeenTokens
from cds_service.store.tables import FEEDBACK, SHOWN


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


class TestPurge(OnDatabase):
    def test_what_is_older_than_the_retention_is_deleted_and_counted(
        self, database: Database, knowledge: Knowledge
    ) -> None:
        store, memory, seen = FeedbackStore(database), CardMemory(database, b"secret"), SeenTokens(database)
        body = (data_folder("fixtures") / "requests" / "low-potassium-on-diuretic.json").read_bytes()
        for days in (0, 1, 2, 300, 301):
            received = NOW - days * DAY
            store.save("a", "s", [changed(OVERRIDDEN, at=days)], received)
            memory.record("a", answer(knowledge, "leg-weakness-patient-view", body, NOW), received)
            seen.first_time("i", str(days), NOW + 1 - days, NOW - 500)
        assert purge(database, NOW - 2 * DAY, NOW) == {"feedback": 2, "shown": 2, "token": 3}
        assert [row.at for row in rows(database, FEEDBACK)] == [0, 1, 2]
        assert {NOW - row.at for row in rows(database, SHOWN)} == {2 * DAY, DAY, 0}
        assert purge(database, NOW - 2 * DAY, NOW) == {"feedback": 0, "shown": 0, "token": 0}
