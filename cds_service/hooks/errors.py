"""Refusals: what went wrong with a request, the HTTP status it gets, and the FHIR R4 OperationOutcome that says so.

    Refused                    any answer that is not 200
    ├── BadRequest        400  not JSON, or not the request that CDS Hooks describes
    ├── Unauthorized      401  no valid JWT of a registered client; the answer does not say why
    ├── Forbidden         403  a registered client that may not use this service or tenant
    ├── NotFound          404  no such service or address
    ├── MethodNotAllowed  405  the address knows other methods
    ├── DataMissing       412  required prefetch data was not sent
    ├── TooLarge          413  the body is longer than the limit
    ├── WrongMediaType    415  the body is not said to be JSON
    ├── Encoded           415  the body is said to be compressed
    ├── Failed            500  an error of this service
    └── Unavailable       503  the database cannot be written

No text here ever repeats a value from a body, or a name that neither a specification nor we define (`hooks.names`): it
may be patient data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, Final, Literal

import msgspec

IssueCode = Literal[
    "invalid", "structure", "required", "value", "not-found", "not-supported", "too-long", "incomplete", "exception",
    "transient", "forbidden",
]  # fmt: skip
"""The codes of http://hl7.org/fhir/issue-type that we use."""


class Issue(msgspec.Struct, frozen=True):
    """One thing that is wrong: a sentence for the integrator, and the field it is about (`context.patientId`)."""

    code: IssueCode
    text: str
    field: str | None = None


ISSUES: Final = 20
"""Issues that an answer names one by one; the rest are counted."""
_LOGGED: Final = 1000
"""Characters of a reason that the log has."""


class Refused(Exception):
    """A request that is not answered with cards. `status` is the HTTP status, `issues` say why: the first ISSUES of
    them, and how many more there are. The text of the exception is for the log, and never long.
    """

    status: ClassVar[int]

    def __init__(self, issues: Sequence[Issue]) -> None:
        more = len(issues) - ISSUES
        told = [*issues[:ISSUES], Issue("invalid", f"And {more:,} more.")] if more > 0 else issues
        self.issues = tuple(told)
        super().__init__(_brief("; ".join(issue.text for issue in told)))


class BadRequest(Refused):
    """The body is not JSON, or not what CDS Hooks describes for this address."""

    status = 400


class Unauthorized(Refused):
    """The call carries no valid JWT of a registered client. `reason` is for the log only, the client hears none."""

    status = 401

    def __init__(self, reason: str) -> None:
        self.reason = _brief(reason)
        super().__init__([])


class Forbidden(Refused):
    """A registered client calls a service, or for a tenant, that it is not registered for. `client` is its name."""

    status = 403

    def __init__(self, text: str, client: str = "") -> None:
        self.client = client
        super().__init__([Issue("forbidden", text)])


class NotFound(Refused):
    """No service or page has this address."""

    status = 404

    def __init__(self, text: str) -> None:
        super().__init__([Issue("not-found", text)])


class MethodNotAllowed(Refused):
    """The address is right, the method is not; `allow` holds those that are."""

    status = 405

    def __init__(self, method: str, allow: Iterable[str]) -> None:
        self.allow = tuple(sorted(allow))
        super().__init__([Issue("not-supported", f"Expected the method {' or '.join(self.allow)}, found {method}.")])


class DataMissing(Refused):
    """Required data is neither in prefetch nor obtainable (CDS Hooks 2.0.1, prefetch); `keys` names it.

    Of `unfetched` the FHIR server was asked too.
    """

    status = 412

    def __init__(self, not_sent: Sequence[str], failed: Sequence[str], unfetched: Collection[str] = ()) -> None:
        self.keys = (*not_sent, *failed)
        sent = dict.fromkeys(not_sent, "nothing") | dict.fromkeys(failed, "an OperationOutcome: the query failed")
        found = {
            key: f"{what}, and it could not be fetched" if key in unfetched else what for key, what in sent.items()
        }
        super().__init__(
            [
                Issue("incomplete", f"Required prefetch key {key}: expected its data, found {what}.", f"prefetch.{key}")
                for key, what in found.items()
            ]
        )


class TooLarge(Refused):
    """The body is longer than `limit` bytes."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__([Issue("too-long", f"Expected a body of at most {limit} bytes, found a longer one.")])


class WrongMediaType(Refused):
    """The body's media type is not one for JSON."""

    status = 415

    def __init__(self, expected: Sequence[str]) -> None:
        super().__init__([Issue("not-supported", f"Expected the Content-Type {' or '.join(expected)}.")])


class Encoded(Refused):
    """The body has a Content-Encoding."""

    status = 415

    def __init__(self) -> None:
        text = "Expected a body without Content-Encoding (identity), found another encoding."
        super().__init__([Issue("not-supported", text)])


class Failed(Refused):
    """An error of this service, which the log explains under the same correlation id."""

    status = 500

    def __init__(self) -> None:
        super().__init__([Issue("exception", "The service failed to answer. Its log has the reason under this id.")])


class Unavailable(Refused):
    """The service cannot do its work now; the same request may succeed later."""

    status = 503

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__([Issue("transient", reason) for reason in reasons])


def _brief(text: str) -> str:
    return text if len(text) <= _LOGGED else f"{text[:_LOGGED]} …"


def operation_outcome(refused: Refused, correlation_id: str) -> bytes:
    """The OperationOutcome (FHIR R4) for a refusal, as JSON; its id is the correlation id that the log has too."""
    return msgspec.json.encode(
        {
            "resourceType": "OperationOutcome",
            "id": correlation_id,
            "issue": [
                {
                    "severity": "error",
                    "code": issue.code,
                    "details": {"text": issue.text},
                    **({"expression": [issue.field]} if issue.field else {}),
                }
                for issue in refused.issues
            ],
        }
    )
