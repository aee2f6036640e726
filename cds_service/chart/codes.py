"""All code knowledge, with the tables that reading a chart looks things up in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final, NamedTuple, TypeVar, get_args

from msgspec import Struct
from msgspec.structs import replace

from cds_service.chart.drugs import DrugTable
from cds_service.chart.groups import (
    SYSTEMS,
    Derived,
    DerivedSpec,
    DrugGroup,
    EncounterGroup,
    FindingGroup,
    OrderGroup,
    Panel,
    Part,
    Qualifiers,
    RecordKey,
    ResultCode,
    ResultFile,
    ResultGroup,
    StarterDrug,
)
from cds_service.chart.items import Side
from cds_service.chart.units import Scale
from cds_service.chart.words import whole_text
from cds_service.fhir.resources import CodeableConcept, Coding

__all__ = [
    "SYSTEMS",
    "Code",
    "Codes",
    "Derived",
    "DerivedSpec",
    "Diagnoses",
    "DrugGroup",
    "EncounterGroup",
    "FindingGroup",
    "Hit",
    "Named",
    "OrderGroup",
    "ResultGroup",
    "look_up",
    "plain_system",
]


_T = TypeVar("_T")
_SNOMED: Final = SYSTEMS["snomed"][0]


class Named(NamedTuple):
    """A group that a code or phrase means, and the side of the body when it says one."""

    group: str
    side: Side | None


class Hit(Struct, frozen=True):
    """What the code of an Observation means: a result, findings, or a sign of haemolysis (`index` or `seen`)."""

    result: ResultGroup | None = None
    code: ResultCode | None = None
    scale: Scale | None = None
    findings: tuple[Named, ...] = ()
    haemolysis: str | None = None


class Diagnoses:
    """ICD-10-CM codes: a listed code also means every longer code that begins with it."""

    def __init__(self, groups: Iterable[FindingGroup]) -> None:
        self._listed: dict[str, list[tuple[FindingGroup, Named]]] = defaultdict(list)
        for group in groups:
            for code in group.codes:
                if code.system == "icd10cm":
                    self._listed[_dotless(code.code)].append((group, Named(group.group, code.side)))
        self._lengths: Final = sorted({len(code) for code in self._listed}, reverse=True)

    def named(self, code: str) -> tuple[Named, ...]:
        """The groups that a code means, longest listed code first."""
        code = _dotless(code)
        found: list[Named] = []
        for length in self._lengths:
            for group, named in self._listed.get(code[:length], ()) if len(code) >= length else ():
                excluded = any(code.startswith(_dotless(prefix)) for prefix in group.exclude)
                later = group.initial_only and code[6:7] in ("D", "S")
                if not excluded and not later and all(named.group != earlier.group for earlier in found):
                    found.append(named)
        return tuple(found)


class Codes(Struct, frozen=True, kw_only=True, dict=True):
    """The code groups by name, and look-up tables made from them when they are first used.

    `horizon` holds, per result group, the milliseconds beyond which no card asks for a result: older ones are not read.
    A group that is not in it is read whole.
    """

    results: Mapping[str, ResultGroup] = {}
    findings: Mapping[str, FindingGroup] = {}
    medications: Mapping[str, DrugGroup] = {}
    orders: Mapping[str, OrderGroup] = {}
    panels: tuple[Panel, ...] = ()
    encounters: Mapping[str, EncounterGroup] = {}
    records: Mapping[str, RecordKey] = {}
    files: Mapping[str, ResultFile] = {}
    starter: tuple[StarterDrug, ...] = ()
    local_forms: tuple[str, ...] = ()
    qualifiers: Qualifiers = Qualifiers()
    derived: Mapping[str, Derived] = {}
    horizon: Mapping[str, int] = {}

    def with_derived(self, derived: Mapping[str, Derived]) -> Codes:
        """The same codes, with the expressions of computed results compiled: group → Derived."""
        return replace(self, derived=dict(derived))

    def with_horizon(self, horizon: Mapping[str, int]) -> Codes:
        """The same codes, reading no result older than the given milliseconds of its group."""
        return replace(self, horizon=dict(horizon))

    @cached_property
    def observations(self) -> dict[str, dict[str, Hit]]:
        """Code → system URI → what an Observation with this code is."""
        table: dict[str, dict[str, Hit]] = defaultdict(dict)
        for code, system, named in _concepts(self.findings.values()):
            table[code][system] = Hit(findings=named)
        for kind, signs in (("index", self.qualifiers.haemolysis_index), ("seen", self.qualifiers.haemolysis_seen)):
            for sign in signs:
                for system in SYSTEMS[sign.system]:
                    table[sign.code][system] = Hit(haemolysis=kind)
        for group in self.results.values():
            for result in group.codes:
                for system in SYSTEMS[result.system]:
                    also = table[result.code].get(system, Hit())
                    scale = Scale(group, result.units, result.part)
                    table[result.code][system] = Hit(group, result, scale, also.findings, also.haemolysis)
        return dict(table)

    @cached_property
    def part_scales(self) -> dict[tuple[str, Part], Scale]:
        """How the halves of a blood pressure are read."""
        pressures = [group for group in self.results.values() if group.kind == "pressure"]
        return {(group.group, part): Scale(group, None, part) for group in pressures for part in get_args(Part)}

    @cached_property
    def concepts(self) -> dict[str, dict[str, tuple[Named, ...]]]:
        """Code → system URI → the findings it means. ICD-10-CM is in `diagnoses`."""
        table: dict[str, dict[str, tuple[Named, ...]]] = defaultdict(dict)
        for code, system, named in _concepts(self.findings.values()):
            table[code][system] = named
        return dict(table)

    @cached_property
    def diagnoses(self) -> Diagnoses:
        """The ICD-10-CM codes of the findings."""
        return Diagnoses(self.findings.values())

    @cached_property
    def phrases(self) -> dict[str, tuple[Named, ...]]:
        """Whole text → the findings it means."""
        return _phrases(self.findings.values())

    @cached_property
    def order_codes(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Code → system URI → what is ordered or done: groups of `orders`, and of results (single tests and panels)."""
        table: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for code, system, named in _concepts(self.orders.values()):
            table[code][system] += [group for group, _ in named]
        for result in self.results.values():
            for own in result.codes:
                for system in SYSTEMS[own.system]:
                    table[own.code][system].append(result.group)
        for panel in self.panels:
            for system in SYSTEMS[panel.code.system]:
                table[panel.code.code][system] += panel.groups
        return {
            code: {system: tuple(dict.fromkeys(groups)) for system, groups in systems.items()}
            for code, systems in table.items()
        }

    @cached_property
    def order_phrases(self) -> dict[str, tuple[Named, ...]]:
        """Whole text → groups of `orders`."""
        return _phrases(self.orders.values())

    @cached_property
    def encounter_codes(self) -> dict[str, dict[str, tuple[Named, ...]]]:
        """Code → system URI → groups of `encounters`."""
        table: dict[str, dict[str, tuple[Named, ...]]] = defaultdict(dict)
        for code, system, named in _concepts(self.encounters.values()):
            table[code][system] = named
        return dict(table)

    @cached_property
    def encounter_phrases(self) -> dict[str, tuple[Named, ...]]:
        """Whole text → groups of `encounters`."""
        return _phrases(self.encounters.values())

    @cached_property
    def drugs(self) -> DrugTable:
        """How drugs are recognised."""
        return DrugTable(self.medications, self.starter, self.local_forms)

    def hit_of(self, coding: Coding) -> Hit | None:
        """What an Observation with this coding is, None when it is nothing of ours."""
        systems = self.observations.get(coding.code or "")
        if systems is None or coding.system is None:
            return None
        return systems.get(coding.system) or systems.get(plain_system(coding.system))

    def findings_of(self, concept: CodeableConcept | None) -> tuple[Named, ...]:
        """The findings that a concept means: by the codes it has, and by its whole text or a whole display."""
        if concept is None:
            return ()
        found: tuple[Named, ...] = ()
        for coding in concept.coding or ():
            found += look_up(self.concepts, coding)
            if coding.code and coding.system in SYSTEMS["icd10cm"]:
                found += self.diagnoses.named(coding.code)
            if coding.display:
                found += self.phrases.get(whole_text(coding.display), ())
        if concept.text:
            found += self.phrases.get(whole_text(concept.text), ())
        return found


