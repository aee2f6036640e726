"""The public keys of the registered clients: read from files, or fetched, renewed and kept when they are at a URL."""

from __future__ import annotations

import logging
import re
import threading
import time
from pathlib import Path
from typing import Final

from cds_service.hooks.clients import Client, Clients
from cds_service.hooks.kept_keys import LONGEST_USE, FetchedKeys, KeptKeys
from cds_service.hooks.key_sets import LONGEST, Key, read_key_file, read_key_set
from cds_service.outgoing import Answer, Outgoing, OutgoingError

_log = logging.getLogger(__name__)

_ACCEPT: Final = {"Accept": "application/jwk-set+json, application/json"}
_SECONDS: Final = 2.0
_FRESH: Final = 3_600_000
_FRESH_AT_LEAST: Final = 60_000
_BETWEEN_FETCHES: Final = 60_000
_BETWEEN_FIRST_FETCHES: Final = 5_000
"""Milliseconds between two tries while there are no keys at all."""
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})")


class NotFetched(Exception):
    """There is no key with this `kid`, and the key set could not be fetched when it was last tried."""


class ClientKeys:
    """The keys of all registered clients. Those of files are read now, those of URLs when they are first needed.

    A set that was fetched is fresh for an hour, or as long as its Cache-Control says when that is less, at least for a
    minute. One that is no longer fresh is renewed beside the calls, which go on with the keys that are known; only a
    `kid` that it does not have is waited for. It is fetched once a minute at most, every five seconds while there are
    no keys at all. A key server that is down or answers junk leaves the keys in use for a day, also for a new process
    when there is a `folder` to keep them in. Raises OSError and ValueError for a file that cannot be used.
    """

    def __init__(self, clients: Clients, ca_bundle: Path | None = None, folder: Path | None = None) -> None:
        kept = KeptKeys(folder) if folder is not None else None
        self._files = {one.jwks_file: read_key_file(one.jwks_file) for one in clients.clients if one.jwks_file}
        places = {(one.jwks, one.networks) for one in clients.clients if one.jwks}
        self._remote = {
            (url, networks): _Remote(url, Outgoing(networks=networks, ca_bundle=ca_bundle, longest=LONGEST), kept)
            for url, networks in places
        }

    def key(self, client: Client, kid: str, now: int) -> Key | None:
        """The key of a client with this `kid`, None when there is none; `now` in milliseconds since 1970 UTC.

        Raises NotFetched when there is none and the last try to fetch the key set failed.
        """
        if client.jwks:
            return self._remote[client.jwks, client.networks].key(kid, now, client.name)
        return self._files[client.jwks_file].keys.get(kid) if client.jwks_file else None


class _Remote:
    """The keys at one URL. One thread fetches at a time; others go on with the keys that are there."""

    def __init__(self, url: str, asker: Outgoing, kept: KeptKeys | None) -> None:
        self._url = url
        self._asker = asker
        self._kept = kept
        self._fetching = threading.Lock()
        self._tried: int | None = None
        self._failed = False
        self._fetched = FetchedKeys({}, 0)
        self._fresh_until = 0

    def key(self, kid: str, now: int, client: str) -> Key | None:
        known = self._known(kid, now) or self._found(kid, now, client)
        if known is None and self._failed:
            raise NotFetched
        if known is not None and now >= self._fresh_until:
            self._renew(now, client)
        return known

    def _known(self, kid: str, now: int) -> Key | None:
        return self._fetched.keys.get(kid) if self._is_usable(now) else None

    def _is_usable(self, now: int) -> bool:
        return now - self._fetched.at < LONGEST_USE

    def _may_fetch(self, now: int) -> bool:
        between = _BETWEEN_FETCHES if self._is_usable(now) else _BETWEEN_FIRST_FETCHES
        return self._tried is None or abs(now - self._tried) >= between

    def _found(self, kid: str, now: int, client: str) -> Key | None:
        """A key that is not known: another thread may have fetched it by now, another process kept it."""
        with self._fetching:
            if self._known(kid, now) is None and self._may_fetch(now):
                self._take_kept(now)
                if self._known(kid, now) is None:
                    self._fetch(now, client)
            return self._known(kid, now)

    def _take_kept(self, now: int) -> None:
        last = self._kept.last(self._url, now) if self._kept is not None else None
        if last is not None and last.at > self._fetched.at:
            self._fetched = last

    def _renew(self, now: int, client: str) -> None:
        """Have the keys fetched by a thread of its own, unless one is at it."""
        if not self._may_fetch(now) or not self._fetching.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._fetch_beside, args=(now, client), daemon=True).start()
        except RuntimeError:  # no thread can be had; a later call tries again
            self._fetching.release()

    def _fetch_beside(self, now: int, client: str) -> None:
        try:
            if self._may_fetch(now):
                self._fetch(now, client)
        except Exception as error:
            _log.error("The key set of %s could not be renewed.", client, exc_info=error)
        finally:
            self._fetching.release()

    def _fetch(self, now: int, client: str) -> None:
        self._tried = now
        self._failed = True
        try:
            answer = self._asker.get(self._url, deadline=time.monotonic() + _SECONDS, headers=_ACCEPT)
            if answer.status != 200:
                raise ValueError(f"it answered with {answer.status}")
            found = read_key_set(answer.body)
        except (OutgoingError, ValueError) as error:
            older = "Older keys stay in use for a day" if self._is_usable(now) else "There are no older keys"
            _log.warning("The key set of %s could not be fetched: %s. %s.", client, error, older)
            return
        finally:
            self._asker.close()
        for mistake in found.mistakes:
            _log.warning("In the key set of %s, %s; it is not used.", client, mistake)
        self._failed = False
        self._fetched = FetchedKeys(found.keys, now)
        self._fresh_until = now + _freshness(answer)
        if self._kept is not None:
            self._kept.keep(self._url, self._fetched)


def _freshness(answer: Answer) -> int:
    """How long an answer is fresh, in milliseconds."""
    said = answer.headers.get("cache-control", "").lower()
    if "no-store" in said or "no-cache" in said:
        return _FRESH_AT_LEAST
    age = _MAX_AGE.search(said)
    return min(_FRESH, max(_FRESH_AT_LEAST, int(age[1]) * 1000)) if age else _FRESH
