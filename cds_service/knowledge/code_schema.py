"""The shape of the files in `cards/codes`: which keys, of which kind."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import RAISE, ValidationError, fields, validate, validates_schema

from cds_service.chart.groups import SYSTEMS
from cds_service.knowledge.schema import Strict

DURATION: Final = r"^[1-9][0-9]* (?:hours?|days?|weeks?)$"
_NOT_EMPTY: Final = validate.Length(min=1)


def _number(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValidationError("must be a number")


def _range(value: Any) -> None:
    if not isinstance(value, list) or len(value) != 2:
        raise ValidationError("must be a list of the lowest and the highest number")
    for bound in value:
        _number(bound)
    if value[0] >= value[1]:
        raise ValidationError("must be the lower number, then the higher one")


def _plausible(value: Any) -> None:
    if not isinstance(value, dict):
        _range(value)
        return
    if set(value) != {"systolic", "diastolic"}:
        raise ValidationError("must be a range, or a range each for systolic and diastolic")
    for part in value.values():
        _range(part)


def _unit(value: Any) -> None:
    if isinstance(value, dict):
        if "factor" not in value or set(value) - {"before", "factor", "after"}:
            raise ValidationError("must be a factor, or factor with before or after")
        for number in value.values():
            _number(number)
    else:
        _number(value)


def _phrase(value: Any) -> None:
    text = value.get("text") if isinstance(value, dict) and set(value) == {"text", "side"} else value
    if not isinstance(text, str) or (isinstance(value, dict) and value["side"] not in ("left", "right", "both")):
        raise ValidationError("must be a text, or text and side (left, right or both)")


def _verified(value: Any) -> None:
    if value is not False and not (isinstance(value, str) and value):
        raise ValidationError("must say where the code was checked, or be false")


class CodeSchema(Strict):
    """A code of any group but drugs."""

    system = fields.String(validate=validate.OneOf(tuple(SYSTEMS)))
    code = fields.String(required=True, validate=_NOT_EMPTY)
    display = fields.String(required=True, validate=_NOT_EMPTY)
    verified = fields.Raw(required=True, validate=_verified)
    side = fields.String(validate=validate.OneOf(("left", "right", "both")))


class AnswerSchema(CodeSchema):
    """A code of an answer, or the whole texts that mean it."""

    code = fields.String(validate=_NOT_EMPTY)
    display = fields.String(validate=_NOT_EMPTY)
    verified = fields.Raw(validate=_verified)
    texts = fields.List(fields.String(validate=_NOT_EMPTY), validate=_NOT_EMPTY)

    @validates_schema
    def _one_of_both(self, data: dict[str, Any], **_: Any) -> None:
        code = {"code", "display", "verified"}
        if not (code <= data.keys() and "texts" not in data) and data.keys() != {"texts"}:
            raise ValidationError("must be code, display and verified, or texts")


class ResultCodeSchema(CodeSchema):
    """A code of a result group."""

    class Meta:
        unknown = RAISE
        exclude = ("side",)

    poc = fields.Boolean(truthy={True}, falsy={False})
    sample = fields.String(validate=_NOT_EMPTY)
    units = fields.Dict(keys=fields.String(), values=fields.Raw(validate=_unit))


class InputSchema(Strict):
    """An input of a computed result."""

    result = fields.String(required=True)
    within = fields.String(required=True, validate=validate.Regexp(DURATION, error="must be such as 7 days"))


class DerivedSchema(Strict):
    """How a result is computed."""

    source = fields.String(required=True, data_key="from")
    inputs = fields.Dict(
        keys=fields.String(validate=validate.Regexp(r"^[A-Z][A-Za-z0-9]+$", error="must be a name such as Albumin")),
        values=fields.Nested(InputSchema),
    )
    value = fields.String(required=True)
    valid = fields.String()


class ComponentsSchema(Strict):
    """The codes of the halves of a blood pressure."""

    systolic = fields.List(fields.String(), required=True, validate=_NOT_EMPTY)
    diastolic = fields.List(fields.String(), required=True, validate=_NOT_EMPTY)


class ResultSchema(Strict):
    """A result group."""

    name = fields.String(required=True, validate=_NOT_EMPTY)
    value = fields.String(validate=validate.OneOf(("string", "date", "none")))
    unit = fields.String(validate=_NOT_EMPTY)
    decimals = fields.Integer(strict=True, validate=validate.Range(0, 6))
    plausible = fields.Raw(validate=_plausible)
    normal = fields.Raw(validate=_range)
    haemolysis = fields.Boolean(truthy={True}, falsy={False})
    same_day = fields.String(validate=validate.OneOf(("mean", "lowest")))
    components = fields.Nested(ComponentsSchema)
    units = fields.Dict(keys=fields.String(), values=fields.Raw(validate=_unit))
    spellings = fields.Dict(keys=fields.String(), values=fields.String())
    answers = fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(AnswerSchema), validate=_NOT_EMPTY))
    derived = fields.Nested(DerivedSchema)
    codes = fields.List(fields.Nested(ResultCodeSchema))


class ResultFileSchema(Strict):
    """A file of `results/`."""

    required = fields.Boolean(required=True, truthy={True}, falsy={False})
    results = fields.Dict(keys=fields.String(), values=fields.Nested(ResultSchema))
    findings = fields.List(fields.String())


class GroupSchema(Strict):
    """A group of findings, diagnoses, orders or encounters."""

    name = fields.String(required=True, validate=_NOT_EMPTY)
    snomed = fields.List(fields.Nested(CodeSchema), validate=_NOT_EMPTY)
    loinc = fields.List(fields.Nested(CodeSchema), validate=_NOT_EMPTY)
    icd10cm = fields.List(fields.Nested(CodeSchema), validate=_NOT_EMPTY)
    act_class = fields.List(fields.Nested(CodeSchema), validate=_NOT_EMPTY, data_key="act-class")
    phrases = fields.List(fields.Raw(validate=_phrase), validate=_NOT_EMPTY)
    excluded = fields.List(fields.String(), validate=_NOT_EMPTY, data_key="exclude")
    initial_only = fields.Boolean(truthy={True}, falsy={False})
    includes = fields.List(fields.String(), validate=_NOT_EMPTY)


class IngredientSchema(Strict):
    """A drug of a group."""

    rxnorm = fields.String(validate=validate.Regexp(r"^[0-9]+$", error="must be an RxNorm code in quotes"))
    names = fields.List(fields.String(validate=_NOT_EMPTY), required=True, validate=_NOT_EMPTY)
    equivalent = fields.Raw(validate=_number)
    verified = fields.Raw(required=True, validate=_verified)


class AtcSchema(Strict):
    """An ATC code."""

    code = fields.String(required=True, validate=validate.Regexp(r"^[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?$"))
    display = fields.String(required=True, validate=_NOT_EMPTY)
    ingredients = fields.List(fields.String(), validate=_NOT_EMPTY)
    verified = fields.Raw(required=True, validate=_verified)


class DrugGroupSchema(Strict):
    """A group of drugs."""

    name = fields.String(required=True, validate=_NOT_EMPTY)
    ingredients = fields.Dict(keys=fields.String(), values=fields.Nested(IngredientSchema))
    atc = fields.List(fields.Nested(AtcSchema), validate=_NOT_EMPTY)
    one_tablet_a_day = fields.Boolean(truthy={True}, falsy={False})
    only_systemic = fields.Boolean(truthy={True}, falsy={False})
    never = fields.List(fields.String(), validate=_NOT_EMPTY, data_key="not")
    includes = fields.List(fields.String(), validate=_NOT_EMPTY)


class RecordSchema(Strict):
    """A prefetch key that is no result file."""

    read = fields.String(validate=_NOT_EMPTY)
    search = fields.String(validate=_NOT_EMPTY)
    required = fields.Boolean(required=True, truthy={True}, falsy={False})


class PanelSchema(Strict):
    """An order that contains several tests; its key is the LOINC code."""

    display = fields.String(required=True, validate=_NOT_EMPTY)
    verified = fields.Raw(required=True, validate=_verified)
    results = fields.List(fields.String(), required=True, validate=_NOT_EMPTY)


class QualifierSchema(Strict):
    """A meaning of `qualifiers.yaml`: the codes and whole texts that have it."""

    codes = fields.List(fields.Nested(CodeSchema), validate=_NOT_EMPTY)
    phrases = fields.List(fields.String(), validate=_NOT_EMPTY)


class SitesSchema(QualifierSchema):
    """Sites on the leg, and what they do to findings."""

    moves = fields.Dict(keys=fields.String(), values=fields.String())
    only_here = fields.List(fields.String(), validate=_NOT_EMPTY, data_key="only")


class HaemolysisWordsSchema(Strict):
    """How a text says, or denies, that a sample is haemolysed."""

    said = fields.List(fields.String(), required=True, validate=_NOT_EMPTY)
    denied_before = fields.List(fields.String())
    between = fields.List(fields.String())
    denied_after = fields.List(fields.String())
    then = fields.List(fields.String())


class HaemolysisSchema(Strict):
    """Signs of haemolysis."""

    specimen = fields.List(fields.Nested(CodeSchema), required=True, validate=_NOT_EMPTY)
    index = fields.List(fields.Nested(CodeSchema), required=True, validate=_NOT_EMPTY)
    seen = fields.List(fields.Nested(CodeSchema), required=True, validate=_NOT_EMPTY)
    words = fields.Nested(HaemolysisWordsSchema, required=True)


class QualifiersSchema(Strict):
    """`qualifiers.yaml`."""

    severity = fields.Dict(required=True, keys=fields.String(), values=fields.Nested(QualifierSchema))
    side = fields.Dict(
        required=True,
        keys=fields.String(validate=validate.OneOf(("left", "right", "both"))),
        values=fields.Nested(QualifierSchema),
    )
    sex = fields.Dict(
        required=True,
        keys=fields.String(validate=validate.OneOf(("male", "female"))),
        values=fields.Nested(QualifierSchema),
    )
    leg = fields.Nested(SitesSchema, required=True)
    present = fields.Nested(QualifierSchema, required=True)
    haemolysis = fields.Nested(HaemolysisSchema, required=True)
