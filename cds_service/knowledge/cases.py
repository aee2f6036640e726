"""The cases beside a card: small charts with the outcome they must give."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from marshmallow import ValidationError, fields, validate

from cds_service.knowledge.card import Card
from cds_service.knowledge.case_facts import PATIENT, CannotBuild, FactBuilder, Resource, moment_of
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.reading import Node, Problems, read_yaml
from cds_service.knowledge.schema import Strict, conforms
from cds_service.knowledge.services import HOOKS, Service

NOW: Final = datetime(2026, 6, 15, 12, tzinfo=UTC)
"""The moment at which every case is judged."""
EXPECTATIONS: Final = ("critical", "warning", "info", "suppressed", "quiet", "unknown", "not-applicable")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


def _texts(value: Any) -> None:
    if not all(isinstance(one, str) for one in (value if isinstance(value, list) else [value])):
        raise ValidationError("must be text, in quotes when it is a number")


class CaseSchema(Strict):
    """A case."""

    case = fields.String(required=True, validate=validate.Length(min=1))
    hook = fields.String(validate=validate.OneOf(HOOKS))
    patient = fields.Dict()
    facts = fields.Dict(keys=fields.String())
    drafts = fields.Dict(keys=fields.String())
    not_supplied = fields.List(fields.String())
    resources = fields.List(fields.Dict())
    expect = fields.String(required=True, validate=validate.OneOf(EXPECTATIONS))
    says = fields.Raw(validate=_texts)
    missing = fields.List(fields.String())
    suggests = fields.List(fields.String())
    suggests_not = fields.List(fields.String())


@dataclass(frozen=True, slots=True)
class Case:
    """A chart beside a card, and what the card must conclude about it."""

    card: str
    name: str
    hook: str
    patient: dict[str, Any]
    resources: tuple[tuple[str, Resource], ...]
    drafts: tuple[Resource, ...]
    not_supplied: frozenset[str]
    expect: str
    says: tuple[str, ...]
    missing: tuple[str, ...]
    suggests: tuple[str, ...]
    suggests_not: tuple[str, ...]
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.card}: {self.name}"


def cases_path(card: Card) -> Path:
    """Where the cases of a card stand."""
    return card.path.with_suffix(".cases.yaml")


def read_cases(card: Card, knowledge: Knowledge, problems: Problems) -> list[Case]:
    """The cases of a card; a card without cases, or a case that cannot be built, is a problem."""
    path = cases_path(card)
    if not path.is_file():
        problems.at(card.path, 1, 1, "a card without cases", f"its cases in {path.name}")
        return []
    found: list[Case] = []
    names: set[str] = set()
    nodes = list(read_yaml(path, problems))
    if not nodes:
        problems.at(path, 1, 1, "no case", "the charts that prove the card")
    for node in nodes:
        if not conforms(CaseSchema, node, problems):
            continue
        name = str(node.value["case"].value)
        if name in names:
            problems.add(node, f"the case '{name}' a second time", "a name of its own")
        names.add(name)
        case = _case(node, card, knowledge, problems)
        if case is not None:
            found.append(case)
    return found


def _case(node: Node, card: Card, knowledge: Knowledge, problems: Problems) -> Case | None:
    values = node.plain()
    before = len(problems.found)
    builder = FactBuilder(knowledge.codes, NOW)
    resources: list[tuple[str, Resource]] = []
    drafts: list[Resource] = []
    for section, into_drafts in (("facts", False), ("drafts", True)):
        for name, child in (node.get(section) or Node({}, node.path, 1, 1)).items():
            for one in list(child) if isinstance(child.value, list) else [child]:
                made = _build(name, one, card, knowledge, builder, problems, draft=into_drafts)
                if into_drafts:
                    drafts += [resource for _, resource in made]
                else:
                    resources += made
    for resource in values.get("resources", ()):
        whole = _dated(copy.deepcopy(resource), node, problems)
        resources.append((_KEYS.get(str(whole.get("resourceType")), "electrolytes"), whole))
    says = values.get("says", [])
    return (
        Case(
            card=card.id,
            name=values["case"],
            hook=values.get("hook", card.hooks[0]),
            patient=_patient(values.get("patient", {}), node, problems),
            resources=tuple(resources),
            drafts=tuple(drafts),
            not_supplied=frozenset(values.get("not_supplied", ())),
            expect=values["expect"],
            says=tuple([says] if isinstance(says, str) else says),
            missing=tuple(values.get("missing", ())),
            suggests=tuple(values.get("suggests", ())),
            suggests_not=tuple(values.get("suggests_not", ())),
            path=node.path,
            line=node.line,
        )
        if len(problems.found) == before
        else None
    )


_KEYS: Final = {
    "Condition": "conditions", "MedicationRequest": "medication_requests", "Medication": "medication_requests",
    "MedicationStatement": "medication_statements", "ServiceRequest": "service_requests", "Procedure": "procedures",
    "DiagnosticReport": "diagnostic_reports", "Encounter": "encounters",
}  # fmt: skip


def _build(
    name: str, node: Node, card: Card, knowledge: Knowledge, builder: FactBuilder, problems: Problems, *, draft: bool
) -> list[tuple[str, Resource]]:
    named = card.names.get(name) or knowledge.shared.get(name)
    if named is None or named.fact is None:
        problems.add(node, f"the unknown fact '{name}'", "a fact of the card or of shared.yaml that it uses")
        return []
    try:
        return builder.build(named.fact, str(node.value), draft=draft)
    except (CannotBuild, AttributeError, KeyError, ValueError) as error:
        problems.add(node, f"'{node.value}' for {name} ({error})", "words as docs/card-format.md has them")
        return []


def _dated(value: Any, node: Node, problems: Problems) -> Any:
    if isinstance(value, dict):
        return {key: _dated(child, node, problems) for key, child in value.items()}
    if isinstance(value, list):
        return [_dated(child, node, problems) for child in value]
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _date_of(match[1], node, problems), value)
    return value


def _date_of(words: str, node: Node, problems: Problems) -> str:
    if words == "today":
        return NOW.date().isoformat()
    moment = moment_of(words, NOW)
    if moment is None:
        problems.add(node, f"'{{{words}}}'", "{today} or such as {3 days ago}")
    return moment or words


def _patient(values: dict[str, Any], node: Node, problems: Problems) -> dict[str, Any]:
    patient: dict[str, Any] = {"resourceType": "Patient", "id": PATIENT}
    gender, age = values.get("gender", "female"), values.get("age", 60)
    if gender != "unknown":
        patient["gender"] = gender
    if age == "unknown":
        return patient
    match = re.fullmatch(r"(\d+)(?: (day|month|year)s?)?", str(age))
    if match is None or set(values) - {"gender", "age"}:
        problems.add(node, f"the patient {values}", "age (years, or such as 8 months) and gender")
        return patient
    count, unit = int(match[1]), match[2] or "year"
    born = NOW
    if unit == "day":
        born = NOW - timedelta(days=count)
    else:
        months = count * (12 if unit == "year" else 1)
        year, month = divmod(NOW.year * 12 + NOW.month - 1 - months, 12)
        born = NOW.replace(year=year, month=month + 1)
    patient["birthDate"] = born.date().isoformat()
    return patient


def request_body(case: Case, service: Service) -> bytes:
    """The request of a case: what a client would send to a service, with all prefetch but what was left out."""
    prefetch: dict[str, Any] = {}
    for key in service.prefetch:
        if key in case.not_supplied:
            continue
        if key == "patient":
            prefetch[key] = case.patient
            continue
        held = [resource for at, resource in case.resources if at == key]
        prefetch[key] = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in held]}
    context: dict[str, Any] = {"userId": "Practitioner/case", "patientId": PATIENT, "encounterId": "case-encounter"}
    if case.hook in ("order-select", "order-sign"):
        entries = [{"resource": draft} for draft in case.drafts]
        context["draftOrders"] = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    if case.hook == "order-select":
        context["selections"] = [f"{draft['resourceType']}/{draft['id']}" for draft in case.drafts]
    envelope = {"hook": case.hook, "hookInstance": "5f0c8a4e-0000-4000-8000-000000000000"}
    return json.dumps({**envelope, "context": context, "prefetch": prefetch}).encode()
