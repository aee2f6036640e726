"""Blood pressure: a panel with components, or its halves as Observations of their own."""

from __future__ import annotations

from typing import Final

from cds_service.chart.codes import Codes
from cds_service.chart.groups import Part, ResultGroup
from cds_service.chart.items import Result
from cds_service.fhir.resources import Component, Observation, Quantity
from cds_service.fhir.uncertain import UNKNOWN

NO_PRESSURE: Final = "neither a systolic nor a diastolic value"


def read_pressure(
    observation: Observation, part: Part | None, group: ResultGroup, codes: Codes, result: Result
) -> str | None:
    """Put the systolic and diastolic pressure of an Observation into `result`; a half that is not there stays None.

    A half that is there but cannot be read is UNKNOWN, and the reason is returned. Raises ValueError when neither can
    be read.
    """
    if part is not None:
        if observation.valueQuantity is None:
            raise ValueError("no value")
        _set(result, part, observation.valueQuantity, group, codes)
        return None
    problem: ValueError | None = None
    for component in observation.component or ():
        named = _part(component, group, codes)
        if named is None or component.valueQuantity is None:
            continue
        try:
            _set(result, named, component.valueQuantity, group, codes)
        except ValueError as error:
            problem = error
            setattr(result, named, UNKNOWN)
    readable = [half for half in (result.systolic, result.diastolic) if half is not None and half is not UNKNOWN]
    if not readable:
        raise problem or ValueError(NO_PRESSURE)
    return str(problem) if problem else None


def _set(result: Result, part: Part, quantity: Quantity, group: ResultGroup, codes: Codes) -> None:
    setattr(result, part, codes.part_scales[group.group, part].read(quantity)[1])


def _part(component: Component, group: ResultGroup, codes: Codes) -> Part | None:
    for coding in (component.code.coding if component.code else None) or ():
        hit = codes.hit_of(coding)
        if hit is not None and hit.result is group:
            return hit.part
    return None
