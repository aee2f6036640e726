"""The key sets that were fetched last, in files, so that a new process has keys while a key server is down."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from cds_service.hooks.key_sets import LONGEST, Key, read_key_set

_log = logging.getLogger(__name__)

LONGEST_USE: Final = 86_400_000
"""Milliseconds for which keys are used after they were fetched, at most."""
_SKEW: Final = 60_000
"""Milliseconds by which a file may come from the future: the clock was set back a little."""
_LONGEST_FILE: Final = 4 * LONGEST


class FetchedKeys(msgspec.Struct, frozen=True):
    """Keys by `kid`, and when they were fetched, in milliseconds since 1970 UTC."""

    keys: Mapping[str, Key]
    at: int


class _File(msgspec.Struct):
    """A JWK set with two members more."""

    url: str
    fetched: int
    keys: list[dict[str, Any]]


class KeptKeys:
    """A folder with a file for each URL. It is made when there is something to keep; its owner alone can read it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = False

    def keep(self, url: str, fetched: FetchedKeys) -> None:
        """Write down the keys of a URL, public members only. When that fails the log says so, once."""
        keys = [_written(kid, key) for kid, key in fetched.keys.items()]
        try:
            self._replace(self._file(url), msgspec.json.encode(_File(url, fetched.at, keys)))
        except (OSError, ValueError) as error:  # ValueError: a kid that is no Unicode
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            if not self._told:
                _log.warning("Key sets cannot be kept in %s: %s. A new process will fetch them.", self._folder, reason)
            self._told = True

    def last(self, url: str, now: int) -> FetchedKeys | None:
        """The keys of a URL that were fetched last; None when there are none, or they are too old or not as written."""
        try:
            with self._file(url).open("rb") as file:
                content = file.read(_LONGEST_FILE + 1)
            if len(content) > _LONGEST_FILE:
                return None
            written = msgspec.json.decode(content, type=_File)
            found = read_key_set(content)
        except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
            return None
        if written.url != url or found.mistakes or not -_SKEW <= now - written.fetched < LONGEST_USE:
            return None
        return FetchedKeys(found.keys, written.fetched)

    def _file(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()}.json"

    def _replace(self, path: Path, content: bytes) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder)
        new = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            new.replace(path)
        except BaseException:
            new.unlink()
            raise


def _written(kid: str, key: Key) -> dict[str, Any]:
    algorithm = {} if key.algorithm is None else {"alg": key.algorithm}
    return {**key.public.as_dict(private=False), "kid": kid, "use": "sig", **algorithm}
