"""Which cards an answer holds: all that is critical, few others, and nothing that holds without its name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
import yaml
from asked import ABOUT, WORKUP, Asked, id_of, labels, merged_into
from hypothesis import given, settings
from hypothesis import strategies as st
from patients import CAUDA, CRITICAL, LEG, STROKE

from cds_service.folders import data_folder
from cds_service.knowledge.knowledge import Knowledge
from cds_service.select import FOLDED

FIXTURES: Final = data_folder("fixtures")
EXPECTED: Final = yaml.safe_load((FIXTURES / "expected.yaml").read_text(encoding="utf-8"))
ANSWERED: Final = sorted(name for name, said in EXPECTED.items() if said.keys().isdisjoint({"status", "client"}))
FIXTURES_NOW: Final = datetime(2026, 11, 20, 10, tzinfo=UTC)

WARNINGS: Final = {
    "potassium": "2.8 mmol/L, 1 day ago",
    "sodium": "128 mmol/L, 1 day ago",
    "magnesium": "0.45 mmol/L, 1 day ago",
    "ionised-calcium": "0.95 mmol/L, 1 day ago",
    "haemoglobin": "90 g/L, 3 days ago",
}
VALUES: Final[dict[str, list[str]]] = {
    "potassium": ["2.2", "2.8", "3.2", "4.0", "5.8", "7.1", "<2.5", "<6.0"],
    "sodium": ["110", "128", "140"],
    "ionised-calcium": ["0.7", "0.95", "1.2"],
    "magnesium": ["0.35", "0.45", "0.6", "0.9"],
    "glucose": ["40", "60", "100"],
    "haemoglobin": ["60", "90", "110", "140"],
    "ferritin": ["8", "100"],
    "vitamin-d": ["20", "80"],
    "tsh": ["0.01", "2", "12", "60"],
    "ck": ["100", "900", "9000"],
}
ITEMS: Final = [
    "leg-symptom.motor", "claudication", "proximal-weakness", "hemiparesis", "speech", "saddle-numbness", "cancer",
    "urinary-retention", "weakness-unlocalised.weakness", "diabetes", "statin", "loop", "systemic-glucocorticoid",
    "digoxin", "acei", "order of potassium", "order of ck",
]  # fmt: skip
AGES: Final = ["1 hour ago", "1 day ago", "5 days ago", "20 days ago", "60 days ago", "on 2026-06"]


@pytest.fixture(scope="module")
def asked(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The application and what explains it, for all these tests."""
    return Asked(knowledge, tmp_path_factory.mktemp("select"))


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    values=st.fixed_dictionaries({}, optional={name: st.sampled_from(found) for name, found in VALUES.items()}),
    items=st.sets(st.sampled_from(ITEMS), max_size=6),
    ages=st.lists(st.sampled_from(AGES), min_size=6, max_size=6),
    years=st.sampled_from([5, 17, 18, 40, 90]),
    gender=st.sampled_from(["male", "female", None]),
    hook=st.sampled_from(["patient-view", "order-select", "order-sign", "encounter-discharge"]),
    unreadable=st.sets(st.sampled_from(["potassium", "glucose", "ck"])),
    without=st.sets(st.sampled_from(["hormones_muscle", "blood_count", "medication_statements", "service_requests"])),
)
def test_of_any_patient_nothing_that_holds_goes_without_a_name(
    asked: Asked,
    values: dict[str, str],
    items: set[str],
    ages: list[str],
    years: int,
    gender: str | None,
    hook: str,
    unreadable: set[str],
    without: set[str],
) -> None:
    units = {name: asked.knowledge.codes.results[name].unit for name in VALUES}
    facts = {name: f"{value} {units[name]}, {ages[at % 6]}" for at, (name, value) in enumerate(values.items())}
    facts |= {name: f"yes, {ages[at % 6]}" for at, name in enumerate(sorted(items))}
    facts |= dict.fromkeys(unreadable, "unreadable, 1 hour ago")
    drafts = {"loop": "furosemide 40 mg daily"} if hook.startswith("order") else {}
    asked.cards(facts, age=years, gender=gender, hook=hook, drafts=drafts, without=without)


@pytest.mark.parametrize("name", ANSWERED)
def test_of_no_synthetic_request_anything_that_holds_goes_without_a_name(
    knowledge: Knowledge, tmp_path: Path, name: str
) -> None:
    asked = Asked(knowledge, tmp_path, int(FIXTURES_NOW.timestamp() * 1000))
    asked.checked(json.loads((FIXTURES / "requests" / f"{name}.json").read_bytes()))


