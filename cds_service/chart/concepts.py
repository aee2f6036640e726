"""What a CodeableConcept means: by its codes, by a whole text or a whole display."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

from cds_service.chart.groups import SYSTEMS, EncounterGroup, FindingGroup, OrderGroup
from cds_service.chart.items import Side
from cds_service.chart.words import whole_text
from cds_service.fhir.resources import CodeableConcept

_SNOMED: Final = SYSTEMS["snomed"][0]
_ICD10CM: Final = frozenset(SYSTEMS["icd10cm"])
_REMEMBERED: Final = 10_000
BARE: Final = "a code without its system"
"""Why something with a code of ours cannot be read."""
_LONG: Final = 200
"""Longer texts than this are not kept in memory."""


class Named(NamedTuple):
    """A group that a code or phrase means, and the side of the body when it says one."""

    group: str
    side: Side | None


Coded = tuple[str | None, str | None, str | None, str | None]
T = TypeVar("T")
Group = FindingGroup | OrderGroup | EncounterGroup
Meaning = tuple[Named, ...]


class Remembered(dict[Coded, T]):
    """What concepts of one coding mean, by system, code, display and text; bounded, and without long texts."""

    def remember(self, coded: Coded, meaning: T) -> T:
        """Keep a meaning and return it."""
        if len(self) >= _REMEMBERED:
            self.clear()
        if sum(len(part) for part in coded if part is not None) < _LONG:
            self[coded] = meaning
        return meaning


class ConceptTable:
    """The codes and phrases of some groups, prepared for looking up."""

    def __init__(self, groups: Iterable[Group]) -> None:
        groups = list(groups)
        self.codes: Final = _codes(groups)
        self.phrases: Final = _phrases(groups)
        self.diagnoses: Final = Diagnoses(group for group in groups if isinstance(group, FindingGroup))
        self._head: Final = min(map(len, self.phrases), default=0)
        self._heads: Final = frozenset(phrase[: self._head] for phrase in self.phrases)
        self._met: Remembered[Meaning] = Remembered()

    def add(self, code: str, system: str, groups: Iterable[str]) -> None:
        """Let a code mean more groups than those that name it."""
        for uri in SYSTEMS[system]:
            known = self.codes.setdefault(code, {}).get(uri, ())
            new = tuple(Named(group, None) for group in groups if all(group != one.group for one in known))
            self.codes[code][uri] = known + new

    def named(self, concept: CodeableConcept | None) -> Meaning:
        """The groups that a concept means, by its codes and then by its words; a group may come twice.

        What concepts of one coding mean is remembered.
        """
        if concept is None:
            return ()
        codings = concept.coding
        if codings is None or len(codings) != 1:
            return self._meaning(concept)
        coding = codings[0]
        key = (coding.system, coding.code, coding.display, concept.text)
        known = self._met.get(key)
        if known is None:
            known = self._met.remember(key, self._meaning(concept))
        return known

    def _meaning(self, concept: CodeableConcept) -> Meaning:
        found: Meaning = ()
        codes = self.codes
        for coding in concept.coding or ():
            code = coding.code
            if code:
                system = coding.system
                if code[0] <= " " or code[-1] <= " ":
                    code = code.strip()
                systems = codes.get(code)
                if systems is not None and system is not None:
                    found += systems.get(system) or systems.get(plain_system(system), ())
                if system in _ICD10CM:
                    found += self.diagnoses.named(code)
        return found + self.named_by_words(concept)

    def lacks_system(self, concept: CodeableConcept | None) -> bool:
        """Whether a code of ours came without the system that would say what it means."""
        codings = concept.coding if concept is not None else None
        bare = [coding.code or "" for coding in codings or () if not (coding.system or "").strip()]
        return any(code.strip() in self.codes for code in bare)

    def named_by_words(self, concept: CodeableConcept) -> Meaning:
        """The groups that the text or a display of a concept means, whatever its codes.

        Only a text whose beginning is that of a phrase, or would be once it is tidied up, is looked at whole.
        """
        found: Meaning = ()
        heads, head = self._heads, self._head
        said = concept.text
        if said is not None:
            begins = said[:head].lower()
            if begins in heads or not begins.isascii() or "  " in begins or begins[:1] <= " ":
                found = self.phrases.get(whole_text(said), ())
        for coding in concept.coding or ():
            text = coding.display
            if text is not None and text != said:
                begins = text[:head].lower()
                if begins in heads or not begins.isascii() or "  " in begins or begins[:1] <= " ":
                    found += self.phrases.get(whole_text(text), ())
        return found


class Diagnoses:
    """ICD-10-CM codes: a listed code also means every longer code that begins with it."""

    def __init__(self, groups: Iterable[FindingGroup]) -> None:
        self._listed: dict[str, list[tuple[FindingGroup, Named]]] = defaultdict(list)
        self._known: dict[str, Meaning] = {}
        for group in groups:
            for code in group.codes:
                if code.system == "icd10cm":
                    self._listed[_dotless(code.code)].append((group, Named(group.group, code.side)))
        self._lengths: Final = sorted({len(code) for code in self._listed}, reverse=True)

    def named(self, code: str) -> Meaning:
        """The groups that a code means, longest listed code first."""
        found = self._known.get(code)
        if found is None:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            found = self._known[code] = self._find(_dotless(code))
        return found

    def _find(self, code: str) -> Meaning:
        found: list[Named] = []
        for length in self._lengths:
            for group, named in self._listed.get(code[:length], ()) if len(code) >= length else ():
                excluded = any(code.startswith(_dotless(prefix)) for prefix in group.exclude)
                later = group.initial_only and code[6:7] in ("D", "S")
                if not excluded and not later and all(named.group != earlier.group for earlier in found):
                    found.append(named)
        return tuple(found)


def plain_system(system: str) -> str:
    """A code system's URI without blanks, version, edition, trailing slash or https, as careless senders write it."""
    system = system.strip().partition("|")[0].rstrip("/")
    if system.startswith("https://"):
        system = "http://" + system[8:]
    return _SNOMED if system.startswith(_SNOMED + "/") else system


def _codes(groups: Iterable[Group]) -> dict[str, dict[str, Meaning]]:
    found: dict[str, dict[str, Meaning]] = defaultdict(dict)
    for group in groups:
        for code in group.codes:
            if code.system != "icd10cm":
                for uri in SYSTEMS[code.system]:
                    systems = found[code.code]
                    systems[uri] = (*systems.get(uri, ()), Named(group.group, code.side))
    return dict(found)


def _phrases(groups: Iterable[Group]) -> dict[str, Meaning]:
    found: dict[str, Meaning] = {}
    for group in groups:
        for phrase in group.phrases:
            found[phrase.text] = (*found.get(phrase.text, ()), Named(group.group, phrase.side))
    return found


def _dotless(code: str) -> str:
    return code.replace(".", "").strip().upper()
