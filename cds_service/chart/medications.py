"""Medications: what drug each order or statement is about, whether it is taken, since when and how much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set
from typing import Any, Final

from cds_service.chart.chains import link_chains
from cds_service.chart.codes import Codes
from cds_service.chart.dosage import Dosage, bounds_of, daily_dose, dosages_in, instructions_of, ways_of
from cds_service.chart.drugs import Drug, Recognised
from cds_service.chart.items import Date, Medication
from cds_service.chart.moment import Moment, last, period_end, period_start
from cds_service.chart.subject import Subject, name_of
from cds_service.chart.versions import newer
from cds_service.fhir.read import Reading, read_contained
from cds_service.fhir.references import base_of, parse_reference, relative, server_of
from cds_service.fhir.resources import (
    CodeableConcept,
    Deferred,
    Entry,
    MedicationAdministration,
    MedicationRequest,
    MedicationStatement,
    Reference,
)
from cds_service.fhir.resources import Medication as MedicationResource
from cds_service.fhir.uncertain import DAY, HOUR, Interval, Unknown

_ORDERS: Final = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})
_VOID: Final = frozenset({"entered-in-error", "cancelled", "not-done"})
_REQUEST_STATUS: Final = frozenset({"active", "on-hold", "completed", "stopped", "unknown"})
_STATEMENT_STATUS: Final = {"intended": "active"}
_STATEMENTS: Final = frozenset({"active", "completed", "stopped", "on-hold", "not-taken", "unknown"})
_ENDED: Final = frozenset({"completed", "stopped", "not-taken"})
_MAY_COUNT: Final = frozenset({"active", "draft", "unknown"})

Source = MedicationRequest | MedicationStatement | MedicationAdministration


class MedicationReader:
    """Reads orders, statements and administrations of drugs of our groups."""

    def __init__(self, codes: Codes, moment: Moment, reading: Reading, drafted: Reading) -> None:
        self.medications: dict[str, list[Medication]] = {}
        self.unresolved: list[str] = []
        self.placed: list[str] = []
        self._codes = codes
        self._moment = moment
        self._reading = reading
        self._drafted = drafted
        self._resources = _resources(reading) | _resources(drafted)
        self._items: list[Medication] = []

    def read(self, subject: Subject) -> None:
        """Read the drafts and what is on the chart; a draft replaces the order of the same id."""
        entries = self._reading.entries
        for entry in subject.own(self._drafted.entries[MedicationRequest], drafts=True):
            self.placed.append(name_of(entry))
            self._request(entry.resource, name_of(entry), draft=True)
        placed = self.placed
        for entry in subject.own(entries[MedicationRequest]):
            reference = name_of(entry)
            if not placed or reference not in placed or reference == "MedicationRequest":
                self._request(entry.resource, reference)
        for entry in subject.own(entries[MedicationStatement]):
            self._statement(entry.resource, name_of(entry))
        for entry in subject.own(entries[MedicationAdministration]):
            self._administration(entry.resource, name_of(entry))
        self._finish()

    def _request(self, request: Any, reference: str, *, draft: bool = False) -> None:
        """Add a MedicationRequest; `draft` marks one that is being placed in this very request."""
        if not draft and (request.status in _VOID or request.doNotPerform is True):
            return
        status: str = request.status if request.status in _REQUEST_STATUS else "unknown"
        if draft:
            status = "draft"
        elif request.status == "draft" or (request.intent is not None and request.intent not in _ORDERS):
            status = "proposed"
        recognised = self._recognise(request, reference, status)
        if recognised is None:
            return
        dosages = dosages_in(request.dosageInstruction)
        starts, ends, length = bounds_of(dosages)
        start = self._moment.first(starts, request.authoredOn)
        end = self._moment.read(ends)
        if end is None and length is not None and start is not None and not isinstance(start, Unknown):
            end = start + length
        self._add(request, reference, status, recognised, dosages, start, end)

    def _statement(self, statement: Any, reference: str) -> None:
        """Add a MedicationStatement: what the patient takes, or does not."""
        if statement.status in _VOID:
            return
        status = _STATEMENT_STATUS.get(statement.status or "", statement.status or "unknown")
        if statement.taken == "n":
            status = "not-taken"
        elif status not in _STATEMENTS:
            status = "unknown"
        recognised = self._recognise(statement, reference, status)
        if recognised is None:
            return
        moment = self._moment
        start = moment.first(
            statement.effectiveDateTime, period_start(statement.effectivePeriod), statement.dateAsserted
        )
        end = moment.read(period_end(statement.effectivePeriod))
        self._add(statement, reference, status, recognised, dosages_in(statement.dosage), start, end)

    def _administration(self, administration: Any, reference: str) -> None:
        """Add a MedicationAdministration: active for a day."""
        if administration.status in _VOID:
            return
        moment = self._moment
        start = moment.first(administration.effectiveDateTime, period_start(administration.effectivePeriod))
        end = moment.first(period_end(administration.effectivePeriod), administration.effectiveDateTime)
        given = administration.status in ("completed", "in-progress")
        age = moment.age(end if end is not None else start)
        recent = isinstance(age, int) and -HOUR <= age <= DAY
        status = "active" if given and recent else "completed" if given else administration.status or "unknown"
        recognised = self._recognise(administration, reference, status)
        if recognised is not None:
            self._add(administration, reference, status, recognised, dosages_in(administration.dosage), start, end)

    def _finish(self) -> None:
        """Start, last change of dose and age of each item, from the chain of orders of its ingredient."""
        link_chains(self._items, self._moment)
        found: dict[str, list[Medication]] = defaultdict(list)
        for item in sorted(self._items, key=lambda item: last(item.start), reverse=True):
            found[item.group].append(item)
        self.medications = dict(found)

    def _add(
        self,
        source: Source,
        reference: str,
        status: str,
        recognised: Recognised,
        dosages: list[Dosage],
        start: Date,
        end: Date,
    ) -> None:
        if status == "active" and self._moment.is_past(end) and not isinstance(source, MedicationAdministration):
            status = "completed"
        if end is None and status in _ENDED:
            end = start
        ways = (*recognised.texts, *ways_of(dosages))
        for drug in self._codes.drugs.systemic(recognised.drugs, ways, instructions_of(dosages)):
            group = self._codes.medications[drug.group]
            dose = daily_dose(dosages, drug.strength, group.one_tablet_a_day)
            self._items.append(
                Medication(
                    id=reference,
                    group=drug.group,
                    ingredient=drug.ingredient,
                    status=status,
                    start=start,
                    end=end,
                    dose=dose,
                    equivalent=_equivalent(dose, drug, self._codes),
                    by_name=drug.by_name,
                )
            )

    def _recognise(self, source: Source, reference: str, status: str) -> Recognised | None:
        """What the medicine is; None when it is none of ours. One that says nothing at all of itself is unresolved."""
        codes: list[tuple[str, str]] = []
        texts: list[str] = []
        _add_concept(source.medicationCodeableConcept, codes, texts)
        pointer = source.medicationReference
        if pointer is not None:
            resource = self._resolve(pointer, source.contained)
            if resource is not None:
                _add_concept(resource.code, codes, texts)
                for ingredient in resource.ingredient or ():
                    _add_concept(ingredient.itemCodeableConcept, codes, texts)
            if pointer.display:
                texts.append(pointer.display)
            if resource is not None and resource.form is not None and texts:
                _add_concept(resource.form, [], texts)
        names = tuple(texts) if len(texts) < 2 else tuple(dict.fromkeys(texts))
        found = self._codes.drugs.recognise(tuple(codes), names)
        if not found.named and status in _MAY_COUNT:
            self.unresolved.append(reference)
        return found if found.drugs else None

    def _resolve(self, reference: Reference | None, contained: Deferred) -> MedicationResource | None:
        text = reference.reference if reference else None
        if text is None:
            return None
        if text.startswith("#"):
            inner = read_contained(contained, text[1:])
            return inner if isinstance(inner, MedicationResource) else None
        return self._resources.get(text) or self._resources.get(relative(text))


def unsent_medications(reading: Reading, drafted: Reading, server: str) -> tuple[list[str], list[str]]:
    """The ids of the Medications on `server` that draft orders point to and that nobody sent, and of those that only
    what is on the chart points to; what may be taken now comes first.
    """
    known = {*_resources(reading), *_resources(drafted)}
    drafts = _pointed_at(drafted.entries[MedicationRequest], known, server)
    stored = [
        entry
        for kind in (MedicationRequest, MedicationStatement, MedicationAdministration)
        for entry in reading.entries[kind]
        if not _is_void(entry.resource)
    ]
    stored.sort(key=lambda entry: getattr(entry.resource, "status", None) not in _MAY_COUNT)
    found = _pointed_at(stored, known, server)
    return drafts, [name for name in found if name not in drafts]


def _is_void(source: Any) -> bool:
    return source.status in _VOID or getattr(source, "doNotPerform", None) is True


def _pointed_at(entries: Iterable[Entry], known: Set[str], server: str) -> list[str]:
    found: dict[str, None] = {}
    source: Any
    for entry in entries:
        source = entry.resource
        pointer = source.medicationReference
        text = pointer.reference if pointer is not None else None
        if text is None or text in known or relative(text) in known:
            continue
        target = parse_reference(text)
        if target is None or target.type != "Medication":
            continue
        base = target.base or base_of(entry.fullUrl)
        if base is None or server_of(base) == server_of(server):
            found[target.id] = None
    return list(found)


def _resources(reading: Reading) -> dict[str, MedicationResource]:
    found: dict[str, MedicationResource] = {}
    for entry in reading.entries[MedicationResource]:
        if isinstance(entry.resource, MedicationResource):
            for name in (f"Medication/{entry.resource.id}", *([entry.fullUrl] if entry.fullUrl else [])):
                newest = newer(found.get(name, entry.resource), entry.resource)[0]
                found[name] = newest if isinstance(newest, MedicationResource) else entry.resource
    return found


def _add_concept(concept: CodeableConcept | None, codes: list[tuple[str, str]], texts: list[str]) -> None:
    if concept is None:
        return
    for coding in concept.coding or ():
        if coding.system and coding.code:
            codes.append((coding.system, coding.code))
        if coding.display:
            texts.append(coding.display)
    if concept.text:
        texts.append(concept.text)


def _equivalent(dose: float | Interval | None, drug: Drug, codes: Codes) -> float | Interval | None:
    ingredient = codes.medications[drug.group].ingredients.get(drug.ingredient)
    if dose is None or ingredient is None or ingredient.equivalent is None:
        return None
    factor = ingredient.equivalent
    if isinstance(dose, Interval):
        return Interval(round(dose.lo * factor, 8), round(dose.hi * factor, 8))
    return round(dose * factor, 8)
