"""What was overridden stays away for a time, until its value crosses a tier or new data come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from asked import Asked, id_of
from patients import LEG, NOW_MS

from cds_service.chart.items import Medication, Result
from cds_service.fhir.uncertain import DAY
from cds_service.history import History, Showing, evidence
from cds_service.hooks.call import Answer, answer
from cds_service.knowledge.knowledge import Knowledge

HOUR = DAY // 24
KEY = b"a secret of this installation"
CRITICAL = {"potassium": "2.3 mmol/L, 1 day ago"}
WARNING = {"potassium": "2.8 mmol/L, 1 day ago"}
INFO = {"vitamin-d": "20 nmol/L, 9 days ago"}


@pytest.fixture(scope="module")
def asked(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return Asked(knowledge, tmp_path_factory.mktemp("history"))


def shown(asked: Asked, sent: Mapping[str, Any], now: int = NOW_MS) -> Answer:
    return answer(asked.knowledge, f"leg-weakness-{sent['hook']}", json.dumps(sent).encode(), now)


def overridden(asked: Asked, sent: Mapping[str, Any], ago: int, **changes: Any) -> History:
    """The history of a patient whose cards for `sent` were all overridden so long ago, data and all as they are now."""
    then = NOW_MS - ago
    found = []
    for one in shown(asked, sent).selection.cards:
        for outcome in (one.outcome, *one.lines):
            assert outcome is not None
            assert outcome.indicator is not None
            showing: dict[str, Any] = {
                "card": outcome.card.id,
                "indicator": outcome.indicator,
                "evidence": evidence(outcome, KEY),
                "at": then,
                "into": one.id if outcome is not one.outcome else None,
                "answer": "overridden",
                "answered_at": then,
                "same_clinician": True,
            }
            found.append(Showing(**(showing | changes)))
    return History(key=KEY, showings=tuple(found))


@pytest.mark.parametrize(
    ("facts", "card", "away"),
    [(CRITICAL, "hypokalemia", DAY), (WARNING, "hypokalemia", 30 * DAY), (INFO, "vitamin-d-deficiency", 90 * DAY)],
)
def test_an_overridden_card_stays_away_for_a_day_a_month_or_three_by_its_tier(
    asked: Asked, facts: dict[str, str], card: str, away: int
) -> None:
    sent = asked.request(facts)
    for ago, outcome in ((0, "withheld"), (HOUR, "withheld"), (away - 1, "withheld"), (away, "shown")):
        assert asked.outcomes(sent, overridden(asked, sent, ago))[card]["outcome"] == outcome, ago


def test_explain_gives_the_date_of_the_override(asked: Asked) -> None:
    sent = asked.request(WARNING)
    found = asked.outcomes(sent, overridden(asked, sent, 8 * DAY))["hypokalemia"]
    assert (found["outcome"], found["indicator"]) == ("withheld", "warning")
    assert found["reason"] == "it was overridden on 2026-06-07 and nothing is new since"


def test_a_value_that_crossed_a_tier_is_shown_again(asked: Asked) -> None:
    before = overridden(asked, asked.request(WARNING), HOUR)
    assert asked.outcomes(asked.request(CRITICAL), before)["hypokalemia"]["outcome"] == "shown"
    assert asked.outcomes(asked.request(WARNING), before)["hypokalemia"]["outcome"] == "withheld"


def test_a_new_result_a_new_drug_and_a_new_symptom_are_new_data(asked: Asked) -> None:
    facts: dict[str, Any] = {"potassium": "3.3 mmol/L, 1 day ago", "loop": "furosemide 40 mg daily, 99 days ago"}
    before = overridden(asked, asked.request({**facts, **LEG}), HOUR)
    assert asked.outcomes(asked.request({**facts, **LEG}), before)["hypokalemia"]["outcome"] != "shown"
    for new in (
        {"potassium": ["3.3 mmol/L, 1 day ago", "3.3 mmol/L, 1 hour ago"]},
        {"digoxin": "digoxin 0.125 mg daily, 2 days ago"},
        {"leg-symptom.motor": ["yes, 3 days ago", "yes, 1 day ago"]},
    ):
        found = asked.outcomes(asked.request({**facts, **LEG, **new}), before)["hypokalemia"]
        assert found["outcome"] in ("shown", "merged"), new


def test_a_corrected_result_is_new_data_and_one_that_has_gone_is_not(asked: Asked) -> None:
    both = asked.request({"potassium": ["2.8 mmol/L, 1 day ago", "2.9 mmol/L, 40 days ago"]})
    before = overridden(asked, both, HOUR)
    one = asked.request(WARNING)
    assert asked.outcomes(one, before)["hypokalemia"]["outcome"] == "withheld"
    entry = one["prefetch"]["electrolytes"]["entry"][0]["resource"]
    entry["valueQuantity"]["value"] = 2.7
    assert asked.outcomes(one, before)["hypokalemia"]["outcome"] == "shown"


def test_an_order_is_no_new_data(asked: Asked) -> None:
    before = overridden(asked, asked.request(WARNING), HOUR)
    ordered = asked.request({**WARNING, "order of magnesium": "yes, 1 hour ago"})
    assert asked.outcomes(ordered, before)["hypokalemia"]["outcome"] == "withheld"


def test_what_another_clinician_overrode_and_what_was_only_shown_is_shown(asked: Asked) -> None:
    sent = asked.request(WARNING)
    for changes in ({"same_clinician": False}, {"answer": None, "answered_at": None}, {"answer": "accepted"}):
        before = overridden(asked, sent, HOUR, **changes)
        assert asked.outcomes(sent, before)["hypokalemia"]["outcome"] == "shown", changes


def test_overriding_one_card_leaves_the_others(asked: Asked) -> None:
    sent = asked.request({**WARNING, "sodium": "128 mmol/L, 1 day ago"})
    whole = overridden(asked, sent, HOUR)
    before = History(key=KEY, showings=tuple(one for one in whole.showings if one.card == "hypokalemia"))
    found = asked.outcomes(sent, before)
    assert (found["hypokalemia"]["outcome"], found["hyponatremia"]["outcome"]) == ("withheld", "shown")


def test_an_overridden_work_up_takes_its_lines_along_and_comes_back_after_a_fortnight(asked: Asked) -> None:
    sent = asked.request({**LEG, "haemoglobin": "104 g/L, 3 days ago"})
    lines = [id_ for id_, one in asked.outcomes(sent).items() if one["outcome"] == "merged"]
    assert "anemia" in lines
    lines.remove("checkups-overdue")  # shown once in ninety days, see below
    for ago, work_up, line in ((13 * DAY, "withheld", "withheld"), (14 * DAY, "shown", "merged")):
        found = asked.outcomes(sent, overridden(asked, sent, ago))
        assert found["leg-weakness-workup"]["outcome"] == work_up
        assert {found[id_]["outcome"] for id_ in lines} == {line}


def test_an_accepted_work_up_stays_away_for_a_fortnight_too(asked: Asked) -> None:
    sent = asked.request(LEG)
    for ago, outcome in ((13 * DAY, "withheld"), (14 * DAY, "shown")):
        before = overridden(asked, sent, ago, answer="accepted")
        found = asked.outcomes(sent, before)["leg-weakness-workup"]
        assert found["outcome"] == outcome
        assert ago > 13 * DAY or found["reason"] == "it was accepted on 2026-06-02 and nothing is new since"


def test_an_accepted_work_up_keeps_away_its_mild_lines_and_comes_back_with_a_warning(asked: Asked) -> None:
    mild = asked.request({**LEG, "vitamin-d": "40 nmol/L, 9 days ago"})
    assert asked.outcomes(mild)["vitamin-d-deficiency"]["indicator"] == "info"
    found = asked.outcomes(mild, overridden(asked, mild, HOUR, answer="accepted"))
    assert found["vitamin-d-deficiency"]["outcome"] == "withheld"
    grave = asked.request({**LEG, "haemoglobin": "85 g/L, 3 days ago"})
    assert asked.outcomes(grave)["anemia"]["indicator"] == "warning"
    found = asked.outcomes(grave, overridden(asked, grave, HOUR, answer="accepted"))
    assert (found["anemia"]["outcome"], found["leg-weakness-workup"]["outcome"]) == ("merged", "shown")


@pytest.mark.parametrize("facts", [CRITICAL, WARNING])
def test_a_draft_order_is_new_data_for_the_cards_that_speak_about_it(asked: Asked, facts: dict[str, str]) -> None:
    before = overridden(asked, asked.request(facts), HOUR)
    signing = asked.request(facts, hook="order-sign", drafts={"loop": "furosemide 40 mg daily"})
    assert asked.outcomes(signing, before)["hypokalemia"]["outcome"] == "shown"
    assert asked.outcomes(signing, overridden(asked, signing, HOUR))["hypokalemia"]["outcome"] == "withheld"
    other = asked.request(facts, hook="order-sign", drafts={"loop": "torsemide 10 mg daily"})
    assert asked.outcomes(other, overridden(asked, signing, HOUR))["hypokalemia"]["outcome"] == "shown"


PAIR = {"statin": "simvastatin 40 mg daily, 99 days ago"}
CONTRAINDICATED = {"statin-interacting": "clarithromycin 500 mg daily"}
TO_AVOID = {"statin-interacting": "amlodipine 10 mg daily"}


@pytest.mark.parametrize("drafts", [CONTRAINDICATED, TO_AVOID])
def test_a_drug_pair_is_shown_at_each_step_until_it_is_overridden(asked: Asked, drafts: dict[str, str]) -> None:
    selecting = asked.request(PAIR, hook="order-select", drafts=drafts)
    signing = asked.request(PAIR, hook="order-sign", drafts=drafts)
    seen = overridden(asked, selecting, HOUR, answer=None, answered_at=None)
    assert asked.outcomes(signing, seen)["statin-interaction"]["outcome"] == "shown"


def test_a_contraindicated_pair_comes_back_though_overridden_and_another_pair_is_new(asked: Asked) -> None:
    for drafts, outcome in ((CONTRAINDICATED, "shown"), (TO_AVOID, "withheld")):
        signing = asked.request(PAIR, hook="order-sign", drafts=drafts)
        assert asked.outcomes(signing, overridden(asked, signing, 89 * DAY))["statin-interaction"]["outcome"] == outcome
    before = overridden(asked, asked.request(PAIR, hook="order-sign", drafts=TO_AVOID), HOUR)
    other = asked.request(PAIR, hook="order-sign", drafts={"statin-interacting": "verapamil 120 mg daily"})
    assert asked.outcomes(other, before)["statin-interaction"]["outcome"] == "shown"


def test_the_work_up_comes_back_with_its_first_new_line(asked: Asked) -> None:
    before = overridden(asked, asked.request({**LEG, "haemoglobin": "104 g/L, 3 days ago"}), HOUR)
    new = asked.request({**LEG, "haemoglobin": "104 g/L, 3 days ago", "vitamin-d": "20 nmol/L, 9 days ago"})
    found = asked.outcomes(new, before)
    assert found["leg-weakness-workup"]["outcome"] == "shown"
    assert found["vitamin-d-deficiency"]["outcome"] == "merged"
    assert found["anemia"]["outcome"] == "withheld"


def test_overdue_checks_are_shown_once_in_ninety_days_whoever_looks(asked: Asked) -> None:
    sent = asked.request({"claudication": "yes, 20 days ago"}, age=60)
    assert asked.outcomes(sent)["checkups-overdue"]["outcome"] == "merged"
    for ago, outcome in ((0, "withheld"), (90 * DAY - 1, "withheld"), (90 * DAY, "merged")):
        before = overridden(asked, sent, ago, answer=None, answered_at=None, same_clinician=False)
        found = asked.outcomes(sent, before)["checkups-overdue"]
        assert found["outcome"] == outcome
        if outcome == "withheld":
            assert "appears once in 90 days" in found["reason"]


def test_a_withheld_card_is_in_no_answer(asked: Asked) -> None:
    sent = asked.request(WARNING)
    body = json.dumps(sent).encode()
    before = overridden(asked, sent, HOUR)
    found = answer(asked.knowledge, "leg-weakness-patient-view", body, NOW_MS, recall=lambda _: before)
    assert [id_of(card) for card in found.cards] == []


def test_marks_tell_nothing_without_the_secret_and_change_with_the_data(asked: Asked, tmp_path: Path) -> None:
    outcome = shown(asked, asked.request(CRITICAL)).judgement.by_id["hypokalemia"]
    marks = evidence(outcome, KEY)
    assert marks == evidence(outcome, KEY)
    assert not set(marks.split()) & set(evidence(outcome, b"another secret").split())
    ids = {item.id for item in outcome.frame if isinstance(item, Result | Medication)}
    assert ids
    assert not any(id_ in marks for id_ in ids)
