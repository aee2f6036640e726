"""What prefetch left out, fetched from the client's FHIR server with the token of the request.

Only registered servers are asked, only for what is missing, all at once and until one deadline. The token stays in this
request: it goes into the header of these calls and nowhere else.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

import msgspec

from cds_service.chart.medications import unsent_medications
from cds_service.fhir.read import Sent, nothing_read, read
from cds_service.fhir.resources import Bundle
from cds_service.fhir.server import COUNT, FhirServer, Found, Get, NotReached, same_server
from cds_service.hooks.clients import Client
from cds_service.hooks.gate import Gate, Visit
from cds_service.hooks.prefetch import Malformed, Prefetch, State, state_of
from cds_service.hooks.profiles import DRAFT_MEDICATIONS
from cds_service.hooks.queries import query_of
from cds_service.hooks.request import Request
from cds_service.knowledge.services import Service
from cds_service.outgoing import Outgoing, OutgoingError

_log = logging.getLogger(__name__)
_K = TypeVar("_K")

Complete = Callable[[Request, Service], Request]
"""The request with what could be fetched for it; never raises for what a FHIR server does."""

AT_ONCE: Final = 8
"""Calls to a FHIR server that run at the same time for one request."""
_CHUNK: Final = 40
"""Medications that one search asks for."""
_PATIENCE: Final = 0.1
"""Seconds after the deadline in which calls that end by themselves are waited for."""
_BEARER: Final = re.compile(r"[\x21-\x7e]+")


def as_sent(request: Request, service: Service) -> Request:
    """The request as it came: nothing is fetched."""
    return request


class Completion:
    """Completes the requests of clients. All that is asked for one request ends after `seconds` and takes at most
    `longest` bytes. The certificates in `ca_bundle` (PEM) are trusted besides the usual ones. A FHIR server that hangs
    is waited for by a part of the threads only, and left alone for a while (`gate`).
    """

    def __init__(self, seconds: float, longest: int, ca_bundle: Path | None = None) -> None:
        self._seconds = seconds
        self._longest = longest
        self._ca_bundle = ca_bundle
        self._known: dict[str, _Access] = {}
        self._lock = Lock()

    def for_client(self, client: Client) -> Complete:
        """What completes the requests of `client`: `as_sent` when no FHIR server is registered for it."""
        if not client.fhir_servers:
            return as_sent
        with self._lock:
            access = self._known.get(client.name)
            if access is None or access.client is not client:
                access = self._known[client.name] = _Access(client, self._seconds, self._longest, self._ca_bundle)
        return access.complete


class _Access:
    """The way of one client's requests to its FHIR servers. Connections are first opened by the process that answers,
    are shared by its threads, and carry no token of their own.
    """

    def __init__(self, client: Client, seconds: float, longest: int, ca_bundle: Path | None) -> None:
        self.client = client
        self._seconds = seconds
        self._longest = longest
        self._ca_bundle = ca_bundle
        self._gate = Gate()
        self._outgoing: Outgoing | None = None
        self._lock = Lock()

    def complete(self, request: Request, service: Service) -> Request:
        """The request with what its FHIR server had of what is missing."""
        base = self._base(request, service)
        if base is None:
            return request
        deadline = time.monotonic() + self._seconds
        visit = Visit(self._gate, base)
        server = FhirServer(base, self._get(request.access_token, visit), deadline=deadline, longest=self._longest)
        completing = _Completing(request, service, server, visit, deadline)
        try:
            completing.keys()
            completing.medications(base)
        finally:
            visit.end()
        if visit.closed is not None:
            _log.warning("%s for %s: nothing is fetched now: %s", service.id, self.client.name, visit.closed)
        return msgspec.structs.replace(request, prefetch=completing.prefetch())

    def _base(self, request: Request, service: Service) -> str | None:
        """The registered URL of the server that the request names, when it may be asked."""
        named, token = request.fhir_server, request.access_token
        if named is None or not (self.client.open_fhir_server if token is None else _BEARER.fullmatch(token)):
            return None
        if not request.patient_id.strip("."):
            return None  # in a URL, `..` means the folder above
        base = next((own for own in self.client.fhir_servers if same_server(own, named)), None)
        sent = request.prefetch
        if base is None and (sent.absent or sent.failed or sent.partial):
            _log.warning("%s for %s: its fhirServer is not registered", service.id, self.client.name)
        return base

    def _get(self, token: str | None, visit: Visit) -> Get:
        headers = {"Accept": "application/fhir+json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"

        def get(url: str, deadline: float) -> tuple[int, bytes]:
            visit.asks()
            try:
                answer = self._opened().get(url, deadline=deadline, headers=headers)
            except OutgoingError as error:
                visit.hears(error.kind)
                raise NotReached(error.kind) from None
            visit.hears()
            return answer.status, answer.body

        return get

    def _opened(self) -> Outgoing:
        with self._lock:
            if self._outgoing is None:
                self._outgoing = Outgoing(
                    networks=self.client.networks, ca_bundle=self._ca_bundle, longest=self._longest
                )
            return self._outgoing


class _Completing:
    """One request while it is completed: what is known of each key, and what is still missing."""

    def __init__(self, request: Request, service: Service, server: FhirServer, visit: Visit, deadline: float) -> None:
        self._request = request
        self._service = service
        self._server = server
        self._visit = visit
        self._deadline = deadline
        sent = request.prefetch
        self._supplied = dict(sent.supplied)
        self._missing = {key: state for state in ("partial", "failed", "absent") for key in getattr(sent, state)}
        self._fetched: set[str] = set()
        self._unfetched: set[str] = set()

    def keys(self) -> None:
        """Ask for every missing key whose query can be written."""
        followed: set[str] = set()
        calls: dict[str, Callable[[], Found]] = {}
        for key in self._missing:
            query = query_of(self._service.prefetch[key], self._request)
            if query is None:
                continue
            link = self._request.prefetch.more.get(key)
            if link is not None and self._server.may_follow(link, query):
                followed.add(key)
                calls[key] = partial(self._server.follow, link, query)
            else:
                calls[key] = partial(self._server.ask, query)
        for key, found in self._ask(calls).items():
            self._take(key, found, goes_on=key in followed)

    def medications(self, base: str) -> None:
        """Ask for the Medications that orders point to and nobody sent."""
        reading, drafted = nothing_read(), nothing_read()
        for key, sents in self._supplied.items():
            for sent in sents:
                read(sent, key, reading)
        if self._request.draft_orders is not None:
            read(self._request.draft_orders, "draftOrders", drafted)
        of_drafts, stored = unsent_medications(reading, drafted, base)
        templates = self._service.prefetch.items()
        drafts_key = DRAFT_MEDICATIONS if DRAFT_MEDICATIONS in self._missing else None
        orders_key = next((key for key, one in templates if one.startswith("MedicationRequest?")), None)
        if drafts_key is None:
            of_drafts, stored = [], [*of_drafts, *stored]
        calls = {
            (key, at): partial(self._server.ask, f"Medication?_id={','.join(ids[at : at + _CHUNK])}&_count={COUNT}")
            for key, ids in ((drafts_key, of_drafts), (orders_key, stored))
            if key is not None
            for at in range(0, len(ids), _CHUNK)
        }
        found = self._ask(calls)
        if drafts_key is not None:
            mine = [one for (key, _), one in found.items() if key == drafts_key]
            pages = tuple(page for one in mine for page in one.pages)
            stopped = next((one.stopped for one in mine if one.stopped), None)
            self._take(drafts_key, Found(pages, stopped), goes_on=False)
        for (key, _), one in found.items():
            if key == orders_key and key is not None:
                self._add_medications(key, one)

    def prefetch(self) -> Prefetch:
        """The prefetch as it is now."""
        keys: dict[str, list[str]] = {"partial": [], "failed": [], "absent": []}
        for key in self._service.prefetch:
            if key in self._missing:
                keys[self._missing[key]].append(key)
        return Prefetch(
            supplied=self._supplied,
            partial=tuple(keys["partial"]),
            failed=tuple(keys["failed"]),
            absent=tuple(keys["absent"]),
            fetched=tuple(key for key in self._service.prefetch if key in self._fetched),
            unfetched=tuple(key for key in self._service.prefetch if key in self._unfetched),
        )

    def _ask(self, calls: Mapping[_K, Callable[[], Found]]) -> dict[_K, Found]:
        """What each call brings: nothing when the gate is closed."""
        if calls and not self._visit.may_ask():
            return dict.fromkeys(calls, Found((), self._visit.closed))
        return at_once(calls, self._deadline)

    def _take(self, key: str, found: Found, *, goes_on: bool) -> None:
        """Note what came for a key; with `goes_on` it continues what was sent."""
        states = [_judged(page, self._service.prefetch[key]) for page in found.pages]
        usable = tuple(page for page, state in zip(found.pages, states, strict=True) if state != "failed")
        whole = found.stopped is None and all(state in ("whole", "page") for state in states)
        if usable or whole:
            self._fetched.add(key)
            sent = () if whole and not goes_on else self._supplied.get(key, ())
            self._supplied[key] = (*sent, *usable)
        if whole:
            del self._missing[key]
            return
        if usable:
            self._missing[key] = "partial"
        self._unfetched.add(key)
        if self._visit.closed is not None:
            return
        _log.warning(
            "%s: prefetch key %s could not be fetched%s: %s",
            self._service.id,
            key,
            " whole" if usable else "",
            found.stopped or "it is not what a FHIR server answers, or tells of an error",
        )

    def _add_medications(self, key: str, found: Found) -> None:
        usable = tuple(page for page in found.pages if _judged(page, "Medication?") != "failed")
        if usable:
            self._supplied[key] = (*self._supplied.get(key, ()), *usable)
            self._fetched.add(key)
        if self._visit.closed is None and (found.stopped is not None or len(usable) < len(found.pages)):
            _log.warning("%s: Medications could not be fetched: %s", self._service.id, found.stopped or "an error")


def at_once(calls: Mapping[_K, Callable[[], Found]], deadline: float) -> dict[_K, Found]:
    """What each call brings, some at the same time; one that has not ended soon after `deadline` brings nothing."""
    if not calls:
        return {}
    pool = ThreadPoolExecutor(min(len(calls), AT_ONCE), thread_name_prefix="fhir")
    try:
        running = {key: pool.submit(call) for key, call in calls.items()}
        wait(running.values(), max(0.0, deadline - time.monotonic()) + _PATIENCE)
        return {key: one.result() if one.done() else Found((), "timeout") for key, one in running.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _judged(page: Sent, template: str) -> State:
    """What a page of an answer to a template holds; what no FHIR server answers counts as failed."""
    if not bytes(page.raw):
        return "failed"
    if page.error is None and (page.resource is None or ("?" not in template and isinstance(page.resource, Bundle))):
        return "failed"
    try:
        return state_of(page, template)
    except Malformed:
        return "failed"
