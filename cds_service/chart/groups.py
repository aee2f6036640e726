"""Code groups: which LOINC, SNOMED CT, ICD-10-CM, RxNorm and ATC codes mean the same here, and how their values are
read.

Read from `cards/codes` by `cds_service.knowledge.codes`; nothing here names a code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from cds_service.chart.items import Side

SYSTEMS: Final[Mapping[str, tuple[str, ...]]] = {
    "loinc": ("http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"),
    "snomed": ("http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"),
    "icd10cm": ("http://hl7.org/fhir/sid/icd-10-cm", "urn:oid:2.16.840.1.113883.6.90"),
    "rxnorm": ("http://www.nlm.nih.gov/research/umls/rxnorm", "urn:oid:2.16.840.1.113883.6.88"),
    "atc": (
        "http://www.whocc.no/atc",
        "urn:oid:2.16.840.1.113883.6.73",
        "http://fhir.de/CodeSystem/bfarm/atc",
        "http://fhir.de/CodeSystem/dimdi/atc",
    ),
    "act-class": ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "http://hl7.org/fhir/v3/ActCode"),
    "specimen-condition": ("http://terminology.hl7.org/CodeSystem/v2-0493",),
    "yes-no": ("http://terminology.hl7.org/CodeSystem/v2-0136",),
    "administrative-gender": ("http://hl7.org/fhir/administrative-gender",),
    "interpretation": ("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",),
}
"""The short names that code files use, and the system URIs they stand for."""

Kind = Literal["quantity", "string", "date", "pressure", "none"]
Part = Literal["systolic", "diastolic"]


class Unit(Struct, frozen=True, gc=False):
    """How a value in this unit becomes one in the canonical unit: (value + before) * factor + after."""

    before: float = 0.0
    factor: float = 1.0
    after: float = 0.0


class ResultCode(Struct, frozen=True):
    """A code of a result group. `part` is the half of a blood pressure that it names; `units` replace the group's
    own.
    """

    system: str
    code: str
    display: str = ""
    verified: str | bool = False
    poc: bool = False
    sample: str | None = None
    part: Part | None = None
    units: Mapping[str, Unit] | None = None


class DerivedSpec(Struct, frozen=True):
    """A computed result as the file states it: the group it starts from, its inputs with their window in milliseconds,
    and the two expressions, each with the place it was read from (`at` is what `reading.read_yaml` returned)."""

    base: str
    inputs: tuple[tuple[str, str, int], ...]
    value: str
    valid: str | None
    value_at: Any
    valid_at: Any = None


class Derived(Struct, frozen=True):
    """A computed result ready to run. The callables take the frame `[now, gender, age_years, age_months, hook, base,
    *inputs]`; `base` and `inputs` are results that carry the unrounded value, an input that is not there is
    `items.ABSENT`. `valid` says whether there is a result at all.
    """

    base: str
    inputs: tuple[tuple[str, str, int], ...]
    value: Callable[[list[Any]], Any]
    valid: Callable[[list[Any]], Any] | None = None


class ResultGroup(Struct, frozen=True, kw_only=True):
    """A set of codes that mean the same result, and how its values are read.

    `plausible` and `normal` are in the canonical unit; the halves of a blood pressure have `plausible_parts`. `units`
    maps UCUM codes, `spellings` other unit texts to a UCUM code of `units`. `answers` maps (system URI, code) of a
    coded value to the answer's name.
    """

    group: str
    name: str
    file: str
    kind: Kind
    unit: str | None = None
    decimals: int = 0
    plausible: tuple[float, float] | None = None
    plausible_parts: Mapping[Part, tuple[float, float]] = {}
    normal: tuple[float, float] | None = None
    haemolysis: bool = False
    units: Mapping[str, Unit] = {}
    spellings: Mapping[str, str] = {}
    answers: Mapping[tuple[str, str], str] = {}
    answer_names: tuple[str, ...] = ()
    same_day: Literal["mean", "lowest"] | None = None
    derived: DerivedSpec | None = None
    codes: tuple[ResultCode, ...] = ()


class Code(Struct, frozen=True):
    """A code of a finding, order or encounter group. ICD-10-CM codes also stand for every longer code."""

    system: str
    code: str
    display: str = ""
    verified: str | bool = False
    side: Side | None = None


class Phrase(Struct, frozen=True):
    """A whole text that means a group, lower case."""

    text: str
    side: Side | None = None


class FindingGroup(Struct, frozen=True, kw_only=True):
    """A symptom, sign or diagnosis. `leaves` are the groups whose items belong to it, itself included.

    `exclude` are ICD-10-CM prefixes that do not count; with `initial_only` codes with a seventh character D or S
    (subsequent, sequela) do not count.
    """

    group: str
    name: str
    leaves: tuple[str, ...]
    codes: tuple[Code, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    exclude: tuple[str, ...] = ()
    initial_only: bool = False


class Ingredient(Struct, frozen=True):
    """A drug of a group. `equivalent` is how many mg of the group's reference drug one mg is worth."""

    name: str
    rxnorm: str | None = None
    names: tuple[str, ...] = ()
    equivalent: float | None = None
    verified: str | bool = False


