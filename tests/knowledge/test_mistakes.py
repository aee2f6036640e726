"""Every mistake in a folder of cards is refused with file, line, column, what was found and what was expected."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.cli import main
from cds_service.knowledge.load import load_knowledge
from cds_service.knowledge.reading import KnowledgeError

HERE: Final = Path(__file__).parent
SMALL: Final = HERE / "small_cards"
CARD: Final = "electrolytes/low-potassium.yaml"
CASES: Final = "electrolytes/low-potassium.cases.yaml"
MISTAKES: Final[list[dict[str, str]]] = yaml.safe_load((HERE / "mistakes.yaml").read_text(encoding="utf-8"))
HERE_IT_IS: Final = "▶"
"""Stands in a mistake before the place that must be told."""


def name_of(mistake: Any) -> str:
    return str(mistake["mistake"])


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A copy of a small but complete folder of cards."""
    return Path(shutil.copytree(SMALL, tmp_path / "cards"))


def make(mistake: dict[str, str], cards: Path) -> str:
    """Write a mistake into its file; the beginning of what must be said about it."""
    path = cards / mistake.get("file", CARD)
    before = path.read_text(encoding="utf-8")
    old, new = (
        ("info: Low and exists LosingDrug", f"info: {mistake['condition']}")
        if "condition" in mistake
        else (mistake["replace"], mistake["by"])
    )
    assert before.count(old) == 1 or not old, f"'{old}' stands {before.count(old)} times in {path.name}"
    text = before.replace(old, new) if old else new
    place = text.find(HERE_IT_IS)
    text = text.replace(HERE_IT_IS, "")
    if place < 0 and "place" in mistake:
        place = text.index(mistake["place"])
    path.write_text(text, encoding="utf-8")
    above = text[: max(place, 0)].split("\n")
    return f"{path}:{len(above)}:{len(above[-1]) + 1}: found {mistake['found']}"


def test_the_small_folder_itself_has_no_mistake(cards: Path, runner: CliRunner) -> None:
    checked = runner.invoke(main, ["check", "--cards", str(cards)])
    assert checked.exit_code == 0, checked.output
    assert "2 cases passed, 0 failed." in checked.output


@pytest.mark.parametrize("mistake", MISTAKES, ids=name_of)
def test_a_mistake_is_refused_with_its_place(mistake: dict[str, str], cards: Path, runner: CliRunner) -> None:
    said = make(mistake, cards)
    with pytest.raises(KnowledgeError) as refused:
        load_knowledge(cards)
    told = [str(problem) for problem in refused.value.problems]
    found = [one for one in told if one.startswith(said)]
    assert found, f"{said}\nis not among\n" + "\n".join(told)
    assert re.search(f"; expected .*{re.escape(mistake['expected'])}", found[0]), found[0]
    checked = runner.invoke(main, ["check", "--cards", str(cards)])
    assert checked.exit_code == 1
    assert checked.output.splitlines()[:-1] == told
    assert f"{len(told)} mistake" in checked.output


@pytest.mark.parametrize("mistake", MISTAKES, ids=name_of)
def test_a_mistake_is_told_once_and_says_what_is_expected(mistake: dict[str, str], cards: Path) -> None:
    make(mistake, cards)
    with pytest.raises(KnowledgeError) as refused:
        load_knowledge(cards)
    told = [str(problem) for problem in refused.value.problems]
    assert told == sorted(set(told), key=told.index)
    assert not [one for one in told if "expected Not a valid" in one]


def test_a_prefetch_template_of_two_thousand_characters_is_refused(cards: Path) -> None:
    path = cards / "codes" / "results" / "electrolytes.yaml"
    code = "      - {code: 2823-3, display: potassium, verified: false}\n"
    others = "".join(code.replace("2823-3", f"{number}-0") for number in range(10_000, 10_090))
    path.write_text(path.read_text(encoding="utf-8").replace(code, code + others), encoding="utf-8")
    with pytest.raises(
        KnowledgeError, match=rf"{path}:1:1: found a prefetch template of \d+ characters; expected fewer"
    ):
        load_knowledge(cards)


@pytest.mark.parametrize("name", [CARD, "shared.yaml", "codes/findings.yaml", "suggestions/orders.yaml"])
def test_a_file_that_is_no_text_is_named(name: str, cards: Path) -> None:
    (cards / name).write_bytes(b"id: \xff")
    with pytest.raises(
        KnowledgeError, match=rf"{cards / name}:1:1: found a file that cannot be read .*; expected UTF-8"
    ):
        load_knowledge(cards)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, runner: CliRunner) -> None:
    missing = tmp_path / "none"
    checked = runner.invoke(main, ["check", "--cards", str(missing)])
    assert checked.exit_code == 1
    assert f"found '{missing}', expected a folder" in checked.output
    with pytest.raises(KnowledgeError, match=f"{missing}:1:1: found no folder; expected the folder of cards"):
        load_knowledge(missing)


