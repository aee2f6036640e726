"""The code groups of `cards/codes`, read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from cds_service.chart.codes import Codes
from cds_service.chart.groups import (
    Code,
    DrugGroup,
    EncounterGroup,
    FindingGroup,
    OrderGroup,
    Panel,
    Phrase,
    Product,
    RecordKey,
    ResultFile,
)
from cds_service.chart.words import whole_text
from cds_service.knowledge.code_drugs import read_drugs, read_products
from cds_service.knowledge.code_qualifiers import read_qualifiers
from cds_service.knowledge.code_results import read_results
from cds_service.knowledge.code_schema import GroupSchema, PanelSchema, RecordSchema
from cds_service.knowledge.code_tree import leaves_of
from cds_service.knowledge.reading import Node, Problems, read_yaml
from cds_service.knowledge.schema import conforms

RELEASE: Final = "rxnorm_release.csv"
"""The table of products that `cds-service rxnorm` writes beside the code groups."""
_SYSTEMS: Final = ("snomed", "loinc", "icd10cm", "act-class")


def load_codes(folder: Path, problems: Problems, *, release: bool = True) -> Codes:
    """All code groups of a folder. Mistakes are added to `problems`, each with its place; what has none is still
    read. Without `release` the table of products that was built from one is left out.
    """
    results, files = read_results(folder / "results", problems)
    nodes = _groups(folder, ("findings.yaml", "conditions.yaml"), problems)
    findings = {
        name: FindingGroup(
            group=name,
            name=node.value["name"].value,
            leaves=leaves,
            codes=codes_of(node),
            phrases=phrases_of(node),
            exclude=_texts(node, "exclude"),
            initial_only=_flag(node, "initial_only"),
        )
        for name, node, leaves in _with_leaves(nodes, problems)
    }
    medications, local_forms = read_drugs(folder / "medications.yaml", problems)
    ordered, panels = _orders(folder / "orders.yaml", set(results), problems)
    visits = {
        name: EncounterGroup(
            group=name,
            name=node.value["name"].value,
            leaves=leaves,
            codes=codes_of(node),
            phrases=phrases_of(node),
        )
        for name, node, leaves in _with_leaves(_groups(folder, ("encounters.yaml",), problems), problems)
    }
    _check_asked_findings(files, findings, folder, problems)
    return Codes(
        results=results,
        files={key: file for key, (file, _) in files.items()},
        findings=findings,
        medications=medications,
        local_forms=local_forms,
        products=_products(folder, medications, problems, release=release),
        orders=ordered,
        panels=panels,
        encounters=visits,
        records=_records(folder / "records.yaml", problems),
        qualifiers=read_qualifiers(folder / "qualifiers.yaml", findings, problems),
    )


def _products(
    folder: Path, groups: Mapping[str, DrugGroup], problems: Problems, *, release: bool
) -> tuple[Product, ...]:
    """The products of a release where it was read (`cds-service rxnorm`); of the starter table what that lacks."""
    table = folder / RELEASE
    current = read_products(table, groups, problems) if release and table.is_file() else ()
    known = {row.rxcui for row in current}
    starter = read_products(folder / "rxnorm_starter.csv", groups, problems)
    return (*current, *(row for row in starter if row.rxcui not in known))


def codes_of(node: Node) -> tuple[Code, ...]:
    """The codes of a group, of all its systems."""
    return tuple(
        Code(system, code["code"], code["display"], code["verified"], code.get("side"))
        for system in _SYSTEMS
        for code in (one.plain() for one in node.get(system) or ())
    )


def phrases_of(node: Node) -> tuple[Phrase, ...]:
    """The phrases of a group, as they are compared."""
    return tuple(
        Phrase(whole_text(phrase["text"]), phrase["side"]) if isinstance(phrase, dict) else Phrase(whole_text(phrase))
        for phrase in (one.plain() for one in node.get("phrases") or ())
    )


def _groups(folder: Path, files: Iterable[str], problems: Problems) -> dict[str, Node]:
    """The groups of several files, one namespace; each code and phrase may stand once in a group, each name once in
    all.
    """
    found: dict[str, Node] = {}
    for file in files:
        path = folder / file
        for name, node in read_yaml(path, problems).items():
            if name in found:
                problems.add(node, f"the group '{name}' a second time", "each group once, in one file")
            elif conforms(GroupSchema, node, problems):
                found[name] = node
                _check_once(node, problems)
    return found


def _check_once(node: Node, problems: Problems) -> None:
    seen = set()
    for system in _SYSTEMS:
        for code in node.get(system) or ():
            pair = system, code.value["code"].value
            if pair in seen:
                problems.add(code, f"the code {pair[1]} a second time", "each code once in a group")
            seen.add(pair)


def _with_leaves(nodes: Mapping[str, Node], problems: Problems) -> Iterator[tuple[str, Node, tuple[str, ...]]]:
    """Each group with the groups whose items belong to it, itself first."""
    for name, node in nodes.items():
        yield name, node, leaves_of(name, nodes, problems)


def _orders(path: Path, results: set[str], problems: Problems) -> tuple[dict[str, OrderGroup], tuple[Panel, ...]]:
    whole = read_yaml(path, problems)
    for key, _ in whole.items():
        if key not in ("groups", "panels"):
            problems.at(path, *whole.keys[key], f"the unknown key '{key}'", "groups or panels")
    nodes: dict[str, Node] = {}
    for name, node in (whole.get("groups") or Node({}, path, 1, 1)).items():
        if name in results:
            problems.add(node, f"'{name}', which is a result group", "a name of its own: a result is an order as it is")
        elif conforms(GroupSchema, node, problems):
            nodes[name] = node
            _check_once(node, problems)
    groups = {
        name: OrderGroup(
            group=name,
            name=node.value["name"].value,
            leaves=leaves,
            codes=codes_of(node),
            phrases=phrases_of(node),
        )
        for name, node, leaves in _with_leaves(nodes, problems)
    }
    panels = []
    for code, node in (whole.get("panels") or Node({}, path, 1, 1)).items():
        if not conforms(PanelSchema, node, problems):
            continue
        for result in node.value["results"]:
            if result.value not in results and result.value not in groups:
                problems.add(result, f"the unknown group '{result.value}'", "a result group or a group of orders")
        plain = node.plain()
        panels.append(Panel(Code("loinc", code, plain["display"], plain["verified"]), tuple(plain["results"])))
    return groups, tuple(panels)


def _records(path: Path, problems: Problems) -> dict[str, RecordKey]:
    found = {}
    for key, node in read_yaml(path, problems).items():
        if not conforms(RecordSchema, node, problems):
            continue
        plain = node.plain()
        if ("read" in plain) == ("search" in plain):
            problems.add(node, "neither or both of read and search", "one of them")
            continue
        found[key] = RecordKey(key, plain.get("read") or plain["search"], "read" in plain, plain["required"])
    return found


def _check_asked_findings(
    files: Mapping[str, tuple[ResultFile, Node]], findings: Mapping[str, FindingGroup], folder: Path, problems: Problems
) -> None:
    asked: dict[str, str] = {}
    for key, (_, node) in files.items():
        for finding in node.get("findings") or ():
            name = finding.value
            if name not in findings:
                problems.add(finding, f"the unknown group '{name}'", "a group of findings.yaml or conditions.yaml")
            elif name in asked:
                problems.add(finding, f"'{name}', which {asked[name]} asks for already", "each group in one file")
            asked[name] = key


def _texts(node: Node, key: str) -> tuple[str, ...]:
    return tuple(child.value for child in node.get(key) or ())


def _flag(node: Node, key: str) -> bool:
    child = node.get(key)
    return child is not None and child.value is True
