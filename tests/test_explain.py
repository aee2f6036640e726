"""What `cds-service explain` says of each card: conditions that decided, what was missing, the facts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from asked import Asked
from explaining import FIXTURES_NOW, REQUESTS, explain, lines_of, without_uuids
from patients import request

from cds_service.folders import cards_folder
from cds_service.knowledge.cases import NOW
from cds_service.knowledge.knowledge import Knowledge

EXPECTED: Final = yaml.safe_load((REQUESTS.parent / "expected.yaml").read_text(encoding="utf-8"))
ANSWERED: Final = sorted(name for name, said in EXPECTED.items() if said.keys().isdisjoint({"status", "client"}))
KINDS: Final = {"shown", "merged", "withheld", "suppressed", "quiet", "unknown", "not-applicable"}
REASONS: Final = {"not-found", "not-supplied", "unreadable", "uncertain"}
COULD_BE: Final = {"critical", "warning", "info", "shown", "suppressed", "lower"}


def one_of(knowledge: Knowledge, facts: dict[str, str], card: str, **about: Any) -> dict[str, Any]:
    """What is said about one card of a patient put together from words."""
    sent = json.dumps(request(knowledge, facts, **about)).encode()
    done = explain("-", "--json", "--now", NOW.isoformat(), sent=sent)
    assert done.exit_code == 0, done.output
    return next(one for one in lines_of(done)[0]["outcomes"] if one["card"] == card)


@pytest.fixture(scope="module")
def every(knowledge: Knowledge) -> dict[str, dict[str, Any]]:
    """The explanation of each synthetic request that is answered, from one call of the command."""
    done = explain("--json", "--now", FIXTURES_NOW, *ANSWERED)
    assert done.exit_code == 0
    return dict(zip(ANSWERED, lines_of(done), strict=True))


@pytest.mark.parametrize("name", ANSWERED)
def test_each_active_card_has_one_outcome_of_known_shape(
    every: dict[str, dict[str, Any]], knowledge: Knowledge, name: str
) -> None:
    said = every[name]
    sent = json.loads((REQUESTS / f"{name}.json").read_bytes())
    assert said["service"] == f"leg-weakness-{sent['hook']}"
    assert (said["now"], said["knowledge"]) == (FIXTURES_NOW, knowledge.version)
    judged = [card.id for card in knowledge.cards.values() if card.status in ("active", "silent")]
    assert sorted(one["card"] for one in said["outcomes"]) == sorted(judged)
    for one in said["outcomes"]:
        assert one["outcome"] in KINDS
        assert (one.get("indicator") in ("critical", "warning", "info")) == (
            one["outcome"] in ("shown", "merged", "withheld", "suppressed")
        )
        for because in one["because"]:
            assert because.keys() == {"condition", "is", "facts", "line"}
            assert isinstance(because["is"], bool)
        for lack in one["missing"]:
            assert {"fact", "reason", "could_be"} <= lack.keys() <= {"fact", "reason", "could_be", "within", "details"}
            assert lack["reason"] in REASONS
            assert lack["could_be"] in COULD_BE
    for unreadable in said["unreadable"]:
        assert unreadable.keys() == {"resource", "reason"}
        assert unreadable["reason"]


@pytest.mark.parametrize("name", ANSWERED)
def test_each_outcome_has_a_cause(every: dict[str, dict[str, Any]], name: str) -> None:
    for one in every[name]["outcomes"]:
        if one["outcome"] in ("shown", "merged", "suppressed", "withheld", "quiet"):
            assert one["because"], one["card"]
        if one["outcome"] == "unknown":
            assert one["missing"], one["card"]
        if one["outcome"] in ("suppressed", "withheld"):
            assert one["reason"], one["card"]
        if one["outcome"] == "merged":
            assert one["into"], one["card"]
        if one["outcome"] == "not-applicable":
            assert one.get("reason") or one["because"], one["card"]


@pytest.mark.parametrize("name", ANSWERED)
def test_a_condition_stands_in_the_line_that_is_told(
    every: dict[str, dict[str, Any]], knowledge: Knowledge, name: str
) -> None:
    for one in every[name]["outcomes"]:
        texts = [knowledge.cards[one["card"]].path, cards_folder() / "shared.yaml"]
        lines = [path.read_text(encoding="utf-8").splitlines() for path in texts]
        for because in one["because"]:
            places = [" ".join(" ".join(text[because["line"] - 1 :]).split()) for text in lines]
            found = [at.find(because["condition"]) for at in places]
            assert any(0 <= at <= 120 for at in found), because


@pytest.mark.parametrize("name", ANSWERED)
def test_the_service_gives_the_same_cards_but_for_their_uuids(
    every: dict[str, dict[str, Any]], knowledge: Knowledge, tmp_path: Path, name: str
) -> None:
    now = int(datetime.fromisoformat(FIXTURES_NOW).timestamp() * 1000)
    answered = Asked(knowledge, tmp_path, now).send(json.loads((REQUESTS / f"{name}.json").read_bytes()))
    assert without_uuids(every[name]["cards"]) == without_uuids(answered["cards"])


def test_a_shown_card_says_which_condition_held_and_with_which_value(
    every: dict[str, dict[str, Any]], knowledge: Knowledge
) -> None:
    one = next(one for one in every["low-potassium-on-diuretic"]["outcomes"] if one["card"] == "hypokalemia")
    assert (one["outcome"], one["indicator"]) == ("shown", "warning")
    assert [because["condition"] for because in one["because"]] == ["Potassium.value < 3.0 'mmol/L'"]
    assert one["because"][0]["is"] is True
    assert one["because"][0]["facts"] == ["Potassium"]
    potassium = one["facts"]["Potassium"]
    assert potassium.keys() == {"value", "unit", "date", "resource"}
    assert (potassium["unit"], potassium["resource"].partition("/")[0]) == ("mmol/L", "Observation")
    assert potassium["value"] < 3.0
    assert datetime.fromisoformat(potassium["date"]).tzinfo is not None
    losing = one["facts"]["LoweringDrug"]
    assert isinstance(losing, list)
    assert {"ingredient", "status", "resource"} <= losing[0].keys()


@pytest.mark.parametrize(
    ("facts", "without", "card", "expected"),
    [
        (
            {},
            [],
            "hypokalemia",
            {"fact": "Potassium", "reason": "not-found", "could_be": "critical", "within": "90 days"},
        ),
        (
            {},
            ["blood_count"],
            "anemia",
            {
                "fact": "Haemoglobin",
                "reason": "not-supplied",
                "could_be": "critical",
                "within": "180 days",
                "details": ["blood_count was not supplied"],
            },
        ),
        (
            {"potassium": "unreadable, 1 day ago"},
            [],
            "hypokalemia",
            {
                "fact": "Potassium",
                "reason": "unreadable",
                "could_be": "critical",
                "within": "90 days",
                "details": ["Observation/case-1: unit '[fur_us]' is not known for potassium"],
            },
        ),
        (
            {"potassium": "<6.0 mmol/L, 1 day ago"},
            [],
            "hypokalemia",
            {
                "fact": "Potassium",
                "reason": "uncertain",
                "could_be": "critical",
                "within": "90 days",
                "details": ["Observation/case-1 is not exact"],
            },
        ),
    ],
)
def test_what_is_missing_is_told_once_with_its_reason(
    knowledge: Knowledge, facts: dict[str, str], without: list[str], card: str, expected: dict[str, Any]
) -> None:
    one = one_of(knowledge, facts, card, without=without)
    assert one["outcome"] == "unknown"
    assert [lack for lack in one["missing"] if lack["fact"] == expected["fact"]] == [expected]


def test_a_patient_without_birth_date_is_told_as_missing(knowledge: Knowledge) -> None:
    sent = request(knowledge, {"potassium": "2.2 mmol/L, 1 day ago"})
    del sent["prefetch"]["patient"]["birthDate"]
    done = explain("-", "--json", "--now", NOW.isoformat(), sent=json.dumps(sent).encode())
    one = next(one for one in lines_of(done)[0]["outcomes"] if one["card"] == "hypokalemia")
    assert one["outcome"] == "unknown"
    assert one["missing"] == [{"fact": "Patient.birthDate", "reason": "not-found", "could_be": "shown"}]


def test_a_milder_tier_that_holds_says_what_it_could_have_been(knowledge: Knowledge) -> None:
    one = one_of(knowledge, {"potassium": "<2.9 mmol/L, 1 day ago"}, "hypokalemia")
    assert (one["outcome"], one["indicator"]) == ("shown", "warning")
    assert [(lack["fact"], lack["could_be"]) for lack in one["missing"] if lack["reason"] == "uncertain"] == [
        ("Potassium", "critical")
    ]
    assert one["facts"]["Potassium"]["value"] == "<2.9"


def test_what_suppresses_is_told_in_the_words_of_the_card(knowledge: Knowledge) -> None:
    facts = {"potassium": "2.8 mmol/L, 1 day ago", "order of potassium": "yes, 1 hour ago"}
    one = one_of(knowledge, facts, "hypokalemia")
    assert (one["outcome"], one["indicator"]) == ("suppressed", "warning")
    assert one["reason"] == "A repeat potassium is ordered and not yet resulted."
    assert "Repeat" in {name for because in one["because"] for name in because["facts"]}


def test_a_preliminary_result_is_told_as_such(knowledge: Knowledge) -> None:
    one = one_of(knowledge, {"potassium": "2.2 mmol/L, 1 hour ago, preliminary"}, "hypokalemia")
    assert (one["outcome"], one["indicator"], one["preliminary"]) == ("shown", "warning", True)


def test_a_card_of_another_hook_is_not_applicable(knowledge: Knowledge) -> None:
    one = one_of(knowledge, {}, "vitamin-d-deficiency", hook="order-sign", drafts={"loop": "yes"})
    assert (one["outcome"], one["reason"]) == ("not-applicable", "it is not for order-sign")
