"""The outermost JSON of a request: its members as raw bytes, with no resource decoded and no key twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import takewhile
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from cds_service.hooks.errors import BadRequest, Issue
from cds_service.hooks.names import FIELD_NAMES, told

_KEY: Final = re.compile(rb'[ \t\r\n]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_NEXT: Final = re.compile(rb"[ \t\r\n]*([,}])")
_OPEN: Final = re.compile(rb"[ \t\r\n]*\{[ \t\r\n]*(}?)")
_UNNAMED: Final = "*"
_NULL: Final = ord("n")
_KINDS: Final = {
    ord("{"): "an object",
    ord("["): "an array",
    ord('"'): "a string",
    ord("t"): "a boolean",
    ord("f"): "a boolean",
    _NULL: "null",
}


class Envelope(msgspec.Struct, frozen=True):
    """The members of a request body: `fields` without prefetch, and `prefetch` by key (None when not sent)."""

    fields: dict[str, Raw]
    prefetch: dict[str, Raw] | None


class _Known(msgspec.Struct):
    """The members that CDS Hooks names. One pass over the body reads them and takes prefetch apart."""

    hook: Raw | UnsetType = UNSET
    hookInstance: Raw | UnsetType = UNSET
    fhirServer: Raw | UnsetType = UNSET
    fhirAuthorization: Raw | UnsetType = UNSET
    context: Raw | UnsetType = UNSET
    extension: Raw | UnsetType = UNSET
    prefetch: dict[str, Raw] | UnsetType | None = UNSET


_known: Final = msgspec.json.Decoder(_Known)
_members: Final = msgspec.json.Decoder(dict[str, Raw])


class _Repeated(Exception):
    """A key stands twice in one object: its name, and the place of the object within the field that is read."""

    def __init__(self, name: str, place: str = "") -> None:
        self.name, self.place = name, place
        super().__init__(name)


class _Twice(dict[str, Any]):
    """An object in which a key stands twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        super().__init__(pairs)


def read_envelope(body: bytes, keys: Collection[str] = ()) -> Envelope:
    """The envelope of a request; `keys` are the prefetch keys that a refusal may name.

    Raises BadRequest when the body is not one JSON object in UTF-8 without a byte order mark, is nested too deeply, or
    when a key stands twice in it or in prefetch. Resources stay unread: what is wrong in one costs only itself.
    """
    require_text(body)
    try:
        known = _known.decode(body)
        members = {name: value for name in _Known.__struct_fields__ if (value := getattr(known, name)) is not UNSET}
        if known.prefetch is not None:
            _walk(body, 0, members)
            return Envelope({name: raw for name, raw in members.items() if name != "prefetch"}, members.get("prefetch"))
    except (msgspec.MsgspecError, KeyError, _Repeated, RecursionError, UnicodeDecodeError):
        pass  # malformed, or with members that CDS Hooks does not name: look closer
    fields = read_object(body, "body")
    prefetch = fields.pop("prefetch", None)
    if prefetch is None or is_null(prefetch):
        return Envelope(fields, None)
    return Envelope(fields, read_object(bytes(prefetch), "prefetch", keys))


def read_object(text: bytes, field: str, names: Collection[str] = FIELD_NAMES) -> dict[str, Raw]:
    """The members of one JSON object, each as it was sent.

    Raises BadRequest, naming `field`, like `read_envelope`; a key that stands twice is named when it is one of `names`.
    """
    try:
        members = _members.decode(text)
        _walk(text, 0, members)
    except (msgspec.MsgspecError, _Repeated, RecursionError, UnicodeDecodeError) as error:
        raise _refusal(error, field, names) from None
    return members


