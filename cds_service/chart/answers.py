"""Coded and yes-or-no values: is what the Observation asks about present?"""

from __future__ import annotations

from typing import Final

from cds_service.chart.concepts import plain_system
from cds_service.chart.groups import Qualifiers
from cds_service.chart.words import whole_text
from cds_service.fhir.lists import lists_of
from cds_service.fhir.resources import CodeableConcept, Deferred, Observation

concepts_in: Final = lists_of(CodeableConcept)
"""The CodeableConcepts of an element."""


def keys_of(concept: CodeableConcept) -> list[tuple[str, str]]:
    """The (system URI, code) pairs of a concept, then its whole texts under the system ""."""
    codings = concept.coding or ()
    keys = [(plain_system(coding.system or ""), coding.code.strip()) for coding in codings if coding.code]
    texts = [coding.display for coding in codings] + [concept.text]
    return keys + [("", whole_text(text)) for text in texts if text]


def is_present(observation: Observation, qualifiers: Qualifiers) -> bool | None:
    """Whether the value says that the thing observed is there: true, positive, or a code that means present.

    False for any other value, None when there is no value.
    """
    if observation.valueBoolean is not None:
        return observation.valueBoolean
    if observation.valueCodeableConcept is not None:
        return any(key in qualifiers.present for key in keys_of(observation.valueCodeableConcept))
    if observation.valueString is not None:
        return ("", whole_text(observation.valueString)) in qualifiers.present
    return False if observation.valueQuantity is not None or observation.valueInteger is not None else None


def flags(raw: Deferred) -> set[str]:
    """The codes of Observation.interpretation, such as H, LL or POS, whatever the code system is called."""
    return {coding.code for concept in concepts_in(raw) for coding in concept.coding or () if coding.code}
