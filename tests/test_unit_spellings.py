"""Every spelling of a unit means the unit that it is taken for, wherever it is printed; foreign texts are refused."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from ucum import read_as_ucum

from cds_service.chart.chart import build_chart
from cds_service.chart.codes import Codes
from cds_service.chart.groups import SYSTEMS, ResultGroup
from cds_service.chart.items import Result
from cds_service.folders import cards_folder
from cds_service.knowledge.code_results import read_results
from cds_service.knowledge.codes import load_codes
from cds_service.knowledge.derived import compile_derived
from cds_service.knowledge.reading import Problems

GROUPS: Final = read_results(cards_folder() / "codes" / "results", Problems())[0]
SPELLINGS: Final = sorted({(text, unit) for group in GROUPS.values() for text, unit in group.spellings.items()})
OF_COUNTS: Final = [("G/L", "10*9/L"), ("G/l", "10*9/L")]
"""Giga per litre where cells are counted; grams per litre elsewhere."""
HOSPITAL: Final[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "data" / "mimic_units.yaml").read_text(encoding="utf-8")
)

MEASURED: Final = [
    name for name, group in GROUPS.items() if group.units and any(code.units is None for code in group.codes)
]
NOW: Final = datetime(2026, 6, 15, 12, tzinfo=UTC)

PREFIXES: Final = {
    "k": "k", "kilo": "k", "d": "d", "deci": "d", "c": "c", "centi": "c", "m": "m", "milli": "m", "milli-": "m",
    "u": "u", "mc": "u", "micro": "u", "micro-": "u", "micro ": "u", "n": "n", "nano": "n", "p": "p", "pico": "p",
    "f": "f", "femto": "f",
}  # fmt: skip
WITH_PREFIX: Final = {
    "g": "g gm gms gram grams", "L": "l liter liters litre", "mol": "mol mole moles", "eq": "eq equivalent equivalents",
    "osm": "osm osmol osmole", "U": "u unit units", "kat": "kat", "Pa": "pa pascal", "m": "m meter meters metre",
    "s": "s sec secs second seconds",
}  # fmt: skip
WHOLE: Final = {
    "kg": ["kgs", "kilo"], "mol": ["mol hb", "mol hba1c"], "1": ["1", "ratio", "index"], "U": ["enzyme unit"],
    "": ["cells", "{cells}", "#", "beats", "resp", "insp", "br"], "%": ["percent", "per cent", "pct"],
    "10*3": ["k", "thou", "thous", "thousand", "thousands"], "10*9": ["giga", "gpt", "billion"], "mL": ["cc"],
    "g/dL": ["g%"], "mg/dL": ["mg%"], "dL": ["100ml", "100 ml"], "mm3": ["cumm"], "m2": ["sq m", "square meter"],
    "um3": ["cubic micron", "cubic microns"], "100{RBCs}": ["100 rbc", "100 rbcs"], "/min": ["bpm", "rpm"],
    "mm[Hg]": ["mmhg", "mm hg", "mm/hg", "millimeter of mercury", "millimeters of mercury", "millimetre of mercury"],
    "min": ["min", "minute", "minutes", "mins"], "h": ["hr", "hour", "1h", "1 h"], "mm/h": ["mm in 1 hour"],
    "d": ["day", "days"], "wk": ["week", "weeks", "wks"], "Cel": ["c", "celsius"], "[degF]": ["f", "fahrenheit"],
    "[lb_av]": ["lb", "lbs", "pound", "pounds"], "[oz_av]": ["oz", "ounce", "ounces"], "[ft_i]": ["ft", "foot", "feet"],
    "[in_i]": ["in", "inch", "inches", "[in_us]"], "[pH]": ["ph", "ph unit", "ph units", "unit of ph"],
    "kg{H2O}": ["kg h2o", "kgh2o"],
}  # fmt: skip
READINGS: Final = {
    prefix + word: PREFIXES.get(prefix, "") + unit
    for unit, words in WITH_PREFIX.items()
    for word in words.split()
    for prefix in ("", *PREFIXES)
} | {text: unit for unit, texts in WHOLE.items() for text in texts}
"""What a part of an informal unit means, in lower case."""
SIMPLER: Final = (
    (r"international units?|\[iu\]|iu(?![ns])", "u"),
    (r"^x? ?10 ?(?:[\^*ex( ])?(\d)\)?(?=/)", r"10*\1"),
    (r"(?:/| per )(?:1\.73.*|bsa)$", ""),  # the body surface, an annotation in UCUM
    (r"deg(?:ree)?s?\.? ?|° ?", ""),
    (r"\^|[()]", ""),
    (r"^per ", "/"),
    (r" per ", "/"),
)
"""Turns of informal units, in lower case, and what they are in UCUM."""
PRINTED: Final = str.maketrans("µμº²³⁹", "uu°239")

OTHER_MEANING: Final = {
    ("G/L", "g/L"): "gauss", ("G/L", "10*9/L"): "gauss", ("G/l", "10*9/L"): "gauss", ("K/uL", "10*3/uL"): "kelvin",
    ("K/ul", "10*3/uL"): "kelvin", ("K/mm3", "10*3/mm3"): "kelvin", ("C", "Cel"): "coulomb", ("F", "[degF]"): "farad",
    ("MS", "ms"): "megasiemens", ("ft", "[ft_i]"): "femtotonne", ("MG/L", "mg/L"): "megagauss",
    ("PG/ML", "pg/mL"): "petagauss per megalitre", ("MU/L", "mU/L"): "a million units", ("u/L", "U/L"): "dalton",
    ("u/l", "U/L"): "dalton", ("uU/ML", "uU/mL"): "per megalitre", ("Gm/dL", "g/dL"): "gigametre",
    ("Gm/dl", "g/dL"): "gigametre", ("Mg/dL", "mg/dL"): "megagram", ("Mg/dl", "mg/dL"): "megagram",
    ("g%", "g/dL"): "a hundredth of a gram", ("mg%", "mg/dL"): "a hundredth of a milligram",
    ("pH", "[pH]"): "picohenry", ("PH", "[pH]"): "petahenry", ("ph", "[pH]"): "phot", ("[in_us]", "[in_i]"): "US inch",
    ("mL/min/1.73", "mL/min/{1.73_m2}"): "a number", ("ml/min/1.73", "mL/min/{1.73_m2}"): "a number",
}  # fmt: skip
"""Texts that are valid UCUM for something else, which nobody means who reports this result."""


def in_ucum(text: str) -> str:
    """An informal unit as UCUM, word by word."""
    simple = text.translate(PRINTED).lower().strip(" .")
    if simple in READINGS:
        return READINGS[simple]
    for pattern, replacement in SIMPLER:
        simple = re.sub(pattern, replacement, simple)
    return "/".join(READINGS.get(part.strip(), part.strip()) for part in simple.split("/"))


def equal(first: str, second: str) -> bool:
    """Whether two units are one; arbitrary units count as units of an enzyme."""
    if first == second:
        return True
    one, other = (read_as_ucum(re.sub(r"\[[Ii]U]", "U", unit)) for unit in (first, second))
    if one is None or other is None or one.dimensionality != other.dimensionality:
        return False
    return math.isclose(one.to_base_units().magnitude, other.to_base_units().magnitude, rel_tol=1e-9)


@pytest.mark.parametrize(("text", "unit"), [pair for pair in SPELLINGS if pair not in OF_COUNTS])
def test_a_spelling_means_its_unit(text: str, unit: str) -> None:
    assert equal(in_ucum(text), unit), f"read as {in_ucum(text)}"


def test_every_text_that_ucum_reads_as_something_else_is_known() -> None:
    other = {(text, unit) for text, unit in SPELLINGS if read_as_ucum(text) is not None and not equal(text, unit)}
    assert other == set(OTHER_MEANING)


def in_unit(group: ResultGroup, unit: str) -> tuple[float, float]:
    """A value in the middle of what is plausible, in a unit, and in the canonical one."""
    low, high = group.plausible or group.plausible_parts["systolic"]
    how, middle = group.units[unit], (low + high) / 2
    return (middle - how.after) / how.factor - how.before, middle


def read(group: ResultGroup, sent: list[tuple[str, float]], codes: Codes) -> dict[str, Any]:
    """What the chart makes of values with unit texts, each of a day of its own, by text."""
    part = "systolic" if group.kind == "pressure" else None
    code = next(code for code in group.codes if code.units is None and code.part == part)
    entries = []
    for at, (text, value) in enumerate(sent):
        resource = {
            "resourceType": "Observation",
            "id": str(at),
            "status": "final",
            "code": {"coding": [{"system": SYSTEMS[code.system][0], "code": code.code}]},
            "subject": {"reference": "Patient/p"},
            "effectiveDateTime": (NOW - timedelta(days=at + 1)).isoformat(),
            "valueQuantity": {"value": value, "unit": text},
        }
        entries.append({"resource": resource})
    bundle = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    now = int(NOW.timestamp() * 1000)
    chart = build_chart(
        codes=codes, now=now, patient_id="p", prefetch={"all": bundle}, not_supplied={}, hook="patient-view"
    )
    found: dict[str, Any] = {result.id: result for result in chart.results.get(group.group, ())}
    found.update({one.id: one for one in chart.unreadable_results.get(group.group, ())})
    return {text: found[f"Observation/{at}"] for at, (text, _) in enumerate(sent)}


def value_of(group: ResultGroup, result: Any) -> Any:
    return result.systolic if group.kind == "pressure" else result.exact


@pytest.fixture(scope="session")
def codes() -> Codes:
    """The code groups alone, which read results of any age."""
    problems = Problems()
    found = compile_derived(load_codes(cards_folder() / "codes", problems), problems)
    problems.check()
    return found


@pytest.mark.parametrize("name", MEASURED)
def test_every_unit_and_spelling_is_read_by_the_chart(name: str, codes: Codes) -> None:
    group = GROUPS[name]
    texts = {unit: unit for unit in group.units}
    texts |= {text: unit for text, unit in group.spellings.items() if unit in group.units}
    results = read(group, [(text, in_unit(group, unit)[0]) for text, unit in texts.items()], codes)
    for text, unit in texts.items():
        assert isinstance(results[text], Result), results[text]
        assert value_of(group, results[text]) == pytest.approx(in_unit(group, unit)[1], rel=1e-6)


@pytest.mark.parametrize("name", MEASURED)
def test_the_unit_texts_of_a_hospital_mean_what_they_say_or_are_refused(name: str, codes: Codes) -> None:
    group = GROUPS[name]
    accepted: dict[str, str] = HOSPITAL["accepted"]
    sent = [(text, in_unit(group, unit)[0] if unit in group.units else 1.0) for text, unit in accepted.items()]
    sent += [(text, 1.0) for text in HOSPITAL["refused"]]
    for text, result in read(group, sent, codes).items():
        if isinstance(result, Result):
            assert value_of(group, result) == pytest.approx(in_unit(group, accepted[text])[1], rel=1e-6)
        else:
            assert result.reason == f"unit '{text[:40]}' is not known for {group.name}"


@pytest.mark.parametrize("text", HOSPITAL["accepted"])
def test_an_accepted_unit_text_of_a_hospital_is_one_of_some_result(text: str) -> None:
    unit = HOSPITAL["accepted"][text]
    assert any(group.spellings.get(text, text) == unit and unit in group.units for group in GROUPS.values())
    assert equal(in_ucum(text), unit)


def test_the_same_text_counts_cells_and_weighs_haemoglobin(codes: Codes) -> None:
    assert read(GROUPS["wbc"], [("G/L", 7.0)], codes)["G/L"].value == 7.0
    assert read(GROUPS["haemoglobin"], [("G/L", 130.0)], codes)["G/L"].value == 130.0
