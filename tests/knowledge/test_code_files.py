"""Loading the code files: what they may say, and how their mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.chart.codes import Codes
from cds_service.chart.groups import Unit
from cds_service.fhir.uncertain import DAY
from cds_service.folders import cards_folder
from cds_service.knowledge.codes import load_codes
from cds_service.knowledge.reading import Problems

FILES = {
    "results/electrolytes.yaml": """\
required: true
results:
  potassium:
    name: potassium
    unit: mmol/L
    decimals: 1
    plausible: [1.0, 12.0]
    normal: [3.5, 5.0]
    haemolysis: true
    units: {mmol/L: 1, mg/dL: 0.2558}
    spellings: {mEq/L: mmol/L}
    codes:
      - {code: 2823-3, display: potassium, verified: example}
      - {code: 6298-4, display: 'potassium, blood', verified: false, poc: true, units: {mmol/L: 2}}
  temperature:
    name: temperature
    unit: Cel
    decimals: 1
    plausible: [25, 45]
    units: {Cel: 1, '[degF]': {before: -32, factor: 0.55556}}
    codes:
      - {code: 8310-5, display: temperature, verified: false}
  half-potassium:
    name: half the potassium
    unit: mmol/L
    decimals: 1
    plausible: [0, 6]
    units: {mmol/L: 1}
    derived:
      from: potassium
      inputs: {Warmth: {result: temperature, within: 2 days}}
      value: Base.value * 0.5
      valid: Warmth.value > 30 'Cel'
  smoking:
    name: smoking
    value: string
    answers:
      smoking.current:
        - {system: snomed, code: '77176002', display: smoker, verified: false}
    codes:
      - {code: 72166-2, display: smoking, verified: false}
  pressure:
    name: pressure
    unit: mm[Hg]
    decimals: 0
    plausible: {systolic: [40, 320], diastolic: [20, 220]}
    components: {systolic: [8480-6], diastolic: [8462-4]}
    same_day: mean
    units: {'mm[Hg]': 1}
    codes:
      - {code: 85354-9, display: panel, verified: false}
      - {code: 8480-6, display: systolic, verified: false}
      - {code: 8462-4, display: diastolic, verified: false}
""",
    "results/symptoms_leg.yaml": "required: false\nfindings: [weak-leg]\n",
    "findings.yaml": """\
leg-symptom:
  name: leg symptom
  includes: [weak-leg, numbness]
weak-leg:
  name: weak leg
  snomed:
    - {code: '102568007', display: weak leg, verified: example, side: left}
  phrases: [Weak Leg, {text: weak right leg, side: right}]
numbness:
  name: numbness
  icd10cm:
    - {code: R20, display: numbness, verified: false}
  exclude: [R20.3]
  initial_only: true
""",
    "conditions.yaml": """\
diabetes:
  name: diabetes
  icd10cm:
    - {code: E11, display: diabetes, verified: false}
""",
    "medications.yaml": """\
local_forms: [cream, 'inhal*']
statin:
  name: statin
  one_tablet_a_day: true
  ingredients:
    atorvastatin: {rxnorm: '83367', names: [atorvastatin, lipitor], verified: false}
  atc:
    - {code: C10AA05, display: atorvastatin, ingredients: [atorvastatin], verified: false}
  not: [nystatin]
steroid:
  name: steroid
  only_systemic: true
  ingredients:
    hydrocortisone: {names: [hydrocortisone], equivalent: 0.25, verified: false}
any-drug: {name: any drug, includes: [statin, steroid]}
""",
    "rxnorm_starter.csv": "rxcui,group,ingredients,strengths_mg,form\n617310,statin,atorvastatin,20,systemic\n",
    "orders.yaml": """\
panels:
  24321-2:
    display: basic panel
    verified: false
    results: [potassium]
groups:
  ecg:
    name: ECG
    loinc:
      - {code: 11524-6, display: ECG, verified: false}
    phrases: [ecg]
""",
    "encounters.yaml": """\
inpatient:
  name: stay
  act-class:
    - {code: IMP, display: stay, verified: false}
""",
    "records.yaml": "patient: {read: Patient, required: true}\nconditions: {search: Condition, required: false}\n",
    "qualifiers.yaml": """\
severity:
  severe:
    codes:
      - {code: '24484000', display: severe, verified: false}
side:
  left:
    phrases: [left]
sex:
  male:
    phrases: [male]
leg:
  phrases: [leg]
  moves: {numbness: weak-leg}
  only: [numbness]
present:
  phrases: [present]
haemolysis:
  specimen:
    - {system: specimen-condition, code: HEM, display: haemolysed, verified: false}
  index:
    - {code: 46424-8, display: index, verified: false}
  seen:
    - {code: 20393-5, display: seen, verified: false}
  words: {said: [haemolys], denied_before: ['no']}
""",
}


def load(folder: Path, **changes: str) -> tuple[Codes, list[str]]:
    """The codes of small files, some with other content, and the problems found in them."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changes.get(path.stem, content), encoding="utf-8")
    problems = Problems()
    codes = load_codes(folder, problems)
    return codes, [
        f"{found.path.name}:{found.line}: {found.found}; {found.expected}" for found in sorted(problems.found)
    ]


