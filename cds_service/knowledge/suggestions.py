"""Reading suggestions: draft resources, checked with the FHIR R4B models when the knowledge loads."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from cds_service.chart.codes import Codes
from cds_service.chart.items import Fact
from cds_service.fhir.uncertain import DAY
from cds_service.knowledge.card import Suggestion
from cds_service.knowledge.language import duration
from cds_service.knowledge.reading import Node, Problems, read_yaml
from cds_service.knowledge.schema import SuggestionSchema, conforms

ORDERED_WITHIN: Final = 30 * DAY
"""A test counts as ordered when the order is at most this old (`conventions`: resulted / ordered)."""
_SUBJECT: Final = {"reference": "Patient/example"}
_PATIENT_FIELD: Final = {
    "ServiceRequest": "subject", "Condition": "subject", "CommunicationRequest": "subject",
    "MedicationRequest": "subject", "Task": "for",
}  # fmt: skip


def patient_field(resource_type: str) -> str | None:
    """The field of a suggested resource that names the patient; None for a type that suggestions may not have."""
    return _PATIENT_FIELD.get(resource_type)


def read_suggestions(folder: Path, codes: Codes, problems: Problems) -> dict[str, Suggestion]:
    """All suggestions of `cards/suggestions/`, by id."""
    found: dict[str, Suggestion] = {}
    for path in sorted(folder.glob("*.yaml")):
        for id_, node in read_yaml(path, problems).items():
            if id_ in found:
                problems.add(node, f"the suggestion '{id_}' a second time", "one suggestion of each id")
            elif conforms(SuggestionSchema, node, problems):
                suggestion = _suggestion(id_, node, codes, problems)
                if suggestion is not None:
                    found[id_] = suggestion
    return found


def _suggestion(id_: str, node: Node, codes: Codes, problems: Problems) -> Suggestion | None:
    values = node.plain()
    action = values.get("action", "create")
    resources = values.get("resources") or ([values["resource"]] if "resource" in values else [])
    if action == "create" and not resources:
        problems.add(node, "no resource", "the resource to create")
        return None
    if action != "create" and (resources or (action == "update" and not values.get("change"))):
        problems.add(
            node, f"an {action} with a resource or without a change", "'change' for update, neither for delete"
        )
        return None
    for resource in resources:
        _validate(resource, node, problems)
    left_out = _left_out(node.get("left_out_when"), codes, problems)
    about = node.get("about")
    drugs = _groups(about, codes.medications, problems) if about is not None else ()
    occurrence = duration(str(values["occurrence"])) if "occurrence" in values else None
    if "occurrence" in values and occurrence is None:
        problems.add(node, f"the occurrence '{values['occurrence']}'", "a duration such as 7 days")
    return Suggestion(
        id=id_,
        label=values["label"],
        action=action,
        resources=tuple(resources),
        change=values.get("change", {}),
        left_out_when=left_out,
        about=Fact(form="medications", groups=drugs) if drugs else None,
        occurrence=occurrence,
    )


def _left_out(node: Node | None, codes: Codes, problems: Problems) -> Fact | None:
    if node is None:
        return None
    orders, conditions = node.get("orders"), node.get("conditions")
    if orders is not None:
        groups = _groups(orders, {**codes.orders, **codes.results}, problems)
        stated = node.get("within")
        within = duration(str(stated.value)) if stated is not None else ORDERED_WITHIN
        if within is None:
            problems.add(stated or node, "no duration", "a duration such as 1 day")
        return Fact(form="orders", groups=groups, within=within) if groups else None
    if conditions is not None:
        groups = _groups(conditions, codes.findings, problems)
        return Fact(form="conditions", groups=groups) if groups else None
    return None


def _groups(node: Node, known: Any, problems: Problems) -> tuple[str, ...]:
    groups = []
    for one in node.each():
        if one.is_among(known):
            groups.append(str(one.value))
        else:
            problems.unknown(one, "code group", "a group of cards/codes")
    return tuple(groups)


def _validate(resource: dict[str, Any], node: Node, problems: Problems) -> None:
    """Check a draft with the model of its type, a patient added as the service will."""
    kind = str(resource.get("resourceType"))
    field = patient_field(kind)
    if field is None:
        problems.add(node, f"a resource of type '{kind}'", f"one of: {', '.join(_PATIENT_FIELD)}")
        return
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    try:
        model.model_validate({**resource, field: _SUBJECT})
    except ValueError as error:
        first = str(error).splitlines()
        problems.add(node, f"no valid {kind}: {' '.join(first[1:3]).strip()}", f"a valid FHIR R4 {kind}")
