"""The files of `cards/codes/results`: one for each prefetch key, with the results it asks for and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cds_service.chart.groups import (
    SYSTEMS,
    DerivedSpec,
    Kind,
    Part,
    ResultCode,
    ResultFile,
    ResultGroup,
    Unit,
)
from cds_service.chart.words import whole_text
from cds_service.knowledge.code_schema import ResultFileSchema
from cds_service.knowledge.language import duration
from cds_service.knowledge.reading import Node, Problems, read_yaml
from cds_service.knowledge.schema import conforms

Files = dict[str, tuple[ResultFile, Node]]


def read_results(folder: Path, problems: Problems) -> tuple[dict[str, ResultGroup], Files]:
    """The result groups of all files by name, and the files by key, each with its node."""
    groups: dict[str, ResultGroup] = {}
    files: Files = {}
    places: dict[str, Node] = {}
    for path in sorted(folder.glob("*.yaml")):
        node = read_yaml(path, problems)
        if not conforms(ResultFileSchema, node, problems):
            continue
        names = []
        for name, inner in (node.get("results") or Node({}, path, 1, 1)).items():
            if name in groups:
                problems.add(inner, f"the group '{name}' a second time", f"each group once: {groups[name].file} has it")
                continue
            names.append(name)
            places[name] = inner
            groups[name] = _group(name, path.stem, inner, problems)
        asked = tuple(one.value for one in node.get("findings") or ())
        files[path.stem] = ResultFile(path.stem, node.value["required"].value, tuple(names), asked), node
    if not files:
        problems.at(folder, 1, 1, "no files of results", "one YAML file for each prefetch key")
    _check_sources(groups, places, problems)
    _check_codes(groups, places, problems)
    return groups, files


def _group(name: str, file: str, node: Node, problems: Problems) -> ResultGroup:
    plain: dict[str, Any] = node.plain()
    kind: Kind = plain.get("value") or ("pressure" if "components" in plain else "quantity")
    units = _units(plain.get("units", {}))
    if kind in ("quantity", "pressure"):
        _check_quantity(node, plain, units, problems)
    plausible = plain.get("plausible")
    parts = plain.get("components", {})
    of_part: dict[str, Part] = dict.fromkeys(parts.get("systolic", ()), "systolic")
    of_part |= dict.fromkeys(parts.get("diastolic", ()), "diastolic")
    _check_components(node, of_part, problems)
    return ResultGroup(
        group=name,
        name=plain["name"],
        file=file,
        kind=kind,
        unit=plain.get("unit"),
        decimals=plain.get("decimals", 0),
        plausible=None if plausible is None or isinstance(plausible, dict) else (plausible[0], plausible[1]),
        plausible_parts=_parts(plausible, kind),
        normal=(plain["normal"][0], plain["normal"][1]) if "normal" in plain else None,
        haemolysis=plain.get("haemolysis", False),
        units=units,
        spellings=plain.get("spellings", {}),
        answers=_answers(node, problems),
        answer_names=tuple(plain.get("answers", ())),
        same_day=plain.get("same_day"),
        derived=_derived(node),
        codes=tuple(_code(code, of_part) for code in plain.get("codes", ())),
    )


def _units(plain: Mapping[str, Any]) -> dict[str, Unit]:
    return {
        code: Unit(float(how.get("before", 0)), float(how["factor"]), float(how.get("after", 0)))
        if isinstance(how, dict)
        else Unit(factor=float(how))
        for code, how in plain.items()
    }


def _parts(plausible: Any, kind: Kind) -> dict[Part, tuple[float, float]]:
    if kind != "pressure" or plausible is None:
        return {}
    if isinstance(plausible, dict):
        return {part: (bounds[0], bounds[1]) for part, bounds in plausible.items()}
    return {"systolic": (plausible[0], plausible[1]), "diastolic": (plausible[0], plausible[1])}


def _code(plain: Mapping[str, Any], parts: Mapping[str, Part]) -> ResultCode:
    return ResultCode(
        system=plain.get("system", "loinc"),
        code=plain["code"],
        display=plain["display"],
        verified=plain["verified"],
        poc=plain.get("poc", False),
        sample=plain.get("sample"),
        part=parts.get(plain["code"]),
        units=_units(plain["units"]) if "units" in plain else None,
    )


def _answers(node: Node, problems: Problems) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for answer, codes in (node.get("answers") or Node({}, node.path, 1, 1)).items():
        for code in codes:
            plain = code.plain()
            keys = [("", whole_text(text)) for text in plain.get("texts", ())]
            if "code" in plain:
                keys += [(system, plain["code"]) for system in SYSTEMS[plain.get("system", "loinc")]]
            for key in keys:
                if key in found:
                    problems.add(code, f"the answer {key[1]} a second time", "each answer once")
                found[key] = answer
        found.setdefault(("", whole_text(answer)), answer)
    return found


def _derived(node: Node) -> DerivedSpec | None:
    spec = node.get("derived")
    if spec is None:
        return None
    inputs = tuple(
        (name, one.value["result"].value, duration(one.value["within"].value) or 0)  # the schema saw that it is one
        for name, one in (spec.get("inputs") or Node({}, node.path, 1, 1)).items()
    )
    value, valid = spec.value["value"], spec.get("valid")
    return DerivedSpec(
        base=spec.value["from"].value,
        inputs=inputs,
        value=value.value,
        valid=valid.value if valid is not None else None,
        value_at=value,
        valid_at=valid,
    )


def _check_quantity(node: Node, plain: Mapping[str, Any], units: Mapping[str, Unit], problems: Problems) -> None:
    for key in ("unit", "decimals", "plausible", "units"):
        if key not in plain:
            problems.add(node, f"no '{key}'", f"the key '{key}', since the value is a quantity")
    unit = plain.get("unit")
    if unit is not None and units and units.get(unit) != Unit():
        problems.add(node, f"no factor 1 for '{unit}'", "the canonical unit among the units, with the factor 1")
    for code, how in units.items():
        if how.factor <= 0:
            problems.add(node, f"the factor {how.factor:g} of '{code}'", "a factor above 0")
    own = set(units) | {unit for code in plain.get("codes", ()) for unit in code.get("units", ())}
    for text, target in plain.get("spellings", {}).items():
        place = node.value["spellings"].value[text]
        if target not in own:
            problems.add(place, f"'{text}' for the unknown unit '{target}'", "one of the units of this group")
        if text in units:
            problems.add(place, f"'{text}', which is a unit itself", "another spelling of a unit")


def _check_components(node: Node, parts: Mapping[str, Part], problems: Problems) -> None:
    codes = {code.value["code"].value for code in node.get("codes") or ()}
    for code in parts:
        if code not in codes:
            problems.add(node, f"the component {code}", "a code of this group, so that it counts alone too")


def _check_sources(groups: Mapping[str, ResultGroup], places: Mapping[str, Node], problems: Problems) -> None:
    """A computed result starts from results that exist, and not from itself."""
    for name, group in groups.items():
        if group.derived is None:
            continue
        for source in (group.derived.base, *(of for _, of, _ in group.derived.inputs)):
            if source not in groups:
                problems.add(places[name], f"the unknown result '{source}'", "a result group")
            elif _reaches(source, name, groups, set()):
                problems.add(places[name], f"a circle through '{source}'", "a result computed from others")


def _reaches(start: str, goal: str, groups: Mapping[str, ResultGroup], seen: set[str]) -> bool:
    if start == goal:
        return True
    spec = groups[start].derived if start in groups and start not in seen else None
    seen.add(start)
    return spec is not None and any(
        _reaches(source, goal, groups, seen) for source in (spec.base, *(of for _, of, _ in spec.inputs))
    )


def _check_codes(groups: Mapping[str, ResultGroup], places: Mapping[str, Node], problems: Problems) -> None:
    """A code means one result."""
    seen: dict[tuple[str, str], str] = {}
    for name, group in groups.items():
        for code in group.codes:
            earlier = seen.get((code.system, code.code))
            if earlier is not None:
                problems.add(
                    places[name], f"the code {code.code}, which {earlier} has already", "each code in one result"
                )
            seen[code.system, code.code] = name
        if not group.codes and group.derived is None:
            problems.add(places[name], "no codes", "codes, or derived")
