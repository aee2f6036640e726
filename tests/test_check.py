"""`cds-service check`: what it says of cases that fail, of cases that cannot be read, and of claims without a card."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli import main

SMALL = Path("tests/knowledge/small_cards")
CASES = "electrolytes/low-potassium.cases.yaml"


@pytest.mark.parametrize(
    ("file", "replace", "by", "says"),
    [
        (CASES, "expect: critical", "expect: warning", "found critical; expected warning"),
        (CASES, "suggests: [order-potassium]", "suggests: [order-sodium]", "expected order-sodium among them"),
        (
            CASES,
            "suggests: [order-potassium]",
            "suggests_not: [order-potassium]",
            "found the suggestion order-potassium; expected it not to be offered",
        ),
        (CASES, "suggests: [order-potassium]", "says: gout", "expected 'gout' in it"),
        (CASES, "suggests: [order-potassium]", "says: 2.4", "text, in quotes when it is a number"),
        (CASES, "suggests: [order-potassium]", "missing: [Sodium]", "expected missing: Sodium"),
        ("electrolytes/low-potassium.yaml", "status: active", "status: draft", "1 of 1 claims"),
        (
            "sources/articles.yaml",
            "cards: [low-potassium, workup]",
            "cards: [workup]",
            "found workup under S0-01; expected the cards that name it: low-potassium, workup",
        ),
        (
            "sources/articles.yaml",
            "    - id: S0-01",
            "    - {id: S0-02, section: o, type: t, statement: s, appears: [text], cards: [workup]}\n    - id: S0-01",
            "found no live card that names S0-02; expected one",
        ),
        (
            "sources/articles.yaml",
            "appears: [condition]",
            "appears: [guessed]",
            "found 'guessed'; expected one of: condition, question",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, file: str, replace: str, by: str, says: str) -> None:
    cards = tmp_path / "cards"
    shutil.copytree(SMALL, cards)
    path = cards / file
    text = path.read_text(encoding="utf-8")
    assert replace in text
    path.write_text(text.replace(replace, by), encoding="utf-8")
    result = CliRunner().invoke(main, ["check", "--cards", str(cards)])
    assert says in result.output, result.output
    assert result.exit_code == (0 if says == "1 of 1 claims" else 1)
    assert "Traceback" not in result.output


def test_cases_without_a_card_are_told(tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    shutil.copytree(SMALL, cards)
    (cards / CASES).rename(cards / "electrolytes" / "low-potasium.cases.yaml")
    result = CliRunner().invoke(main, ["check", "--mutate", "--cards", str(cards)])
    assert result.exit_code == 1
    assert "low-potasium.cases.yaml:1:1: found cases without a card" in result.output
    assert "Nothing was changed: the check must pass first." in result.output


def test_sound_cards_are_counted() -> None:
    result = CliRunner().invoke(main, ["check", "--cards", str(SMALL)])
    assert result.exit_code == 0, result.output
    assert "1 of 1 claims of the articles are covered." in result.output


def test_a_single_mistake_is_counted_as_one(tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    shutil.copytree(SMALL, cards)
    path = cards / CASES
    path.write_text(path.read_text(encoding="utf-8").replace("expect: critical", "expect: grave"), encoding="utf-8")
    assert "1 mistake in the knowledge." in CliRunner().invoke(main, ["check", "--cards", str(cards)]).output
