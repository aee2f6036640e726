"""Sorting Observations: results, symptoms and signs, signs of haemolysis, and the many that no card asks about."""

from __future__ import annotations

from typing import Any, Final

from cds_service.chart.codes import Codes, Hit, Means
from cds_service.chart.concepts import BARE, plain_system
from cds_service.chart.conditions import FindingReader
from cds_service.chart.haemolysis import Signs
from cds_service.chart.moment import Moment
from cds_service.chart.results import ResultReader
from cds_service.chart.subject import Subject, name_of
from cds_service.chart.versions import DISPUTED
from cds_service.fhir.read import Unreadable
from cds_service.fhir.resources import CodeableConcept, Entry, Observation
from cds_service.fhir.uncertain import Unknown

_USABLE: Final = frozenset({"final", "amended", "corrected"})
_NOTHING: Final = Hit()


class ObservationReader:
    """Reads all Observations of a chart in one pass."""

    def __init__(
        self, codes: Codes, moment: Moment, results: ResultReader, findings: FindingReader, signs: Signs
    ) -> None:
        self._codes = codes
        self._moment = moment
        self._results = results
        self._findings = findings
        self._signs = signs

    def read(self, entries: list[Entry], subject: Subject) -> None:
        """Read the Observations of this patient. Most are of no group of ours: they cost a look-up of their code."""
        accepted = subject.accepted
        read_result = self._results.read
        horizon = self._results.cutoffs
        met = self._codes.met
        if len({entry.resource.id for entry in entries if entry.resource is not None}) < len(entries):
            entries = subject.own(entries)
        disputed = {id(entry.resource) for entry in subject.disputed}
        for entry in entries:
            observation: Any = entry.resource
            of = observation.subject
            if of is not None and of.reference not in accepted and not subject.owns(of, entry.fullUrl):
                subject.foreign.append(name_of(entry))
                continue
            concept = observation.code
            if concept is None:
                continue
            codings = concept.coding
            if codings is not None and len(codings) == 1:
                coding = codings[0]
                key = (coding.system, coding.code, coding.display, concept.text)
                means = met.get(key)
                if means is None:
                    means = met.remember(key, self._meaning(concept))
            else:
                means = self._meaning(concept)
            hit = means.hit
            if disputed and hit is not None and id(observation) in disputed:
                if hit.result is not None:
                    self._results.refuse(observation, entry, {hit.result.group}, DISPUTED, named=False)
                else:
                    self._findings.unreadable.append(Unreadable(name_of(entry), DISPUTED, "conditions"))
                continue
            if hit is not None and hit.is_result:
                text = observation.effectiveDateTime
                if text is not None and hit.group in horizon and text < horizon[hit.group] and len(text) > 9:
                    continue
                read_result(observation, entry, hit)
                continue
            if means.bare is not None:
                self._refuse_bare(observation, entry, means.bare)
            if hit is not None:
                self._other(entry, observation, hit)

    def _refuse_bare(self, observation: Observation, entry: Entry, code: str) -> None:
        """A code of ours without its system: of results nobody can tell the group's value, else any finding."""
        groups = self._codes.groups_of(code)
        if groups:
            self._results.refuse(observation, entry, groups, BARE)
        elif code.strip() in self._codes.concepts.codes:
            self._findings.unreadable.append(Unreadable(name_of(entry), BARE, "conditions"))

    def _meaning(self, concept: CodeableConcept) -> Means:
        """What the code of an Observation means: by the first coding of ours, else by its words."""
        table = self._codes.observations
        bare = None
        for coding in concept.coding or ():
            systems = table.get((coding.code or "").strip())
            if systems is not None and coding.code is not None:
                if not coding.system or not coding.system.strip():
                    bare = coding.code
                    continue
                hit = systems.get(coding.system) or systems.get(plain_system(coding.system))
                if hit is not None:
                    return Means(hit)
        return Means(_NOTHING if self._codes.concepts.named_by_words(concept) else None, bare)

    def _other(self, entry: Entry, observation: Observation, hit: Hit) -> None:
        """A symptom or sign, by code or by words, or a sign of haemolysis."""
        moment = self._moment
        if hit.haemolysis is not None and observation.status in _USABLE:
            date = moment.first(observation.effectiveDateTime, observation.effectiveInstant, observation.issued)
            if not isinstance(date, Unknown):
                self._signs.note(observation, date, hit.haemolysis)
        if hit.result is not None:
            self._results.read(observation, entry, hit)
        named = hit.findings
        if observation.code is not None:
            named += self._codes.concepts.named_by_words(observation.code)
        if named:
            self._findings.observation(observation, name_of(entry), named)
