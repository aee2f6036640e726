"""The schemas of the OpenAPI document: of requests from the schemas that read them, of answers as we write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from cds_service.hooks import feedback, request
from cds_service.hooks.errors import IssueCode
from cds_service.knowledge.card import INDICATORS
from cds_service.knowledge.services import HOOKS, Hook
from cds_service.knowledge.text import SUMMARY_LIMIT

Json = dict[str, Any]

_SPACE: Final = r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space as Python has it; regular expressions of other languages differ."""
_NOT_BLANK: Final = f"[^{_SPACE}]"
_ABSENT: Final[Json] = {
    "description": "Null, and text of nothing but white space, count as absent.",
    "anyOf": [{"type": "null"}, {"type": "string", "pattern": f"^[{_SPACE}]*$"}],
}
_NUMBER_IN_TEXT: Final = r"^\s*[-+]?[0-9]+\s*$"
_URL: Final = r"^[hH][tT][tT][pP][sS]?://[^/?#@\s\[\]:]+(:[0-9]{1,4})?(/[^?#@\s\[\]]*)?$"
_INSTANT: Final = (
    r"^(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$"
)


def request_schemas(spec: APISpec) -> None:
    """Add to the components of `spec` what clients send: `Request`, one for each hook, and `Feedback`."""
    for hook, context in request.CONTEXTS.items():
        spec.components.schema(name_of(hook, "Context"), schema=context)
    spec.components.schema("Envelope", schema=request.ENVELOPE)
    spec.components.schema("Feedback", schema=feedback.FEEDBACK)


def finished(schemas: Mapping[str, Any]) -> Json:
    """The components that the schemas gave, with what they say in code: what is absent, what belongs together."""
    found = {name: _open(schema) for name, schema in schemas.items()}
    envelope = found.pop("Envelope")
    granted = found["Authorization"]["properties"]
    granted["expires_in"] = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": _NUMBER_IN_TEXT}]}
    envelope["properties"]["fhirServer"]["anyOf"][0] |= {"pattern": _URL}
    envelope["properties"]["fhirAuthorization"]["anyOf"].append({"type": "object", "maxProperties": 0})
    envelope["properties"]["prefetch"] = {
        "description": "By key of discovery: a resource, a Bundle, an OperationOutcome when the query failed, or null.",
        "type": ["object", "null"],
        "additionalProperties": {"type": ["object", "null"]},
    }
    found["Entry"]["properties"]["outcomeTimestamp"] = {"type": "string", "pattern": _INSTANT}
    found["Entry"] |= {
        "if": {"properties": {"outcome": {"const": "accepted"}}, "required": ["outcome"]},
        "then": {"properties": {"acceptedSuggestions": {"type": "array"}}, "required": ["acceptedSuggestions"]},
    }
    found["OverrideReason"]["anyOf"] = [
        {"properties": {"reason": {"type": "object"}}, "required": ["reason"]},
        {"properties": {"userComment": {"type": "string", "pattern": _NOT_BLANK}}, "required": ["userComment"]},
        {"properties": {"extension": {"type": "object"}}, "required": ["extension"]},
    ]
    for hook in HOOKS:
        _finish_context(found[name_of(hook, "Context")]["properties"])
        properties = envelope["properties"] | {
            "hook": {"const": hook},
            "context": {"$ref": _ref(name_of(hook, "Context"))},
        }
        found[name_of(hook, "Request")] = envelope | {"properties": properties}
    found["Request"] = {
        "oneOf": [{"$ref": _ref(name_of(hook, "Request"))} for hook in HOOKS],
        "discriminator": {
            "propertyName": "hook",
            "mapping": {hook: _ref(name_of(hook, "Request")) for hook in HOOKS},
        },
    }
    return found | {"Absent": _ABSENT} | ANSWERS


def name_of(hook: Hook, part: str) -> str:
    """The name of a component that belongs to a hook: `PatientViewContext`."""
    return "".join(word.capitalize() for word in hook.split("-")) + part


def component_name(schema: type[Schema] | Schema) -> str:
    """The name of the component for a nested schema: that of its class."""
    return (schema if isinstance(schema, type) else type(schema)).__name__.lstrip("_")


def plugin() -> MarshmallowPlugin:
    """apispec's plugin for marshmallow, with what it does not know of our fields."""
    return MarshmallowPlugin(schema_name_resolver=component_name)


