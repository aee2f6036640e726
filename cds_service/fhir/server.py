"""A FHIR server, asked until a deadline: reads and searches, page by page (FHIR R4, RESTful API and search).

Nothing is opened here: the bytes come through a function that is given, so that one place alone decides who may be
called.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Struct

from cds_service.fhir.read import Sent, decode
from cds_service.fhir.resources import Bundle, BundleLink

PAGES: Final = 50
"""Pages of one search that are read."""
COUNT: Final = 200
"""Resources a page that are asked for."""

Get = Callable[[str, float], tuple[int, bytes]]
"""The HTTP status and the body that a URL answers with until a deadline (`time.monotonic()`). Raises NotReached."""


class NotReached(Exception):
    """A URL gave no answer; `kind` says why in a word that holds nothing of the question."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)


class Found(Struct, frozen=True):
    """The pages that came, in their order. `stopped` says in a word why the others did not; None when all came."""

    pages: tuple[Sent, ...]
    stopped: str | None = None


class _Shell(Struct, gc=False):
    link: list[BundleLink] | None = None


_shell: Final = msgspec.json.Decoder(_Shell)


def next_link(sent: Sent) -> BundleLink | None:
    """The link of a Bundle to its next page, None when this is the last one or no Bundle at all. Its `url` may be
    missing.
    """
    if sent.error is None:
        links = sent.resource.link if isinstance(sent.resource, Bundle) else None
    else:
        try:
            links = _shell.decode(sent.raw).link
        except (msgspec.MsgspecError, RecursionError, ValueError):
            links = None
    return next((link for link in links or () if link.relation == "next"), None)


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an http or https URL, as two URLs are compared; None for any other, and for one that
    names a user.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port


_PORTS: Final = {"http": 80, "https": 443}


def same_server(one: str, other: str) -> bool:
    """Whether two base URLs are the same: scheme, host, port and path. The case of the host, a default port and a
    closing slash decide nothing.
    """
    origin = origin_of(one)
    if origin is None or origin != origin_of(other):
        return False
    first, second = urlsplit(one), urlsplit(other)
    plain = not (first.query or first.fragment or second.query or second.fragment)
    return plain and first.path.removesuffix("/") == second.path.removesuffix("/")


class FhirServer:
    """The FHIR server at the URL `base`, for one request of a client: what is asked, in any number of threads, ends at
    `deadline` (`time.monotonic()`) and takes at most `longest` bytes in all.
    """

    def __init__(self, base: str, get: Get, *, deadline: float, longest: int) -> None:
        self._base = base.removesuffix("/") + "/"
        self._origin = origin_of(base)
        self._get = get
        self._deadline = deadline
        self._left = longest
        self._lock = Lock()

    def ask(self, query: str) -> Found:
        """The answer to a read (`Patient/1`) or a search (`Condition?patient=1`). Never raises for what it does."""
        return self._pages(self._base + query)

    def follow(self, link: BundleLink, query: str) -> Found:
        """The pages from `link` on, which stood in an answer to `query`."""
        url = self._next(link, self._base + query)
        return Found((), "link refused") if url is None else self._pages(url)

    def may_follow(self, link: BundleLink, query: str) -> bool:
        """Whether the link leads to this very server: scheme, host and port of its base."""
        return self._next(link, self._base + query) is not None

    def _pages(self, url: str) -> Found:
        pages: list[Sent] = []
        seen: set[str] = set()
        while True:
            seen.add(url)
            try:
                page = self._page(url)
            except NotReached as error:
                return Found(tuple(pages), error.kind)
            pages.append(page)
            link = next_link(page)
            if link is None:
                return Found(tuple(pages))
            following = self._next(link, url)
            if following is None:
                return Found(tuple(pages), "link refused")
            if following in seen:
                return Found(tuple(pages), "pages in a circle")
            if len(pages) == PAGES:
                return Found(tuple(pages), "too many pages")
            url = following

    def _page(self, url: str) -> Sent:
        if time.monotonic() >= self._deadline:
            raise NotReached("timeout")
        status, body = self._get(url, self._deadline)
        if status != 200:
            raise NotReached(f"status {status}")
        with self._lock:
            self._left -= len(body)
            if self._left < 0:
                raise NotReached("too-large")
        return decode(body.strip())

    def _next(self, link: BundleLink, url: str) -> str | None:
        """The URL of the next page after the one at `url`; None when it is not this server's."""
        target = link.url or ""
        if not target or any(character <= " " or character >= "\x7f" for character in target):
            return None
        try:
            found = urljoin(url if target.startswith("?") else self._base, target).partition("#")[0]
        except ValueError:
            return None
        return found if self._origin is not None and origin_of(found) == self._origin else None
