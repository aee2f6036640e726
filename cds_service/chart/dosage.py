"""Daily doses in mg: from structured dosage, from a dosage text, or one tablet a day of a known strength."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, Struct

from cds_service.chart.drugs import milligrams
from cds_service.fhir.lists import is_given, lists_of
from cds_service.fhir.resources import CodeableConcept, Deferred, Period, Quantity
from cds_service.fhir.uncertain import DAY, HOUR, Interval

Dose = float | Interval | None
"""mg per day; an interval when the dose may vary (a range, or as needed); None when it cannot be read."""

_PERIODS: Final = {
    "s": 1000, "min": 60_000, "h": HOUR, "d": DAY, "wk": 7 * DAY, "mo": 30 * DAY, "a": 365 * DAY,
}  # fmt: skip
_MASSES: Final = {"mg": 1.0, "g": 1000.0, "ug": 0.001, "mcg": 0.001, "µg": 0.001}
_PIECES: Final = frozenset(
    {
        "tab",
        "tabs",
        "tablet",
        "tablets",
        "{tbl}",
        "{tablet}",
        "cap",
        "caps",
        "capsule",
        "capsules",
        "{capsule}",
        "1",
        "each",
    }
)
_TIMES: Final = {
    "once daily": 1, "daily": 1, "every day": 1, "a day": 1, "per day": 1, "od": 1, "qd": 1, "/d": 1, "/day": 1,
    "nightly": 1, "at night": 1, "every night": 1, "at bedtime": 1, "every evening": 1, "every morning": 1,
    "in the morning": 1, "in the evening": 1,
    "twice daily": 2, "twice a day": 2, "bid": 2, "three times daily": 3, "three times a day": 3, "tid": 3,
}  # fmt: skip
_IN_TEXT: Final = re.compile(
    r"(?<![\d.,/\-–])(?P<number>\d+(?:[.,]\d+)?)\s*(?P<unit>mg|mcg|ug|µg|g)\b\)?"
    r"(?:\s+(?:tablets?|capsules?|by mouth|orally|oral|po|per os))*\s*,?\s*"
    rf"(?P<times>{'|'.join(sorted(_TIMES, key=len, reverse=True))})(?!\w)",
    re.IGNORECASE,
)
_OTHER: Final = re.compile(
    r"\b(?:[2-9]|two|three|four|half|1/2|one and a half)\s+(?:tab|cap|pill)|\b(?:twice|bid|tid|alternate|every other|"
    r"weekly|a week|per week|every\s+\d+)\b",
    re.IGNORECASE,
)
"""Words that say something else than one tablet a day."""
_SEVERAL_PIECES: Final = re.compile(
    r"\b(?:[2-9]|two|three|four|half|1/2)\s+(?:tab|cap|pill)|\b(?:alternate|every other)\b", re.IGNORECASE
)
"""Words after which a mass in the text may be that of one piece, or not that of each day."""
_ANY_MASS: Final = re.compile(r"(?P<number>\d+(?:[.,]\d+)?)\s*(?P<unit>mg|mcg|ug|µg|g)\b", re.IGNORECASE)
_AS_NEEDED: Final = re.compile(r"\b(?:as needed|prn|if needed|up to)\b", re.IGNORECASE)


class _DoseRange(Struct, gc=False):
    low: Quantity | None = None
    high: Quantity | None = None


class _DoseAndRate(Struct, gc=False):
    doseQuantity: Quantity | None = None
    doseRange: _DoseRange | None = None


class _Repeat(Struct, gc=False):
    boundsPeriod: Period | None = None
    boundsDuration: Quantity | None = None
    frequency: int | None = None
    period: float | None = None
    periodUnit: str | None = None


class _Timing(Struct, gc=False):
    repeat: _Repeat | None = None
    code: CodeableConcept | None = None


class Dosage(Struct, gc=False):
    """https://hl7.org/fhir/R4/dosage.html"""

    sequence: int | None = None
    text: str | None = None
    timing: _Timing | None = None
    asNeededBoolean: bool | None = None
    asNeededCodeableConcept: Deferred = UNSET
    route: CodeableConcept | None = None
    site: CodeableConcept | None = None
    doseAndRate: list[_DoseAndRate] | None = None


dosages_in: Final = lists_of(Dosage)
"""The dosages of an order or statement."""


def daily_dose(dosages: list[Dosage], strength: float | None, one_tablet_a_day: bool) -> Dose:
    """The dose per day. Several dosages count together when they are given side by side (no or one sequence number)."""
    if not dosages:
        return strength if one_tablet_a_day else None
    if len({dosage.sequence for dosage in dosages}) > 1:
        return None
    doses = [_one(dosage, strength, one_tablet_a_day) for dosage in dosages]
    least, most = 0.0, 0.0
    for dose in doses:
        if dose is None:
            return None
        least += dose.lo if isinstance(dose, Interval) else dose
        most += dose.hi if isinstance(dose, Interval) else dose
    return round(most, 8) if least == most else Interval(round(least, 8), round(most, 8))


