"""`cards/codes/qualifiers.yaml`: severity, side, site, sex, what means present, signs of haemolysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cds_service.chart.groups import SYSTEMS, Code, FindingGroup, HaemolysisWords, Qualifiers
from cds_service.chart.words import whole_text
from cds_service.knowledge.code_schema import QualifiersSchema
from cds_service.knowledge.reading import Node, Problems, read_yaml
from cds_service.knowledge.schema import conforms

Key = tuple[str, str]


def read_qualifiers(path: Path, findings: Mapping[str, FindingGroup], problems: Problems) -> Qualifiers:
    """The qualifiers; the groups that a site moves or excludes must be finding groups."""
    node = read_yaml(path, problems)
    if not conforms(QualifiersSchema, node, problems):
        return Qualifiers()
    plain = node.plain()
    leg = node.value["leg"]
    moves = leg.get("moves") or Node({}, path, 1, 1)
    for general, target in moves.items():
        _known(target, general, findings, problems)
        _known(target, target.value, findings, problems)
    for one in leg.get("only") or ():
        _known(one, one.value, findings, problems)
    haemolysis = plain["haemolysis"]
    return Qualifiers(
        severity=_meanings(plain["severity"]),
        side=_meanings(plain["side"]),
        sex=_meanings(plain["sex"]),
        leg=frozenset(_keys(plain["leg"])),
        present=frozenset(_keys(plain["present"])),
        haemolysed=frozenset(_keys({"codes": haemolysis["specimen"]})),
        haemolysis_index=_codes(haemolysis["index"]),
        haemolysis_seen=_codes(haemolysis["seen"]),
        haemolysis_words=HaemolysisWords(**{part: tuple(words) for part, words in haemolysis["words"].items()}),
        on_leg=moves.plain(),
        only_leg=frozenset(plain["leg"].get("only", ())),
    )


def _known(node: Node, name: str, findings: Mapping[str, FindingGroup], problems: Problems) -> None:
    if name not in findings:
        problems.add(node, f"the unknown group '{name}'", "a group of findings.yaml or conditions.yaml")


def _meanings(plain: Mapping[str, Any]) -> dict[Key, Any]:
    return {key: meaning for meaning, one in plain.items() for key in _keys(one)}


def _keys(plain: Mapping[str, Any]) -> Iterator[Key]:
    for code in plain.get("codes", ()):
        for system in SYSTEMS[code.get("system", "snomed")]:
            yield system, code["code"]
    for phrase in plain.get("phrases", ()):
        yield "", whole_text(phrase)


def _codes(plain: list[dict[str, Any]]) -> tuple[Code, ...]:
    return tuple(Code(one.get("system", "loinc"), one["code"], one["display"], one["verified"]) for one in plain)
