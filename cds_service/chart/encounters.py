"""Visits and stays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cds_service.chart.codes import Codes, look_up
from cds_service.chart.items import Encounter
from cds_service.chart.moment import Moment
from cds_service.chart.words import whole_text
from cds_service.fhir.resources import CodeableConcept
from cds_service.fhir.resources import Encounter as EncounterResource

_VOID: Final = frozenset({"cancelled", "entered-in-error"})


def read_encounter(encounter: EncounterResource, reference: str, codes: Codes, moment: Moment) -> list[Encounter]:
    """The items of an Encounter, one for each of its groups; none when it was cancelled."""
    if encounter.status in _VOID:
        return []
    return [_item(encounter, reference, group, moment) for group in _groups(encounter, codes)]


def current(encounter: EncounterResource | None, reference: str, moment: Moment) -> Encounter | None:
    """The encounter of this request as an item of the group `current`."""
    return _item(encounter, reference, "current", moment) if encounter is not None else None


def _item(encounter: EncounterResource, reference: str, group: str, moment: Moment) -> Encounter:
    period = encounter.period
    start = moment.read(period.start if period else None)
    end = moment.read(period.end if period else None)
    return Encounter(id=reference, group=group, start=start, end=end, age=moment.age(start))


def _groups(encounter: EncounterResource, codes: Codes) -> list[str]:
    found: dict[str, None] = {}
    codings = [encounter.class_] if encounter.class_ else []
    concepts: Iterable[CodeableConcept] = [*(encounter.type or ()), *filter(None, [encounter.serviceType])]
    texts = []
    for concept in concepts:
        codings += concept.coding or []
        texts.append(concept.text)
    for coding in codings:
        found.update((group, None) for group, _ in look_up(codes.encounter_codes, coding))
        texts.append(coding.display)
    for text in texts:
        if text:
            found.update((group, None) for group, _ in codes.encounter_phrases.get(whole_text(text), ()))
    return list(found)