def bounds_of(dosages: list[Dosage]) -> tuple[str | None, str | None, int | None]:
    """Start, end and length (ms) that the timing of the first dosage with bounds gives."""
    for dosage in dosages:
        repeat = dosage.timing.repeat if dosage.timing else None
        if repeat is None:
            continue
        if repeat.boundsPeriod is not None:
            return repeat.boundsPeriod.start, repeat.boundsPeriod.end, None
        length = repeat.boundsDuration
        if length is not None and length.value is not None and (length.code or length.unit) in _PERIODS:
            return None, None, int(length.value * _PERIODS[length.code or length.unit or ""])
    return None, None, None


def ways_of(dosages: list[Dosage]) -> list[str]:
    """How dosages say that the medicine is given: words of route and site."""
    found: list[str] = []
    for dosage in dosages:
        for concept in (dosage.route, dosage.site):
            if concept is not None:
                found += [coding.display for coding in concept.coding or () if coding.display]
                found += [concept.text] if concept.text else []
    return found


def instructions_of(dosages: list[Dosage]) -> list[str]:
    """The texts of dosages."""
    return [dosage.text for dosage in dosages if dosage.text]


def _one(dosage: Dosage, strength: float | None, one_tablet_a_day: bool) -> Dose:
    as_needed = dosage.asNeededBoolean is True or is_given(dosage.asNeededCodeableConcept)
    text = dosage.text or ""
    dose = _structured(dosage, strength, one_tablet_a_day)
    if dose is None:
        dose = _from_text(text)
        as_needed = as_needed or bool(_AS_NEEDED.search(text))
    if dose is None and one_tablet_a_day and not _contradicts(dosage, strength):
        dose = strength
    if dose is None or not as_needed:
        return dose
    return Interval(0.0, dose.hi if isinstance(dose, Interval) else dose)


def _structured(dosage: Dosage, strength: float | None, one_tablet_a_day: bool) -> Dose:
    repeat = dosage.timing.repeat if dosage.timing else None
    if repeat is None or len(dosage.doseAndRate or ()) != 1:
        return None
    per_day = _per_day(repeat)
    rate = (dosage.doseAndRate or [])[0]
    if per_day is None:
        return None
    if rate.doseQuantity is not None:
        one = _mass(rate.doseQuantity, strength, one_tablet_a_day)
        return None if one is None else round(one * per_day, 8)
    if rate.doseRange is not None and rate.doseRange.low is not None and rate.doseRange.high is not None:
        low = _mass(rate.doseRange.low, strength, one_tablet_a_day)
        high = _mass(rate.doseRange.high, strength, one_tablet_a_day)
        return None if low is None or high is None else Interval(round(low * per_day, 8), round(high * per_day, 8))
    return None


def _per_day(repeat: _Repeat) -> float | None:
    length = _PERIODS.get(repeat.periodUnit or "")
    if length is None or not repeat.period or repeat.period <= 0:
        return None
    return (repeat.frequency or 1) * DAY / (repeat.period * length)


def _mass(quantity: Quantity, strength: float | None, one_tablet_a_day: bool) -> float | None:
    """One dose in mg: a mass, or a number of tablets of a known strength."""
    if quantity.value is None or quantity.comparator is not None:
        return None
    unit = (quantity.code or quantity.unit or "").strip()
    mass = _MASSES.get(unit) or _MASSES.get((quantity.unit or "").strip().lower())
    if mass is not None:
        return quantity.value * mass
    in_pieces = unit.lower() in _PIECES or (not unit and one_tablet_a_day)
    return quantity.value * strength if in_pieces and strength is not None else None


def _contradicts(dosage: Dosage, strength: float | None) -> bool:
    """Whether a dosage that cannot be read whole still says something else than one tablet a day."""
    repeat = dosage.timing.repeat if dosage.timing else None
    per_day = _per_day(repeat) if repeat is not None else None
    values = [rate.doseQuantity.value for rate in dosage.doseAndRate or () if rate.doseQuantity]
    text = dosage.text or ""
    masses = {milligrams(found["number"], found["unit"]) for found in _ANY_MASS.finditer(text)}
    said = bool(masses - {strength}) or _OTHER.search(text) is not None
    return said or (per_day is not None and per_day != 1) or any(value != 1 for value in values)


def _from_text(text: str) -> float | None:
    found = list(_IN_TEXT.finditer(text))
    if len(found) != 1 or len(_ANY_MASS.findall(text)) != 1 or _SEVERAL_PIECES.search(text):
        return None
    times = _TIMES[found[0]["times"].lower()]
    return round(milligrams(found[0]["number"], found[0]["unit"]) * times, 8)
