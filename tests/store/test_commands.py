"""`cds-service migrate` and `purge`, and the start of the service, which opens the database before its workers do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli import main
from cds_service.demo import running_service
from cds_service.fhir.uncertain import DAY
from cds_service.hooks.feedback import FeedbackEntry
from cds_service.store.commands import place_of
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackStore

OLD, NEW = 1_600_000_000_000, 4_000_000_000_000
"""September 2020 and October 2096."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "service.sqlite3"


@pytest.fixture
def runner(file: Path) -> CliRunner:
    return CliRunner(env={"CDS_SERVICE_DATABASE": f"sqlite:///{file}"})


def tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def keep(file: Path, *times: int) -> None:
    database = Database(f"sqlite:///{file}")
    for at in times:
        entry = FeedbackEntry(card=f"c-{at}", outcome="overridden", at=at)
        FeedbackStore(database).save("local", "leg-weakness-patient-view", [entry], at)
    database.close()


def test_migrate_makes_the_database_and_says_its_revision(runner: CliRunner, file: Path) -> None:
    for _ in range(2):
        done = runner.invoke(main, ["migrate"])
        assert (done.exit_code, done.stdout) == (0, "The database is at revision 0003.\n")
    assert {"feedback", "shown", "alembic_version"} <= tables(file)


def test_purge_deletes_what_is_older_than_the_retention_and_says_how_much(runner: CliRunner, file: Path) -> None:
    keep(file, OLD, OLD + DAY, NEW)
    done = runner.invoke(main, ["purge"])
    assert done.exit_code == 0
    assert "feedback: 2 deleted" in done.stdout.splitlines()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT card FROM feedback").fetchall() == [(f"c-{NEW}",)]
    assert "feedback: 0 deleted" in runner.invoke(main, ["purge", "--retention-days", "36500"]).stdout


def test_purge_keeps_what_a_card_may_still_ask_for(runner: CliRunner) -> None:
    done = runner.invoke(main, ["purge", "--retention-days", "30"])
    assert done.exit_code == 1
    assert "--retention-days: found '30', expected for how many days" in done.stderr


@pytest.mark.parametrize("command", ["migrate", "purge"])
def test_a_database_that_cannot_be_used_is_told(runner: CliRunner, file: Path, command: str) -> None:
    file.mkdir()
    done = runner.invoke(main, [command])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: the database {file} cannot be used (")


def test_a_database_is_told_without_user_and_password() -> None:
    assert place_of("postgresql://cds:hunter2@db.example.org/cds?password=hunter2") == "cds on db.example.org:5432"


def test_the_service_opens_the_database_when_it_starts(file: Path) -> None:
    with running_service(DATABASE=f"sqlite:///{file}"):
        assert {"feedback", "shown"} <= tables(file)


def test_the_service_starts_without_the_database(file: Path) -> None:
    file.mkdir()
    with running_service(DATABASE=f"sqlite:///{file}") as url:
        assert url
