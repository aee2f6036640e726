"""The shape of the files in `cards/`: which keys, of which kind. Mistakes are told with their place in the file."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from cds_service.knowledge.card import INDICATORS, LONGEST_AWAY, STATUSES
from cds_service.knowledge.reading import Node, Problems
from cds_service.knowledge.services import HOOKS

_WORD: Final = validate.Regexp(r"^[a-z0-9][a-z0-9-]*$", error="must be lower-case words joined by '-'")


class Strict(Schema):
    """Unknown keys are mistakes."""

    class Meta:
        unknown = RAISE


def _text(**options: Any) -> fields.String:
    return fields.String(validate=validate.Length(min=1), **options)


def _words(**options: Any) -> fields.List[Any]:
    return fields.List(fields.String(validate=validate.Length(min=1)), **options)


def _at_most_a_year(text: str) -> None:
    days, _, word = text.partition(" ")
    if not (word == "days" and days.isascii() and days.isdecimal() and len(days) < 4 and int(days) <= LONGEST_AWAY):
        raise ValidationError(f"must be such as 90 days, at most {LONGEST_AWAY}")


def _days() -> fields.String:
    return fields.String(validate=_at_most_a_year)


class UnlessSchema(Strict):
    """An entry of `unless`."""

    when = _text(required=True)
    reason = _text(required=True)
    applies_to = fields.List(fields.String(validate=validate.OneOf(INDICATORS)), data_key="for")


class LowerSchema(UnlessSchema):
    """An entry of `lower`."""

    to = fields.String(validate=validate.OneOf(("warning", "info")))


class CardSchema(Strict):
    """A card definition; its keys stand in this order."""

    id = fields.String(required=True, validate=_WORD)
    title = _text(required=True)
    version = fields.String(
        required=True,
        error_messages={"invalid": "must be such as 1.0.0"},
        validate=validate.Regexp(r"^\d+\.\d+\.\d+$", error="must be such as 1.0.0"),
    )
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    priority = fields.Integer(required=True, strict=True, validate=validate.Range(1, 99))
    hooks = fields.List(fields.String(validate=validate.OneOf(HOOKS)), required=True, validate=validate.Length(min=1))
    drafts = _words()
    claims = _words(required=True)
    population = fields.Raw(required=True)
    facts = fields.Dict(keys=fields.String(), values=fields.Dict())
    define = fields.Dict(keys=fields.String(), values=fields.Raw())
    indicator = fields.Dict(
        required=True, keys=fields.String(validate=validate.OneOf(INDICATORS)), validate=validate.Length(min=1)
    )
    unless = fields.List(fields.Nested(UnlessSchema))
    lower = fields.List(fields.Nested(LowerSchema))
    summary = _text(required=True)
    detail = _text(required=True)
    suggestions = fields.List(fields.Raw())
    merge_into = fields.String(validate=_WORD)
    own_card = fields.String(validate=validate.OneOf(INDICATORS))
    order_select = fields.String(validate=validate.OneOf(INDICATORS))
    repeat = _days()
    answered = _days()
    overridden = fields.Dict(
        keys=fields.String(validate=validate.OneOf(INDICATORS)), values=_days(), validate=validate.Length(min=1)
    )
    override_reasons = _words(required=True, validate=validate.Length(min=1))
    sources = fields.Dict(required=True, keys=fields.String())
    limitations = _text(required=True)


class SharedSchema(Strict):
    """`shared.yaml`."""

    facts = fields.Dict(required=True, keys=fields.String(), values=fields.Dict())
    define = fields.Dict(required=True, keys=fields.String())
    sources = fields.Dict(required=True, keys=fields.String())


class LeftOutSchema(Strict):
    """`left_out_when` of a suggestion."""

    orders = fields.Raw()
    conditions = fields.Raw()
    within = _text()


class SuggestionSchema(Strict):
    """A suggestion."""

    label = _text(required=True)
    action = fields.String(validate=validate.OneOf(("create", "update", "delete")))
    left_out_when = fields.Nested(LeftOutSchema)
    about = fields.Raw()
    resource = fields.Dict()
    resources = fields.List(fields.Dict(), validate=validate.Length(min=1))
    change = fields.Dict()
    occurrence = _text()


class GuidelineSchema(Strict):
    """A guideline."""

    name = _text(required=True)
    organisation = _text(required=True)
    year = fields.Integer(strict=True)
    url = fields.Url(schemes={"https"})
    cited_for = _text(required=True)
    checked = fields.Boolean(required=True)


_EXPECTED: Final = {
    "Not a valid string.": "text",
    "Not a valid integer.": "a whole number",
    "Not a valid boolean.": "true or false",
    "Not a valid list.": "a list",
    "Not a valid mapping type.": "a mapping",
    "Not a valid URL.": "an https URL",
    "Invalid input type.": "a mapping",
    "Field may not be null.": "a value",
}
"""marshmallow's words for what is wrong, as what was expected."""


def conforms(schema: type[Schema], node: Node, problems: Problems) -> bool:
    """Whether a mapping has the shape of a schema; each mistake is a problem at its own place."""
    if not isinstance(node.value, dict):
        problems.add(node, "no mapping", "a mapping of keys")
        return False
    try:
        schema().load(node.plain())
    except ValidationError as error:
        _tell(node, error.messages, problems)
        return False
    return True


def _tell(node: Node, messages: Any, problems: Problems) -> None:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            _tell_one(node, key, inner, problems)
        return
    for message in messages if isinstance(messages, list) else [messages]:
        problems.add(node, node.words, _EXPECTED.get(str(message), str(message).removeprefix("Must be ")).rstrip("."))


def _tell_one(node: Node, key: Any, inner: Any, problems: Problems) -> None:
    if isinstance(node.value, dict) and isinstance(key, str):
        if inner == ["Unknown field."]:
            line, column = node.keys.get(key, (node.line, node.column))
            problems.at(node.path, line, column, f"the unknown key '{key}'", "only the keys of docs/card-format.md")
            return
        if key in ("key", "value"):
            _tell(node, inner, problems)
            return
        child = node.value.get(key)
        if child is None:
            problems.add(node, f"no '{key}'", f"the key '{key}'")
        else:
            _tell(child, inner, problems)
    elif isinstance(node.value, list) and isinstance(key, int) and key < len(node.value):
        _tell(node.value[key], inner, problems)
    else:
        _tell(node, inner, problems)
