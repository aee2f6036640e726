"""Random conditions of the card language, and pairs of worlds: an uncertain one and a certain one that it may be."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from vague import around

from cds_service.chart.items import ABSENT, CANNOT_TELL, Fact, Finding, Medication, Result, Undecided
from cds_service.chart.moment import Moment
from cds_service.fhir.uncertain import DAY, HOUR, UNKNOWN, Interval, Span

NOW: Final = 1_781_524_800_000
"""2026-06-15T12:00:00Z."""
MOMENT: Final = Moment(NOW)
FACTS: Final = {
    "Potassium": Fact(form="result", groups=("potassium",)),
    "Sodium": Fact(form="result", groups=("sodium",)),
    "Potassiums": Fact(form="results", groups=("potassium",)),
    "LegSymptom": Fact(form="findings", groups=("leg-symptom",)),
    "Statin": Fact(form="medications", groups=("statin",)),
}
SINGLES: Final = [name for name, fact in FACTS.items() if fact.form == "result"]
LISTS: Final = [name for name in FACTS if name not in SINGLES]
World = dict[str, Any]


def joined(*parts: Any, template: str) -> st.SearchStrategy[str]:
    """Texts made of parts, put into a template."""
    return st.tuples(*parts).map(lambda given: template.format(*given))


COMPARE: Final = st.sampled_from(["<", "<=", ">", ">=", "=", "!="])
MOLES: Final = st.sampled_from(["2 'mmol/L'", "3.5 'mmol/L'", "5 'mmol/L'"])
DATES: Final = st.sampled_from(
    [
        "Potassium.date",
        "Sodium.date",
        "Min(LegSymptom L return L.onset)",
        "Max(Statin S return S.start)",
        "Now() - 9 days",
    ]
)
RELATIONS: Final = st.sampled_from(
    [
        "before",
        "after",
        "on or before",
        "on or after",
        "3 days or less before",
        "3 days or more after",
        "within 3 days of",
    ]
)
NUMBERS: Final[st.SearchStrategy[str]] = st.deferred(
    lambda: (
        st.sampled_from(
            [
                "Potassium.value",
                "Sodium.value",
                "Min(Potassiums K return K.value)",
                "Max(Potassiums K where K.age <= 9 days return K.value)",
                "Median(Potassiums K return all K.value)",
                "Coalesce(Potassium.value, Sodium.value)",
            ]
        )
        | MOLES
        | joined(NUMBERS, NUMBERS, template="({0} + {1})")
        | joined(NUMBERS, NUMBERS, template="Abs({0} - {1})")
        | joined(NUMBERS, template="(2 * {0})")
        | joined(CONDITIONS, NUMBERS, NUMBERS, template="case when {0} then {1} else {2} end")
    )
)
OF_SYMPTOM: Final = st.sampled_from(
    [
        "S.age <= 7 days",
        "S.severity = 'severe'",
        "S.onset after Potassium.date",
        "S.severity is null",
        "S.exact is true",
    ]
)
OF_DRUG: Final = st.sampled_from(
    ["T.dose > 20 'mg/d'", "T.ingredient in {'simvastatin'}", "T.start before Sodium.date", "T.dose is not null"]
)
LEAVES: Final[dict[str, st.SearchStrategy[str]]] = {
    "numbers compared": joined(NUMBERS, COMPARE, NUMBERS, template="{0} {1} {2}"),
    "an extreme": joined(
        st.sampled_from(["Min", "Max", "Median"]), COMPARE, MOLES, template="{0}(Potassiums K return K.value) {1} {2}"
    ),
    "an extreme date": joined(
        st.sampled_from(["Min", "Max"]), RELATIONS, template="{0}(LegSymptom S return S.onset) {1} Potassium.date"
    ),
    "a case": joined(
        OF_SYMPTOM,
        COMPARE,
        template="case when exists (LegSymptom S where {0}) then 2 'mmol/L' else Sodium.value end {1} 3.5 'mmol/L'",
    ),
    "a ratio": joined(NUMBERS, NUMBERS, template="{0} / {1} > 0.5"),
    "dates compared": joined(DATES, RELATIONS, DATES, template="{0} {1} {2}"),
    "exists where": joined(OF_SYMPTOM, template="exists (LegSymptom S where {0})"),
    "a drug that exists": joined(OF_DRUG, template="exists (Statin T where {0})"),
    "count where": joined(OF_SYMPTOM, template="Count(LegSymptom S where {0}) >= 2"),
    "exists where not exists": joined(
        OF_DRUG, OF_SYMPTOM, template="exists (Statin T where {0} and not exists (LegSymptom S where {1}))"
    ),
    "with such that": joined(
        OF_SYMPTOM, template="exists (LegSymptom S with Statin T such that S.onset >= T.start where {0})"
    ),
    "with any": joined(OF_DRUG, template="exists (LegSymptom S with Statin T such that {0})"),
    "one result where": joined(COMPARE, MOLES, template="(Potassium K where K.value {0} {1}) is null"),
    "exists": st.sampled_from(["exists LegSymptom", "exists Statin", "not exists Potassiums"]),
    "null tests": st.sampled_from(
        ["Potassium is null", "Potassium.value is not null", "Potassium.haemolysed is not true", "Sodium.date is null"]
    ),
    "counts": st.sampled_from(
        [
            "Count(Potassiums) = 2",
            "Count(Potassiums K return K.value) > 1",
            "Count(Potassiums K return all K.value) >= 2",
            "Count(LegSymptom S return date from S.onset) >= 2",
            "Count(Statin) < 2",
        ]
    ),
    "ages": st.sampled_from(["Potassium.age <= 7 days", "Potassium.age > 9 days", "AgeInYears() >= 18"]),
}
CONDITIONS: Final[st.SearchStrategy[str]] = st.deferred(
    lambda: (
        st.one_of(*LEAVES.values())
        | joined(CONDITIONS, CONDITIONS, template="({0} and {1})")
        | joined(CONDITIONS, CONDITIONS, template="({0} or {1})")
        | joined(CONDITIONS, template="not ({0})")
        | joined(
            CONDITIONS, st.sampled_from(["null", "not null", "true", "not true", "false"]), template="({0}) is {1}"
        )
    )
)


AGO: Final = st.sampled_from([0, HOUR, 3 * DAY, 7 * DAY - HOUR, 7 * DAY, 7 * DAY + HOUR, 9 * DAY, 30 * DAY, 60 * DAY])
INSTANTS: Final = AGO.map(lambda ago: NOW - ago)
VALUES: Final = st.sampled_from([1.0, 2.0, 3.5, 4.25, 5.0])


@st.composite
def results(draw: st.DrawFn) -> Result:
    """A result of which everything is known, or known to be absent."""
    date = draw(INSTANTS)
    flag = draw(st.sampled_from([True, False, None]))
    return Result(id="r", group="potassium", value=draw(VALUES), haemolysed=flag, date=date, age=MOMENT.age(date))


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """A symptom of which everything is known, or known to be absent."""
    onset = draw(INSTANTS)
    severity = draw(st.sampled_from(["severe", "mild", None]))
    return Finding(id="f", group="g", name="n", onset=onset, age=MOMENT.age(onset), severity=severity, exact=True)


@st.composite
def medications(draw: st.DrawFn) -> Medication:
    """A drug of which everything is known, or known to be absent."""
    start = draw(INSTANTS)
    drug = draw(st.sampled_from(["simvastatin", "atorvastatin"]))
    dose = draw(st.sampled_from([10.0, 20.0, 40.0, None]))
    return Medication(
        id="m", group="statin", ingredient=drug, status="active", start=start, age=MOMENT.age(start), dose=dose
    )


ITEMS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "Potassium": results(), "Sodium": results(), "Potassiums": results(), "LegSymptom": findings(),
    "Statin": medications(),
}  # fmt: skip


@st.composite
def vague_date(draw: st.DrawFn, date: int) -> Any:
    """A span of time that holds an instant, or nothing known of it."""
    before, after = draw(st.sampled_from([0, DAY, 9 * DAY])), draw(st.sampled_from([0, DAY, 9 * DAY]))
    return draw(st.sampled_from([UNKNOWN, Span(date - before, date + after, "shifted")]))


@st.composite
def vague(draw: st.DrawFn, item: Any, text: str) -> Any:
    """The same item, with some of the attributes that a condition asks for known roughly or not at all."""
    changes: dict[str, Any] = {}
    for name in ("value", "haemolysed", "severity", "exact", "dose"):
        if f".{name}" in text and hasattr(item, name) and draw(st.booleans()):
            value = getattr(item, name)
            rough = isinstance(value, float) and draw(st.booleans())
            changes[name] = draw(around(value)) if rough else UNKNOWN
    for name in ("date", "onset", "start"):
        if (f".{name}" in text or ".age" in text) and hasattr(item, name):
            date = getattr(item, name)
            changes[name] = date if date is None or draw(st.booleans()) else draw(vague_date(date))
            if isinstance(changes[name], Span):
                changes["age"] = Interval(NOW - changes[name].hi, NOW - changes[name].lo)
            elif changes[name] is UNKNOWN:
                changes["age"] = UNKNOWN
    return msgspec.structs.replace(item, **changes)


@st.composite
def lacking(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> Any:
    """An item of which sometimes a value or a date is known to be absent."""
    item = draw(items)
    lacks = draw(st.sampled_from([(), (), (), (), ("value",), ("date", "age"), ("onset", "age"), ("start", "age")]))
    return msgspec.structs.replace(item, **{name: None for name in lacks if lacks[0] in item.__struct_fields__})


@st.composite
def worlds(draw: st.DrawFn, text: str) -> tuple[World, World]:
    """An uncertain world, and a certain one that it may stand for, with the facts of a condition."""
    certain: World = {"years": draw(st.sampled_from([5.0, 17.0, 18.0, 40.0]))}
    uncertain: World = {"years": draw(st.just(certain["years"]) | around(certain["years"]))}
    for name in SINGLES:
        known = certain[name] = draw(st.just(ABSENT) | lacking(ITEMS[name])) if name in text else ABSENT
        maybe = st.just(known) | st.just(CANNOT_TELL)
        uncertain[name] = draw(maybe if known is ABSENT else maybe | vague(known, text))
    for name in LISTS:
        certain[name] = draw(st.lists(lacking(ITEMS[name]), max_size=2)) if name in text else []
        sure: list[Any] = []
        perhaps: list[Any] = []
        for item in certain[name]:
            place = draw(st.sampled_from(["sure", "sure", "perhaps", "nowhere"]))
            seen = UNKNOWN if place == "nowhere" else draw(vague(item, text))
            (sure if place == "sure" else perhaps).append(seen)
        if name in text and draw(st.integers(0, 3)) == 0:
            perhaps.append(draw(ITEMS[name] | st.just(UNKNOWN)))
        uncertain[name] = Undecided(sure, perhaps) if perhaps else sure
    return uncertain, certain
