"""Chains of orders: a drug is taken since its first order, not since the last renewal."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from cds_service.chart.items import Date, Medication
from cds_service.chart.moment import Moment
from cds_service.fhir.dates import end_of, start_of
from cds_service.fhir.uncertain import DAY, Unknown

_GAP: Final = 90 * DAY
_NOT_TAKEN: Final = frozenset({"draft", "proposed", "not-taken"})


def link_chains(items: list[Medication], moment: Moment) -> None:
    """Give each item the start of its chain, the last change of dose in it, and its age.

    A chain holds the orders and statements of one ingredient with at most 90 days between the end of one and the start
    of the next. A draft joins the chain it continues; a draft of a drug not taken before starts now.
    """
    by_ingredient: dict[tuple[str, str], list[Medication]] = defaultdict(list)
    for item in items:
        by_ingredient[item.group, item.ingredient].append(item)
    for same in by_ingredient.values():
        _link([item for item in same if item.status not in _NOT_TAKEN], moment)
        for draft in same:
            if draft.status in _NOT_TAKEN:
                _join(draft, same, moment)
    for item in items:
        item.age = moment.age(item.start)


def _link(items: list[Medication], moment: Moment) -> None:
    dated = sorted((item for item in items if _known(item.start)), key=lambda item: start_of(item.start))  # type: ignore[arg-type]
    chain: list[Medication] = []
    reach = 0
    for item in dated:
        if chain and start_of(item.start) - reach > _GAP:  # type: ignore[arg-type]
            _close(chain)
            chain = []
        reach = max(reach, _reach(item, moment)) if chain else _reach(item, moment)
        chain.append(item)
    _close(chain)


def _close(chain: list[Medication]) -> None:
    """The whole chain has one start; each item the date at which the dose last changed up to the end of the chain."""
    if not chain:
        return
    first: Date = chain[0].start
    changed: Date = None
    dose = None
    for item in chain:
        if isinstance(item.dose, (int, float)):
            if dose is not None and item.dose != dose:
                changed = item.start
            dose = item.dose
    for item in chain:
        item.start, item.changed = first, changed


def _join(draft: Medication, same: list[Medication], moment: Moment) -> None:
    if draft.status != "draft":
        return
    if draft.start is None:
        draft.start = moment.now
    if not _known(draft.start):
        return
    for item in sorted(same, key=lambda item: _latest(item, moment), reverse=True):
        near = item.status not in _NOT_TAKEN and _known(item.start)
        if near and start_of(draft.start) - _reach(item, moment) <= _GAP:  # type: ignore[arg-type]
            changes = isinstance(draft.dose, float) and isinstance(item.dose, float) and draft.dose != item.dose
            draft.changed = draft.start if changes else item.changed
            draft.start = item.start
            return


def _latest(item: Medication, moment: Moment) -> tuple[bool, int]:
    """Orders that are followed now first, then those that ended last."""
    return item.status == "active", _reach(item, moment) if _known(item.start) else 0


def _reach(item: Medication, moment: Moment) -> int:
    """The last instant at which the drug is known to have been taken."""
    if _known(item.end):
        return max(end_of(item.end), start_of(item.start))  # type: ignore[arg-type]
    return moment.now if item.status in ("active", "on-hold") else end_of(item.start)  # type: ignore[arg-type]


def _known(date: Date) -> bool:
    return date is not None and not isinstance(date, Unknown)
