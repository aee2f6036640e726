"""Settings: from the environment, from options, and what is said when one cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.config import Config, ConfigError, read_config
from cds_service.folders import cards_folder


def test_without_settings_the_service_listens_on_loopback_only(tmp_path: Path) -> None:
    assert read_config({"XDG_STATE_HOME": str(tmp_path)}) == Config(
        host="127.0.0.1",
        port=8080,
        workers=2,
        max_body=10_000_000,
        database=f"sqlite:///{tmp_path}/cds-service/cds-service.sqlite3",
        cards=cards_folder(),
        log_level="info",
    )


def test_the_state_folder_is_in_the_home_folder() -> None:
    assert read_config({}).database == f"sqlite:///{Path.home()}/.local/state/cds-service/cds-service.sqlite3"


def test_every_setting_is_a_variable(tmp_path: Path) -> None:
    found = read_config(
        {
            "CDS_SERVICE_HOST": "::1",
            "CDS_SERVICE_PORT": "9000",
            "CDS_SERVICE_WORKERS": "4",
            "CDS_SERVICE_MAX_BODY": "2000000",
            "CDS_SERVICE_DATABASE": "sqlite:///x.sqlite3",
            "CDS_SERVICE_CARDS": str(tmp_path),
            "CDS_SERVICE_LOG_LEVEL": "WARNING",
        }
    )
    assert found == Config(
        host="::1",
        port=9000,
        workers=4,
        max_body=2_000_000,
        database="sqlite:///x.sqlite3",
        cards=tmp_path,
        log_level="warning",
    )


def test_an_option_goes_before_its_variable() -> None:
    assert read_config({"CDS_SERVICE_PORT": "9000"}, port="9001", host=None).port == 9001


def test_a_blank_variable_counts_as_not_set() -> None:
    assert read_config({"CDS_SERVICE_PORT": " "}).port == 8080


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PORT", "http", "a whole number from 0 to 65535"),
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "-1", "a whole number"),
        ("PORT", "80.5", "a whole number"),
        ("WORKERS", "0", "a whole number from 1 to 256"),
        ("WORKERS", "9" * 30, "a whole number from 1 to 256"),
        ("MAX_BODY", "10MB", "the longest body in bytes"),
        ("HOST", "http://localhost", "a host name or an address"),
        ("DATABASE", "mysql://x/y", "the URL of a SQLite file"),
        ("DATABASE", "/var/lib/x.sqlite3", "the URL of a SQLite file"),
        ("DATABASE", "sqlite://", "the URL of a SQLite file"),
        ("CARDS", "/no/such/folder", "a folder of card definitions"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_found_and_expected(variable: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_config({f"CDS_SERVICE_{variable}": value})
    assert str(error.value).startswith(f"CDS_SERVICE_{variable}: found {value!r}, expected ")
    assert expected in str(error.value)


def test_a_wrong_option_is_named_as_it_was_given() -> None:
    with pytest.raises(ConfigError, match=r"--port: found 'x', expected a port"):
        read_config({}, port="x")
