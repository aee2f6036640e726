"""The two bare endpoints that a request is measured against: Flask under gunicorn as both come, with one worker.

A reads the body and parses it with orjson; B reads the body and decodes it into narrow msgspec structs. Neither judges
anything.
"""

from __future__ import annotations

import msgspec
import orjson
from flask import Flask, Response, request

_ANSWER = b'{"cards":[]}'


class _Coding(msgspec.Struct, gc=False):
    system: str | None = None
    code: str | None = None


class _Concept(msgspec.Struct, gc=False):
    coding: list[_Coding] | None = None
    text: str | None = None


class _Quantity(msgspec.Struct, gc=False):
    value: float | None = None
    unit: str | None = None
    code: str | None = None


class _Resource(msgspec.Struct, gc=False):
    resourceType: str | None = None
    id: str | None = None
    status: str | None = None
    code: _Concept | None = None
    medicationCodeableConcept: _Concept | None = None
    effectiveDateTime: str | None = None
    authoredOn: str | None = None
    valueQuantity: _Quantity | str | None = None


class _Entry(msgspec.Struct, gc=False):
    resource: _Resource | None = None


class _Bundle(msgspec.Struct, gc=False):
    entry: list[_Entry] | None = None
    resourceType: str | None = None


class _Request(msgspec.Struct, gc=False):
    hook: str
    prefetch: dict[str, _Bundle]


def create(kind: str) -> Flask:
    """Endpoint A (`orjson`) or B (`msgspec`)."""
    app = Flask(kind)
    decoder = msgspec.json.Decoder(_Request)

    @app.post("/")
    def read() -> Response:
        body = request.get_data()
        if kind == "orjson":
            orjson.loads(body)
        else:
            decoder.decode(body)
        return Response(_ANSWER, mimetype="application/json")

    return app
