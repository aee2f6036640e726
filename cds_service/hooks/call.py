"""One call from its bytes to the bytes of the answer: request, chart, outcomes, selection, cards.

The web service, the command line and the cases of the cards all take this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cds_service.chart.chart import Chart, build_chart
from cds_service.chart.codes import Codes
from cds_service.evaluate import Judgement, evaluate
from cds_service.hooks.cards import EXTENSION, CardWriter
from cds_service.hooks.errors import NotFound
from cds_service.hooks.request import Request, read_request
from cds_service.hooks.response import Card, response, with_uuids
from cds_service.knowledge.knowledge import Knowledge
from cds_service.select import Selection, select

_NAMED_AT_MOST: Final = 50
"""Unreadable resources that an answer names one by one; the rest are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """An answer with all that led to it."""

    request: Request
    judgement: Judgement
    selection: Selection
    cards: list[Card]
    extension: dict[str, Any]
    body: bytes


def answer(
    knowledge: Knowledge, service_id: str, body: bytes, now: int, history: Mapping[str, str] | None = None
) -> Answer:
    """The answer of a service to a request at `now` (milliseconds since 1970 UTC).

    Raises Refused (its subclasses) when the request is wrong or lacks required data.
    """
    service = knowledge.service(service_id)
    if service is None:
        raise NotFound("No service has this id.")
    request = read_request(body, service)
    judgement = evaluate(chart_of(request, knowledge.codes, now), knowledge)
    selection = select(judgement, history)
    writer = CardWriter(judgement)
    cards = with_uuids(writer.cards(selection))
    extension = _extension(judgement, writer)
    return Answer(request, judgement, selection, cards, extension, response(cards, extension, request.patient_id))


def chart_of(request: Request, codes: Codes, now: int) -> Chart:
    """The chart of the patient that a request is about."""
    sent = request.prefetch
    reasons = dict.fromkeys(sent.absent, "was not supplied")
    reasons.update(dict.fromkeys(sent.failed, "could not be had by the client"))
    reasons.update(dict.fromkeys(sent.partial, "was supplied in part only"))
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
