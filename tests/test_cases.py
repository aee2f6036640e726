"""Every case of every card, sent as a client would send it."""

from functools import cache

import pytest

from cds_service.check import all_cases, run_case
from cds_service.folders import cards_folder
from cds_service.knowledge.cases import Case
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import load_knowledge


@cache
def loaded() -> Knowledge:
    return load_knowledge(cards_folder())


@cache
def cases() -> list[Case]:
    return all_cases(loaded())


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_case_gives_the_outcome_it_states(case: Case) -> None:
    assert [str(failure) for failure in run_case(case, loaded())] == []


@pytest.mark.parametrize("id_", sorted(loaded().cards))
def test_the_cases_of_a_card_reach_every_outcome_hook_and_suggestion(id_: str) -> None:
    card = loaded().cards[id_]
    own = [case for case in cases() if case.card == id_]
    outcomes = {indicator for indicator, _ in card.tiers} | {"quiet", "unknown"}
    outcomes |= {"suppressed"} if card.unless else set()
    outcomes |= {"not-applicable"} if card.population.text != "true" else set()
    assert outcomes <= {case.expect for case in own}
    assert set(card.hooks) <= {case.hook for case in own}
    offered = {suggestion for offer in card.offers for suggestion, _ in offer.members}
    assert offered <= {suggestion for case in own for suggestion in case.suggests}