def read_value(raw: Raw, field: str) -> Any:
    """A small member as Python values.

    Raises BadRequest for a number beyond what a double holds, deep nesting, or a key twice in an object at any level.
    """
    try:
        value = msgspec.json.decode(raw)
        if isinstance(value, dict | list):
            _require_keys_once(bytes(raw).decode())
        return value
    except (msgspec.MsgspecError, _Repeated, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise _refusal(error, field) from None


def kind(raw: Raw) -> str:
    """What a member is, by its first byte: `an object`, `an array`, `a string`, `a number`, `a boolean` or `null`."""
    return _KINDS.get(memoryview(raw)[0], "a number")


def is_null(raw: Raw) -> bool:
    """Whether the member is JSON's null."""
    return memoryview(raw)[0] == _NULL


def require_text(body: bytes) -> None:
    """Raise BadRequest when the body is empty, no UTF-8, or begins with a byte order mark."""
    if not body:
        raise BadRequest([Issue("required", "body: expected a JSON object, found nothing.", "body")])
    if body.startswith(b"\xef\xbb\xbf"):
        raise BadRequest([Issue("structure", "body: expected JSON without a byte order mark.", "body")])
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise _refusal(error, "body") from None


def _walk(text: bytes, start: int, members: Mapping[str, Any], name: str = "") -> int:
    """Go through the object that begins at `start`, member by member, and return where it ends.

    `members` is what the decoder made of it, the last value of each key. Every key must be new and every value must
    stand where it is expected, so that the walk ends at the closing brace; otherwise a key stands twice: _Repeated.
    Raises KeyError for a key that `members` does not have.
    """
    opening = _OPEN.match(text, start)
    if opening is None:
        raise _Repeated(name)
    position = opening.end()
    if opening[1]:
        return position
    seen = set()
    while True:
        key = _KEY.match(text, position)
        if key is None:
            raise _Repeated(name)
        name = msgspec.json.decode(b'"' + key[1] + b'"', type=str) if b"\\" in key[1] else key[1].decode()
        value = members[name]
        if name in seen:
            raise _Repeated(name)
        seen.add(name)
        position = key.end()
        if isinstance(value, Raw):
            if not text.startswith(value, position):
                raise _Repeated(name)
            position += memoryview(value).nbytes
        else:
            position = _walk(text, position, value, name)
        after = _NEXT.match(text, position)
        if after is None:
            raise _Repeated(name)
        position = after.end()
        if after[1] == b"}":
            return position


def _require_keys_once(text: str) -> None:
    twice = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.append(found := _Twice(pairs))
        return found

    value = json.loads(text, object_pairs_hook=members, parse_int=str, parse_float=str)
    if twice:
        raise _first(value, "") or _Repeated("")


def _first(value: Any, place: str) -> _Repeated | None:
    """The first object in which a key stands twice. Its place ends at the first name that is not to be repeated."""
    if isinstance(value, _Twice):
        return _Repeated(value.name, place)
    inner: list[tuple[Any, str]] = []
    if isinstance(value, dict):
        inner = [(one, f"{place}.{told(name, FIELD_NAMES, _UNNAMED)}") for name, one in value.items()]
    elif isinstance(value, list):
        inner = [(one, f"{place}[{index}]") for index, one in enumerate(value)]
    return next((found for one, at in inner if (found := _first(one, at)) is not None), None)


def _refusal(error: Exception, field: str, names: Collection[str] = FIELD_NAMES) -> BadRequest:
    field = ".".join(takewhile(FIELD_NAMES.__contains__, field.split("."))) or "body"
    match error:
        case _Repeated():
            if field != "body":
                field += error.place.partition(f".{_UNNAMED}")[0]
            text = f"{field}: expected each key once, found {told(error.name, names)} twice."
        case RecursionError():
            text = f"{field}: expected JSON that is not nested so deeply."
        case UnicodeDecodeError():
            text = f"{field}: expected UTF-8, found other bytes."
        case msgspec.ValidationError() if "out of range" not in str(error):
            text = f"{field}: expected a JSON object, found another value."
        case msgspec.DecodeError() if not isinstance(error, msgspec.ValidationError):
            text = f"{field}: expected JSON. {error}."
        case _:
            text = f"{field}: expected numbers that a double can hold, found a larger one."
    return BadRequest([Issue("structure", text, field)])
