"""The chart: all that is known of one patient at one time, by code group, made from what a client sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec import Raw

from cds_service.chart import items
from cds_service.chart.codes import Codes
from cds_service.chart.conditions import FindingReader
from cds_service.chart.derived import add_derived
from cds_service.chart.encounters import current, read_encounters
from cds_service.chart.haemolysis import Signs, haemolysed_specimens
from cds_service.chart.items import Date, Finding, Result, UnreadableResult
from cds_service.chart.medications import MedicationReader
from cds_service.chart.moment import Moment, last
from cds_service.chart.observations import ObservationReader
from cds_service.chart.orders import OrderReader
from cds_service.chart.patient import read_patient
from cds_service.chart.reports import ReportDates
from cds_service.chart.results import ResultReader
from cds_service.chart.sent import RawResources
from cds_service.chart.subject import Subject, name_of, sole_patient
from cds_service.chart.versions import DISPUTED
from cds_service.fhir.read import Reading, Sent, Unreadable, nothing_read, read
from cds_service.fhir.resources import Condition, DiagnosticReport, Encounter, Entry, Observation, Patient, Specimen
from cds_service.fhir.uncertain import DAY, Interval

DRAFTS: Final = "draftOrders"
"""The name under which problems of draft orders are reported, in place of a prefetch key."""


@dataclass(slots=True, kw_only=True)
class Chart:
    """What is known of one patient at `now` (milliseconds).

    Lists stand by code group: results newest first; findings and conditions by leaf group, of any status; medications
    of every status but cancelled and entered in error. `not_supplied` says why a prefetch key is missing; `unreadable`
    names what was left out and why, `foreign` the resources of other patients, `skipped` counts types that are not
    read. `drafts` are the references of the orders being placed, `selected` those that were selected.
    """

    now: int
    hook: str
    patient_id: str
    gender: str | None = None
    birth: Date = None
    age_years: float | Interval | None = None
    age_months: float | Interval | None = None
    results: dict[str, list[Result]] = field(default_factory=dict)
    preliminary: dict[str, list[Result]] = field(default_factory=dict)
    unreadable_results: dict[str, list[UnreadableResult]] = field(default_factory=dict)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    conditions: dict[str, list[Finding]] = field(default_factory=dict)
    medications: dict[str, list[items.Medication]] = field(default_factory=dict)
    unresolved_medications: list[str] = field(default_factory=list)
    orders: dict[str, list[items.Order]] = field(default_factory=dict)
    procedures: dict[str, list[items.Procedure]] = field(default_factory=dict)
    encounters: dict[str, list[items.Encounter]] = field(default_factory=dict)
    current_encounter: items.Encounter | None = None
    not_supplied: Mapping[str, str] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    raw: RawResources = field(default_factory=lambda: RawResources(()))
    drafts: list[str] = field(default_factory=list)
    selected: set[str] = field(default_factory=set)

    def with_preliminary(self, group: str) -> list[Result]:
        """The results of a group, led by those preliminary ones that are newer than the newest final by more than a
        day.
        """
        final = self.results.get(group, [])
        early = self.preliminary.get(group, [])
        if final:
            newest = last(final[0].date)
            early = [result for result in early if last(result.date) > newest + DAY]
        return [*early, *final]


def build_chart(
    *,
    codes: Codes,
    now: int,
    patient_id: str,
    prefetch: Mapping[str, Sent | Raw | bytes | tuple[Sent, ...] | None],
    not_supplied: Mapping[str, str],
    hook: str,
    draft_orders: Raw | bytes | None = None,
    selections: Iterable[str] = (),
    encounter_id: str | None = None,
    server: str | None = None,
) -> Chart:
    """The chart of a patient at `now` (milliseconds) from the JSON of each prefetch key.

    A key may hold a resource of any type, a Bundle, several of them, or None (known to be empty); its name does not
    matter. `server` is the FHIR server's address, when known. Never raises for what is in the data: what cannot be read
    is named in `Chart.unreadable`, what belongs to another patient in `Chart.foreign`.
    """
    reading, drafted = nothing_read(), nothing_read()
    everything: list[Sent | Raw | bytes] = []
    for key, sent in prefetch.items():
        for one in sent if isinstance(sent, tuple) else (sent,):
            if one is not None:
                read(one, key, reading)
                everything.append(one)
    if draft_orders is not None:
        read(draft_orders, DRAFTS, drafted)
    chart = Chart(
        now=now,
        hook=hook,
        patient_id=patient_id,
        not_supplied=not_supplied,
        selected=set(selections),
        skipped=reading.skipped,
        raw=RawResources(everything, draft_orders),
    )
    subject = Subject(patient_id, reading.entries[Patient], server)
    _fill(chart, codes, subject, reading, drafted, encounter_id)
    return chart


def read_bundle_chart(
    raw: Raw | bytes,
    *,
    codes: Codes,
    now: int,
    patient_id: str | None = None,
    hook: str = "patient-view",
    encounter_id: str | None = None,
) -> Chart:
    """The chart of a whole-patient Bundle; the patient is its first Patient unless one is named. Never raises."""
    reading = nothing_read()
    read(raw, "bundle", reading)
    if patient_id is None:
        patient_id = sole_patient(reading) or ""
    chart = Chart(now=now, hook=hook, patient_id=patient_id, skipped=reading.skipped, raw=RawResources([raw]))
    _fill(chart, codes, Subject(patient_id, reading.entries[Patient]), reading, nothing_read(), encounter_id)
    return chart


def _fill(
    chart: Chart, codes: Codes, subject: Subject, reading: Reading, drafted: Reading, encounter_id: str | None
) -> None:
    """Read the entries of each type into the chart."""
    moment = Moment(chart.now)
    person = read_patient(subject.patient, moment)
    chart.gender, chart.birth = person.gender, person.birth
    chart.age_years, chart.age_months = person.age_years, person.age_months

    visits = subject.own(reading.entries[Encounter])
    here = next((visit for visit in visits if encounter_id is not None and _is(visit, encounter_id)), None)
    signs = Signs(codes.qualifiers, haemolysed_specimens(reading.entries[Specimen], codes.qualifiers))
    reports = ReportDates(reading.entries[DiagnosticReport], subject)
    results = ResultReader(codes, moment, person, signs, reports)
    findings = FindingReader(codes, moment, visits, here)
    ObservationReader(codes, moment, results, findings, signs).read(reading.entries[Observation], subject)
    results.finish()
    findings.conditions_of(subject.own(reading.entries[Condition]))
    chart.results, chart.preliminary = results.results, results.preliminary
    chart.unreadable_results = results.unreadable_results
    add_derived(chart.results, codes, moment, person, chart.hook)

    medications = MedicationReader(codes, moment, reading, drafted)
    medications.read(subject)
    chart.medications, chart.unresolved_medications = medications.medications, medications.unresolved
    work = OrderReader(codes, moment)
    work.read(subject, reading, drafted)
    chart.orders, chart.procedures = work.orders, work.procedures
    findings.reasons_of_drafts(work.placed)
    chart.findings, chart.conditions = findings.findings, findings.conditions
    chart.encounters = read_encounters(visits, codes, moment)
    chart.current_encounter = current(here, moment)

    chart.drafts = [*medications.placed, *map(name_of, work.placed)]
    chart.foreign = subject.foreign
    person_wrong = [Unreadable(f"Patient/{chart.patient_id}", person.wrong)] if person.wrong else []
    keys = {record.type: record.key for record in codes.records.values()}
    disputed = [
        Unreadable(name, DISPUTED, keys.get(name.partition("/")[0]))
        for name in dict.fromkeys(map(name_of, subject.disputed))
    ]
    chart.unreadable = [*person_wrong, *disputed, *results.unreadable, *findings.unreadable, *work.unreadable]
    _name_failures(chart, codes, reading, drafted)


def _is(visit: Entry, encounter_id: str) -> bool:
    return visit.resource is not None and visit.resource.id == encounter_id


def _name_failures(chart: Chart, codes: Codes, reading: Reading, drafted: Reading) -> None:
    """Name what did not decode. An Observation whose code can still be read harms only its own group."""
    for failure, key in (*reading.failures, *drafted.failures):
        harms: str | None = key
        if failure.type == "Observation" and failure.code is not None:
            hits = [hit for hit in map(codes.hit_of, failure.code.coding or ()) if hit is not None]
            harms = key if any(hit.findings for hit in hits) else None
            for group in {hit.result.group for hit in hits if hit.result is not None}:
                unreadable = UnreadableResult(failure.resource, failure.reason)
                chart.unreadable_results.setdefault(group, []).append(unreadable)
        elif failure.type == "Condition" and failure.code is not None and not codes.concepts.named(failure.code):
            harms = None
        chart.unreadable.append(Unreadable(failure.resource, failure.reason, harms))
