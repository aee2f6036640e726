"""Feedback: what became of the cards that were shown (CDS Hooks 2.0.1, feedback)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from cds_service.hooks.envelope import read_object, read_value, require_text
from cds_service.hooks.fields import Array, Members, Text, expecting, load

Outcome = Literal["accepted", "overridden"]

ENTRIES: Final = 5000
"""Entries of one call at most."""
SUGGESTIONS_OF_AN_ENTRY: Final = 100
SUGGESTIONS: Final = 10_000
"""Accepted suggestions of one call at most, in all its entries."""


class FeedbackEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a clinician did with one card.

    `card` and `suggestions` are the uuids that we sent, as text: an unknown one is kept too. `at` is in milliseconds
    since 1970 UTC. `reason` and `reason_system` name an override reason; `comment` is the clinician's own words, which
    may hold patient data and are never logged.
    """

    card: str
    outcome: Outcome
    at: int
    suggestions: tuple[str, ...] = ()
    reason: str | None = None
    reason_system: str | None = None
    comment: str | None = None


def read_feedback(body: bytes) -> list[FeedbackEntry]:
    """The entries of a feedback body, all of them or none.

    Raises BadRequest, naming each wrong field with the index of its entry, and for more entries or suggestions than we
    take at a time, which are not looked at then. An offset of `outcomeTimestamp` is
    normalised to UTC; `overrideReasons`, as one vendor names it, is read as `overrideReason`.
    """
    require_text(body)
    sent = {name: read_value(raw, name) for name, raw in read_object(body, "body").items()}
    return [_entry(entry) for entry in load(FEEDBACK, sent)["feedback"]]


_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_UUID: Final = "the uuid of a card"


class _Instant(fields.Field[int]):
    """An RFC 3339 instant, as milliseconds since 1970 UTC. One without offset is refused: it names no instant."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, str) and _RFC3339.fullmatch(value):
            try:
                return round(datetime.fromisoformat(value.upper()).timestamp() * 1000)
            except (ValueError, OverflowError):
                pass
        raise self.make_error("invalid")


class _Words(Text):
    """A string that is kept: PostgreSQL has no room for the character NUL."""

    def __init__(self, expected: str, **options: Any) -> None:
        super().__init__(expected, **options)
        self.validators.append(validate.Regexp(r"[^\0]*\Z", error="text without NUL characters"))


class _Reason(Members):
    code = _Words("a code", longest=200, required=True)
    system = _Words("a URI", longest=500)


class _OverrideReason(Members):
    reason = fields.Nested(_Reason, error_messages=expecting("a Coding"))
    userComment = _Words("text", longest=10_000)
    extension = fields.Dict(error_messages=expecting("an object"))

    @validates_schema
    def _said(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("a reason or a userComment")


class _Accepted(Members):
    id = _Words("the uuid of a suggestion", longest=200, required=True)


class _Entry(Members):
    card = _Words(_UUID, longest=200, required=True)
    outcome = fields.String(
        required=True,
        validate=validate.OneOf(("accepted", "overridden"), error="accepted or overridden"),
        error_messages=expecting("accepted or overridden"),
    )
    outcomeTimestamp = _Instant(required=True, error_messages=expecting("a date and time with Z or offset (RFC 3339)"))
    acceptedSuggestions = Array(
        fields.Nested(_Accepted, error_messages=expecting("an object with id")),
        "an array of at least one suggestion",
        shortest=1,
        longest=SUGGESTIONS_OF_AN_ENTRY,
    )
    overrideReason = fields.Nested(_OverrideReason, error_messages=expecting("an object"))

    @pre_load
    def _plural(self, data: Any, **_: Any) -> Any:
        if isinstance(data, dict) and "overrideReasons" in data and "overrideReason" not in data:
            reasons = data["overrideReasons"]
            reason = reasons[0] if isinstance(reasons, list) and len(reasons) == 1 else reasons
            return {**data, "overrideReason": reason}
        return data

    @validates_schema
    def _accepted(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("outcome") == "accepted" and "acceptedSuggestions" not in data:
            raise ValidationError("the suggestions that were accepted", "acceptedSuggestions")


class _Entries(Array):
    """The entries, which name at most SUGGESTIONS suggestions together."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[Any]:
        if isinstance(value, list) and sum(map(_suggestions, value)) > SUGGESTIONS:
            raise ValidationError(f"an array whose entries have at most {SUGGESTIONS:,} suggestions together")
        return super()._deserialize(value, attr, data, **options)


class _Feedback(Members):
    feedback = _Entries(
        fields.Nested(_Entry, error_messages=expecting("an object")),
        "an array of entries",
        longest=ENTRIES,
        required=True,
    )


FEEDBACK: Final = _Feedback()


def _suggestions(entry: Any) -> int:
    found = entry.get("acceptedSuggestions") if isinstance(entry, dict) else None
    return min(len(found), SUGGESTIONS_OF_AN_ENTRY + 1) if isinstance(found, list) else 0


def _entry(entry: dict[str, Any]) -> FeedbackEntry:
    overridden = entry.get("overrideReason", {}) if entry["outcome"] == "overridden" else {}
    accepted = entry.get("acceptedSuggestions", ()) if entry["outcome"] == "accepted" else ()
    reason = overridden.get("reason", {})
    return FeedbackEntry(
        card=entry["card"],
        outcome=entry["outcome"],
        at=entry["outcomeTimestamp"],
        suggestions=tuple(suggestion["id"] for suggestion in accepted),
        reason=reason.get("code"),
        reason_system=reason.get("system"),
        comment=overridden.get("userComment"),
    )
