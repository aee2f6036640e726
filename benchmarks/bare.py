"""The two bare endpoints that a request is measured against: Flask under gunicorn as both come, with one worker.

A reads the body and parses it with orjson; B decodes it into the narrow structs that our reader uses. Neither judges
anything.
"""

from __future__ import annotations

import msgspec
import orjson
from flask import Flask, Response, request

from cds_service.fhir.resources import AnyResource

_ANSWER = b'{"cards":[]}'


class _Request(msgspec.Struct, gc=False):
    hook: str
    prefetch: dict[str, AnyResource]


def create(kind: str) -> Flask:
    """Endpoint A (`orjson`) or B (`msgspec`)."""
    app = Flask(kind)
    decoder = msgspec.json.Decoder(_Request, strict=False)

    @app.post("/")
    def read() -> Response:
        body = request.get_data()
        if kind == "orjson":
            orjson.loads(body)
        else:
            decoder.decode(body)
        return Response(_ANSWER, mimetype="application/json")

    return app
