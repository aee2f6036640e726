"""Settings: from the environment, from options, and what is said when one cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.config import (
    Config,
    ConfigError,
    installation_secret,
    read_config,
    require_loopback,
    require_public_url,
)
from cds_service.folders import cards_folder

SECRET = "0123456789abcdef" * 2


def test_without_settings_the_service_listens_on_loopback_only(tmp_path: Path) -> None:
    assert read_config({"XDG_STATE_HOME": str(tmp_path)}) == Config(
        host="127.0.0.1",
        port=8080,
        workers=2,
        max_body=10_000_000,
        database=f"sqlite:///{tmp_path}/cds-service/cds-service.sqlite3",
        state=tmp_path / "cds-service",
        cards=cards_folder(),
        audit=tmp_path / "cds-service" / "audit.jsonl",
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
            "CDS_SERVICE_BODY_SECONDS": "5",
            "CDS_SERVICE_CLIENTS": __file__,
            "CDS_SERVICE_CA_BUNDLE": __file__,
            "CDS_SERVICE_FHIR_SECONDS": "1.5",
            "CDS_SERVICE_SECRET": SECRET,
            "CDS_SERVICE_MEMORY": "off",
            "CDS_SERVICE_RETENTION_DAYS": "366",
            "CDS_SERVICE_AUDIT": "off",
        }
    )
    assert found == Config(
        host="::1",
        port=9000,
        workers=4,
        max_body=2_000_000,
        database="sqlite:///x.sqlite3",
        state=Path(),
        cards=tmp_path,
        log_level="warning",
        body_seconds=5,
        clients=Path(__file__),
        ca_bundle=Path(__file__),
        fhir_seconds=1.5,
        secret=SECRET,
        memory=False,
        retention_days=366,
        audit=None,
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
        ("CARDS", "/no/such/folder", "a folder of card definitions"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("BODY_SECONDS", "0", "how many seconds a client may take"),
        ("CLIENTS", "/no/such/file", "a file"),
        ("CA_BUNDLE", "/no/such/file", "a file"),
        ("FHIR_SECONDS", "soon", "seconds from 0.1 to 30"),
        ("FHIR_SECONDS", "nan", "seconds from 0.1 to 30"),
        ("FHIR_SECONDS", "60", "seconds from 0.1 to 30"),
        ("MEMORY", "yes", "on or off"),
        ("RETENTION_DAYS", "365", "a whole number from 366"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_found_and_expected(variable: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_config({f"CDS_SERVICE_{variable}": value})
    assert str(error.value).startswith(f"CDS_SERVICE_{variable}: found {value!r}, expected ")
    assert expected in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://x/y",
        "/var/lib/x.sqlite3",
        "sqlite://",
        "postgresql+asyncpg://host/cds",
        "postgresql://host",
        "postgresql://host?password=hunter2",
    ],
)
def test_a_wrong_database_is_told_without_its_url_which_may_hold_a_password(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_config({"CDS_SERVICE_DATABASE": url})
    assert str(error.value).startswith("CDS_SERVICE_DATABASE: found another value, expected the URL of a SQLite file")
    assert "or of a PostgreSQL database" in str(error.value)
    assert f"found {url!r}" not in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_wrong_option_is_named_as_it_was_given() -> None:
    with pytest.raises(ConfigError, match=r"--port: found 'x', expected a port"):
        read_config({}, port="x")


def test_a_secret_that_is_wrong_is_not_repeated() -> None:
    for environment in ({"CDS_SERVICE_SECRET": "short"}, {"CDS_SERVICE_DATABASE": "postgresql://cds:short@host"}):
        with pytest.raises(ConfigError) as error:
            read_config(environment)
        assert "found another value, expected " in str(error.value)
        assert "short" not in str(error.value)


def test_settings_are_not_shown_with_their_secrets() -> None:
    database = "postgresql://cds:password@db/cds"
    config = read_config({"CDS_SERVICE_SECRET": SECRET, "CDS_SERVICE_DATABASE": database})
    assert config.database == database
    assert repr(config) == "Config(127.0.0.1:8080)"


def test_a_secret_and_a_database_may_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "database").write_text("postgresql://cds:password@db/cds\n")
    config = read_config(
        {
            "CDS_SERVICE_SECRET_FILE": str(tmp_path / "secret"),
            "CDS_SERVICE_DATABASE_FILE": str(tmp_path / "database"),
        }
    )
    assert installation_secret(config) == SECRET.encode()
    assert config.database == "postgresql://cds:password@db/cds"
    with pytest.raises(ConfigError, match=r"CDS_SERVICE_SECRET_FILE: found '.*none', expected a file that can be read"):
        read_config({"CDS_SERVICE_SECRET_FILE": str(tmp_path / "none")})


def test_the_first_start_makes_a_secret_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    config = read_config({"XDG_STATE_HOME": str(tmp_path)})
    made = installation_secret(config)
    assert len(made) == 64
    assert installation_secret(config) == made
    assert (tmp_path / "cds-service" / "secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "cds-service" / "secret").write_text("short")
    with pytest.raises(ConfigError, match="holds something else than a secret of at least 32 characters"):
        installation_secret(config)


def test_with_postgresql_the_secret_must_be_set() -> None:
    with pytest.raises(ConfigError, match="CDS_SERVICE_SECRET: found nothing, expected the secret"):
        installation_secret(read_config({"CDS_SERVICE_DATABASE": "postgresql://db/cds"}))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "cds.example.org"])  # noqa: S104
def test_without_registered_clients_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ConfigError, match="expected a loopback address"):
        require_loopback(read_config({}, host=host))
    require_loopback(read_config({}, host=host, clients=__file__))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "cds.example.org"])  # noqa: S104
def test_beyond_loopback_the_file_of_clients_says_what_they_call(host: str) -> None:
    config = read_config({}, host=host, clients=__file__)
    with pytest.raises(ConfigError) as caught:
        require_public_url(config, None)
    assert f"CDS_SERVICE_CLIENTS: found no public_url in {__file__}, expected the URL" in str(caught.value)
    assert f"CDS_SERVICE_HOST is {host!r}" in str(caught.value)
    require_public_url(config, "https://cds.example.org")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_known_in_all_its_forms(host: str) -> None:
    require_loopback(read_config({}, host=host))
    require_public_url(read_config({}, host=host, clients=__file__), None)


def test_a_setting_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"CDS_SERVICE_MEMROY: found a setting that .*, such as CDS_SERVICE_MEMORY"):
        read_config({"CDS_SERVICE_MEMROY": "off"})


def test_a_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CDS_SERVICE_SECRET: found it and CDS_SERVICE_SECRET_FILE"):
        read_config({"CDS_SERVICE_SECRET": SECRET, "CDS_SERVICE_SECRET_FILE": str(tmp_path)})
