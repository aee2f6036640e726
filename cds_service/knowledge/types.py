"""The types of the card language and the attributes of each form of fact."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from cds_service.chart.items import Form

Kind = Literal["boolean", "number", "quantity", "string", "date", "day", "duration", "null", "item", "list", "labels"]


class Type(NamedTuple):
    """The type of an expression: its kind, the unit of a quantity, the form of an item, what a list holds."""

    kind: Kind
    unit: str = ""
    form: Form | None = None
    value: Kind = "null"
    of: Type | None = None

    def __str__(self) -> str:
        if self.kind == "quantity":
            return f"a quantity in '{self.unit}'"
        if self.kind == "list":
            return f"a list of {self.of.form if self.of and self.of.form else 'values'}"
        if self.kind == "item":
            return f"one of {self.form}"
        if self.kind == "labels":
            return "a labelled list"
        return {"null": "null", "duration": "a duration"}.get(self.kind, f"a {self.kind}")


NULL: Final = Type("null")
BOOLEAN: Final = Type("boolean")
NUMBER: Final = Type("number")
STRING: Final = Type("string")
DATE: Final = Type("date")
DAY: Final = Type("day")
DURATION: Final = Type("duration")
LABELS: Final = Type("labels")


def quantity(unit: str) -> Type:
    """A quantity in a UCUM unit; the unit 1 is a plain number."""
    return NUMBER if unit == "1" else Type("quantity", unit)


def item(form: Form, unit: str = "", value: Kind = "quantity") -> Type:
    """One item of a fact; for results, the unit and kind of its value."""
    return Type("item", unit, form, value)


def list_of(of: Type) -> Type:
    """A list of items or values."""
    return Type("list", of.unit, of.form, of.value, of)


_DOSE: Final = quantity("mg/d")
_FINDING: Final = {
    "group": STRING, "name": STRING, "severity": STRING, "side": STRING, "onset": DATE, "recorded": DATE,
    "age": DURATION, "exact": BOOLEAN, "id": STRING,
}  # fmt: skip

ATTRIBUTES: Final[dict[str, dict[str, Type]]] = {
    "findings": _FINDING,
    "conditions": _FINDING,
    "medications": {
        "group": STRING, "ingredient": STRING, "status": STRING, "start": DATE, "changed": DATE, "end": DATE,
        "age": DURATION, "dose": _DOSE, "equivalent": _DOSE, "id": STRING,
    },
    "orders": {"group": STRING, "status": STRING, "date": DATE, "planned": DATE, "age": DURATION, "id": STRING},
    "procedures": {"group": STRING, "date": DATE, "age": DURATION, "id": STRING},
    "encounters": {"group": STRING, "start": DATE, "end": DATE, "age": DURATION, "id": STRING},
    "cards": {"id": STRING, "indicator": STRING, "own_card": BOOLEAN},
}  # fmt: skip


def attributes(of: Type) -> dict[str, Type]:
    """The attributes of one item, by name."""
    if of.form not in ("result", "results"):
        return ATTRIBUTES[str(of.form)]
    common = {"date": DATE, "age": DURATION, "haemolysed": BOOLEAN, "id": STRING}
    unit = quantity(of.unit)
    if of.value == "item":  # blood pressure
        return {**common, "systolic": unit, "diastolic": unit}
    if of.value == "string":
        return {**common, "value": STRING}
    if of.value == "date":
        return {**common, "value": DATE}
    return {**common, "value": unit, "low": unit, "high": unit}