class AtcCode(Struct, frozen=True):
    """An ATC code, matched as a prefix, and the ingredients it names when it names any."""

    code: str
    ingredients: tuple[str, ...] = ()


class DrugGroup(Struct, frozen=True, kw_only=True):
    """A class of drugs. `leaves` are the groups whose items belong to it, itself included."""

    group: str
    name: str
    leaves: tuple[str, ...]
    ingredients: Mapping[str, Ingredient] = {}
    atc: tuple[AtcCode, ...] = ()
    one_tablet_a_day: bool = False
    only_systemic: bool = False
    never: tuple[str, ...] = ()


class OrderGroup(Struct, frozen=True, kw_only=True):
    """What may be ordered or done: a test, an image, a referral, a procedure."""

    group: str
    name: str
    leaves: tuple[str, ...]
    codes: tuple[Code, ...] = ()
    phrases: tuple[Phrase, ...] = ()


class Panel(Struct, frozen=True):
    """An order that contains several tests: its code and the result groups it contains."""

    code: Code
    groups: tuple[str, ...]


class EncounterGroup(Struct, frozen=True, kw_only=True):
    """A kind of visit: by class, by service type or type, or by the whole text of those."""

    group: str
    name: str
    leaves: tuple[str, ...]
    codes: tuple[Code, ...] = ()
    phrases: tuple[Phrase, ...] = ()


class RecordKey(Struct, frozen=True):
    """A prefetch key that is no result file: what it reads or searches for the patient."""

    key: str
    type: str
    read: bool
    required: bool


class ResultFile(Struct, frozen=True):
    """A file of results, which is a prefetch key: its groups, and the finding groups it asks for as Observations."""

    key: str
    required: bool
    groups: tuple[str, ...]
    findings: tuple[str, ...] = ()


class Product(Struct, frozen=True):
    """A row of a table of RxNorm products: a code, and what it contains. Strengths are in mg, None where
    unknown.
    """

    rxcui: str
    group: str
    ingredients: tuple[str, ...]
    strengths: tuple[float | None, ...]
    form: Literal["systemic", "local", "unknown"]


class HaemolysisWords(Struct, frozen=True):
    """How a text says that a sample is haemolysed: beginnings of the word; what denies it when it stands before, with
    only words of `between` in between; what denies it when it stands after, with only words of `then` in between.
    """

    said: tuple[str, ...] = ()
    denied_before: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    denied_after: tuple[str, ...] = ()
    then: tuple[str, ...] = ()


class Qualifiers(Struct, frozen=True):
    """Codes and words that qualify others: severity, side, sites on the leg, sex, answers that mean present, signs of
    haemolysis. A key is (system URI, code), or ("", a whole text in lower case).

    `on_leg` names the group that a finding moves to when its site is on the leg, `only_leg` the groups that do not
    count when their site is somewhere else.
    """

    severity: Mapping[tuple[str, str], str] = {}
    side: Mapping[tuple[str, str], Side] = {}
    leg: frozenset[tuple[str, str]] = frozenset()
    sex: Mapping[tuple[str, str], str] = {}
    present: frozenset[tuple[str, str]] = frozenset()
    haemolysed: frozenset[tuple[str, str]] = frozenset()
    haemolysis_index: tuple[Code, ...] = ()
    haemolysis_seen: tuple[Code, ...] = ()
    haemolysis_words: HaemolysisWords = HaemolysisWords()
    on_leg: Mapping[str, str] = {}
    only_leg: frozenset[str] = frozenset()
