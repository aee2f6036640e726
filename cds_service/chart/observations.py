"""Sorting Observations: results, symptoms and signs, signs of haemolysis, and the many that no card asks about."""

from __future__ import annotations

from typing import Any, Final

from cds_service.chart.codes import Codes, Hit, Named, plain_system
from cds_service.chart.conditions import FindingReader
from cds_service.chart.haemolysis import Signs
from cds_service.chart.moment import Moment
from cds_service.chart.results import ResultReader
from cds_service.chart.subject import Subject, name_of
from cds_service.chart.words import whole_text
from cds_service.fhir.resources import CodeableConcept, Entry, Observation
from cds_service.fhir.uncertain import Unknown

_USABLE: Final = frozenset({"final", "amended", "corrected"})


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
        self._texts: dict[str, tuple[Named, ...]] = {}

    def read(self, entries: list[Entry], subject: Subject) -> None:
        """Read the Observations of this patient."""
        table = self._codes.observations
        accepted = subject.accepted
        texts = self._texts
        read_result = self._results.read
        for entry in entries:
            observation: Any = entry.resource
            of = observation.subject
            if of is not None and of.reference not in accepted and not subject.owns(of, entry.fullUrl):
                subject.foreign.append(name_of(entry, "Observation"))
                continue
            concept = observation.code
            if concept is None:
                continue
            hit = None
            by_text = texts.get(concept.text) if concept.text is not None else ()
            for coding in concept.coding or ():
                systems = table.get(coding.code)
                if systems is not None and hit is None and coding.system is not None:
                    hit = systems.get(coding.system) or systems.get(plain_system(coding.system))
                if coding.display is not None and by_text is not None and not by_text:
                    by_text = texts.get(coding.display)
            if hit is not None and hit.result is not None and hit.haemolysis is None:
                read_result(observation, name_of(entry, "Observation"), hit)
                continue
            if hit is None and by_text == ():
                continue
            self._other(entry, observation, concept, hit)

    def _other(self, entry: Entry, observation: Observation, concept: CodeableConcept, hit: Hit | None) -> None:
        """A sign of haemolysis, a symptom or sign, or one whose words were not seen before in this chart."""
        named = (hit.findings if hit else ()) + self._named(concept)
        reference = name_of(entry, "Observation")
        if hit is not None and hit.haemolysis is not None and observation.status in _USABLE:
            date = self._moment.first(observation.effectiveDateTime, observation.effectiveInstant, observation.issued)
            if not isinstance(date, Unknown):
                self._signs.note(observation, date, hit.haemolysis)
            self._results.read(observation, reference, hit)
        if named:
            self._findings.observation(observation, reference, named)

    def _named(self, concept: CodeableConcept) -> tuple[Named, ...]:
        """The findings that the words of a concept mean. Words are remembered for the rest of the chart."""
        found: tuple[Named, ...] = ()
        for text in (concept.text, *(coding.display for coding in concept.coding or ())):
            if text is not None:
                named = self._texts.get(text)
                if named is None:
                    named = self._texts[text] = self._codes.phrases.get(whole_text(text), ())
                found += named
        return found
