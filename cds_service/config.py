"""What an operator can set, by environment variables whose names begin with CDS_SERVICE_.

Secrets come from the environment, or from a file whose path stands in the variable with `_FILE` at its end.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from cds_service.folders import cards_folder
from cds_service.knowledge.card import LONGEST_AWAY

PREFIX: Final = "CDS_SERVICE_"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
SHORTEST_SECRET: Final = 32
"""Characters that the secret of an installation has at least."""
_FROM_FILES: Final = ("database", "secret")
"""The settings that may stand in a file of their own."""


class ConfigError(Exception):
    """A setting that cannot be used: its name, what was found and what was expected."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings.

    `max_body` is in bytes, `body_seconds` how long a client may take to send it. `database` is a SQLAlchemy URL,
    `state` the folder of what the service keeps besides. `cards` is the folder of card definitions, `clients` the file
    of registered clients. `ca_bundle` holds certificates that are trusted beside the usual ones. `fhir_seconds` is the
    deadline for all that is fetched for one call. `secret` is the secret of the installation, when it was set.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 2
    max_body: int = 10_000_000
    body_seconds: int = 15
    database: str
    state: Path
    cards: Path
    clients: Path | None = None
    ca_bundle: Path | None = None
    fhir_seconds: float = 2.0
    secret: str | None = None
    memory: bool = True
    retention_days: int = 730
    audit: Path | None
    log_level: str = "info"

    def __repr__(self) -> str:
        return f"Config({self.host}:{self.port})"


def read_config(environment: Mapping[str, str] = os.environ, **given: Any) -> Config:
    """The settings of `environment`; those `given` that are not None go before them.

    Raises ConfigError that names the variable (or the option), what was found and what was expected.
    """
    _refuse_unknown(environment)
    settings: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        variable = PREFIX + name.upper()
        if name in _FROM_FILES and all(environment.get(one, "").strip() for one in (variable, f"{variable}_FILE")):
            raise ConfigError(f"{variable}: found it and {variable}_FILE, expected one of them")
        if given.get(name) is not None:
            settings[name] = _checked(f"--{name.replace('_', '-')}", str(given[name]), check)
        elif environment.get(variable, "").strip():
            settings[name] = _checked(variable, environment[variable].strip(), check)
        elif name in _FROM_FILES and environment.get(f"{variable}_FILE", "").strip():
            content = _checked(f"{variable}_FILE", environment[f"{variable}_FILE"].strip(), _content)
            settings[name] = _checked(f"{variable}_FILE", content, check)
    settings.setdefault("database", f"sqlite:///{_state_folder(environment) / 'cds-service.sqlite3'}")
    settings["state"] = _folder_of(settings["database"]) or _state_folder(environment)
    if "cards" not in settings:
        settings["cards"] = _checked(PREFIX + "CARDS", "", lambda _: cards_folder())
    settings.setdefault("audit", settings["state"] / "audit.jsonl")
    return Config(**settings)


def require_loopback(config: Config) -> None:
    """Raise ConfigError when nobody is registered and the service would listen beyond this machine."""
    if config.clients is None and not _is_loopback(config.host):
        raise ConfigError(
            f"--host, {PREFIX}HOST: found {config.host!r}, expected a loopback address such as 127.0.0.1: without a "
            f"file of registered clients (--clients, {PREFIX}CLIENTS) the service answers on this machine only"
        )


def require_public_url(config: Config, public_url: str | None) -> None:
    """Raise ConfigError when the file of registered clients says no `public_url` and the service would listen beyond
    this machine: the audience of a token would be compared with the host that whoever sends it names.
    """
    if config.clients is not None and public_url is None and not _is_loopback(config.host):
        raise ConfigError(
            f"{PREFIX}CLIENTS: found no public_url in {config.clients}, expected the URL that clients call, such as "
            f"https://cds.example.org: {PREFIX}HOST is {config.host!r}, which is no loopback address"
        )


def installation_secret(config: Config) -> bytes:
    """The secret of the installation: as set, else from the file `secret` beside the SQLite database, which is made at
    the first start with 32 random bytes and can be read by its owner only.

    Raises ConfigError when the file cannot be read or made; or when the database is PostgreSQL, which several hosts may
    share: there it must be set.
    """
    if config.secret is not None:
        return config.secret.encode()
    file = config.state / "secret"
    name = PREFIX + "SECRET"
    if _folder_of(config.database) is None:
        raise ConfigError(f"{name}: found nothing, expected the secret of the installation, the same on every host")
    try:
        config.state.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"{name}: the file {file} cannot be made ({error.strerror})") from None
    else:
        with os.fdopen(handle, "w") as opened:
            opened.write(secrets.token_hex(32))
    try:
        return _secret(file.read_text(encoding="utf-8").strip()).encode()
    except OSError as error:
        raise ConfigError(f"{name}: the file {file} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"{name}: the file {file} holds something else than {error}") from None


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = {PREFIX + name.upper() for name in _CHECKS} | {f"{PREFIX}{name.upper()}_FILE" for name in _FROM_FILES}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, known, 1)
            expected = f", such as {nearest[0]}" if nearest else ""
            raise ConfigError(f"{name}: found a setting that is not known, expected one of docs/deploy.md{expected}")


def _checked(name: str, found: str, check: Callable[[str], Any]) -> Any:
    try:
        return check(found)
    except (ValueError, OSError) as error:
        told = "another value" if check in (_secret, _database) else repr(found)
        raise ConfigError(f"{name}: found {told}, expected {error}") from None


def _content(found: str) -> str:
    try:
        return Path(found).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError("a file that can be read") from None


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
        if _folder_of(found) is not None or (url.drivername in _POSTGRESQL and url.database):
            return found
    except ArgumentError:
        pass
    raise ValueError(
        "the URL of a SQLite file, such as sqlite:////var/lib/cds-service/cds-service.sqlite3, or of a PostgreSQL "
        "database, such as postgresql://user@host/cds"
    )


def _folder_of(database: str) -> Path | None:
    """The folder of a SQLite file, None for another database."""
    url = make_url(database)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).parent


def _secret(found: str) -> str:
    if len(found) < SHORTEST_SECRET:
        raise ValueError(f"a secret of at least {SHORTEST_SECRET} characters")
    return found


def _file(found: str) -> Path:
    if not Path(found).is_file():
        raise ValueError("a file")
    return Path(found)


def _audit(found: str) -> Path | None:
    return None if found == "off" else Path(found)


def _switch(found: str) -> bool:
    if found not in ("on", "off"):
        raise ValueError("on or off")
    return found == "on"


def _seconds(found: str) -> float:
    try:
        seconds = float(found)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 30:
        raise ValueError("seconds from 0.1 to 30")
    return seconds


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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


_POSTGRESQL: Final = ("postgresql", "postgresql+psycopg")
_CHECKS: Final[dict[str, Callable[[str], Any]]] = {
    "host": _host,
    "port": _whole_number(0, 65535, "a port (0 takes a free one)"),
    "workers": _whole_number(1, 256, "how many processes answer"),
    "max_body": _whole_number(1000, 1_000_000_000, "the longest body in bytes"),
    "body_seconds": _whole_number(1, 600, "how many seconds a client may take to send a request"),
    "database": _database,
    "cards": _folder,
    "clients": _file,
    "ca_bundle": _file,
    "fhir_seconds": _seconds,
    "secret": _secret,
    "memory": _switch,
    "retention_days": _whole_number(LONGEST_AWAY + 1, 36500, "for how many days feedback and shown cards are kept"),
    "audit": _audit,
    "log_level": _log_level,
}
