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


@pytest.mark.parametrize("case", all_cases(loaded()), ids=str)
def test_a_case_gives_the_outcome_it_states(case: Case) -> None:
    assert [str(failure) for failure in run_case(case, loaded())] == []