def _open(schema: Json) -> Json:
    """A schema of ours: texts that are required are not blank, and what is optional may be absent in its own ways."""
    properties = {}
    for name, property_ in schema.get("properties", {}).items():
        told = _anchored(property_)
        if name not in schema.get("required", ()):
            properties[name] = {"anyOf": [told, {"$ref": _ref("Absent")}]}
        elif told.get("type") == "string" and re.search(told.get("pattern", ""), " "):
            properties[name] = told | {"allOf": [{"pattern": _NOT_BLANK}]}
        else:
            properties[name] = told
    return schema | {"properties": properties}


def _anchored(property_: Json) -> Json:
    """A property whose pattern is of JSON Schema: it is searched for, and says itself that it matches the whole."""
    whole: str = property_.get("pattern", "")
    if not whole.endswith(r"\Z"):
        return property_
    inner = whole.removesuffix(r"\Z").replace(r"\0", r"\u0000")
    return property_ | {"pattern": f"^(?:{inner})$"}


def _finish_context(properties: Json) -> None:
    if "draftOrders" in properties:
        properties["draftOrders"] = {"$ref": _ref("Bundle")}
    if "selections" in properties:
        properties["selections"]["description"] = "References to resources of draftOrders."


def _ref(name: str) -> str:
    return f"#/components/schemas/{name}"


def _object(required: str, **properties: Any) -> Json:
    return {"type": "object", "required": required.split(), "properties": properties}


def _array(items: Json, **more: Any) -> Json:
    return {"type": "array", "items": items} | more


_TEXT: Final[Json] = {"type": "string", "minLength": 1}
_UUID: Final[Json] = {"type": "string", "format": "uuid"}
_LINK_URL: Final[Json] = {"type": "string", "format": "uri"}
_EXTENSION: Final[Json] = {"type": "object", "minProperties": 1}

ANSWERS: Final[Json] = {
    "Bundle": _object("resourceType", resourceType={"const": "Bundle"}),
    "Discovery": _object(
        "services",
        services=_array(
            _object(
                "hook id description",
                hook={"enum": list(HOOKS)},
                id=_TEXT,
                title=_TEXT,
                description=_TEXT,
                version=_TEXT,
                usageRequirements=_TEXT,
                prefetch={"type": "object", "additionalProperties": _TEXT},
            )
        ),
    ),
    "Response": _object("cards", cards=_array({"$ref": _ref("Card")}), extension=_EXTENSION),
    "Card": _object(
        "summary indicator source",
        uuid=_UUID,
        summary=_TEXT | {"maxLength": SUMMARY_LIMIT},
        detail=_TEXT,
        indicator={"enum": list(INDICATORS)},
        source=_object("label", label=_TEXT, url=_LINK_URL, icon=_LINK_URL, topic={"$ref": _ref("Coding")}),
        suggestions=_array({"$ref": _ref("Suggestion")}, minItems=1),
        selectionBehavior={"enum": ["at-most-one", "any"]},
        overrideReasons=_array({"$ref": _ref("Coding")}, minItems=1),
        links=_array({"$ref": _ref("Link")}, minItems=1),
        extension=_EXTENSION,
    ),
    "Suggestion": _object(
        "label uuid",
        label=_TEXT,
        uuid=_UUID,
        isRecommended={"type": "boolean"},
        actions=_array({"$ref": _ref("Action")}, minItems=1),
    ),
    "Action": _object(
        "type description",
        type={"enum": ["create", "update", "delete"]},
        description=_TEXT,
        resource={
            "description": "The whole resource; for versions 1.0 and 1.1 of CDS Hooks a delete has its reference here.",
            "type": ["object", "string"],
        },
        resourceId=_TEXT,
    ),
    "Link": _object("label url type", label=_TEXT, url=_LINK_URL, type={"enum": ["absolute", "smart"]}),
    "Coding": _object("code", code=_TEXT, system=_TEXT, display=_TEXT),
    "OperationOutcome": _object(
        "resourceType id issue",
        resourceType={"const": "OperationOutcome"},
        id=_UUID | {"description": "The correlation id, under which the log tells of the call."},
        issue=_array(
            _object(
                "severity code details",
                severity={"const": "error"},
                code={"enum": list(get_args(IssueCode))},
                details=_object("text", text=_TEXT),
                expression=_array(_TEXT, minItems=1, maxItems=1),
            ),
            minItems=1,
        ),
    ),
    "Live": _object("status", status={"const": "live"}),
    "Ready": _object(
        "status knowledge",
        status={"enum": ["ready", "degraded"]},
        knowledge=_TEXT | {"description": "The version of the cards that are served."},
        problems=_array(_TEXT, minItems=1),
    ),
}
"""What we answer, as CDS Hooks 2.0.1 has it; clients of older versions get less."""
