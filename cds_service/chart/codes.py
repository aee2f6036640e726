"""All code knowledge, with the tables that reading a chart looks things up in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from cds_service.chart.concepts import ConceptTable, Named, Remembered, plain_system
from cds_service.chart.drugs import DrugTable
from cds_service.chart.groups import (
    SYSTEMS,
    Code,
    Derived,
    DerivedSpec,
    DrugGroup,
    EncounterGroup,
    FindingGroup,
    OrderGroup,
    Panel,
    Part,
    Product,
    Qualifiers,
    RecordKey,
    ResultFile,
    ResultGroup,
)
from cds_service.chart.units import Scale
from cds_service.fhir.dates import day_of
from cds_service.fhir.resources import Coding
from cds_service.fhir.uncertain import DAY

__all__ = [
    "SYSTEMS",
    "Code",
    "Codes",
    "Derived",
    "DerivedSpec",
    "DrugGroup",
    "EncounterGroup",
    "FindingGroup",
    "Hit",
    "OrderGroup",
    "ResultGroup",
]


class Hit(Struct, frozen=True):
    """What the code of an Observation means: a result, findings, or a sign of haemolysis (`index` or `seen`).

    `is_result` marks a code that means nothing but a result of `group`; the fields after it repeat what reading that
    result asks for.
    """

    result: ResultGroup | None = None
    scale: Scale | None = None
    findings: tuple[Named, ...] = ()
    haemolysis: str | None = None
    group: str = ""
    is_result: bool = False
    quantity: bool = False
    poc: bool = False
    part: Part | None = None


class Means(Struct, frozen=True):
    """What the code of an Observation means to us: its hit (without anything in it when only its words are ours), None
    when nothing; `bare` is a code of ours that came without its system.
    """

    hit: Hit | None
    bare: str | None = None


class Codes(Struct, frozen=True, kw_only=True, dict=True):
    """The code groups by name, and look-up tables made from them when they are first used.

    `horizon` holds, per result group, the milliseconds beyond which no card asks for a result: older ones are not read.
    A group that is not in it is read whole. `record_horizon` holds the same for the groups of `procedures` and of
    `encounters`.
    """

    results: Mapping[str, ResultGroup] = {}
    findings: Mapping[str, FindingGroup] = {}
    medications: Mapping[str, DrugGroup] = {}
    orders: Mapping[str, OrderGroup] = {}
    panels: tuple[Panel, ...] = ()
    encounters: Mapping[str, EncounterGroup] = {}
    records: Mapping[str, RecordKey] = {}
    files: Mapping[str, ResultFile] = {}
    products: tuple[Product, ...] = ()
    local_forms: tuple[str, ...] = ()
    qualifiers: Qualifiers = Qualifiers()
    derived: Mapping[str, Derived] = {}
    horizon: Mapping[str, int] = {}
    record_horizon: Mapping[str, Mapping[str, int]] = {}

    def with_derived(self, derived: Mapping[str, Derived]) -> Codes:
        """The same codes, with the expressions of computed results compiled: group → Derived."""
        return replace(self, derived=dict(derived))

    def with_horizon(self, horizon: Mapping[str, int], records: Mapping[str, Mapping[str, int]] | None = None) -> Codes:
        """The same codes, reading nothing that is older than the given milliseconds: results by group, `procedures` and
        `encounters` by group.
        """
        return replace(self, horizon=dict(horizon), record_horizon=dict(records or {}))

    @cached_property
    def concepts(self) -> ConceptTable:
        """What a concept means as a symptom, sign or diagnosis."""
        return ConceptTable(self.findings.values())

    @cached_property
    def ordered(self) -> ConceptTable:
        """What a concept orders or does: groups of `orders`, and of results, as single tests and as panels."""
        table = ConceptTable(self.orders.values())
        for result in self.results.values():
            for code in result.codes:
                table.add(code.code, code.system, [result.group])
        for panel in self.panels:
            table.add(panel.code.code, panel.code.system, panel.groups)
        return table

    @cached_property
    def visits(self) -> ConceptTable:
        """What kind of visit a concept means."""
        return ConceptTable(self.encounters.values())

    @cached_property
    def drugs(self) -> DrugTable:
        """How drugs are recognised."""
        return DrugTable(self.medications, self.products, self.local_forms)

    @cached_property
    def met(self) -> Remembered[Means]:
        """What the codes of Observations meant that were met before."""
        return Remembered()

    @cached_property
    def observations(self) -> dict[str, dict[str, Hit]]:
        """Code → system URI → what an Observation with this code is."""
        table: dict[str, dict[str, Hit]] = defaultdict(dict)
        for code, systems in self.concepts.codes.items():
            table[code] = {system: Hit(findings=named) for system, named in systems.items()}
        for kind, signs in (("index", self.qualifiers.haemolysis_index), ("seen", self.qualifiers.haemolysis_seen)):
            for sign in signs:
                for system in SYSTEMS[sign.system]:
                    table[sign.code][system] = Hit(haemolysis=kind)
        for group in self.results.values():
            for result in group.codes:
                scale = Scale(group, result.units, result.part)
                for system in SYSTEMS[result.system]:
                    also = table[result.code].get(system, Hit())
                    alone = not also.findings and also.haemolysis is None
                    table[result.code][system] = Hit(
                        result=group,
                        scale=scale,
                        findings=also.findings,
                        haemolysis=also.haemolysis,
                        group=group.group,
                        is_result=alone,
                        quantity=group.kind == "quantity",
                        poc=result.poc,
                        part=result.part,
                    )
        return dict(table)

    @cached_property
    def scales(self) -> dict[str, Scale]:
        """How the numbers of each group are read, in its own units."""
        return {group.group: Scale(group) for group in self.results.values() if group.unit is not None}

    @cached_property
    def in_order(self) -> tuple[str, ...]:
        """The groups of computed results, each after those that it is computed from."""
        done: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in self.derived and name not in done:
                for source in (self.derived[name].base, *(group for _, group, _ in self.derived[name].inputs)):
                    visit(source)
                done[name] = None

        for name in self.derived:
            visit(name)
        return tuple(done)

    @cached_property
    def _cutoffs(self) -> dict[str, tuple[int, dict[str, str]]]:
        return {}

    def cutoffs(self, now: int, kind: str = "results") -> Mapping[str, str]:
        """The day (ISO 8601) before which no card asks, for each group with a horizon: `results`, `procedures` or
        `encounters`.
        """
        today = now // DAY
        day, found = self._cutoffs.get(kind, (None, {}))
        if day != today:
            reach = self.horizon if kind == "results" else self.record_horizon.get(kind, {})
            found = {name: day_of((today - 2) * DAY - horizon).isoformat() for name, horizon in reach.items()}
            self._cutoffs[kind] = today, found
        return found

    @cached_property
    def part_scales(self) -> dict[tuple[str, Part], Scale]:
        """How the halves of a blood pressure are read."""
        pressures = [group for group in self.results.values() if group.kind == "pressure"]
        return {(group.group, part): Scale(group, None, part) for group in pressures for part in get_args(Part)}

    def hit_of(self, coding: Coding) -> Hit | None:
        """What an Observation with this coding is, None when it is nothing of ours."""
        systems = self.observations.get((coding.code or "").strip())
        system = coding.system or ""
        if systems is None or not system.strip():
            return None
        return systems.get(system) or systems.get(plain_system(system))

    def groups_of(self, code: str) -> set[str]:
        """The result groups that a code names in one system or another."""
        hits = self.observations.get(code.strip(), {}).values()
        return {hit.group for hit in hits if hit.group}
