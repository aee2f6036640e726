"""The command `explain` run in this process, and what it prints."""

from __future__ import annotations

import json
from typing import Any, Final

from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.folders import data_folder

REQUESTS: Final = data_folder("fixtures") / "requests"
FIXTURES_NOW: Final = "2026-11-20T10:00:00Z"
"""The moment to which the dates of the synthetic requests belong."""


def explain(*arguments: str, sent: bytes = b"") -> Result:
    """Run the command on a wide screen; the name of a synthetic request stands for its file."""
    files = {path.stem: str(path) for path in REQUESTS.glob("*.json")}
    named = [files.get(argument, argument) for argument in arguments]
    return CliRunner(env={"COLUMNS": "400"}).invoke(main, ["explain", *named], input=sent)


def lines_of(done: Result) -> list[dict[str, Any]]:
    """The lines of JSON."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def without_uuids(value: Any) -> Any:
    """A copy of a JSON value without the members named uuid."""
    if isinstance(value, dict):
        return {key: without_uuids(one) for key, one in value.items() if key != "uuid"}
    return [without_uuids(one) for one in value] if isinstance(value, list) else value
