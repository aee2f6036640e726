"""docs/cards: the pages say what the definitions say."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli import main
from cds_service.folders import data_folder
from cds_service.knowledge.knowledge import Knowledge
from cds_service.pages import pages

DOCS = Path("docs/cards")


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    """The pages of our cards as they should be."""
    return pages(data_folder("cards"))


def test_the_pages_are_up_to_date(written: dict[str, str]) -> None:
    held = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    assert held == written, "run cds-service pages"


def test_every_card_has_a_page_with_all_it_decides(written: dict[str, str], knowledge: Knowledge) -> None:
    index = written["README.md"]
    for card in knowledge.cards.values():
        page = written[f"{card.id}.md"]
        assert f"[{card.id}]({card.id}.md)" in index
        for indicator, _ in card.tiers:
            assert f"**{indicator}** when" in page
        for reason in [one.reason for one in card.unless] + [one.reason for one in card.lower]:
            assert " ".join(reason.split()) in page
        for claim in card.claims:
            assert f"- {claim} (" in page
        for literal in card.sources:
            assert f"| `{literal}` |" in page
        assert " ".join(card.limitations.split()) in page
        assert "For example, as " in page


def test_the_command_writes_the_pages_and_removes_those_of_cards_that_are_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text((DOCS / "README.md").read_text(encoding="utf-8"))
    (tmp_path / "of-somebody-else.md").write_text("x")
    small = Path("tests/knowledge/small_cards")
    result = CliRunner().invoke(main, ["pages", "--into", str(tmp_path), "--cards", str(small)])
    assert result.exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "README.md",
        "low-potassium.md",
        "workup.md",
        "of-somebody-else.md",
    }