def test_all_critical_findings_are_cards_when_there_are_five(asked: Asked) -> None:
    cards = asked.cards(CRITICAL)
    assert set(cards) == {"hypoglycemia", "hypokalemia", "hypocalcemia", "hyponatremia", "anemia"}
    assert {card["indicator"] for card in cards.values()} == {"critical"}


def test_beside_a_red_flag_a_reminder_is_named_in_the_last_card_only(asked: Asked) -> None:
    sent = asked.request({**CAUDA, "vitamin-d": "40 nmol/L, 30 days ago"})
    cards = {id_of(card): card for card in asked.checked(sent)["cards"]}
    assert list(cards) == ["cauda-equina-red-flag"]
    assert "40 nmol/L" in cards["cauda-equina-red-flag"]["detail"].partition("Also found: ")[2]
    outcomes = asked.outcomes(sent)
    assert {outcomes[id_]["outcome"] for id_ in ("checkups-overdue", "vitamin-d-deficiency")} == {"withheld"}
    assert outcomes[WORKUP]["outcome"] == "suppressed"


def test_five_critical_cards_leave_no_room_and_the_last_one_names_the_rest(asked: Asked) -> None:
    sent = asked.request({**CRITICAL, **LEG, "magnesium": "0.45 mmol/L, 1 day ago"})
    cards = {id_of(card): card for card in asked.checked(sent)["cards"]}
    assert list(cards) == ["hypoglycemia", "hypokalemia", "hypocalcemia", "hyponatremia", "anemia"]
    also = cards["anemia"]["detail"].partition("Also found: ")[2]
    assert "missing tests" in also
    assert "Magnesium 0.45 mmol/L" in also
    outcomes = asked.outcomes(sent)
    assert {outcomes[id_]["outcome"] for id_ in (WORKUP, "hypomagnesemia")} == {"withheld"}


def test_what_is_left_beside_folded_findings_is_named_there(asked: Asked) -> None:
    cards = asked.cards({**CRITICAL, **STROKE, **LEG, "magnesium": "0.45 mmol/L, 1 day ago"})
    assert "Magnesium 0.45 mmol/L" in cards[FOLDED]["detail"].partition("Also found: ")[2]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({**CRITICAL, **STROKE}, {"stroke-tia-red-flag"}),
        ({**CRITICAL, **CAUDA}, {"cauda-equina-red-flag"}),
        ({**CRITICAL, **CAUDA, **STROKE}, {"cauda-equina-red-flag", "stroke-tia-red-flag"}),
    ],
)
def test_nothing_critical_is_dropped_when_six_or_more_are(
    asked: Asked, facts: dict[str, str], expected: set[str]
) -> None:
    critical = expected | {"hypoglycemia", "hypokalemia", "hypocalcemia", "hyponatremia", "anemia"}
    cards = asked.cards(facts)
    assert len(cards) == 5
    assert list(cards)[-1] == FOLDED
    assert expected <= set(cards)
    assert set(cards) - {FOLDED} | set(merged_into(cards[FOLDED])) == critical
    folded = cards[FOLDED]
    assert f"{len(merged_into(folded))} more critical findings" in folded["summary"]
    for id_ in merged_into(folded):
        assert f"**{asked.knowledge.cards[id_].title}**: " in folded["detail"]
    assert "Haemoglobin 60 g/L" in folded["detail"]


@pytest.mark.parametrize("hook", ["order-select", "order-sign", "encounter-discharge"])
def test_nothing_critical_is_dropped_at_hooks_with_room_for_few(asked: Asked, hook: str) -> None:
    drafts = {"loop": "furosemide 40 mg daily", "insulin": "yes"} if hook.startswith("order") else {}
    sent = asked.request({**CRITICAL, **CAUDA, **STROKE}, hook=hook, drafts=drafts)
    critical = {id_ for id_, one in asked.outcomes(sent).items() if one.get("indicator") == "critical"}
    cards = {id_of(card): card for card in asked.checked(sent)["cards"]}
    named = set(cards) | {id_ for card in cards.values() for id_ in merged_into(card)}
    assert len(critical) >= 2
    assert critical <= named


