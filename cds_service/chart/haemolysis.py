"""Signs that a sample was haemolysed: said of the result, of its specimen, or measured beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cds_service.chart.answers import concepts_in, flags, is_present
from cds_service.chart.groups import HaemolysisWords, Qualifiers
from cds_service.chart.items import Date, Result
from cds_service.chart.ranges import ranges_in
from cds_service.fhir.dates import end_of, start_of
from cds_service.fhir.lists import lists_of
from cds_service.fhir.read import read_contained
from cds_service.fhir.references import relative
from cds_service.fhir.resources import Annotation, Entry, Observation, Specimen
from cds_service.fhir.uncertain import Span, Unknown

_NEAR: Final = 5 * 60_000
_END: Final = r"(?=\s*(?:$|[,;:)\]/\r\n]|\.(?!\d)|(?:in|on|at|by|for|to)\b))"
"""A denial after the word ends its clause: "haemolysis: no interpretation possible" is none."""
_notes: Final = lists_of(Annotation)


def says_haemolysed(text: str, words: HaemolysisWords) -> bool:
    """Whether a text says that the sample is haemolysed; "not haemolysed" and "haemolysis: none" do not."""
    said, denied = _patterns(words)
    return said.search(text) is not None and said.search(denied.sub("", text)) is not None


@lru_cache(maxsize=8)
def _patterns(words: HaemolysisWords) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What matches the word itself, and the word with a denial before or after it."""
    word = rf"\b(?:{_one_of(words.said)})\w*"
    before = rf"\b(?:{_one_of(words.denied_before)})\b[\s-]*(?:(?:{_one_of(words.between)})\s+)*{word}"
    after = rf"{word}[\s:=,(-]*(?:(?:{_one_of(words.then)})\b[\s:=,(-]*)*(?:{_one_of(words.denied_after)}){_END}"
    return re.compile(word, re.IGNORECASE), re.compile(f"{before}|{after}", re.IGNORECASE)


def _one_of(words: Iterable[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    return "|".join(r"\s+".join(map(re.escape, one.split())) for one in longest_first) or r"(?!)"


def haemolysed_specimens(entries: Iterable[Entry], qualifiers: Qualifiers) -> set[str]:
    """The references of the Specimens whose condition is haemolysed."""
    found = set()
    for entry in entries:
        specimen = entry.resource
        if isinstance(specimen, Specimen) and _is_haemolysed(specimen, qualifiers):
            found.update({f"Specimen/{specimen.id}", entry.fullUrl or ""} - {""})
    return found


class Signs:
    """The signs of haemolysis in one chart."""

    def __init__(self, qualifiers: Qualifiers, specimens: set[str]) -> None:
        self._qualifiers = qualifiers
        self._specimens = specimens
        self._measured: list[tuple[Date, str | None]] = []
        self._taken: dict[str, str] = {}

    def note(self, observation: Observation, date: Date, kind: str) -> None:
        """Remember a haemolysis index above the laboratory's limit (`index`), or haemolysis that was seen (`seen`)."""
        if kind == "index":
            raised = _above_limit(observation) or bool(flags(observation.interpretation) & {"H", "HH"})
        else:
            raised = is_present(observation, self._qualifiers) is True
        if raised:
            self._measured.append((date, _specimen(observation)))

    def of(self, observation: Observation, result_id: str) -> bool:
        """Whether the resource itself, or its specimen, says haemolysed. Remembers the specimen for `settle`."""
        specimen = _specimen(observation)
        if specimen is not None:
            self._taken[result_id] = specimen
            if specimen in self._specimens:
                return True
            if specimen.startswith("#"):
                contained = read_contained(observation.contained, specimen[1:])
                if isinstance(contained, Specimen) and _is_haemolysed(contained, self._qualifiers):
                    return True
        return any(says_haemolysed(text, self._qualifiers.haemolysis_words) for text in _texts(observation))

    def settle(self, results: Iterable[Result]) -> None:
        """Mark the results of the same specimen as a measured haemolysis, or within five minutes of it."""
        if not self._measured:
            return
        for result in results:
            specimen = self._taken.get(result.id)
            for date, measured in self._measured:
                if (specimen is not None and specimen == measured) or _is_near(result.date, date):
                    result.haemolysed = True


def _above_limit(observation: Observation) -> bool:
    index = observation.valueQuantity
    if index is None or index.value is None:
        return False
    highs = [one.high for one in ranges_in(observation.referenceRange) if one.high is not None]
    same_unit = {high.value for high in highs if (high.code or high.unit) == (index.code or index.unit)}
    return len(same_unit) == 1 and index.value > (same_unit.pop() or float("inf"))


def _is_near(a: Date, b: Date) -> bool:
    if a is None or b is None or isinstance(a, (Unknown, Span)) or isinstance(b, (Unknown, Span)):
        return False
    return abs(start_of(a) - end_of(b)) <= _NEAR


def _specimen(observation: Observation) -> str | None:
    reference = observation.specimen.reference if observation.specimen else None
    return relative(reference) if reference else None


def _is_haemolysed(specimen: Specimen, qualifiers: Qualifiers) -> bool:
    return any(
        (coding.system or "", coding.code or "") in qualifiers.haemolysed
        or says_haemolysed(coding.display or "", qualifiers.haemolysis_words)
        for concept in specimen.condition or ()
        for coding in concept.coding or ()
    ) or any(says_haemolysed(concept.text or "", qualifiers.haemolysis_words) for concept in specimen.condition or ())


def _texts(observation: Observation) -> list[str]:
    concepts = concepts_in(observation.interpretation)
    if observation.dataAbsentReason:
        concepts.append(observation.dataAbsentReason)
    texts = [concept.text or "" for concept in concepts]
    texts += [coding.display or "" for concept in concepts for coding in concept.coding or ()]
    return texts + [note.text or "" for note in _notes(observation.note)]