def test_sound_files_have_no_problems(tmp_path: Path) -> None:
    codes, problems = load(tmp_path)
    assert problems == []
    potassium = codes.results["potassium"]
    assert (potassium.kind, potassium.unit, potassium.decimals, potassium.file) == (
        "quantity",
        "mmol/L",
        1,
        "electrolytes",
    )
    assert (potassium.plausible, potassium.normal, potassium.haemolysis) == ((1.0, 12.0), (3.5, 5.0), True)
    assert potassium.units == {"mmol/L": Unit(), "mg/dL": Unit(factor=0.2558)}
    assert [(code.code, code.poc) for code in potassium.codes] == [("2823-3", False), ("6298-4", True)]
    assert codes.results["temperature"].units["[degF]"] == Unit(before=-32, factor=0.55556)
    assert codes.files["electrolytes"].required
    assert codes.files["symptoms_leg"].findings == ("weak-leg",)
    assert codes.records["patient"].read
    assert not codes.records["conditions"].required


def test_the_kind_of_a_result_follows_from_what_its_file_says(tmp_path: Path) -> None:
    results = load(tmp_path)[0].results
    assert [results[name].kind for name in ("smoking", "pressure", "temperature")] == ["string", "pressure", "quantity"]
    assert results["smoking"].answers["http://snomed.info/sct", "77176002"] == "smoking.current"
    assert [code.part for code in results["pressure"].codes] == [None, "systolic", "diastolic"]
    assert results["pressure"].plausible_parts == {"systolic": (40, 320), "diastolic": (20, 220)}


def test_a_computed_result_keeps_its_expressions_and_their_place(tmp_path: Path) -> None:
    spec = load(tmp_path)[0].results["half-potassium"].derived
    assert spec is not None
    assert (spec.base, spec.inputs) == ("potassium", (("Warmth", "temperature", 2 * DAY),))
    assert (spec.value, spec.valid) == ("Base.value * 0.5", "Warmth.value > 30 'Cel'")
    assert (spec.value_at.line, spec.value_at.raw) == (32, "Base.value * 0.5")


def test_a_group_has_itself_and_what_it_includes_as_leaves(tmp_path: Path) -> None:
    codes, _ = load(tmp_path)
    assert codes.findings["leg-symptom"].leaves == ("leg-symptom", "weak-leg", "numbness")
    assert codes.findings["weak-leg"].leaves == ("weak-leg",)
    assert codes.medications["any-drug"].leaves == ("any-drug", "statin", "steroid")


def test_phrases_are_kept_as_they_are_compared(tmp_path: Path) -> None:
    phrases = load(tmp_path)[0].findings["weak-leg"].phrases
    assert [(phrase.text, phrase.side) for phrase in phrases] == [("weak leg", None), ("weak right leg", "right")]