def test_several_mistakes_are_told_together_in_the_order_of_the_files(cards: Path) -> None:
    said = [make(mistake, cards) for mistake in MISTAKES if mistake["mistake"] in ("an unknown claim", "no unit")]
    said.append(make(next(one for one in MISTAKES if one["mistake"] == "an unknown card in a fact"), cards))
    with pytest.raises(KnowledgeError) as refused:
        load_knowledge(cards)
    positions = [str(refused.value).find(one) for one in said]
    assert -1 not in positions
    assert positions == sorted(positions)


ODD: Final[list[Any]] = [None, 5, 1.5, True, "x", [], [1], [None], {}, {"a": "b"}, {"x": {}}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a YAML document."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from places(child, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """A copy of a YAML document with another value at a place."""
    if not path:
        return by
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], by)
    return copied


EVERYWHERE: Final = [
    (str(path.relative_to(SMALL)), place)
    for path in sorted(SMALL.rglob("*.yaml"))
    if not path.name.endswith(".cases.yaml")
    for place in places(yaml.safe_load(path.read_text(encoding="utf-8")))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for all examples of a property, each of which restores what it changed."""
    return Path(shutil.copytree(SMALL, tmp_path_factory.mktemp("mistakes") / "cards"))


@settings(deadline=None, derandomize=True)
@given(where=st.sampled_from(EVERYWHERE), value=st.sampled_from(ODD))
def test_anything_in_any_place_is_taken_or_refused(
    folder: Path, where: tuple[str, tuple[Any, ...]], value: Any
) -> None:
    path = folder / where[0]
    before = path.read_text(encoding="utf-8")
    changed = yaml.safe_dump(replaced(yaml.safe_load(before), where[1], value), sort_keys=False, width=1000)
    path.write_text(changed, encoding="utf-8")
    try:
        with suppress(KnowledgeError):
            load_knowledge(folder)
    finally:
        path.write_text(before, encoding="utf-8")


CASE_MISTAKES: Final = {
    "an unknown fact": ("    Potassium: 2.4", "    Kalium: ▶2.4", "the unknown fact 'Kalium'", "a fact of the card"),
    "words that say nothing": ("2.4 mmol/L", "▶low", "'low, 1 day ago' for Potassium", "docs/card-format.md"),
    "an unknown modifier": ("1 day ago", "one day ago", "'2.4 mmol/L, one day ago' for Potassium", "card-format.md"),
    "an unknown expectation": ("expect: critical", "expect: ▶urgent", "'urgent'", "critical"),
    "an unknown key": ("  expect: critical", "  ▶expects: a\n  expect: critical", "the unknown key 'expects'", "only"),
    "a case twice": ("- case: A very low potassium\n  facts:",
                     "- case: A very low potassium\n  expect: quiet\n- ▶case: A very low potassium\n  facts:",
                     "the case 'A very low potassium' a second time", "a name of its own"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASE_MISTAKES)
def test_a_mistake_in_a_case_is_told_with_its_place(name: str, cards: Path, runner: CliRunner) -> None:
    old, new, found, expected = CASE_MISTAKES[name]
    mistake = {"file": CASES, "replace": old, "by": new, "found": found, "place": "2.4 mmol/L"}
    said = make(mistake, cards)
    checked = runner.invoke(main, ["check", "--cards", str(cards)])
    assert checked.exit_code == 1
    assert said in checked.output
    assert expected in checked.output.partition("; expected ")[2]


def test_a_card_without_cases_is_refused(cards: Path, runner: CliRunner) -> None:
    (cards / CASES).unlink()
    checked = runner.invoke(main, ["check", "--cards", str(cards)])
    assert checked.exit_code == 1
    assert (
        f"{cards / CARD}:1:1: found a card without cases; expected its cases in low-potassium.cases" in checked.output
    )


def test_a_case_that_fails_is_told_with_what_was_found(cards: Path, runner: CliRunner) -> None:
    path = cards / CASES
    path.write_text(path.read_text(encoding="utf-8").replace("2.4 mmol/L", "2.5 mmol/L"), encoding="utf-8")
    checked = runner.invoke(main, ["check", "--cards", str(cards)])
    assert checked.exit_code == 1
    assert f"{path}:1: low-potassium: A very low potassium: found quiet; expected critical" in checked.output
    assert "1 cases passed, 1 failed." in checked.output


@pytest.mark.parametrize("name", ["YAML syntax", "another unit than the canonical", "cards in a circle"])
def test_the_service_does_not_start_on_a_mistake(name: str, cards: Path) -> None:
    said = make(next(one for one in MISTAKES if one["mistake"] == name), cards)
    command = [sys.executable, "-m", "cds_service", "serve", "--port", "0", "--cards", str(cards)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
