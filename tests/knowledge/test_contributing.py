"""The work-up card counts each card that becomes one of its lines, and no other."""

from __future__ import annotations

from cds_service.knowledge.knowledge import Knowledge


def test_the_work_up_names_the_cards_that_become_its_lines(knowledge: Knowledge) -> None:
    fact = knowledge.shared["Contributing"].fact
    assert fact is not None
    lines = {card.id for card in knowledge.order if card.merge_into == "leg-weakness-workup"}
    assert set(fact.groups) == lines
