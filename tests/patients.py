"""Patients put together from words, as the cases of the cards are, and the requests that a client sends about them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from cds_service.chart.codes import Codes
from cds_service.chart.items import Fact
from cds_service.knowledge.case_facts import PATIENT, FactBuilder
from cds_service.knowledge.cases import NOW, Case, request_body
from cds_service.knowledge.knowledge import Knowledge

NOW_MS: Final = int(NOW.timestamp() * 1000)
"""The moment of these patients."""

LEG: Final = {"leg-symptom.motor": "yes, 3 days ago"}
CRITICAL: Final = {
    "potassium": "2.2 mmol/L, 1 day ago",
    "sodium": "110 mmol/L, 1 day ago",
    "ionised-calcium": "0.7 mmol/L, 1 day ago",
    "glucose": "40 mg/dL, 2 hours ago",
    "haemoglobin": "60 g/L, 1 day ago",
}
STROKE: Final = {"hemiparesis": "yes, 1 day ago"}
CAUDA: Final = {**LEG, "saddle-numbness": "yes, 1 day ago", "urinary-retention": "yes, 1 day ago"}


def fact_of(name: str, codes: Codes) -> Fact:
    """The fact that a code group states; `order of potassium` states an order."""
    if name.startswith("order of "):
        return Fact(form="orders", groups=(name.removeprefix("order of "),))
    form: Literal["result", "medications", "findings"] = (
        "result" if name in codes.results else "medications" if name in codes.medications else "findings"
    )
    return Fact(form=form, groups=(name,))


def request(
    knowledge: Knowledge,
    facts: Mapping[str, str | Sequence[str]],
    *,
    hook: str = "patient-view",
    age: int = 60,
    gender: str | None = "female",
    drafts: Mapping[str, str] | None = None,
    without: Iterable[str] = (),
    resources: Iterable[tuple[str, dict[str, Any]]] = (),
) -> dict[str, Any]:
    """A request about a patient with facts by code group; `without` are prefetch keys that the client leaves out."""
    builder = FactBuilder(knowledge.codes, NOW)
    made: list[tuple[str, dict[str, Any]]] = list(resources)
    for name, words in facts.items():
        for one in [words] if isinstance(words, str) else words:
            made += builder.build(fact_of(name, knowledge.codes), one)
    drafted = [
        resource
        for name, words in (drafts or {}).items()
        for _, resource in builder.build(fact_of(name, knowledge.codes), words, draft=True)
    ]
    patient = {"resourceType": "Patient", "id": PATIENT, "birthDate": f"{NOW.year - age}-01-01"}
    case = Case(
        card="",
        name="",
        hook=hook,
        patient=patient if gender is None else {**patient, "gender": gender},
        resources=tuple(made),
        drafts=tuple(drafted),
        not_supplied=frozenset(without),
        expect="quiet",
        says=(),
        missing=(),
        suggests=(),
        suggests_not=(),
        path=Path(__file__),
        line=1,
    )
    service = knowledge.service(f"leg-weakness-{hook}")
    assert service is not None
    found: dict[str, Any] = json.loads(request_body(case, service))
    return found
