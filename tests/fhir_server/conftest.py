"""The FHIR server of these tests; it needs Node 20 and `npm ci` in this folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .cases import data_by_name

HERE = Path(__file__).parent
TOKEN = "token-of-the-tests"  # noqa: S105
PAGE = 4
"""Resources a page: so few that nearly every search has several pages."""


class Server:
    """A running server: the resources it refused as invalid, and the base URL at which a name's data stand."""

    def __init__(self, origin: str, refused: dict[str, str]) -> None:
        self.refused = refused
        self._origin = origin

    def base(self, name: str) -> str:
        """The base URL of the FHIR server called `name`."""
        return f"{self._origin}/{name}/fhir"

    @property
    def bases(self) -> tuple[str, ...]:
        """All base URLs."""
        return tuple(map(self.base, data_by_name()))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Medplum's search engine with the patients of all cases."""
    assert (HERE / "node_modules").is_dir(), "run `npm ci` in tests/fhir_server first"
    data = tmp_path_factory.mktemp("fhir-server") / "data.json"
    data.write_text(json.dumps(data_by_name()), encoding="utf-8")
    command = ["node", str(HERE / "server.mjs"), str(data), TOKEN, str(PAGE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said: dict[str, Any] = json.loads(process.stdout.readline())
            yield Server(said["origin"], said["refused"])
        finally:
            process.kill()
