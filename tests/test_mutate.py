"""`cds-service check --mutate`: what the cases do not notice is listed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.mutations import Workpiece
from cds_service.mutate import SHARED, mutate

CARD = "vitamin-d-deficiency"


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of our cards in which one card has lost all cases but the first."""
    copy = tmp_path_factory.mktemp("mutate") / "cards"
    shutil.copytree("cards", copy)
    path = copy / "metabolic" / f"{CARD}.cases.yaml"
    cases = path.read_text(encoding="utf-8").split("\n- case: ")
    path.write_text("\n- case: ".join(cases[:2]), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def changes(knowledge: Knowledge) -> set[str]:
    """All changes of all cards, in words."""
    found = set()
    for card in knowledge.order:
        own = [named for named in card.names.values() if named.path == card.path]
        found |= {change.words for change in Workpiece(card, own).changes(knowledge.codes)}
    return found


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments])


def test_good_cases_notice_the_changes() -> None:
    result = check("--mutate", "--card", CARD)
    assert result.exit_code == 0, result.output
    assert f"{CARD}: " in result.output
    assert "changes noticed (" in result.output


def test_what_poor_cases_do_not_notice_is_listed_with_its_place(cards: Path) -> None:
    result = check("--mutate", "--card", CARD, "--cards", str(cards))
    assert result.exit_code == 1
    assert f"Too few for: {CARD}; expected 95% of each." in result.output
    place = f"  {cards / 'metabolic' / CARD}.yaml:"
    assert [line for line in result.output.splitlines() if line.startswith(place) and " less" in line]


def test_nothing_stays_changed(cards: Path) -> None:
    first, second = mutate(cards, CARD), mutate(cards, CARD)
    assert first == second


def test_an_unknown_card_is_refused() -> None:
    result = check("--card", "gout")
    assert result.exit_code == 1
    assert "found the unknown card gout" in result.output


@pytest.mark.parametrize(
    "words",
    [
        "> for <", "<= for <", "'or' for 'and'", "'and' for 'or'", "dropped ", "'not' dropped", "the opposite",
        "a day less", "a day more", "an hour less", "within a day less", "ended a day less", "status: any removed",
        "unless removed", "lower removed", "'for' of the unless removed", "drafts: digoxin dropped", "label ",
        "'where' dropped", "after for before", "on_or_after for after",
    ],
)  # fmt: skip
def test_changes_of_every_kind_are_made(changes: set[str], words: str) -> None:
    assert [one for one in changes if words in one]


def test_shared_places_are_changed_too() -> None:
    result = mutate(Path("tests/knowledge/small_cards"), SHARED)
    assert result.made > len(result.survived)
