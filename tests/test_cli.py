"""The command line: what it offers and how it refuses."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cds_service import __version__
from cds_service.cli import main


def test_it_names_its_commands(runner: CliRunner) -> None:
    said = runner.invoke(main, ["--help"]).output
    assert all(f"\n  {command} " in said for command in ("check", "demo", "explain", "serve"))


def test_it_knows_its_version(runner: CliRunner) -> None:
    assert runner.invoke(main, ["--version"]).output == f"cds-service, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve", "--port", "eighty"], "--port: found 'eighty', expected a port"),
        (["serve", "--workers", "0"], "--workers: found '0', expected how many processes answer"),
        (["serve", "--cards", "/none"], "--cards: found '/none', expected a folder of card definitions"),
        (["check", "--cards", "/none"], "--cards: found '/none', expected a folder of card definitions"),
        (["explain", "--cards", "/none", "x.json"], "--cards: found '/none', expected a folder of card definitions"),
        (["demo", "nobody"], "nobody: No such file or directory. Expected a file with a Bundle"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_was_expected(runner: CliRunner, arguments: list[str], says: str) -> None:
    done = runner.invoke(main, arguments)
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {says}")


def test_an_unknown_command_is_refused(runner: CliRunner) -> None:
    assert runner.invoke(main, ["dance"]).exit_code == 2