def test_the_starter_table_knows_products(tmp_path: Path) -> None:
    (row,) = load(tmp_path)[0].products
    assert (row.rxcui, row.ingredients, row.strengths, row.form) == ("617310", ("atorvastatin",), (20.0,), "systemic")


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (
            "electrolytes",
            "decimals: 1\n    plausible: [1.0",
            "decimal: 1\n    plausible: [1.0",
            "the unknown key 'decimal'",
        ),
        (
            "electrolytes",
            "    unit: mmol/L\n    decimals: 1\n    plausible: [1.0",
            "    decimals: 1\n    plausible: [1.0",
            "no 'unit'",
        ),
        ("electrolytes", "[1.0, 12.0]", "[12.0, 1.0]", "must be the lower number, then the higher one"),
        ("electrolytes", "[1.0, 12.0]", "[1.0, high]", "must be a number"),
        ("electrolytes", "haemolysis: true", "haemolysis: sometimes", "true or false"),
        ("electrolytes", "units: {mmol/L: 1, mg", "units: {mmol/L: 2, mg", "the canonical unit among the units"),
        ("electrolytes", "mg/dL: 0.2558", "mg/dL: -1", "a factor above 0"),
        ("electrolytes", "mg/dL: 0.2558", "mg/dL: much", "must be a number"),
        ("electrolytes", "mEq/L: mmol/L", "mEq/L: mmol", "'mEq/L' for the unknown unit 'mmol'"),
        ("electrolytes", "mEq/L: mmol/L", "mg/dL: mmol/L", "'mg/dL', which is a unit itself"),
        ("electrolytes", "code: 8310-5", "code: 2823-3", "the code 2823-3, which potassium has already"),
        ("electrolytes", "      - {code: 8310-5, display: temperature, verified: false}", "      []", "no codes"),
        (
            "electrolytes",
            "code: 8310-5, display: temperature, verified: false",
            "code: 8310-5, display: temperature",
            "verified",
        ),
        (
            "electrolytes",
            "code: 8310-5, display: temperature",
            "code: 8310, display: temperature",
            "text",
        ),
        ("electrolytes", "from: potassium", "from: kalium", "the unknown result 'kalium'"),
        ("electrolytes", "from: potassium", "from: half-potassium", "a circle through 'half-potassium'"),
        ("electrolytes", "within: 2 days", "within: a while", "must be such as 7 days"),
        ("electrolytes", "inputs: {Warmth", "inputs: {warmth", "must be a name such as Albumin"),
        ("electrolytes", "systolic: [8480-6]", "systolic: [8480-7]", "the component 8480-7"),
        ("electrolytes", "value: string", "value: text", "one of:"),
        ("electrolytes", "system: snomed", "system: snowmed", "one of:"),
        ("electrolytes", "  temperature:\n    name", "  potassium:\n    name", "the key 'potassium' a second time"),
        ("symptoms_leg", "[weak-leg]", "[weak-arm]", "the unknown group 'weak-arm'"),
        ("symptoms_leg", "required: false", "needed: false", "the unknown key 'needed'"),
        (
            "findings",
            "includes: [weak-leg, numbness]",
            "includes: [weak-leg, weak-arm]",
            "the unknown group 'weak-arm'",
        ),
        ("findings", "exclude: [R20.3]", "includes: [leg-symptom]", "a circle through 'leg-symptom'"),
        ("findings", "side: left}", "side: middle}", "one of:"),
        (
            "findings",
            "{text: weak right leg, side: right}",
            "{text: weak right leg}",
            "must be a text, or text and side",
        ),
        ("findings", "  icd10cm:\n", "  icd10:\n", "the unknown key 'icd10'"),
        ("conditions", "diabetes:\n", "numbness:\n", "the group 'numbness' a second time"),
        (
            "conditions",
            "verified: false}",
            "verified: false}\n    - {code: E11, display: again, verified: false}",
            "the code E11 a second time",
        ),
        ("medications", "rxnorm: '83367'", "rxnorm: 83367", "rxnorm"),
        (
            "medications",
            "ingredients: [atorvastatin]",
            "ingredients: [simvastatin]",
            "the unknown ingredient 'simvastatin'",
        ),
        ("medications", "code: C10AA05", "code: C10-5", "String does not match"),
        ("medications", "names: [hydrocortisone]", "names: []", "Shorter than minimum length"),
        ("medications", "includes: [statin, steroid]", "includes: [statin, opioid]", "the unknown group 'opioid'"),
        ("medications", ", includes: [statin, steroid]", "", "neither ingredients nor ATC codes nor other groups"),
        ("rxnorm_starter", "atorvastatin,20", "simvastatin,20", "statin: simvastatin"),
        ("rxnorm_starter", "statin,atorvastatin", "stain,atorvastatin", "stain: atorvastatin"),
        ("rxnorm_starter", "20,systemic", "twenty,systemic", "a row that cannot be read"),
        ("rxnorm_starter", "20,systemic", "20|40,systemic", "a row that cannot be read"),
        ("rxnorm_starter", "systemic", "oral", "a row that cannot be read"),
        ("rxnorm_starter", "rxcui,", "code,", "another first line"),
        ("orders", "results: [potassium]", "results: [kalium]", "the unknown group 'kalium'"),
        ("orders", "  ecg:\n", "  potassium:\n", "'potassium', which is a result group"),
        ("orders", "groups:\n", "group:\n", "the unknown key 'group'"),
        ("encounters", "act-class", "class", "the unknown key 'class'"),
        ("records", "{read: Patient, required: true}", "{required: true}", "neither or both of read and search"),
        ("records", "search: Condition", "search: Condition, read: Condition", "neither or both of read and search"),
        ("qualifiers", "  left:\n", "  middle:\n", "one of:"),
        ("qualifiers", "only: [numbness]", "only: [deafness]", "the unknown group 'deafness'"),
        ("qualifiers", "moves: {numbness: weak-leg}", "moves: {numbness: weak-arm}", "the unknown group 'weak-arm'"),
        ("qualifiers", "present:\n  phrases: [present]\n", "", "no 'present'"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(tmp_path: Path, file: str, old: str, new: str, problem: str) -> None:
    content = next(text for name, text in FILES.items() if Path(name).stem == file)
    assert content.count(old) >= 1
    _, problems = load(tmp_path, **{file: content.replace(old, new, 1)})
    assert any(problem in found for found in problems), problems
    assert all(found.startswith(tuple(Path(name).name for name in FILES)) for found in problems)


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("results/")])
def test_a_missing_file_is_a_mistake(tmp_path: Path, name: str) -> None:
    load(tmp_path)
    (tmp_path / name).unlink()
    problems = Problems()
    load_codes(tmp_path, problems)
    assert any(found.path.name == Path(name).name for found in problems.found)


def test_the_line_of_a_mistake_is_that_of_the_file(tmp_path: Path) -> None:
    _, problems = load(tmp_path, records=FILES["records.yaml"] + "odd: {search: X}\n")
    assert problems == ["records.yaml:3: no 'required'; the key 'required'"]


def test_the_files_of_the_project_are_sound() -> None:
    problems = Problems()
    codes = load_codes(cards_folder() / "codes", problems)
    assert problems.found == []
    assert {"potassium", "haemoglobin", "ck"} <= set(codes.results)
    assert len(codes.products) > 4000
