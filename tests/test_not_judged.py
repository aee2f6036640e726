"""What could not be judged is told to the client: in the work-up card when it is shown, else beside the cards."""

from __future__ import annotations

from typing import Final

import pytest
from asked import NOT_JUDGED, NOT_SUPPLIED, WORKUP, Asked, id_of
from patients import CAUDA, LEG, STROKE

from cds_service.knowledge.knowledge import Knowledge


@pytest.fixture(scope="module")
def asked(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The application and what explains it, for all these tests."""
    return Asked(knowledge, tmp_path_factory.mktemp("not-judged"))


UNREADABLE: Final = {"potassium": "unreadable, 1 day ago"}


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({**UNREADABLE, **LEG}, "workup"),
        (UNREADABLE, "extension"),
        ({**UNREADABLE, **LEG, **STROKE}, "extension"),
        ({"potassium": "<6.0 mmol/L, 1 day ago", **LEG}, "workup"),
        ({"potassium": "<6.0 mmol/L, 1 day ago"}, "extension"),
    ],
)
def test_what_could_not_be_judged_is_told_in_the_workup_card_or_else_in_the_extension(
    asked: Asked, facts: dict[str, str], where: str
) -> None:
    body = asked.checked(asked.request(facts))
    workup = [card["detail"] for card in body["cards"] if id_of(card) == WORKUP]
    told = workup[0].partition("**Could not be judged**")[2] if where == "workup" else body["extension"][NOT_JUDGED][0]
    assert "Observation/case-" in told
    assert "Low potassium" in told
    assert (where == "workup") == bool(workup)


@pytest.mark.parametrize(
    "facts", [STROKE | {"hemiparesis": "yes, on 2026-06"}, CAUDA | {"hemiparesis": "yes, on 2026"}]
)
def test_a_sign_of_a_month_that_could_be_of_this_week_is_told_as_uncertain(asked: Asked, facts: dict[str, str]) -> None:
    assert "uncertain" in str(asked.checked(asked.request(facts))["extension"][NOT_JUDGED])


@pytest.mark.parametrize("key", ["blood_count", "hormones_muscle", "lipids", "vital_signs", "encounters"])
def test_an_optional_key_that_is_missing_is_named_with_what_was_not_judged(asked: Asked, key: str) -> None:
    body = asked.checked(asked.request(LEG, without=[key]))
    assert body["extension"][NOT_SUPPLIED] == [key]
    workup = body["cards"][0]["detail"].replace("\\", "")
    assert f"- {key} was not supplied; not fully judged: " in workup.partition("**Could not be judged**")[2]


def test_every_missing_key_is_named_once(asked: Asked) -> None:
    keys = ["blood_count", "encounters", "hormones_muscle", "lipids", "medication_statements", "vital_signs"]
    body = asked.checked(asked.request({}, without=keys))
    assert body["extension"][NOT_SUPPLIED] == keys
    told = [line.partition(" was not supplied")[0] for line in body["extension"][NOT_JUDGED]]
    assert len(told) == len(set(told))
    assert {"blood_count", "hormones_muscle"} <= set(told) <= set(keys)


def test_another_newer_result_that_is_readable_leaves_nothing_unjudged(asked: Asked) -> None:
    facts = {"potassium": ["unreadable, 5 days ago", "4.0 mmol/L, 1 day ago"]}
    body = asked.checked(asked.request(facts))
    assert NOT_JUDGED not in body["extension"]
    assert body["extension"]["org.leg-weakness-cds.unreadable"]["count"] == 1


def test_tests_that_were_never_done_are_no_fault(asked: Asked) -> None:
    assert asked.send(asked.request({})) == {"cards": []}
