"""The OpenAPI 3.1 document: every address, what it takes, what it answers. GET /openapi.json shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from apispec import APISpec
from flask import Blueprint, Response

from cds_service import __version__
from cds_service.hooks.views import CORRELATION_HEADER, MEDIA_TYPES
from cds_service.knowledge.services import Service
from cds_service.openapi_schemas import Json, finished, plugin, request_schemas

_READ: Final = re.compile(r"([A-Z][A-Za-z]+)/")
_PATIENT: Final = "example"
_WHY: Final = {
    400: "The request is not what CDS Hooks describes: each fault is an issue.",
    401: "No valid JWT of a registered client. The answer is the same for every reason; the log has it.",
    403: "A registered client may not call this service, or not for this tenant.",
    404: "No service has this id, or the version of CDS Hooks that the client speaks has no such address.",
    405: "The address knows other methods.",
    412: "Required prefetch data was neither sent nor could it be fetched.",
    413: "The body is too long.",
    415: "The body is not JSON, or compressed.",
    500: "An error of the service; the log has it under the id of the outcome.",
    503: "The service cannot do this now; the same request may succeed later.",
}
_GETS: Final = (405, 500)
_TAKES_BODY: Final = (400, 404, 405, 413, 415, 500)


def document(services: Sequence[Service], *, secured: bool) -> Json:
    """The OpenAPI document of an installation with these services; `secured` when clients are registered."""
    spec = APISpec(
        title="Clinical decision support for leg weakness",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin()],
        info={
            "description": "A CDS Hooks service (2.0.1; by registration also 1.0, 1.1 and 3.0). This is no medical "
            "device. Every answer has a correlation id, under which the log tells of the call.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
    )
    request_schemas(spec)
    refused = (401, 403) if secured else ()
    locked: Json = {"security": [{"jwt": []}]} if secured else {}
    one: Json = {
        "name": "service_id",
        "in": "path",
        "required": True,
        "schema": {"enum": [service.id for service in services]},
    }
    spec.path(
        "/cds-services",
        operations={
            "get": locked
            | {
                "operationId": "discover",
                "summary": "Discovery: the services, and the data each asks for.",
                "responses": _responses("Discovery", (*_GETS, *refused)),
            }
        },
    )
    spec.path(
        "/cds-services/{service_id}",
        operations={
            "post": locked
            | {
                "operationId": "call",
                "summary": "Cards for a patient.",
                "parameters": [one],
                "requestBody": _body("Request", {service.id: example(service) for service in services}),
                "responses": _responses("Response", (*_TAKES_BODY, 412, *refused)),
            }
        },
    )
    spec.path(
        "/cds-services/{service_id}/feedback",
        operations={
            "post": locked
            | {
                "operationId": "feedback",
                "summary": "What became of cards: all entries are kept, or none.",
                "parameters": [one],
                "requestBody": _body("Feedback", {"overridden": _FEEDBACK}),
                "responses": _responses(None, (*_TAKES_BODY, 503, *refused)),
            }
        },
    )
    for path, name, summary in (
        ("/health/live", "Live", "Whether the process runs."),
        ("/health/ready", "Ready", "Whether all works. Degraded is no reason to take the instance away."),
    ):
        responses = _responses(name, _GETS)
        spec.path(path, operations={"get": {"operationId": name.lower(), "summary": summary, "responses": responses}})
    spec.path(
        "/metrics",
        operations={
            "get": {
                "operationId": "metrics",
                "summary": "Metrics for Prometheus.",
                "responses": _responses(None, _GETS) | {"200": _found("text/plain", {"type": "string"})},
            }
        },
    )
    spec.path(
        "/openapi.json",
        operations={
            "get": {
                "operationId": "openapi",
                "summary": "This document.",
                "responses": _responses(None, _GETS) | {"200": _found("application/json", {"type": "object"})},
            }
        },
    )
    found: Json = json.loads(json.dumps(spec.to_dict()))
    found["jsonSchemaDialect"] = "https://json-schema.org/draft/2020-12/schema"
    found["components"]["schemas"] = finished(found["components"]["schemas"])
    if secured:
        found["components"]["securitySchemes"] = {"jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return found


def openapi(services: Sequence[Service], *, secured: bool) -> Blueprint:
    """GET /openapi.json, the document of an installation."""
    views = Blueprint("openapi", __name__)
    text = json.dumps(document(services, secured=secured))

    @views.get("/openapi.json")
    def show() -> Response:
        return Response(text, mimetype="application/json")

    return views


def example(service: Service) -> Json:
    """A request that the service answers: a patient of whom nothing is known."""
    context: Json = {"userId": "Practitioner/example", "patientId": _PATIENT}
    if service.hook in ("order-select", "order-sign"):
        order: Json = {"resourceType": "ServiceRequest", "id": "draft", "status": "draft", "intent": "order"}
        order |= {"code": {"text": "MRI of the lumbar spine"}, "subject": {"reference": f"Patient/{_PATIENT}"}}
        context["draftOrders"] = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order}]}
    if service.hook == "order-select":
        context["selections"] = ["ServiceRequest/draft"]
    if service.hook == "encounter-discharge":
        context["encounterId"] = "example"
    return {
        "hook": service.hook,
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": context,
        "prefetch": {key: _nothing_known(template) for key, template in service.prefetch.items()},
    }


_FEEDBACK: Final[Json] = {
    "feedback": [
        {
            "card": "4e0a3a1e-7c5f-4f4e-8d83-a4d3c1a9e4a1",
            "outcome": "overridden",
            "outcomeTimestamp": "2026-11-20T10:00:00Z",
        }
    ]
}


def _nothing_known(template: str) -> Json | None:
    read = _READ.match(template)
    if read is None:
        return {"resourceType": "Bundle", "type": "searchset", "total": 0}
    return {"resourceType": read[1], "id": _PATIENT} if read[1] == "Patient" else None


def _body(schema: str, examples: dict[str, Json]) -> Json:
    content = {
        "schema": {"$ref": f"#/components/schemas/{schema}"},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return {"required": True, "content": dict.fromkeys(MEDIA_TYPES, content)}


def _responses(schema: str | None, refusals: Sequence[int]) -> Json:
    """200 with a schema, or without a body, and refusals with an OperationOutcome."""
    found = {"200": _found("application/json", {"$ref": f"#/components/schemas/{schema}"} if schema else None)}
    for status in sorted(refusals):
        told = None if status == 401 else {"$ref": "#/components/schemas/OperationOutcome"}
        found[str(status)] = _found("application/json", told) | {"description": _WHY[status]}
    for refused, header in (("401", "WWW-Authenticate"), ("405", "Allow"), ("503", "Retry-After")):
        if refused in found:
            found[refused]["headers"][header] = _HEADER
    return found


_HEADER: Final[Json] = {"required": True, "schema": {"type": "string"}}


def _found(media_type: str, schema: Json | None) -> Json:
    id_ = {"required": True, "schema": {"type": "string", "format": "uuid"}}
    answer: Json = {"description": "As asked.", "headers": {CORRELATION_HEADER: id_}}
    return answer if schema is None else answer | {"content": {media_type: {"schema": schema}}}
