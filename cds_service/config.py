"""What an operator can set, by environment variables whose names begin with CDS_SERVICE_."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from cds_service.folders import cards_folder

PREFIX: Final = "CDS_SERVICE_"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    """A setting that cannot be used: its name, what was found and what was expected."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. `max_body` is in bytes, `database` a SQLAlchemy URL, `cards` the folder of card definitions."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 2
    max_body: int = 10_000_000
    database: str
    cards: Path
    log_level: str = "info"


def read_config(environment: Mapping[str, str] = os.environ, **given: Any) -> Config:
    """The settings of `environment`; those `given` that are not None go before them.

    Raises ConfigError that names the variable (or the option), what was found and what was expected.
    """
    settings: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        variable = PREFIX + name.upper()
        if given.get(name) is not None:
            settings[name] = _checked(f"--{name.replace('_', '-')}", str(given[name]), check)
        elif environment.get(variable, "").strip():
            settings[name] = _checked(variable, environment[variable].strip(), check)
    settings.setdefault("database", f"sqlite:///{_state_folder(environment) / 'cds-service.sqlite3'}")
    if "cards" not in settings:
        settings["cards"] = _checked(PREFIX + "CARDS", "", lambda _: cards_folder())
    return Config(**settings)


def _checked(name: str, found: str, check: Callable[[str], Any]) -> Any:
    try:
        return check(found)
    except (ValueError, OSError) as error:
        raise ConfigError(f"{name}: found {found!r}, expected {error}") from None


def _whole_number(least: int, most: int, what: str) -> Callable[[str], int]:
    def check(found: str) -> int:
        if not (found.isdecimal() and len(found) < 20 and least <= int(found) <= most):
            raise ValueError(f"{what}, a whole number from {least} to {most}")
        return int(found)

    return check


def _host(found: str) -> str:
    if any(character.isspace() or character == "/" for character in found):
        raise ValueError("a host name or an address, such as 127.0.0.1")
    return found


def _database(found: str) -> str:
    try:
        url = make_url(found)
        if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
            return found
    except ArgumentError:
        pass
    raise ValueError("the URL of a SQLite file, such as sqlite:////var/lib/cds-service/feedback.sqlite3")


def _folder(found: str) -> Path:
    folder = Path(found)
    if not folder.is_dir():
        raise ValueError("a folder of card definitions")
    return folder


def _log_level(found: str) -> str:
    if found.lower() not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)}")
    return found.lower()


def _state_folder(environment: Mapping[str, str]) -> Path:
    """Where programs keep their state: XDG_STATE_HOME, else ~/.local/state, else the current folder."""
    if environment.get("XDG_STATE_HOME"):
        return Path(environment["XDG_STATE_HOME"]) / "cds-service"
    try:
        return Path.home() / ".local" / "state" / "cds-service"
    except RuntimeError:
        return Path.cwd()


_CHECKS: Final[dict[str, Callable[[str], Any]]] = {
    "host": _host,
    "port": _whole_number(0, 65535, "a port (0 takes a free one)"),
    "workers": _whole_number(1, 256, "how many processes answer"),
    "max_body": _whole_number(1000, 1_000_000_000, "the longest body in bytes"),
    "database": _database,
    "cards": _folder,
    "log_level": _log_level,
}
