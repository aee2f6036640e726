"""The application, a client for it and the command line, as every test meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.config import Config, read_config
from cds_service.demo import FIXTURES_NOW
from cds_service.folders import cards_folder
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import load_knowledge


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    """The knowledge that comes with the project."""
    return load_knowledge(cards_folder())


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Default settings with a database of the test's own."""
    return read_config({"CDS_SERVICE_DATABASE": f"sqlite:///{tmp_path / 'feedback.sqlite3'}"})


def fixtures_clock() -> int:
    """The moment to which the dates of the fixtures belong, whenever the tests run."""
    return int(FIXTURES_NOW.timestamp() * 1000)


@pytest.fixture
def app(config: Config, knowledge: Knowledge) -> Flask:
    """The application, at the time of the fixtures."""
    return create_app(config, knowledge, fixtures_clock)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client for the application, without a server between them."""
    return app.test_client()


@pytest.fixture
def runner() -> CliRunner:
    """The command line."""
    return CliRunner()