def test_findings_beside_a_leg_symptom_are_lines_of_the_workup_card(asked: Asked) -> None:
    cards = asked.cards({**WARNINGS, **LEG, "vitamin-d": "20 nmol/L, 30 days ago"})
    assert list(cards) == [WORKUP]
    merged = merged_into(cards[WORKUP])
    assert merged == sorted(
        merged,
        key=lambda id_: (id_ in ("vitamin-d-deficiency", "checkups-overdue"), asked.knowledge.cards[id_].priority),
    )
    assert {"hypokalemia", "hyponatremia", "hypomagnesemia", "hypocalcemia", "anemia"} <= set(merged)
    for words in ("Potassium 2.8 mmol/L", "Sodium 128 mmol/L", "Magnesium 0.45 mmol/L", "90 g/L", "20 nmol/L"):
        assert words in cards[WORKUP]["detail"].partition("**Missing tests**")[0]


def test_a_critical_finding_keeps_its_card_beside_the_workup_card(asked: Asked) -> None:
    cards = asked.cards({**LEG, "potassium": "2.2 mmol/L, 1 day ago", "haemoglobin": "90 g/L, 3 days ago"})
    assert list(cards) == ["hypokalemia", WORKUP]
    assert merged_into(cards[WORKUP]) == ["anemia", "checkups-overdue"]
    assert merged_into(cards["hypokalemia"]) == []


def test_a_warning_that_asks_for_a_change_of_a_drug_keeps_its_card(asked: Asked) -> None:
    cards = asked.cards({**LEG, "potassium": "6.1 mmol/L, 1 day ago"})
    assert cards["hyperkalemia"]["indicator"] == "warning"
    assert WORKUP in cards


OWN_CARDS: Final = {
    **LEG, "proximal-weakness": "yes, 3 days ago", "potassium": "6.1 mmol/L, 1 day ago",
    "statin": "atorvastatin 40 mg daily, 60 days ago", "ck": "900 U/L, 1 day ago",
    "systemic-glucocorticoid": "prednisone 40 mg, 99 days ago",
}  # fmt: skip


def test_what_the_cap_holds_back_beside_a_leg_symptom_is_a_line_of_the_workup_card(asked: Asked) -> None:
    cards = asked.cards(OWN_CARDS)
    assert list(cards) == ["hyperkalemia", "statin-muscle-symptoms", WORKUP]
    assert cards[WORKUP]["indicator"] == "warning", "as urgent as the warning that it took in"
    assert "steroid-myopathy" in merged_into(cards[WORKUP])
    steroid = asked.outcomes(asked.request(OWN_CARDS))["steroid-myopathy"]
    assert (steroid["outcome"], steroid["into"]) == ("merged", WORKUP)
    assert steroid["reason"]
    few = asked.cards({name: words for name, words in OWN_CARDS.items() if name != "statin"})
    assert few["steroid-myopathy"]["summary"] in cards[WORKUP]["detail"]


def test_what_the_cap_holds_back_without_a_leg_symptom_is_named_in_the_last_card(asked: Asked) -> None:
    cards = asked.cards(WARNINGS)
    assert list(cards) == ["hypokalemia", "hypocalcemia", "hyponatremia"]
    detail = cards["hyponatremia"]["detail"].partition("Also found: ")[2]
    assert "Magnesium 0.45 mmol/L" in detail
    assert "90 g/L" in detail
    assert "Also found" not in cards["hypokalemia"]["detail"]


def test_a_child_has_no_workup_card(asked: Asked) -> None:
    cards = asked.cards({**WARNINGS, **LEG}, age=10)
    assert WORKUP not in cards
    assert len(cards) == 3
    assert "Also found: " in list(cards.values())[-1]["detail"]


def test_cards_stand_by_indicator_then_by_priority(asked: Asked) -> None:
    facts = {**WARNINGS, "glucose": "40 mg/dL, 2 hours ago", "haemoglobin": "60 g/L, 1 day ago"}
    assert list(asked.cards(facts)) == ["hypoglycemia", "anemia", "hypokalemia", "hypocalcemia", "hyponatremia"]


def test_on_order_hooks_what_speaks_of_the_draft_comes_first(asked: Asked) -> None:
    facts = {**CRITICAL, "statin": "simvastatin 40 mg daily, 99 days ago"}
    sent = asked.request(facts, hook="order-sign", drafts={"statin-interacting": "gemfibrozil 600 mg daily"})
    cards = [id_of(card) for card in asked.checked(sent)["cards"]]
    assert cards == ["statin-interaction", FOLDED]


