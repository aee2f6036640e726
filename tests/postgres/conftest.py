"""A real PostgreSQL server for all tests here, and a new database for each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
import pytest

from postgres.cluster import Cluster, cluster

sys.path.append(str(Path(__file__).parent.parent / "store"))  # its tests run here again
_numbers: Final = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    """The server."""
    with cluster() as server:
        yield server


@pytest.fixture
def url(server: Cluster) -> Iterator[str]:
    """The URL of a new, empty database."""
    name = f"cds_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