def look_up(table: Mapping[str, Mapping[str, tuple[_T, ...]]], coding: Coding) -> tuple[_T, ...]:
    """What a coding means in a table of codes, then systems; nothing when it has no code or no system."""
    systems = table.get(coding.code or "")
    if systems is None or coding.system is None:
        return ()
    return systems.get(coding.system) or systems.get(plain_system(coding.system), ())


def plain_system(system: str) -> str:
    """A code system's URI without version, edition, trailing slash or https, as careless senders write them."""
    system = system.partition("|")[0].rstrip("/")
    if system.startswith("https://"):
        system = "http://" + system[8:]
    return _SNOMED if system.startswith(_SNOMED + "/") else system


def _concepts(groups: Iterable[FindingGroup | OrderGroup | EncounterGroup]) -> list[tuple[str, str, tuple[Named, ...]]]:
    found: dict[tuple[str, str], list[Named]] = defaultdict(list)
    for group in groups:
        for code in group.codes:
            if code.system != "icd10cm":
                for system in SYSTEMS[code.system]:
                    found[code.code, system].append(Named(group.group, code.side))
    return [(code, system, tuple(named)) for (code, system), named in found.items()]


def _phrases(groups: Iterable[FindingGroup | OrderGroup | EncounterGroup]) -> dict[str, tuple[Named, ...]]:
    found: dict[str, list[Named]] = defaultdict(list)
    for group in groups:
        for phrase in group.phrases:
            found[phrase.text].append(Named(group.group, phrase.side))
    return {text: tuple(named) for text, named in found.items()}


def _dotless(code: str) -> str:
    return code.replace(".", "").strip().upper()