EVERY_CARD: Final[dict[str, dict[str, str]]] = {
    "five critical": CRITICAL,
    "six critical": {**CRITICAL, **STROKE},
    "warnings": WARNINGS,
    "warnings and a leg symptom": {**WARNINGS, **LEG},
    "high potassium": {"potassium": "7.1 mmol/L, 1 day ago"},
    "cauda equina": CAUDA,
    "statin": {**LEG, "statin": "atorvastatin 40 mg daily, 60 days ago", "ck": "9000 U/L, 1 day ago"},
    "steroid": {"proximal-weakness": "yes, 3 days ago", "systemic-glucocorticoid": "prednisone 40 mg, 99 days ago"},
    "iron": {"ferritin": "8 ug/L, 9 days ago", "haemoglobin": "100 g/L, 9 days ago"},
    "vitamin D": {"vitamin-d": "20 nmol/L, 9 days ago"},
    "thyroid": {"tsh": "60 m[IU]/L, 9 days ago"},
    "claudication": {"claudication": "yes, 20 days ago"},
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY_CARD)
def test_every_card_has_id_version_uuid_source_links_and_override_reasons(asked: Asked, name: str) -> None:
    cards = asked.cards(EVERY_CARD[name])
    assert cards
    uuids = [card["uuid"] for card in cards.values()]
    uuids += [suggestion["uuid"] for card in cards.values() for suggestion in card.get("suggestions", ())]
    assert len({UUID(one) for one in uuids}) == len(uuids)
    for id_, card in cards.items():
        known = asked.knowledge.cards.get(id_)
        assert card["extension"][ABOUT]["version"] == (known.version if known else asked.knowledge.version)
        assert card["source"]["label"].strip()
        assert card["overrideReasons"]
        assert all(reason["display"].strip() for reason in card["overrideReasons"])
        assert [link for link in card["links"] if link["type"] == "absolute" and link["url"].startswith("https://")]


def test_every_active_card_names_an_override_reason_and_a_guideline_with_an_address(knowledge: Knowledge) -> None:
    for card in knowledge.cards.values():
        assert card.override_reasons
        assert [id_ for id_ in card.guidelines if knowledge.guidelines[id_].url], card.id


@pytest.mark.parametrize(
    ("facts", "ordered", "label", "id_"),
    [
        ({"potassium": "2.2 mmol/L, 1 day ago"}, "potassium", "Order potassium", "hypokalemia"),
        ({"potassium": "2.2 mmol/L, 1 day ago"}, "magnesium", "Order magnesium", "hypokalemia"),
        (
            {**LEG, "statin": "yes, 60 days ago", "ck": "9000 U/L, 1 day ago"},
            "tsh",
            "Order TSH",
            "statin-muscle-symptoms",
        ),
    ],
)
def test_a_test_that_is_ordered_already_is_not_suggested(
    asked: Asked, facts: dict[str, str], ordered: str, label: str, id_: str
) -> None:
    assert label in labels(asked.cards(facts)[id_])
    assert label not in labels(asked.cards({**facts, f"order of {ordered}": "yes, 1 hour ago"})[id_])
    assert label in labels(asked.cards({**facts, f"order of {ordered}": "yes, 90 days ago"})[id_])


def test_a_test_among_the_drafts_is_not_suggested(asked: Asked) -> None:
    facts = {"potassium": "2.2 mmol/L, 1 day ago"}
    drafts = {"loop": "furosemide 40 mg daily"}
    assert "Order potassium" in labels(asked.cards(facts, hook="order-sign", drafts=drafts)["hypokalemia"])
    drafts["order of potassium"] = "yes"
    assert "Order potassium" not in labels(asked.cards(facts, hook="order-sign", drafts=drafts)["hypokalemia"])


def test_a_change_is_suggested_only_of_a_drug_that_is_taken(asked: Asked) -> None:
    facts = {"potassium": "2.2 mmol/L, 1 day ago"}
    assert "Review the diuretic" not in labels(asked.cards(facts)["hypokalemia"])
    assert "Review the diuretic" in labels(asked.cards({**facts, "loop": "yes, 60 days ago"})["hypokalemia"])


def test_the_missing_tests_are_one_suggestion_without_those_that_are_there(asked: Asked) -> None:
    def ordered(facts: dict[str, str]) -> set[str]:
        card = asked.cards(facts)[WORKUP]
        offered = next(one for one in card["suggestions"] if one["label"] == "Order the missing tests")
        return {action["resource"]["code"]["text"] for action in offered["actions"]}

    assert {"Thyrotropin", "Magnesium"} & ordered(LEG)
    every, fewer = ordered(LEG), ordered({**LEG, "magnesium": "0.9 mmol/L, 1 day ago", "tsh": "2 m[IU]/L, 9 days ago"})
    assert len(every) == len(fewer) + 2
    assert fewer < every
