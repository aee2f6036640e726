"""Dates of reports, for the results that carry none themselves."""

from __future__ import annotations

from typing import Any, Final

from cds_service.chart.moment import period_end
from cds_service.chart.subject import Subject, name_of
from cds_service.fhir.lists import lists_of
from cds_service.fhir.references import relative
from cds_service.fhir.resources import Entry, Reference

_references: Final = lists_of(Reference)


class ReportDates:
    """The date of the DiagnosticReport that names a result, as written; found when it is first needed.

    DiagnosticReport.effective is the time that its results relate to (https://hl7.org/fhir/R4/diagnosticreport.html).
    """

    def __init__(self, reports: list[Entry], subject: Subject) -> None:
        self._reports = reports
        self._subject = subject
        self._dates: dict[str, str] | None = None

    def __call__(self, entry: Entry) -> str | None:
        """The date for the Observation of an entry; None when no report with a date names it."""
        if self._dates is None:
            self._dates = self._read()
        return self._dates.get(entry.fullUrl or "") or self._dates.get(name_of(entry))

    def _read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for entry in self._reports:
            report: Any = entry.resource
            if report.subject is not None and not self._subject.owns(report.subject, entry.fullUrl):
                continue
            date = report.effectiveDateTime or period_end(report.effectivePeriod) or report.issued
            if date is not None:
                for reference in _references(report.result):
                    if reference.reference is not None:
                        found[reference.reference] = found[relative(reference.reference)] = date
        return found
