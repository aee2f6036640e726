"""One call from its bytes to the bytes of the answer: request, chart, outcomes, selection, cards.

The web service, the command line and the cases of the cards all take this way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cds_service.chart.chart import Chart, build_chart
from cds_service.chart.codes import Codes
from cds_service.evaluate import Judgement, evaluate
from cds_service.history import NOTHING, History
from cds_service.hooks.cards import EXTENSION, CardWriter
from cds_service.hooks.clients import LOCAL, Client
from cds_service.hooks.completion import Complete, as_sent
from cds_service.hooks.errors import NotFound
from cds_service.hooks.prefetch import require_prefetch
from cds_service.hooks.profiles import cards_for, service_for
from cds_service.hooks.request import Request, read_request
from cds_service.hooks.response import Card, response, with_uuids
from cds_service.knowledge.knowledge import Knowledge
from cds_service.select import Selection, select

_NAMED_AT_MOST: Final = 50
"""Unreadable resources that an answer names one by one; the rest are counted."""

Recall = Callable[[Request], History]
"""What is remembered of the patient of a request. What it raises is the caller's."""


class Steps:
    """The seconds that each step of a call took, by name, in their order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at = time.perf_counter()

    def done(self, step: str) -> None:
        """Note that `step` ends now and the next one begins."""
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._at
        self._at = now


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """An answer with all that led to it. `cards` are as we write them, `body` as the client takes them."""

    request: Request
    judgement: Judgement
    selection: Selection
    cards: list[Card]
    extension: dict[str, Any]
    body: bytes


def answer(
    knowledge: Knowledge,
    service_id: str,
    body: bytes,
    now: int,
    *,
    client: Client = LOCAL,
    complete: Complete = as_sent,
    recall: Recall | None = None,
    steps: Steps | None = None,
) -> Answer:
    """The answer of a service to a request of `client` at `now` (milliseconds since 1970 UTC).

    `complete` fetches what prefetch left out, `recall` remembers what the patient's clinicians were shown before.
    Raises Refused (its subclasses) when the request is wrong or lacks required data.
    """
    steps = steps or Steps()
    known = knowledge.service(service_id)
    if known is None:
        raise NotFound("No service has this id.")
    service = service_for(known, client.profile)
    request = read_request(body, service, client)
    steps.done("request")
    request = complete(request, service)
    steps.done("fetch")
    require_prefetch(request.prefetch, service)
    chart = chart_of(request, knowledge.codes, now)
    steps.done("chart")
    judgement = evaluate(chart, knowledge)
    steps.done("outcomes")
    selection = select(judgement, _history(judgement, request, recall))
    steps.done("selection")
    writer = CardWriter(judgement)
    cards = with_uuids(cards_for(writer.cards(selection), client))
    extension = _extension(judgement, writer)
    encoded = response(cards, extension, request.patient_id, client.profile)
    steps.done("cards")
    return Answer(request, judgement, selection, cards, extension, encoded)


def _history(judgement: Judgement, request: Request, recall: Recall | None) -> History:
    """What is remembered, when there is anything to withhold."""
    if recall is None or not any(one.verdict == "holds" and not one.not_for for one in judgement.outcomes):
        return NOTHING
    return recall(request)


def chart_of(request: Request, codes: Codes, now: int) -> Chart:
    """The chart of the patient that a request is about."""
    sent = request.prefetch
    reasons = dict.fromkeys(sent.absent, "was not supplied")
    reasons.update(dict.fromkeys(sent.failed, "could not be had by the client"))
    reasons.update(dict.fromkeys(sent.partial, "was supplied in part only"))
    reasons.update({key: "could not be fetched" for key in sent.unfetched if key not in sent.partial})
    return build_chart(
        codes=codes,
        now=now,
        patient_id=request.patient_id,
        prefetch=sent.supplied,
        not_supplied=reasons,
        hook=request.hook,
        draft_orders=request.draft_orders,
        selections=request.selections,
        encounter_id=request.encounter_id,
        server=request.fhir_server,
    )


def _extension(judgement: Judgement, writer: CardWriter) -> dict[str, Any]:
    """What could not be judged, read or had: named in the answer, so that an empty one is never unexplained."""
    chart = judgement.chart
    found: dict[str, Any] = {}
    if writer.not_judged and not writer.told_of_not_judged:
        found[f"{EXTENSION}.not-judged"] = writer.not_judged
    unreadable = unreadable_resources(chart)
    if unreadable:
        found[f"{EXTENSION}.unreadable"] = {"count": len(unreadable), "resources": unreadable[:_NAMED_AT_MOST]}
    if chart.not_supplied:
        found[f"{EXTENSION}.not-supplied"] = sorted(chart.not_supplied)
    return found


def unreadable_resources(chart: Chart) -> list[dict[str, str]]:
    """Each resource that was judged without, and why; in the same order, however they arrived."""
    found = [{"resource": one.resource, "reason": one.reason} for one in chart.unreadable]
    found += [{"resource": one, "reason": "it is about another patient"} for one in chart.foreign]
    return sorted(found, key=lambda one: (one["resource"], one["reason"]))
