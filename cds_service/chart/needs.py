"""What facts need of a client and of the past: prefetch keys, result groups, how far back."""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.chart.codes import Codes
from cds_service.chart.items import Fact
from cds_service.fhir.uncertain import DAY


def prefetch_keys(fact: Fact, codes: Codes) -> tuple[str, ...]:
    """The prefetch keys whose data a fact needs; a fact about other cards needs none itself."""
    if fact.form in ("result", "results"):
        groups: list[str] = []
        for group in fact.groups:
            groups += measured_groups(group, codes)
        return tuple(dict.fromkeys(codes.results[group].file for group in groups))
    if fact.form == "findings":
        leaves = {leaf for group in fact.groups for leaf in codes.findings[group].leaves}
        asked = (key for key, file in codes.files.items() if leaves.intersection(file.findings))
        return ("conditions", *asked, "encounters")
    return {
        "conditions": ("conditions",),
        "medications": ("medication_requests", "medication_statements"),
        "orders": ("service_requests",),
        "procedures": ("procedures", "diagnostic_reports"),
        "encounters": ("encounters",),
        "cards": (),
    }[fact.form]


def measured_groups(group: str, codes: Codes) -> list[str]:
    """The result groups with codes that a group needs: itself and, for a computed result, what it is computed from."""
    result = codes.results[group]
    groups = [group] if result.codes else []
    if result.derived is not None:
        for source in (result.derived.base, *(name for _, name, _ in result.derived.inputs)):
            groups += measured_groups(source, codes)
    return list(dict.fromkeys(groups))


def horizon(facts: Iterable[Fact], codes: Codes) -> dict[str, int]:
    """How far back, in milliseconds, the facts ask for each result group; 0 for groups that none asks for.

    A group that some fact asks for without a window is not in it: all its results count.
    """
    reach: dict[str, float] = dict.fromkeys(codes.results, 0)
    for fact in facts:
        if fact.form in ("result", "results"):
            for group in fact.groups:
                _reach(group, _window(fact), reach, codes)
    return {group: int(back) for group, back in reach.items() if back != float("inf")}


def record_horizon(facts: Iterable[Fact], codes: Codes) -> dict[str, dict[str, int]]:
    """How far back, in milliseconds, the facts ask for each group of procedures and of encounters; 0 for groups that
    none asks for. A group that some fact asks for without a window is not in it.
    """
    reach: dict[str, dict[str, float]] = {
        "procedures": dict.fromkeys([*codes.orders, *codes.results], 0),
        "encounters": dict.fromkeys(codes.encounters, 0),
    }
    for fact in facts:
        if fact.form in reach:
            of_form = reach[fact.form]
            for group in fact.groups:
                of_form[group] = max(of_form.get(group, 0), _window(fact))
    return {
        form: {group: int(back) for group, back in of_form.items() if back != float("inf")}
        for form, of_form in reach.items()
    }


def _window(fact: Fact) -> float:
    if fact.near is not None:
        return _window(fact.near) + (fact.within if fact.within is not None else float("inf"))
    return float("inf") if fact.within is None else fact.within + 2 * DAY  # a plain date lasts up to two days


def _reach(group: str, back: float, reach: dict[str, float], codes: Codes) -> None:
    reach[group] = max(reach[group], back)
    derived = codes.results[group].derived
    if derived is not None:
        _reach(derived.base, back, reach, codes)
        for _, source, within in derived.inputs:
            _reach(source, back + within, reach, codes)
