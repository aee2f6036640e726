"""One installation of the service: who may call it, what it knows, what it remembers, and who watches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from cds_service.history import NOTHING, History
from cds_service.hooks.authentication import Authenticator
from cds_service.hooks.call import Answer, Steps, answer, unreadable_resources
from cds_service.hooks.clients import LOCAL, Client, Clients
from cds_service.hooks.completion import Completion
from cds_service.hooks.discovery import discovery
from cds_service.hooks.errors import Unavailable
from cds_service.hooks.feedback import FeedbackEntry
from cds_service.hooks.request import Request
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.services import Service
from cds_service.operating.metrics import Part
from cds_service.operating.reasons import reason_kind
from cds_service.operating.record import CallRecord, Observe
from cds_service.store.database import Unwritable
from cds_service.store.feedback import FeedbackStore
from cds_service.store.memory import CardMemory
from cds_service.store.uuids import is_uuid

NoteFailure = Callable[[Part, str], None]
"""Takes note that a part (`memory`, `feedback`) failed, and of the kind of error."""
_NO_FEEDBACK: Final = "The feedback could not be stored."


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Answers the calls of CDS clients (`hooks.views.Service`).

    Without `authenticator` nobody is registered and every caller is `LOCAL`. `keys` makes patients and clinicians
    unrecognisable, also in the audit trail; `memory` holds the cards that were shown, None when it is switched off.
    When the database is down the cards flow all the same; only feedback is refused, so that the client sends it again.
    """

    knowledge: Knowledge
    clients: Clients
    discoveries: Mapping[str, bytes]
    authenticator: Authenticator | None
    completion: Completion
    keys: CardMemory
    memory: CardMemory | None
    feedback: FeedbackStore
    observers: tuple[Observe, ...]
    note_failure: NoteFailure

    def identify(
        self, authorization: str | None, url: Callable[[], str], path: str, service_id: str | None, now: int
    ) -> Client:
        """The client that calls `path`, reached as `url` says. Raises Unauthorized, or Forbidden."""
        if self.authenticator is None:
            return LOCAL
        public = self.clients.public_url
        called = url() if public is None else public.rstrip("/") + path
        urls = (called, called.rstrip("/").removesuffix("/feedback"))
        return self.authenticator.client_of(authorization, urls, service_id, now)

    def discover(self, client: Client) -> bytes:
        """The JSON of discovery: the services that the client may call, in the version it speaks."""
        return self.discoveries[client.name]

    def respond(self, client: Client, service_id: str, body: bytes, record: CallRecord) -> bytes:
        """The JSON of a response; what came of it is noted in `record`. Raises Refused."""
        steps = Steps()
        record.seconds = steps.seconds
        fetch = self.completion.for_client(client)

        def complete(request: Request, service: Service) -> Request:
            self._note_request(client, request, record)
            completed = fetch(request, service)
            record.fetched = len(completed.prefetch.fetched)
            return completed

        answered = answer(
            self.knowledge,
            service_id,
            body,
            record.at,
            client=client,
            complete=complete,
            recall=lambda request: self._recall(client, request, record.at),
            steps=steps,
        )
        _note(answered, record)
        if self.memory is not None and answered.cards:
            try:
                self.memory.record(client.name, answered, record.at)
            except Unwritable as error:
                self.note_failure("memory", str(error))
            steps.done("memory")
        return answered.body

    def save_feedback(self, client: Client, service_id: str, entries: Sequence[FeedbackEntry], now: int) -> None:
        """Keep feedback, all of it or none. Raises Unavailable."""
        try:
            self.feedback.save(client.name, service_id, entries, now)
        except Unwritable as error:
            self.note_failure("feedback", str(error))
            raise Unavailable([_NO_FEEDBACK]) from error

    def observe(self, record: CallRecord) -> None:
        """Take note of a call that has been answered."""
        for observe in self.observers:
            observe(record)

    def _recall(self, client: Client, request: Request, now: int) -> History:
        if self.memory is None:
            return NOTHING
        try:
            return self.memory.history(client.name, request, now)
        except Unwritable as error:
            self.note_failure("memory", str(error))
            return NOTHING

    def _note_request(self, client: Client, request: Request, record: CallRecord) -> None:
        record.hook_instance = request.hook_instance if is_uuid(request.hook_instance) else None
        record.patient = self.keys.patient(client.name, request.patient_id)
        record.clinician = self.keys.clinician(client.name, request.user_id)


def _note(answered: Answer, record: CallRecord) -> None:
    chart = answered.judgement.chart
    record.outcomes = Counter(placement.kind for placement in answered.selection.placements.values())
    record.cards = tuple((shown.id, shown.indicator) for shown in answered.selection.cards)
    record.unreadable = Counter(reason_kind(one["reason"]) for one in unreadable_resources(chart))
    record.not_supplied = len(chart.not_supplied)


def discoveries(knowledge: Knowledge, clients: Sequence[Client]) -> dict[str, bytes]:
    """The JSON of discovery for each client, by its name."""
    found = {}
    for client in clients:
        allowed = [one for one in knowledge.services if not client.services or one.id in client.services]
        found[client.name] = discovery(allowed, client.profile)
    return found
