"""Symptoms, signs and diagnoses: Conditions, Observations that are present, reasons of the current encounter and of
drafts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, get_args

from cds_service.chart.answers import concepts_in, is_present, keys_of
from cds_service.chart.codes import Codes
from cds_service.chart.concepts import BARE, Named
from cds_service.chart.items import Date, Finding, Side
from cds_service.chart.moment import Moment, period_end, period_start
from cds_service.chart.subject import name_of
from cds_service.fhir.lists import is_given
from cds_service.fhir.read import Unreadable
from cds_service.fhir.references import relative
from cds_service.fhir.resources import CodeableConcept, Condition, Encounter, Entry, Observation
from cds_service.fhir.uncertain import Span, Unknown

_ACTIVE: Final = frozenset({"active", "recurrence", "relapse"})
_OVER: Final = frozenset({"inactive", "remission", "resolved"})
_REFUSED: Final = frozenset({"refuted", "entered-in-error"})
_PRESENT_STATUS: Final = frozenset({"final", "amended", "corrected"})

Found = dict[str, list[Finding]]


class FindingReader:
    """Reads what is a finding of one of our groups; `findings` and `conditions` hold them by leaf group."""

    def __init__(self, codes: Codes, moment: Moment, visits: list[Entry], here: Entry | None) -> None:
        """`visits` are the encounters of the patient, `here` is the current one."""
        self.findings: Found = {}
        self.conditions: Found = {}
        self.unreadable: list[Unreadable] = []
        self._codes = codes
        self._moment = moment
        self._visits = visits
        self._starts: dict[str, str | None] | None = None
        self._named: set[str] = set()
        self._reasons: set[str] = set()
        if here is not None and isinstance(here.resource, Encounter):
            encounter = here.resource
            since = moment.read(period_start(encounter.period))
            self._named = {relative(one.reference) for one in encounter.reasonReference or () if one.reference}
            self.reasons(encounter.reasonCode or [], name_of(here), since)
            self._reasons = set(self.findings)

    def conditions_of(self, entries: list[Entry]) -> None:
        """Add the Conditions of our groups; one whose status makes no sense is unreadable."""
        named_by = self._codes.concepts.named
        for entry in entries:
            condition: Any = entry.resource
            named = named_by(condition.code)
            if named:
                reference = name_of(entry)
                try:
                    self._condition(condition, reference, named)
                except ValueError as error:
                    self.unreadable.append(Unreadable(reference, str(error)))
            elif self._codes.concepts.lacks_system(condition.code):
                self.unreadable.append(Unreadable(name_of(entry), BARE, "conditions"))

    def _condition(self, condition: Condition, reference: str, named: tuple[Named, ...]) -> None:
        if _codes(condition.verificationStatus) & _REFUSED:
            return
        sites = condition.bodySite or []
        onset, exact = self._onset(condition)
        recorded = self._moment.read(condition.recordedDate)
        if isinstance(onset, int | Span) and self._moment.is_future(onset):
            raise ValueError("dated in the future")
        active = self._is_active(condition)
        for group, side in self._groups(named, sites):
            finding = Finding(
                id=reference,
                group=group,
                name=self._codes.findings[group].name,
                severity=self._severity(condition.severity),
                side=self._side(side, sites),
                onset=onset,
                recorded=recorded,
                age=self._moment.age(onset),
                exact=exact,
                active=active,
                reason_now=active and (reference in self._named or group in self._reasons),
            )
            self.findings.setdefault(group, []).append(finding)
            self.conditions.setdefault(group, []).append(finding)

    def observation(self, observation: Observation, reference: str, named: tuple[Named, ...]) -> None:
        """Add a symptom or sign that an Observation says is present; one that does not say is unreadable."""
        if observation.status not in _PRESENT_STATUS:
            return
        present = is_present(observation, self._codes.qualifiers)
        if present is None and observation.dataAbsentReason is None:
            self.unreadable.append(Unreadable(reference, "no value that says whether it is present"))
        if not present:
            return
        moment = self._moment
        onset = moment.first(
            observation.effectiveDateTime,
            observation.effectiveInstant,
            period_start(observation.effectivePeriod),
            observation.issued,
        )
        if isinstance(onset, int | Span) and moment.is_future(onset):
            self.unreadable.append(Unreadable(reference, "dated in the future"))
            return
        sites = concepts_in(observation.bodySite)
        for group, side in self._groups(named, sites):
            self.findings.setdefault(group, []).append(
                Finding(
                    id=reference,
                    group=group,
                    name=self._codes.findings[group].name,
                    side=self._side(side, sites),
                    onset=onset,
                    recorded=moment.read(observation.issued),
                    age=moment.age(onset),
                    exact=_is_exact(onset),
                    reason_now=reference in self._named or group in self._reasons,
                )
            )

    def reasons_of_drafts(self, drafts: list[Entry]) -> None:
        """Add the reasons of draft orders, since the date of the order, or since now."""
        for entry in drafts:
            request: Any = entry.resource
            since = self._moment.read(request.authoredOn)
            self.reasons(request.reasonCode or [], name_of(entry), self._moment.now if since is None else since)

    def reasons(self, concepts: Iterable[CodeableConcept], reference: str, since: Date) -> None:
        """Add the reasons of the current encounter or of a draft order: present now, whenever they began.

        `since` is the start of the encounter or the date of the order; the onset itself is not known.
        """
        for concept in concepts:
            for group, side in self._groups(self._codes.concepts.named(concept), []):
                self.findings.setdefault(group, []).append(
                    Finding(
                        id=reference,
                        group=group,
                        name=self._codes.findings[group].name,
                        side=side,
                        onset=since,
                        recorded=since,
                        age=self._moment.age(since),
                        exact=False,
                        reason_now=True,
                    )
                )

    def _groups(self, named: tuple[Named, ...], sites: list[CodeableConcept]) -> list[Named]:
        """The groups of a finding once its site is known."""
        qualifiers = self._codes.qualifiers
        on_leg = any(key in qualifiers.leg for site in sites for key in keys_of(site))
        elsewhere = not on_leg and not all(any(key in qualifiers.side for key in keys_of(site)) for site in sites)
        groups: dict[str, Named] = {}
        for group, side in named:
            if elsewhere and group in qualifiers.only_leg:
                continue
            if on_leg:
                group = qualifiers.on_leg.get(group, group)
            if group not in groups or groups[group].side is None:
                groups[group] = Named(group, side)
        for general, particular in qualifiers.on_leg.items():
            if general in groups and any(leaf in groups for leaf in self._codes.findings[particular].leaves):
                del groups[general]
        return list(groups.values())

    def _side(self, side: Side | None, sites: list[CodeableConcept]) -> Side | None:
        if side is not None or not sites:
            return side
        sides = {self._codes.qualifiers.side.get(key) for site in sites for key in keys_of(site)} - {None}
        if {"left", "right"} <= sides or "both" in sides:
            return "both"
        return next((one for one in get_args(Side) if one in sides), None)

    def _severity(self, concept: CodeableConcept | None) -> str | None:
        if concept is None:
            return None
        known = self._codes.qualifiers.severity
        return next((known[key] for key in keys_of(concept) if key in known), None)

    def _onset(self, condition: Condition) -> tuple[Date, bool]:
        """Onset, else the start of the onset period, else the date of recording, else the start of its encounter."""
        onset = self._moment.first(condition.onsetDateTime, period_start(condition.onsetPeriod))
        if onset is not None:
            return onset, _is_exact(onset)
        started = None
        if condition.recordedDate is None and condition.encounter is not None and condition.encounter.reference:
            started = self._start_of_visit(condition.encounter.reference)
        return self._moment.first(condition.recordedDate, started), False

    def _start_of_visit(self, reference: str) -> str | None:
        if self._starts is None:
            self._starts = {}
            for entry in self._visits:
                start = period_start(entry.resource.period) if isinstance(entry.resource, Encounter) else None
                self._starts[name_of(entry)] = self._starts[entry.fullUrl or ""] = start
        return self._starts.get(reference) or self._starts.get(relative(reference))

    def _is_active(self, condition: Condition) -> bool:
        status = _codes(condition.clinicalStatus)
        if condition.clinicalStatus is not None and status and not status & (_ACTIVE | _OVER):
            raise ValueError("a clinicalStatus that is not known")
        abated = condition.abatementString is not None
        abated = abated or is_given(condition.abatementAge) or is_given(condition.abatementRange)
        for text in (condition.abatementDateTime, period_end(condition.abatementPeriod)):
            abated = abated or self._moment.is_past(self._moment.read(text))
        return not abated and not status & _OVER


def _codes(concept: CodeableConcept | None) -> set[str]:
    return {coding.code.strip() for coding in (concept.coding if concept else None) or () if coding.code}


def _is_exact(date: Date) -> bool:
    if isinstance(date, Span):
        return date.precision == "day"
    return not (date is None or isinstance(date, Unknown))
