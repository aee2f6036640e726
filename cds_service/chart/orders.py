"""Orders and what was done: requests, procedures, reports."""

from __future__ import annotations

from typing import Final

from cds_service.chart.codes import Codes, look_up
from cds_service.chart.items import Order, Procedure
from cds_service.chart.moment import Moment, period_end, period_start
from cds_service.chart.subject import Subject
from cds_service.chart.words import whole_text
from cds_service.fhir.read import Reading, Unreadable
from cds_service.fhir.resources import CodeableConcept, DiagnosticReport, ServiceRequest
from cds_service.fhir.resources import Procedure as ProcedureResource
from cds_service.fhir.uncertain import Span, Unknown

_OPEN: Final = {"active": "active", "on-hold": "on-hold", "draft": "planned"}
_REPORTED: Final = frozenset({"final", "amended", "corrected", "appended"})


def order_groups(concept: CodeableConcept | None, codes: Codes) -> tuple[str, ...]:
    """The groups that are ordered or done: by code (a test, a panel that contains it, an image), or by whole text."""
    if concept is None:
        return ()
    found: dict[str, None] = {}
    for coding in concept.coding or ():
        found.update(dict.fromkeys(look_up(codes.order_codes, coding)))
        if coding.display:
            found.update((group, None) for group, _ in codes.order_phrases.get(whole_text(coding.display), ()))
    if concept.text:
        found.update((group, None) for group, _ in codes.order_phrases.get(whole_text(concept.text), ()))
    return tuple(found)


class OrderReader:
    """Reads open orders, and completed procedures and reports, of our groups.

    `placed` are the draft ServiceRequests of this very request; a draft on the chart that is not among them is `planned`.
    """

    def __init__(self, codes: Codes, moment: Moment) -> None:
        self.orders: dict[str, list[Order]] = {}
        self.procedures: dict[str, list[Procedure]] = {}
        self.placed: list[tuple[ServiceRequest, str]] = []
        self.unreadable: list[Unreadable] = []
        self._codes = codes
        self._moment = moment

    def read(self, subject: Subject, reading: Reading, drafted: Reading) -> None:
        """Read the drafts and what is on the chart; a draft replaces the order of the same id."""
        self.placed = subject.own(drafted, ServiceRequest)
        names = {reference for _, reference in self.placed}
        for request, reference in self.placed:
            self._order(request, reference, "draft")
        for request, reference in subject.own(reading, ServiceRequest):
            if reference not in names:
                self._order(request, reference, _OPEN.get(request.status or ""))
        for procedure, reference in subject.own(reading, ProcedureResource):
            if procedure.status == "completed":
                period = procedure.performedPeriod
                dates = procedure.performedDateTime, period_end(period), period_start(period)
                self._done(reference, procedure.code, dates)
        for report, reference in subject.own(reading, DiagnosticReport):
            if report.status in _REPORTED:
                dates = report.effectiveDateTime, period_end(report.effectivePeriod), report.issued
                self._done(reference, report.code, dates)

    def _order(self, request: ServiceRequest, reference: str, status: str | None) -> None:
        if status is None or request.doNotPerform is True:
            return
        groups = order_groups(request.code, self._codes)
        if not groups:
            return
        moment = self._moment
        date = moment.read(request.authoredOn)
        if status == "draft" and date is None:
            date = moment.now
        planned = moment.first(request.occurrenceDateTime, period_start(request.occurrencePeriod))
        for group in groups:
            order = Order(id=reference, group=group, status=status, date=date, planned=planned, age=moment.age(date))
            self.orders.setdefault(group, []).append(order)

    def _done(self, reference: str, concept: CodeableConcept | None, dates: tuple[str | None, ...]) -> None:
        groups = order_groups(concept, self._codes)
        if not groups:
            return
        date = self._moment.first(*dates)
        if isinstance(date, Unknown):
            self.unreadable.append(Unreadable(reference, "a date that cannot be read"))
        elif isinstance(date, int | Span) and self._moment.is_future(date):
            self.unreadable.append(Unreadable(reference, "dated in the future"))
        else:
            for group in groups:
                done = Procedure(id=reference, group=group, date=date, age=self._moment.age(date))
                self.procedures.setdefault(group, []).append(done)
