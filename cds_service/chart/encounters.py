"""Visits and stays."""

from __future__ import annotations

from typing import Any, Final

from cds_service.chart.codes import Codes
from cds_service.chart.items import Encounter
from cds_service.chart.moment import Moment, is_before, period_start
from cds_service.chart.subject import name_of
from cds_service.fhir.resources import CodeableConcept, Entry

_VOID: Final = frozenset({"cancelled", "entered-in-error"})


def read_encounters(entries: list[Entry], codes: Codes, moment: Moment) -> dict[str, list[Encounter]]:
    """The encounters by group; those that were cancelled do not count."""
    found: dict[str, list[Encounter]] = {}
    named, classes = codes.visits.named, codes.visits.codes
    since = codes.cutoffs(moment.now, "encounters")
    for entry in entries:
        encounter: Any = entry.resource
        kind = encounter.class_
        groups = named(CodeableConcept([kind])) if kind is not None and kind.code in classes else ()
        for concept in encounter.type or ():
            groups += named(concept)
        if encounter.serviceType is not None:
            groups += named(encounter.serviceType)
        if groups and encounter.status not in _VOID:
            began = period_start(encounter.period)
            for group in dict.fromkeys(group for group, _ in groups):
                if not is_before(began, since.get(group)):
                    found.setdefault(group, []).append(_item(entry, group, moment))
    return found


def current(entry: Entry | None, moment: Moment) -> Encounter | None:
    """The encounter of this request as an item of the group `current`."""
    return _item(entry, "current", moment) if entry is not None else None


def _item(entry: Entry, group: str, moment: Moment) -> Encounter:
    encounter: Any = entry.resource
    period = encounter.period
    start = moment.read(period.start if period else None)
    end = moment.read(period.end if period else None)
    return Encounter(id=name_of(entry), group=group, start=start, end=end, age=moment.age(start))
