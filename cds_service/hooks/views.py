"""The addresses a CDS client calls, and what every answer of the service has in common."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import uuid4

from flask import Blueprint, Flask, Response, g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod

from cds_service.hooks.discovery import discovery
from cds_service.hooks.errors import (
    BadRequest,
    Encoded,
    Failed,
    Issue,
    MethodNotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
    WrongMediaType,
    operation_outcome,
)
from cds_service.hooks.feedback import FeedbackEntry, read_feedback
from cds_service.hooks.response import BadResponse
from cds_service.knowledge.services import Service

_log = logging.getLogger(__name__)

CORRELATION_HEADER: Final = "X-Correlation-ID"
MEDIA_TYPES: Final = ("application/json", "application/fhir+json")
_BRIEFLY: Final = "max-age=60"

Respond = Callable[[str, bytes, int], bytes]
"""The JSON of a response, from the service id, the body of the request, and now in milliseconds since 1970 UTC."""
SaveFeedback = Callable[[str, Sequence[FeedbackEntry]], None]
Clock = Callable[[], int]
"""Now, in milliseconds since 1970 UTC."""


def system_clock() -> int:
    """Now, as this machine has it."""
    return time.time_ns() // 1_000_000


def cds_hooks(
    services: Sequence[Service], respond: Respond, save_feedback: SaveFeedback, *, clock: Clock, max_body: int
) -> Blueprint:
    """Discovery, the services and their feedback, below /cds-services (CDS Hooks 2.0.1)."""
    views = Blueprint("cds_hooks", __name__, url_prefix="/cds-services")
    described = discovery(services)
    ids = frozenset(service.id for service in services)

    def require_service(service_id: str) -> None:
        if service_id not in ids:
            raise NotFound(f"No service has this id. Services: {', '.join(sorted(ids)) or 'none'}.")

    @views.get("", strict_slashes=False)
    def discover() -> Response:
        found = _json(described)
        found.headers["Cache-Control"] = _BRIEFLY
        return found

    @views.post("/<service_id>", strict_slashes=False)
    def call(service_id: str) -> Response:
        require_service(service_id)
        return _json(respond(service_id, read_body(max_body), clock()))

    @views.post("/<service_id>/feedback", strict_slashes=False)
    def feedback(service_id: str) -> Response:
        require_service(service_id)
        save_feedback(service_id, read_feedback(read_body(max_body)))
        return Response(status=200)

    return views


def read_body(limit: int) -> bytes:
    """The body of the current request, read in one go.

    Raises WrongMediaType when it is not said to be JSON; Encoded when it is compressed; TooLarge when it is longer than
    `limit` bytes, without reading the rest; BadRequest when the client stopped in the middle of it.
    """
    if request.mimetype not in MEDIA_TYPES:
        raise WrongMediaType(MEDIA_TYPES)
    if request.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise Encoded
    announced = request.content_length
    if announced is not None and announced > limit:
        raise TooLarge(limit)
    try:
        body = _read_stream(announced, limit)
    except (OSError, ParseException):
        raise BadRequest([Issue("structure", "body: expected it to the end, found a broken one.", "body")]) from None
    if len(body) > limit:
        raise TooLarge(limit)
    if announced is not None and len(body) < announced:
        raise BadRequest([Issue("structure", "body: expected the length that was announced, found less.", "body")])
    return body


def _read_stream(announced: int | None, limit: int) -> bytes:
    stream: Any = request.environ["wsgi.input"]
    if announced is not None:
        # gunicorn's `reader` gives the bytes without the copies that `read` and `get_data` make: 0.4 ms of CPU for
        # 0.9 MB, not 1.1 and 2.8. It counts what it gave, so that gunicorn still knows where the body ends.
        return cast(bytes, getattr(stream, "reader", stream).read(announced))
    if request.environ.get("wsgi.input_terminated"):
        return cast(bytes, stream.read(limit + 1))
    return b""


def _discard_body(limit: int) -> None:
    """Read what a refused call sent, so that its connection stays in use; gunicorn closes one that sends more."""
    announced = request.content_length
    if announced is None or announced <= limit:
        with suppress(OSError, ParseException):
            _read_stream(announced, limit)


def answer_errors(app: Flask, max_body: int) -> None:
    """Give every request of `app` a correlation id, and every error an OperationOutcome that carries it."""

    @app.before_request
    def _identify() -> None:
        g.correlation_id = str(uuid4())

    @app.after_request
    def _finish(answer: Response) -> Response:
        answer.headers[CORRELATION_HEADER] = g.correlation_id
        answer.headers.setdefault("Cache-Control", "no-store")
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            _discard_body(max_body)
        return answer

    @app.errorhandler(Refused)
    def _refused(error: Refused) -> Response:
        _log.info("%s refused %d: %s [%s]", request.endpoint, error.status, error, g.correlation_id)
        return _outcome(error)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        if isinstance(error, NoSuchMethod):
            return _outcome(MethodNotAllowed(request.method, error.valid_methods or ()))
        if error.code == 404:
            return _outcome(NotFound("Nothing has this address. Discovery is at /cds-services."))
        return _outcome(BadRequest([Issue("invalid", error.name)]))

    @app.errorhandler(Exception)
    def _failed(error: Exception) -> Response:
        # The message of an exception may hold patient data, its type and the lines of our code do not.
        lines = (f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__))
        problems = error.problems if isinstance(error, BadResponse) else ()
        told = "\n  ".join((*problems, *lines))
        _log.error("%s failed: %s [%s]\n  %s", request.endpoint, type(error).__name__, g.correlation_id, told)
        return _outcome(Failed())


def _outcome(refused: Refused) -> Response:
    answer = _json(operation_outcome(refused, g.correlation_id), refused.status)
    if isinstance(refused, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(refused.allow)
    if isinstance(refused, Encoded):
        answer.headers["Accept-Encoding"] = "identity"
    if isinstance(refused, Unavailable):
        answer.headers["Retry-After"] = "5"
    return answer


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, mimetype="application/json")
