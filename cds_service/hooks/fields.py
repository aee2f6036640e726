"""Schemas for what clients send, and their errors as issues: the field, what was expected there, what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

from cds_service.hooks.errors import BadRequest, Issue, IssueCode


class Members(Schema):
    """An object of a request: members it does not name are ignored, null and blank ones count as absent."""

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "an object"}  # noqa: RUF012 (marshmallow declares it so)

    @pre_load
    def _drop_blank(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if not _blank(value)}


class Text(fields.String):
    """A string of at most `longest` characters that `expected` describes; `pattern` must match the whole of it."""

    def __init__(self, expected: str, *, longest: int = 2000, pattern: str | None = None, **options: Any) -> None:
        checks: list[Any] = [validate.Length(max=longest, error=f"{expected} of at most {longest} characters")]
        if pattern is not None:
            checks.append(validate.Regexp(f"(?:{pattern})\\Z", error=expected))
        super().__init__(validate=checks, error_messages=expecting(expected), **options)


class Array(fields.List[Any]):
    """An array of at most `longest` members, and at least `shortest`, that `expected` describes. One that is longer is
    refused before any of its members is read.
    """

    def __init__(
        self, member: fields.Field[Any], expected: str, *, longest: int, shortest: int | None = None, **options: Any
    ) -> None:
        self._longest = validate.Length(max=longest, error=f"{expected}, at most {longest:,}")
        checks = [self._longest] if shortest is None else [validate.Length(min=shortest, error=expected), self._longest]
        super().__init__(member, validate=checks, error_messages=expecting(expected), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[Any]:
        if isinstance(value, list):
            self._longest(value)
        return super()._deserialize(value, attr, data, **options)


def expecting(expected: str) -> dict[str, Any]:
    """The error messages of a field, all of which say what was expected."""
    return dict.fromkeys(("required", "null", "invalid", "invalid_utf8", "type", "too_large"), expected)


def load(schema: Schema, data: Any, field: str = "") -> Any:
    """`data` as `schema` reads it. Raises BadRequest with one issue for each wrong field, named below `field`."""
    try:
        return schema.load(data)
    except ValidationError as error:
        raise BadRequest(list(_issues(error.messages, data, field))) from None


def unexpected(field: str, expected: str, found: str, code: IssueCode = "value") -> Issue:
    """The issue for a field that holds something else than expected."""
    return Issue(code, f"{field}: expected {expected}, found {found}.", field or None)


def _issues(messages: Any, data: Any, field: str) -> Iterator[Issue]:
    if isinstance(messages, list):
        found = _describe(data)
        code: IssueCode = "required" if found == "nothing" else "value" if isinstance(data, str) else "structure"
        yield unexpected(field or "body", messages[0], found, code)
        return
    for name, inner in messages.items():
        if name == "_schema":
            yield from _issues(inner, data, field)
        elif isinstance(name, int):
            yield from _issues(inner, data[name], f"{field}[{name}]")
        else:
            value = data.get(name) if isinstance(data, Mapping) else None
            yield from _issues(inner, value, f"{field}.{name}" if field else name)


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _describe(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "another string" if value.strip() else "a blank string"
        case list():
            return f"an array of {len(value):,}" if value else "an empty array"
        case _:
            return "an object"
