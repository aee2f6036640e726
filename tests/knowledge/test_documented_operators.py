"""The examples of docs/card-language.md do what the document says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cds_service.chart.chart import build_chart
from cds_service.chart.facts import FactPlan
from cds_service.chart.items import Undecided
from cds_service.fhir.uncertain import UNKNOWN
from cds_service.knowledge.case_facts import PATIENT, FactBuilder
from cds_service.knowledge.cases import NOW
from cds_service.knowledge.compile import FIRST_FREE, compile_expression
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.names import Frames, Names, words_of
from cds_service.knowledge.reading import Node, Problems

DOCUMENT = Path(__file__).parents[2] / "docs" / "card-language.md"
ROW = re.compile(r"^\| `([^|]+)` \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)


def examples() -> list[tuple[str, str, str]]:
    section = DOCUMENT.read_text(encoding="utf-8").split("## Operators")[1].split("\n## ")[0]
    return [(a.strip(), b.strip(), c.strip()) for a, b, c in ROW.findall(section)]


def shared_facts(knowledge: Knowledge, frames: Frames, problems: Problems) -> Names:
    place = Node({}, DOCUMENT, 1, 1)
    names = Names(place, knowledge.codes, frames, problems)
    names.all(words_of(knowledge.codes))
    for name, named in knowledge.shared.items():
        if named.fact is not None:
            names.known[name] = type(named)(
                name=name, slot=frames.fact(named.fact), type=named.type, path=DOCUMENT, line=1, fact=named.fact
            )
    return names


def judged(expression: str, stated: str, knowledge: Knowledge) -> Any:
    problems, frames = Problems(), Frames(FIRST_FREE)
    names = shared_facts(knowledge, frames, problems)
    node = Node(expression, DOCUMENT, 1, 1)
    node.raw = expression
    tree = names.read_expression(node)
    problems.check()
    assert tree is not None
    run = compile_expression(tree, frames.allocate)
    builder = FactBuilder(knowledge.codes, NOW)
    patient = {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1966-06-15"}
    resources: list[Any] = [patient]
    for statement in filter(None, stated.split("; ")):
        name, _, words = statement.partition(": ")
        fact = knowledge.shared[name].fact
        assert fact is not None
        resources += [resource for _, resource in builder.build(fact, words)]
    bundle = json.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}).encode()
    now = int(NOW.timestamp() * 1000)
    chart = build_chart(
        codes=knowledge.codes,
        now=now,
        patient_id=PATIENT,
        prefetch={"all": bundle},
        not_supplied={},
        hook="patient-view",
    )
    frame, _ = FactPlan(frames.facts, frames.start, knowledge.codes).fill(chart)
    frame[:FIRST_FREE] = [chart.now, chart.gender, chart.age_years, chart.age_months, chart.hook]
    return run(frame)


def in_words(value: Any) -> str:
    if value is None or value is UNKNOWN:
        return "unknown"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"{len(value)} item{'' if len(value) == 1 else 's'}"
    assert not isinstance(value, Undecided)
    return f"{value:g}"


@pytest.mark.parametrize(("expression", "stated", "gives"), examples())
def test_an_example_gives_what_the_document_says(
    expression: str, stated: str, gives: str, knowledge: Knowledge
) -> None:
    assert in_words(judged(expression, stated, knowledge)) == gives


def test_every_operator_of_the_language_has_an_example() -> None:
    text = " ".join(example for example, _, _ in examples())
    for operator in (
        " and ", " or ", "not ", "exists ", " where ", " with ", " such that ", " return ", "return all", " is null",
        " is not null", " is true", " is not true", " is false", " < ", " <= ", " > ", " >= ", " = ", " != ", " in {",
        " before ", " after ",
        " on or before ", " on or after ", "or less before", "or more before", "within 3 days of",
        " + ", " - ", " * ", " / ", "date from", "Count(", "Min(", "Max(", "Median(", "Coalesce(", "case when", "Abs(",
        " union ", "Now()", "AgeInYears()", "AgeInMonths()", "Patient.gender", "Hook",
    ):  # fmt: skip
        assert operator in text, operator
