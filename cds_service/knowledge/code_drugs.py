"""Drugs: `cards/codes/medications.yaml` and the tables of RxNorm products beside it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from cds_service.chart.groups import AtcCode, DrugGroup, Ingredient, Product
from cds_service.knowledge.code_schema import DrugGroupSchema
from cds_service.knowledge.code_tree import leaves_of
from cds_service.knowledge.reading import Node, Problems, read_yaml
from cds_service.knowledge.schema import conforms

Form = Literal["systemic", "local", "unknown"]
PRODUCT_COLUMNS: Final = ["rxcui", "group", "ingredients", "strengths_mg", "form"]


def read_drugs(path: Path, problems: Problems) -> tuple[dict[str, DrugGroup], tuple[str, ...]]:
    """The drug groups by name, and the words of forms that act where they are put."""
    whole = read_yaml(path, problems)
    local_forms = tuple(one.value for one in whole.get("local_forms") or ())
    nodes = {
        name: node
        for name, node in whole.items()
        if name != "local_forms" and conforms(DrugGroupSchema, node, problems)
    }
    groups = {name: _group(name, node, leaves_of(name, nodes, problems)) for name, node in nodes.items()}
    for name, node in nodes.items():
        _check(node, groups[name], problems)
    return groups, local_forms


def read_products(path: Path, groups: Mapping[str, DrugGroup], problems: Problems) -> tuple[Product, ...]:
    """The rows of a table of products: each of a known group, with ingredients that the group has."""
    if not path.is_file():
        problems.at(path, 1, 1, "no file", "the table of RxNorm products")
        return ()
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if next(rows, None) != PRODUCT_COLUMNS:
            problems.at(path, 1, 1, "another first line", ",".join(PRODUCT_COLUMNS))
            return ()
        for line, row in enumerate(rows, start=2):
            drug = _row(row)
            if drug is None:
                problems.at(path, line, 1, "a row that cannot be read", "code, group, ingredients, strengths, form")
            elif drug.group not in groups or any(one not in groups[drug.group].ingredients for one in drug.ingredients):
                problems.at(
                    path, line, 1, f"{drug.group}: {', '.join(drug.ingredients)}", "a group and its ingredients"
                )
            else:
                found.append(drug)
    return tuple(found)


def _group(name: str, node: Node, leaves: tuple[str, ...]) -> DrugGroup:
    plain = node.plain()
    return DrugGroup(
        group=name,
        name=plain["name"],
        leaves=leaves,
        ingredients={
            drug: Ingredient(drug, one.get("rxnorm"), tuple(one["names"]), one.get("equivalent"), one["verified"])
            for drug, one in plain.get("ingredients", {}).items()
        },
        atc=tuple(AtcCode(one["code"], tuple(one.get("ingredients", ()))) for one in plain.get("atc", ())),
        one_tablet_a_day=plain.get("one_tablet_a_day", False),
        only_systemic=plain.get("only_systemic", False),
        never=tuple(plain.get("not", ())),
    )


def _check(node: Node, group: DrugGroup, problems: Problems) -> None:
    if not group.ingredients and not group.atc and len(group.leaves) == 1:
        problems.add(node, "neither ingredients nor ATC codes nor other groups", "something that is recognised")
    codes = [one.rxnorm for one in group.ingredients.values() if one.rxnorm]
    for code in {code for code in codes if codes.count(code) > 1}:
        problems.add(node, f"the RxNorm code {code} twice", "each code once in a group")
    for atc in node.get("atc") or ():
        for one in atc.get("ingredients") or ():
            if one.value not in group.ingredients:
                problems.add(one, f"the unknown ingredient '{one.value}'", "an ingredient of this group")


def _row(row: list[str]) -> Product | None:
    if len(row) != len(PRODUCT_COLUMNS) or row[4] not in get_args(Form):
        return None
    ingredients = tuple(row[2].split("|"))
    texts = row[3].split("|") if row[3] else [""] * len(ingredients)
    try:
        strengths = tuple(float(text) if text else None for text in texts)
    except ValueError:
        return None
    if len(strengths) != len(ingredients):
        return None
    form: Form = row[4]  # type: ignore[assignment]
    return Product(row[0], row[1], ingredients, strengths, form)
