"""Orders and what was done: requests, procedures, reports."""

from __future__ import annotations

from typing import Any, Final

from cds_service.chart.codes import Codes
from cds_service.chart.items import Order, Procedure
from cds_service.chart.moment import Moment, is_before, period_end, period_start
from cds_service.chart.subject import Subject, name_of
from cds_service.fhir.read import Reading, Unreadable
from cds_service.fhir.resources import DiagnosticReport, Entry, ServiceRequest
from cds_service.fhir.resources import Procedure as ProcedureResource
from cds_service.fhir.uncertain import Span, Unknown

_OPEN: Final = {"active": "active", "on-hold": "on-hold", "draft": "planned"}
_NOT_ORDERED: Final = frozenset({"proposal", "plan", "option"})
_REPORTED: Final = frozenset({"final", "amended", "corrected", "appended"})


class OrderReader:
    """Reads open orders, and completed procedures and reports, of our groups.

    `placed` are the draft ServiceRequests of this very request; a draft on the chart that is not among them is
    `planned`.
    """

    def __init__(self, codes: Codes, moment: Moment) -> None:
        self.orders: dict[str, list[Order]] = {}
        self.procedures: dict[str, list[Procedure]] = {}
        self.placed: list[Entry] = []
        self.unreadable: list[Unreadable] = []
        self._named = codes.ordered.named
        self._moment = moment
        self._since = codes.cutoffs(moment.now, "procedures")

    def read(self, subject: Subject, reading: Reading, drafted: Reading) -> None:
        """Read the drafts and what is on the chart; a draft replaces the order of the same id."""
        self.placed = subject.own(drafted.entries[ServiceRequest], drafts=True)
        names = {name_of(entry) for entry in self.placed} - {"ServiceRequest"}
        for entry in self.placed:
            self._order(entry, "draft")
        request: Any
        for entry in subject.own(reading.entries[ServiceRequest]):
            request = entry.resource
            if name_of(entry) not in names and request.intent not in _NOT_ORDERED:
                self._order(entry, _OPEN.get(request.status or ""))
        for entry in subject.own(reading.entries[ProcedureResource]):
            procedure: Any = entry.resource
            period = procedure.performedPeriod
            if procedure.status == "completed":
                self._done(entry, procedure.performedDateTime, period_end(period), period_start(period))
        for entry in subject.own(reading.entries[DiagnosticReport]):
            report: Any = entry.resource
            if report.status in _REPORTED:
                self._done(entry, report.effectiveDateTime, period_end(report.effectivePeriod), report.issued)

    def _order(self, entry: Entry, status: str | None) -> None:
        request: Any = entry.resource
        if status is None or request.doNotPerform is True:
            return
        groups = self._named(request.code)
        if not groups:
            return
        moment = self._moment
        reference = name_of(entry)
        date = moment.read(request.authoredOn)
        if status == "draft" and date is None:
            date = moment.now
        planned = moment.first(request.occurrenceDateTime, period_start(request.occurrencePeriod))
        for group in dict.fromkeys(group for group, _ in groups):
            order = Order(id=reference, group=group, status=status, date=date, planned=planned, age=moment.age(date))
            self.orders.setdefault(group, []).append(order)

    def _done(self, entry: Entry, *dates: str | None) -> None:
        done: Any = entry.resource
        groups = self._named(done.code)
        if not groups:
            return
        written = next((date for date in dates if date is not None), None)
        since = self._since
        wanted = [group for group, _ in groups if not is_before(written, since.get(group))]
        if not wanted:
            return
        date = self._moment.read(written)
        reference = name_of(entry)
        if isinstance(date, Unknown):
            self.unreadable.append(Unreadable(reference, "a date that cannot be read"))
        elif isinstance(date, int | Span) and self._moment.is_future(date):
            self.unreadable.append(Unreadable(reference, "dated in the future"))
        else:
            age = self._moment.age(date)
            for group in dict.fromkeys(wanted):
                item = Procedure(id=reference, group=group, date=date, age=age)
                self.procedures.setdefault(group, []).append(item)
