"""The items of a chart, one class per kind, with the attributes that card definitions may ask for.

Dates are whole milliseconds since 1970 UTC, or a `Span` when only the day, month or year is known; ages and durations
are milliseconds, or an `Interval`. `None` means known to be absent, `UNKNOWN` that we cannot tell. Quantities are
numbers in the canonical unit of their code group; `docs/card-language.md` has the table of attributes.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from cds_service.fhir.uncertain import UNKNOWN, Interval, Span, Unknown

Number = float | Interval | Unknown | None
Date = int | Span | Unknown | None
Age = int | Interval | Unknown | None
Text = str | Unknown | None
Flag = bool | Unknown | None

Form = Literal[
    "result", "results", "findings", "conditions", "medications", "orders", "procedures", "encounters", "cards"
]
Side = Literal["left", "right", "both"]
Reason = Literal["not-found", "not-supplied", "unreadable", "uncertain"]


class Item(msgspec.Struct, gc=False, kw_only=True):
    """What every item has: the reference of its resource (`Observation/k1`) and its code group."""

    id: str
    group: str


class Result(Item, gc=False, kw_only=True):
    """A laboratory result or vital sign, rounded to the decimals of its group.

    `exact` is the value before rounding, in the canonical unit; computed results start from it.
    """

    value: Number | Text | Date = None
    exact: Number = None
    date: Date = None
    age: Age = None
    low: Number = None
    high: Number = None
    haemolysed: Flag = None
    systolic: Number = None
    diastolic: Number = None
    preliminary: bool = False
    status: str = "final"
    point_of_care: bool = False
    computed: bool = False


class UnreadableResult(msgspec.Struct, gc=False):
    """A result of a known group whose value, unit or date cannot be read, and why.

    `flag` is what the laboratory said of it all the same: HH or LL, critically high or low.
    """

    id: str
    reason: str
    date: Date = None
    flag: Literal["HH", "LL"] | None = None


class Finding(Item, gc=False, kw_only=True):
    """A symptom, sign or diagnosis.

    `exact` says that the onset itself was recorded, to the day at least; it is False when `onset` is the date of
    recording or a month or year. `active` means present now. `reason_now` marks the reason of the current encounter
    or of a draft order: it counts whatever its age.
    """

    name: str
    severity: Text = None
    side: Text = None
    onset: Date = None
    recorded: Date = None
    age: Age = None
    exact: Flag = True
    active: bool = True
    reason_now: bool = False


class Medication(Item, gc=False, kw_only=True):
    """One order or statement of one drug. `start` and `changed` speak of its whole chain of orders."""

    ingredient: str
    status: str
    start: Date = None
    changed: Date = None
    end: Date = None
    age: Age = None
    dose: Number = None
    equivalent: Number = None
    by_name: bool = False


class Order(Item, gc=False, kw_only=True):
    """A request for a test, an image or a referral that is neither completed nor cancelled."""

    status: str
    date: Date = None
    planned: Date = None
    age: Age = None


class Procedure(Item, gc=False, kw_only=True):
    """A completed procedure or report."""

    date: Date = None
    age: Age = None


class Encounter(Item, gc=False, kw_only=True):
    """A visit or stay."""

    start: Date = None
    end: Date = None
    age: Age = None


class CardItem(msgspec.Struct, gc=False):
    """Another card that holds on this chart."""

    id: str
    indicator: str
    own_card: bool


class Absent:
    """Stands for a single fact that was looked for and is not there: every attribute is null."""

    value = exact = date = age = low = high = haemolysed = systolic = diastolic = id = group = None

    def __repr__(self) -> str:
        return "absent"


class CannotTell:
    """Stands for a single fact of which we cannot tell whether it is there: every attribute is unknown."""

    value = exact = date = age = low = high = haemolysed = systolic = diastolic = id = group = UNKNOWN

    def __repr__(self) -> str:
        return "cannot tell"


ABSENT: Final = Absent()
CANNOT_TELL: Final = CannotTell()


class Undecided:
    """A list of which only some items are certain; `maybe` holds those that may belong to it.

    `maybe` may hold `UNKNOWN` for items of which nothing is known (a source that was not supplied).
    """

    __slots__ = ("certain", "maybe")

    def __init__(self, certain: list[object], maybe: list[object]) -> None:
        self.certain, self.maybe = certain, maybe

    def __repr__(self) -> str:
        return f"{self.certain!r} and perhaps {self.maybe!r}"


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A named query on the chart, as a card definition states it; two equal facts are one.

    `within` and `ended` are milliseconds. `near` is the fact whose date a `result` must be nearest to.
    """

    form: Form
    groups: tuple[str, ...]
    within: int | None = None
    ended: int | None = None
    drafts: Literal["include", "only", "none"] = "include"
    any_status: bool = False
    near: Fact | None = None
