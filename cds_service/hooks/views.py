"""The addresses a CDS client calls, and what every answer of the service has in common."""

from __future__ import annotations

import logging
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, Protocol, cast
from uuid import uuid4

from flask import Blueprint, Flask, Response, g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod

from cds_service.hooks.clients import Client
from cds_service.hooks.errors import (
    BadRequest,
    Encoded,
    Failed,
    Forbidden,
    Issue,
    MethodNotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Unauthorized,
    Unavailable,
    WrongMediaType,
    operation_outcome,
)
from cds_service.hooks.feedback import FeedbackEntry, read_feedback
from cds_service.hooks.response import BadResponse
from cds_service.operating.record import CallRecord, Kind

_log = logging.getLogger(__name__)

CORRELATION_HEADER: Final = "X-Correlation-ID"
MEDIA_TYPES: Final = ("application/json", "application/fhir+json")
_BRIEFLY: Final = "private, max-age=60"
_KINDS: Final[dict[str | None, Kind]] = {"cds_hooks.discover": "discovery", "cds_hooks.feedback": "feedback"}

Clock = Callable[[], int]
"""Now, in milliseconds since 1970 UTC."""


class Service(Protocol):
    """What the addresses below /cds-services need: who calls, and what is answered. Each method may raise Refused."""

    def identify(
        self, authorization: str | None, url: Callable[[], str], path: str, service_id: str | None, now: int
    ) -> Client:
        """The client that calls `path`, reached as `url` says, by its Authorization header."""

    def discover(self, client: Client) -> bytes:
        """The JSON of discovery for a client."""

    def respond(self, client: Client, service_id: str, body: bytes, record: CallRecord) -> bytes:
        """The JSON of a response; what came of it is noted in `record`."""

    def save_feedback(self, client: Client, service_id: str, entries: Sequence[FeedbackEntry], now: int) -> None:
        """Keep feedback."""

    def observe(self, record: CallRecord) -> None:
        """Take note of a call that has been answered."""


def system_clock() -> int:
    """Now, as this machine has it."""
    return time.time_ns() // 1_000_000


def cds_hooks(service: Service, ids: Sequence[str], *, clock: Clock, max_body: int) -> Blueprint:
    """Discovery, the services `ids` and their feedback, below /cds-services (CDS Hooks 2.0.1)."""
    views = Blueprint("cds_hooks", __name__, url_prefix="/cds-services")

    def identify(service_id: str | None = None) -> Client:
        record: CallRecord = g.record
        known = service_id if service_id in ids else None
        record.service = known
        authorization = request.headers.get("Authorization")
        client = service.identify(authorization, lambda: request.base_url, request.path, known, record.at)
        record.client = client.name
        if service_id is not None and known is None:
            own = sorted(client.services or ids)
            raise NotFound(f"No service has this id. Services: {', '.join(own) or 'none'}.")
        return client

    @views.before_request
    def _begin() -> None:
        g.started = time.perf_counter()
        g.record = CallRecord(kind=_KINDS.get(request.endpoint, "call"), correlation_id=g.correlation_id, at=clock())

    @views.after_request
    def _end(answer: Response) -> Response:
        if request.method != "OPTIONS":
            record: CallRecord = g.record
            record.status = answer.status_code
            record.total = time.perf_counter() - g.started
            service.observe(record)
        return answer

    @views.get("", strict_slashes=False)
    def discover() -> Response:
        found = _json(service.discover(identify()))
        found.headers["Cache-Control"] = _BRIEFLY
        return found

    @views.post("/<service_id>", strict_slashes=False)
    def call(service_id: str) -> Response:
        client = identify(service_id)
        return _json(service.respond(client, service_id, read_body(max_body), g.record))

    @views.post("/<service_id>/feedback", strict_slashes=False)
    def feedback(service_id: str) -> Response:
        client = identify(service_id)
        if client.profile == "1.0":
            raise NotFound("CDS Hooks 1.0, which this client is registered for, has no feedback.")
        entries = read_feedback(read_body(max_body))
        service.save_feedback(client, service_id, entries, g.record.at)
        g.record.feedback = Counter(entry.outcome for entry in entries)
        return _empty(200)

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
        _explain(error.reason if isinstance(error, Unauthorized) else str(error))
        if isinstance(error, Forbidden) and "record" in g:
            g.record.client = error.client
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
        _explain(type(error).__name__)
        return _outcome(Failed())


def _explain(reason: str) -> None:
    """Note for the log why the current call is refused."""
    if "record" in g:
        g.record.reason = reason


def _outcome(refused: Refused) -> Response:
    if isinstance(refused, Unauthorized):
        # The same for every reason, and it tells nothing (best practice of CDS Hooks).
        plain = _empty(refused.status)
        plain.headers["WWW-Authenticate"] = "Bearer"
        return plain
    answer = _json(operation_outcome(refused, g.correlation_id), refused.status)
    if isinstance(refused, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(refused.allow)
    if isinstance(refused, Encoded):
        answer.headers["Accept-Encoding"] = "identity"
    if isinstance(refused, Unavailable):
        answer.headers["Retry-After"] = "5"
    return answer


def _empty(status: int) -> Response:
    answer = Response(status=status)
    del answer.headers["Content-Type"]
    return answer


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, mimetype="application/json")
