"""The log: one JSON object a line on standard error, for this service and for the server it runs under.

No line holds what a client sent. Of an error that nobody foresaw it gives the type and the lines of code, never the
text, which may repeat a value.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from cds_service.operating.record import CallRecord

_calls: Final = logging.getLogger("cds_service.calls")
_QUIET: Final = ("flask", "werkzeug", "urllib3", "requests", "sqlalchemy", "alembic", "jinja2", "joserfc")
"""Libraries whose debug lines would hold URLs, headers or SQL."""
_encode: Final = json.JSONEncoder(separators=(",", ":"), default=lambda value: type(value).__name__).encode


def configure(level: str) -> None:
    """Write all logs as lines of JSON on standard error: ours from `level` on, those of libraries from warning on."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(Line())
    output.handleError = lambda record: None  # type: ignore[method-assign]  # nowhere is left to say so
    logging.basicConfig(handlers=[output], level=logging.WARNING, force=True)
    logging.getLogger("cds_service").setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Three things that no line tells; finding them out took a third of the time that a line takes.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.captureWarnings(True)
    threading.excepthook = lambda args: _unforeseen("a thread ended", args.exc_value)
    sys.unraisablehook = lambda args: _unforeseen("an error was left aside", args.exc_value)


class Line(logging.Formatter):
    """A log record as one line of ASCII: `time`, `level`, `logger`, `process`, `message`, and its own fields.

    Fields are given as `extra={"fields": {...}}`. An exception adds `error`, its type, and `at`, its lines of code.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        message = record.getMessage()
        line: dict[str, Any] = {
            "time": instant(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": message.partition("\n")[0] if record.name == "py.warnings" else message,
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["at"] = lines_of(record.exc_info[2])
        return _encode(line).replace("\x7f", "\\u007f")


def log_call(record: CallRecord) -> None:
    """Write the line of one call: who called what, what came of it, milliseconds by step."""
    level = _level(record.status)
    if not _calls.isEnabledFor(level):
        return
    fields = {
        "client": record.client,
        "service": record.service,
        "hook_instance": record.hook_instance,
        "status": record.status,
        "outcomes": dict(record.outcomes),
        "cards": [card for card, _ in record.cards],
        "unreadable": dict(record.unreadable),
        "not_supplied": record.not_supplied,
        "fetched": record.fetched,
        "feedback": dict(record.feedback),
        "milliseconds": {step: round(seconds * 1000, 1) for step, seconds in record.seconds.items()},
        "total": round(record.total * 1000, 1),
        "correlation_id": record.correlation_id,
        "reason": record.reason,
    }
    told = {name: value for name, value in fields.items() if value or name in _ALWAYS}
    _calls.log(level, record.kind, extra={"fields": told})


_ALWAYS: Final = ("client", "service", "status", "total")


def instant(seconds: float) -> str:
    """A moment, in seconds since 1970 UTC, as RFC 3339 with milliseconds: `2026-11-20T10:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lines_of(raised: TracebackType | None) -> list[str]:
    """The lines of code through which an exception came, outermost first: `file:line function`."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(raised)]


def _unforeseen(what: str, error: BaseException | None) -> None:
    if error is not None:
        logging.getLogger("cds_service").error(what, exc_info=(type(error), error, error.__traceback__))


def _level(status: int) -> int:
    if status >= 500:
        return logging.ERROR
    return logging.WARNING if status in (401, 403) else logging.INFO
