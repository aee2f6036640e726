"""`cds-service rxnorm`: the table of clinical drugs, built from a RxNorm release.

Reads RXNCONSO.RRF and RXNREL.RRF of the RxNorm Current Prescribable Content (or of a full release) as the National
Library of Medicine describes them (RxNorm Technical Documentation, sections 12.4 and 12.7), and walks from each
ingredient of `cards/codes/medications.yaml` to the names, components, forms, drugs and packs that hold it.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import click

from cds_service.chart.codes import Codes
from cds_service.chart.drugs import form_pattern
from cds_service.knowledge.code_drugs import PRODUCT_COLUMNS
from cds_service.knowledge.codes import RELEASE, load_codes
from cds_service.knowledge.reading import KnowledgeError, Problems

_CONSO_COLUMNS: Final = 18
_REL_COLUMNS: Final = 16
_STEPS: Final = {
    ("IN", "PIN"): {"form_of", "has_form"},
    ("IN", "BN"): {"tradename_of", "has_tradename"},
    ("IN", "MIN"): {"has_part", "part_of"},
    ("IN", "SCDC"): {"has_ingredient", "ingredient_of"},
    ("PIN", "SCDC"): {"has_precise_ingredient", "precise_ingredient_of"},
    ("IN", "SCDF"): {"has_ingredient", "ingredient_of"},
    ("SCDC", "SBDC"): {"tradename_of", "has_tradename"},
    ("SCDC", "SCD"): {"consists_of", "constitutes"},
    ("SCDF", "SBDF"): {"tradename_of", "has_tradename"},
    ("SCD", "SBD"): {"tradename_of", "has_tradename"},
    ("SCD", "GPCK"): {"contains", "contained_in"},
    ("SCD", "BPCK"): {"contains", "contained_in"},
    ("SBD", "BPCK"): {"contains", "contained_in"},
    ("GPCK", "BPCK"): {"tradename_of", "has_tradename"},
}  # fmt: skip
"""From the simpler to the composed concept (by term types), and how RXNREL calls it; each pair stands there twice."""
_FORMS: Final = {"has_dose_form", "dose_form_of"}
_STRENGTH: Final = re.compile(r" ([0-9]+(?:\.[0-9]+)?) (MG|MCG|UG|GM)$", re.IGNORECASE)
_MG: Final = {"MG": 1.0, "MCG": 0.001, "UG": 0.001, "GM": 1000.0}
_NO_FORM: Final = {"IN", "PIN", "BN", "MIN", "SCDC", "SBDC"}


class RxNormError(Exception):
    """The release cannot be read: which file and line, what was found, what was expected."""


class Row(NamedTuple):
    """A row of the table: a code with the ingredients of one group that it holds."""

    rxcui: str
    group: str
    ingredients: str
    strengths_mg: str
    form: str


@dataclass(slots=True)
class _Concept:
    term_type: str
    name: str
    parts: set[str] = field(default_factory=set)
    forms: set[str] = field(default_factory=set)


def run_rxnorm(release: Path, cards: Path) -> int:
    """Write the table beside the code groups of a folder of cards and print what it holds; 1 when it cannot."""
    problems = Problems()
    codes = load_codes(cards / "codes", problems, release=False)
    try:
        problems.check()
        concepts = read_release(release)
    except (KnowledgeError, RxNormError) as error:
        click.echo(str(error), err=True)
        return 1
    rows = sorted(products(concepts, codes), key=lambda row: (int(row.rxcui), row.group))
    path = cards / "codes" / RELEASE
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PRODUCT_COLUMNS)
        writer.writerows(rows)
    new.replace(path)
    by_group: dict[str, int] = defaultdict(int)
    for row in rows:
        by_group[row.group] += 1
    for group, count in sorted(by_group.items()):
        click.echo(f"{group}: {count}")
    for group, name, code in _not_in(concepts, codes):
        click.echo(f"{group}: {name} ({code}) is no ingredient of this release")
    click.echo(f"{len(rows)} codes of {len(concepts)} concepts written to {path}")
    return 0


def read_release(folder: Path) -> dict[str, _Concept]:
    """The concepts of a release by RXCUI, each with what it is made of. Raises RxNormError."""
    concepts: dict[str, _Concept] = {}
    for row in _rows(folder, "RXNCONSO.RRF", _CONSO_COLUMNS):
        code, source, term_type, name = row[0], row[11], row[12], row[14]
        if source == "RXNORM" and (term_type == "DF" or any(term_type in step for step in _STEPS)):
            concepts[code] = _Concept(term_type, name)
    if not concepts:
        raise RxNormError(
            f"{folder / 'RXNCONSO.RRF'}: found no concept of RxNorm; expected rows with the source RXNORM"
        )
    for row in _rows(folder, "RXNREL.RRF", _REL_COLUMNS):
        first, second, relation = concepts.get(row[0]), concepts.get(row[4]), row[7]
        if first is None or second is None:
            continue
        for code, part, whole in ((row[0], first, second), (row[4], second, first)):
            if relation in _STEPS.get((part.term_type, whole.term_type), ()):
                whole.parts.add(code)
            elif relation in _FORMS and part.term_type == "DF" and whole.term_type != "DF":
                whole.forms.add(part.name)
    return concepts


def products(concepts: dict[str, _Concept], codes: Codes) -> Iterator[Row]:
    """A row for each code and each group of drugs that it belongs to."""
    is_local = form_pattern(codes.local_forms)
    wanted: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for group in codes.medications.values():
        for drug in group.ingredients.values():
            if drug.rxnorm:
                wanted[drug.rxnorm].append((group.group, drug.name))
    for code, concept in concepts.items():
        if concept.term_type == "DF":
            continue
        held = _ingredients(code, concepts)
        by_group: dict[str, dict[str, str]] = defaultdict(dict)
        for ingredient, strength in held.items():
            for group_name, name in wanted.get(ingredient, ()):
                by_group[group_name][name] = strength
        form = _form(code, concepts, is_local)
        for group_name, drugs in by_group.items():
            names = sorted(drugs)
            strengths = "|".join(drugs[name] for name in names)
            yield Row(code, group_name, "|".join(names), strengths if strengths.strip("|") else "", form)


def _ingredients(code: str, concepts: dict[str, _Concept]) -> dict[str, str]:
    """The ingredients (RXCUI) that a concept holds, each with its strength in mg as text, "" when that is not one."""
    concept = concepts[code]
    if concept.term_type == "IN":
        return {code: ""}
    found: dict[str, set[str]] = defaultdict(set)
    for part in concept.parts:
        for ingredient, strength in _ingredients(part, concepts).items():
            found[ingredient].add(strength)
    own = _strength(concept) if concept.term_type == "SCDC" else None
    if own is not None:
        return dict.fromkeys(found, own)
    return {ingredient: next(iter(strengths)) if len(strengths) == 1 else "" for ingredient, strengths in found.items()}


def _strength(component: _Concept) -> str:
    match = _STRENGTH.search(component.name)
    return f"{round(float(match[1]) * _MG[match[2].upper()], 6):g}" if match else ""


def _form(code: str, concepts: dict[str, _Concept], is_local: re.Pattern[str]) -> str:
    concept = concepts[code]
    forms = set(concept.forms)
    for part in concept.parts if concept.term_type in ("SBD", "SBDF", "GPCK", "BPCK") else ():
        forms |= concepts[part].forms
    if concept.term_type in _NO_FORM or not forms:
        return "unknown"
    return "local" if all(is_local.search(form.lower()) for form in forms) else "systemic"


def _not_in(concepts: dict[str, _Concept], codes: Codes) -> Iterable[tuple[str, str, str]]:
    for group in codes.medications.values():
        for drug in group.ingredients.values():
            if drug.rxnorm and drug.rxnorm not in concepts:
                yield group.group, drug.name, drug.rxnorm


def _rows(folder: Path, name: str, columns: int) -> Iterator[list[str]]:
    path = next((one for one in (folder / name, folder / "rrf" / name) if one.is_file()), None)
    if path is None:
        raise RxNormError(f"{folder}: found no {name}; expected the unpacked folder of a RxNorm release, or its rrf")
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            row = line.rstrip("\r\n").split("|")
            if "\ufffd" in line:
                raise RxNormError(f"{path}:{number}: found bytes that are no UTF-8; expected a release file as it came")
            if not row[0].isdecimal() and name == "RXNCONSO.RRF":
                raise RxNormError(f"{path}:{number}: found the code '{row[0][:40]}'; expected a number")
            if len(row) != columns + 1:
                raise RxNormError(f"{path}:{number}: found {len(row) - 1} columns; expected {columns}")
            yield row
