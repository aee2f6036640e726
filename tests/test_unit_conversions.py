"""Every unit of every result, proved against an independent reader of UCUM (ucumvert and pint) and molar masses."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import pytest
from ucum import read_as_ucum, registry

from cds_service.chart.groups import ResultGroup, Unit
from cds_service.folders import cards_folder
from cds_service.knowledge.code_results import read_results
from cds_service.knowledge.reading import Problems

FOUR_DIGITS: Final = 5e-4
"""Half a unit of the fourth significant digit, relative to the smallest number that has four."""

ELEMENT: Final = "IUPAC, abridged standard atomic weights (2021)"
PUBCHEM: Final = "PubChem, computed from the formula"
MOLAR_MASS: Final[dict[str, tuple[float, str]]] = {
    "potassium": (39.098, ELEMENT),
    "sodium": (22.990, ELEMENT),
    "total-calcium": (40.078, ELEMENT),
    "magnesium": (24.305, ELEMENT),
    "phosphate": (30.974, f"phosphorus alone, as laboratories report it: {ELEMENT}"),
    "iron": (55.845, ELEMENT),
    "tibc": (55.845, f"the iron that is bound: {ELEMENT}"),
    "bun": (28.014, f"the two nitrogen atoms of urea: {ELEMENT}"),
    "glucose": (180.156, PUBCHEM),
    "creatinine": (113.12, PUBCHEM),
    "lactate": (90.08, PUBCHEM),
    "bohb": (104.10, PUBCHEM),
    "mma": (118.09, PUBCHEM),
    "homocysteine": (135.19, PUBCHEM),
    "folate": (441.40, PUBCHEM),
    "b12": (1_355.4, f"cyanocobalamin: {PUBCHEM}"),
    "vitamin-d": (400.6, f"25-hydroxyvitamin D3, with which laboratories convert D2 too: {PUBCHEM}"),
    "t4-total": (776.87, PUBCHEM),
    "ft3": (650.97, PUBCHEM),
    "digoxin-level": (780.94, PUBCHEM),
    "total-cholesterol": (386.65, PUBCHEM),
    "triglycerides": (885.7, "three oleic acids, the convention of laboratories"),
    "haemoglobin": (16_114, "one of the four chains with its haem, the convention of laboratories"),
    "albumin": (66_500, "UniProt P02768"),
    "transferrin": (79_600, "UniProt P02787 with its sugars"),
    "ferritin": (445_000, "apoferritin of 24 parts, the convention of laboratories"),
    "pth": (9_425, "the whole hormone of 84 amino acids: UniProt P01270"),
}
"""Grams of a mole, and where the number comes from."""
SAME_SUBSTANCE: Final = {
    "potassium-pre-dialysis": "potassium", "potassium-post-dialysis": "potassium", "corrected-calcium": "total-calcium",
    "ionised-calcium": "total-calcium", "ionised-calcium-ph-adjusted": "total-calcium", "folate-red-cell": "folate",
    "vitamin-d-25oh-d3": "vitamin-d", "vitamin-d-25oh-d2": "vitamin-d", "ft4": "t4-total", "ldl": "total-cholesterol",
    "hdl": "total-cholesterol",
}  # fmt: skip
TWO_CHARGES: Final = {"total-calcium", "magnesium"}
"""Ions of which a mole is two equivalents; of all others it is one."""

OF_NITROGEN: Final = "a mass of urea (60.056 g/mol), of which the nitrogen counts"
OF_IMMUNOASSAY: Final = "an immunoassay counts international units, whatever is printed"
ANNOTATION: Final = "an annotation alone is the unit 1 in UCUM; ucumvert gives back its text"
BY_CONVENTION: Final[dict[tuple[str, str], tuple[Unit, str]]] = {
    ("hba1c", "mmol/mol"): (Unit(factor=0.09148, after=2.152), "IFCC to NGSP: master equation of the NGSP"),
    ("hba1c 59261-8", "mmol/mol"): (Unit(factor=0.09148, after=2.152), "IFCC to NGSP: master equation of the NGSP"),
    ("hba1c 62388-4", "%"): (Unit(factor=1.02, after=0.25), "JDS to NGSP: Japan Diabetes Society, 2012"),
    ("bun 22664-7", "mg/dL"): (Unit(factor=28.014 / 60.056), OF_NITROGEN),
    ("bun 3091-6", "mg/dL"): (Unit(factor=28.014 / 60.056), OF_NITROGEN),
    ("tsh", "mU/L"): (Unit(), OF_IMMUNOASSAY),
    ("tsh", "uU/mL"): (Unit(), OF_IMMUNOASSAY),
    ("ph-blood", "[pH]"): (Unit(), "a logarithm, for which ucumvert has no unit"),
    ("ph-blood", "1"): (Unit(), "a logarithm, for which ucumvert has no unit"),
    ("abi", "{ratio}"): (Unit(), ANNOTATION),
    ("abi", "{index}"): (Unit(), ANNOTATION),
    ("bun-creatinine-ratio", "{ratio}"): (Unit(), ANNOTATION),
    ("exercise-vital-sign", "min"): (Unit(), "the question asks for minutes a day"),
    ("exercise-days", "d"): (Unit(), "the question asks for days a week"),
}
"""Conversions that neither a dimension nor a molar mass gives, with the reason."""


class Conversion(NamedTuple):
    """A unit of a result group, or of one code of it, and how it becomes the canonical one."""

    group: ResultGroup
    code: str
    unit: str
    how: Unit

    @property
    def place(self) -> str:
        return f"{self.group.group} {self.code}".strip()

    def __str__(self) -> str:
        return f"{self.place}: {self.unit}"


GROUPS: Final = read_results(cards_folder() / "codes" / "results", Problems())[0]
CONVERSIONS: Final = [
    *(Conversion(group, "", unit, how) for group in GROUPS.values() for unit, how in group.units.items()),
    *(
        Conversion(group, code.code, unit, how)
        for group in GROUPS.values()
        for code in group.codes
        for unit, how in (code.units or {}).items()
    ),
]


def by_ucum(value: float, unit: str, canonical: str, substance: str) -> float | None:
    """A value of a unit in another one, by dimension, charge or molar mass; None when UCUM does not say."""
    one, target = read_as_ucum(unit), read_as_ucum(canonical)
    if one is None or target is None:
        return None
    quantity = registry().Quantity(value * one.magnitude, one.units)
    if "eq" in unit:
        quantity = quantity / (2 if substance in TWO_CHARGES else 1)
    if quantity.dimensionality != target.dimensionality:
        if substance not in MOLAR_MASS:
            return None
        mass = registry().Quantity(MOLAR_MASS[substance][0], "gram / mole")
        quantity = next(
            (other for other in (quantity * mass, quantity / mass) if other.dimensionality == target.dimensionality),
            quantity,
        )
        if quantity.dimensionality != target.dimensionality:
            return None
    return float(quantity.to(target.units).magnitude / target.magnitude)


def applied(how: Unit, value: float) -> float:
    return (value + how.before) * how.factor + how.after


def expected(conversion: Conversion, value: float) -> float | None:
    """What a value must become, from a source of its own; None when there is none."""
    convention = BY_CONVENTION.get((conversion.place, conversion.unit))
    if convention is not None:
        return applied(convention[0], value)
    group = conversion.group
    substance = SAME_SUBSTANCE.get(group.group, group.group)
    return by_ucum(value, conversion.unit, str(group.unit), substance)


@pytest.mark.parametrize("conversion", CONVERSIONS, ids=str)
def test_a_unit_is_converted_as_its_dimension_or_molar_mass_says(conversion: Conversion) -> None:
    for value in (1.0, 10.0, 100.0):
        theirs = expected(conversion, value)
        assert theirs is not None, "neither UCUM, nor a molar mass, nor a convention proves it"
        assert applied(conversion.how, value) == pytest.approx(theirs, rel=FOUR_DIGITS)


@pytest.mark.parametrize("place", BY_CONVENTION, ids=": ".join)
def test_a_convention_stands_only_where_ucum_does_not_prove_the_unit(place: tuple[str, str]) -> None:
    conversion = next(one for one in CONVERSIONS if (one.place, one.unit) == place)
    group = conversion.group
    theirs = by_ucum(10.0, conversion.unit, str(group.unit), group.group)
    assert theirs is None or not math.isclose(theirs, applied(conversion.how, 10.0), rel_tol=FOUR_DIGITS)


def test_every_molar_mass_is_of_a_substance_that_is_measured() -> None:
    assert set(MOLAR_MASS) | set(SAME_SUBSTANCE) <= set(GROUPS)
    assert set(SAME_SUBSTANCE.values()) | TWO_CHARGES <= set(MOLAR_MASS)
