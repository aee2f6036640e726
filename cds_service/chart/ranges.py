"""Reference ranges: the laboratory's limits that fit this patient, in the canonical unit."""

from __future__ import annotations

from typing import Final

from cds_service.chart.groups import Qualifiers
from cds_service.chart.items import Number
from cds_service.chart.patient import Person
from cds_service.chart.units import HUGE, Scale
from cds_service.chart.words import whole_text
from cds_service.fhir.lists import lists_of
from cds_service.fhir.resources import CodeableConcept, Deferred, Quantity, Range, ReferenceRange
from cds_service.fhir.uncertain import Interval

ranges_in: Final = lists_of(ReferenceRange)
"""The reference ranges of an Observation."""
_TYPE: Final = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"
_YEARS: Final = {"a": 1.0, "mo": 12.0, "wk": 52.1775, "d": 365.2425}


def limits(raw: Deferred, scale: Scale, person: Person, qualifiers: Qualifiers) -> tuple[Number, Number]:
    """The low and high limit of normal; None for a limit that is not given as a number in a known unit.

    Of several ranges the one that names this patient's sex or age wins; ranges of another type than normal, or for
    somebody else, or upside down, do not count; when two that fit differ, there is none.
    """
    best, found = -1, set[tuple[float | None, float | None]]()
    for one in ranges_in(raw):
        if one.type is not None and not _is_normal(one.type):
            continue
        fit = _fit(one, person, qualifiers)
        low, high = pair = _limit(one.low, scale), _limit(one.high, scale)
        if fit is None or fit < best or pair == (None, None) or (low is not None and high is not None and low > high):
            continue
        if fit > best:
            best, found = fit, set()
        found.add(pair)
    return found.pop() if len(found) == 1 else (None, None)


def _is_normal(kind: CodeableConcept) -> bool:
    return any(coding.code == "normal" and coding.system == _TYPE for coding in kind.coding or ())


def _fit(one: ReferenceRange, person: Person, qualifiers: Qualifiers) -> int | None:
    """How many things the range says of its people that are true of this one; None when one is false or not
    understood.
    """
    fit = 0
    for concept in one.appliesTo or ():
        keys = [(coding.system or "", coding.code or "") for coding in concept.coding or ()]
        keys.append(("", whole_text(concept.text or "")))
        sexes = {qualifiers.sex[key] for key in keys if key in qualifiers.sex}
        if person.gender is None or sexes != {person.gender}:
            return None
        fit += 1
    if one.age is not None:
        within = _age_within(one.age, person)
        if not within:
            return None
        fit += 1
    return fit


def _age_within(age: Range, person: Person) -> bool:
    months = person.age_months
    if months is None or isinstance(months, Interval):
        return False
    for bound, above in ((age.low, True), (age.high, False)):
        if bound is None or bound.value is None:
            continue
        per_year = _YEARS.get(bound.code or bound.unit or "")
        if per_year is None:
            return False
        years = bound.value / per_year
        if (months / 12 < years) if above else (months // 12 > years):
            return False
    return True


def _limit(quantity: Quantity | None, scale: Scale) -> float | None:
    if quantity is None or quantity.value is None or quantity.comparator is not None:
        return None
    try:
        unit = scale.unit(quantity)
    except ValueError:
        return None
    limit = (quantity.value + unit.before) * unit.factor + unit.after
    return scale.round(limit) if abs(limit) < HUGE else None
