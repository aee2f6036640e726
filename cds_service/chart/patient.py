"""The patient: sex and age."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from cds_service.chart.items import Date
from cds_service.chart.moment import Moment
from cds_service.fhir.dates import day_of, end_of, start_of
from cds_service.fhir.resources import Patient
from cds_service.fhir.uncertain import UNKNOWN, Interval, Span, Unknown


class Person(Struct, frozen=True):
    """Sex as `Patient.gender` has it, date of birth, age in completed years and months: an interval when the birth
    date is known to the month or year only, None when it is not known. `wrong` says what is the matter with the birth
    date.
    """

    gender: str | None = None
    birth: Date = None
    age_years: float | Interval | None = None
    age_months: float | Interval | None = None
    wrong: str | None = None


def read_patient(patient: Patient | None, moment: Moment) -> Person:
    """The person of a Patient resource; nothing is known without one. A birth date that cannot be read, or
    is to come, is UNKNOWN.
    """
    if patient is None:
        return Person()
    birth = moment.read(patient.birthDate)
    wrong = None
    if isinstance(birth, Unknown):
        wrong = "a birth date that cannot be read"
    elif birth is not None and moment.is_future(birth):
        birth, wrong = UNKNOWN, "a birth date in the future"
    if not isinstance(birth, (int, Span)):
        return Person(patient.gender, birth, wrong=wrong)
    today = day_of(moment.now)
    least = _months(day_of(end_of(birth)), today)
    most = _months(day_of(start_of(birth)), today)
    return Person(patient.gender, birth, _between(least // 12, most // 12), _between(least, most))


def _months(born: date, today: date) -> int:
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    return max(0, months)


def _between(least: int, most: int) -> float | Interval:
    return least if least == most else Interval(least, most)
