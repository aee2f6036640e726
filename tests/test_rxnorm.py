"""`cds-service rxnorm`: the table of clinical drugs from files of the shape of a RxNorm release."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.knowledge.codes import RELEASE, load_codes
from cds_service.knowledge.reading import Problems

CARDS = Path("cards")
CONCEPTS = {
    "83367": ("IN", "atorvastatin"), "17767": ("IN", "amlodipine"), "5492": ("IN", "hydrocortisone"),
    "6902": ("IN", "methylprednisolone"), "99001": ("IN", "substance of nobody"),
    "90001": ("SCDC", "atorvastatin 20 MG"), "90002": ("SCDC", "amlodipine 5 MG"),
    "90003": ("SCDC", "hydrocortisone 10 MG/ML"), "90004": ("SCDC", "methylprednisolone 4 MG"),
    "90005": ("SCDC", "atorvastatin 500 MCG"),
    "91001": ("SCD", "amlodipine 5 MG / atorvastatin 20 MG Oral Tablet"),
    "91002": ("SCD", "hydrocortisone 10 MG/ML Topical Cream"),
    "91003": ("SCD", "methylprednisolone 4 MG Oral Tablet"),
    "91004": ("SCD", "atorvastatin 0.5 MG Oral Tablet"),
    "92001": ("SBD", "amlodipine 5 MG / atorvastatin 20 MG Oral Tablet [Synthetic Brand]"),
    "93001": ("GPCK", "{21 (methylprednisolone 4 MG Oral Tablet) } Pack"),
    "94001": ("SCDF", "atorvastatin Oral Tablet"), "95001": ("BN", "Synthetic Brand"), "96001": ("MIN", "a / b"),
    "97001": ("PIN", "atorvastatin calcium"),
    "98001": ("DF", "Oral Tablet"), "98002": ("DF", "Topical Cream"),
}  # fmt: skip
RELATIONS = [
    ("83367", "has_ingredient", "90001"), ("17767", "has_ingredient", "90002"), ("5492", "has_ingredient", "90003"),
    ("6902", "has_ingredient", "90004"), ("97001", "has_precise_ingredient", "90005"), ("83367", "form_of", "97001"),
    ("90001", "consists_of", "91001"), ("90002", "consists_of", "91001"), ("90003", "consists_of", "91002"),
    ("90004", "consists_of", "91003"), ("90005", "consists_of", "91004"), ("91001", "tradename_of", "92001"),
    ("91003", "contains", "93001"), ("83367", "has_ingredient", "94001"), ("83367", "tradename_of", "95001"),
    ("83367", "has_part", "96001"), ("17767", "has_part", "96001"),
    ("98001", "has_dose_form", "91001"), ("98002", "has_dose_form", "91002"), ("98001", "has_dose_form", "91003"),
]  # fmt: skip
INVERSE = {
    "has_ingredient": "ingredient_of", "has_precise_ingredient": "precise_ingredient_of", "form_of": "has_form",
    "consists_of": "constitutes", "tradename_of": "has_tradename", "contains": "contained_in", "has_part": "part_of",
    "has_dose_form": "dose_form_of",
}  # fmt: skip


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A copy of our cards, without their cases."""
    copy = tmp_path / "cards"
    shutil.copytree(CARDS, copy, ignore=shutil.ignore_patterns("*.cases.yaml"))
    return copy


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A synthetic release: each relation stands in both directions, as in RxNorm, beside rows of other sources."""
    folder = tmp_path / "release" / "rrf"
    folder.mkdir(parents=True)
    conso = [_concept(code, "RXNORM", *concept) for code, concept in CONCEPTS.items()]
    conso += [_concept("91001", "MTHSPL", "DP", "a label"), _concept("91001", "RXNORM", "SY", "a synonym")]
    (folder / "RXNCONSO.RRF").write_text("".join(conso), encoding="utf-8")
    rel = [_relation(part, name, whole) for part, name, whole in RELATIONS]
    rel += [_relation(whole, INVERSE[name], part) for part, name, whole in RELATIONS]
    rel.append(_relation("83367", "has_ingredient", "12345"))
    (folder / "RXNREL.RRF").write_text("".join(rel), encoding="utf-8")
    return folder.parent


def _concept(code: str, source: str, term_type: str, name: str) -> str:
    row = [code, "ENG", "", "", "", "", "", "1", "", code, "", source, term_type, code, name, "", "N", "4096"]
    return "|".join(row) + "|\n"


def _relation(first: str, name: str, second: str) -> str:
    row = [first, "", "CUI", "RO", second, "", "CUI", name, "", "", "RXNORM", "", "", "", "N", "4096"]
    return "|".join(row) + "|\n"


def run(release: Path, cards: Path) -> Result:
    return CliRunner().invoke(main, ["rxnorm", str(release), "--cards", str(cards)])


def table(cards: Path) -> dict[tuple[str, str], tuple[str, str, str]]:
    with (cards / "codes" / RELEASE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("83367", ("atorvastatin", "", "unknown")),
        ("97001", ("atorvastatin", "", "unknown")),
        ("95001", ("atorvastatin", "", "unknown")),
        ("96001", ("atorvastatin", "", "unknown")),
        ("90001", ("atorvastatin", "20", "unknown")),
        ("91001", ("atorvastatin", "20", "systemic")),
        ("91004", ("atorvastatin", "0.5", "unknown")),
        ("92001", ("atorvastatin", "20", "systemic")),
        ("94001", ("atorvastatin", "", "unknown")),
    ],
)
def test_what_holds_a_statin_is_found_with_its_strength(
    release: Path, cards: Path, code: str, expected: tuple[str, str, str]
) -> None:
    assert run(release, cards).exit_code == 0
    assert table(cards)[code, "statin"] == expected


def test_packs_and_forms(release: Path, cards: Path) -> None:
    run(release, cards)
    found = table(cards)
    assert found["93001", "systemic-glucocorticoid"] == ("methylprednisolone", "4", "systemic")
    assert found["91002", "systemic-glucocorticoid"] == ("hydrocortisone", "", "local")
    assert not any(code in ("99001", "98001") for code, _ in found)


def test_a_combination_is_in_the_group_of_each_of_its_drugs(release: Path, cards: Path) -> None:
    run(release, cards)
    assert table(cards)["91001", "moderate-interactors"] == ("amlodipine", "5", "systemic")


def test_the_table_is_read_and_the_starter_table_fills_what_it_lacks(release: Path, cards: Path) -> None:
    before = load(cards)
    run(release, cards)
    after = load(cards)
    assert after["91001"] == {"statin", "moderate-interactors"}
    assert "91001" not in before
    assert after["617310"] == before["617310"] == {"statin"}


def test_the_command_says_what_it_wrote_and_what_the_release_lacks(release: Path, cards: Path) -> None:
    said = run(release, cards).output
    assert "statin: 10\n" in said
    assert "statin: simvastatin (36567) is no ingredient of this release" in said
    assert f"written to {cards / 'codes' / RELEASE}" in said


def test_a_folder_without_a_release_is_refused(tmp_path: Path, cards: Path) -> None:
    result = run(tmp_path, cards)
    assert result.exit_code == 1
    assert "found no RXNCONSO.RRF" in result.output
    assert not (cards / "codes" / RELEASE).exists()


def test_a_row_of_another_shape_is_refused_with_its_line(release: Path, cards: Path) -> None:
    path = release / "rrf" / "RXNREL.RRF"
    path.write_text(path.read_text() + "1|2|3|\n")
    result = run(release, cards)
    assert result.exit_code == 1
    assert f"RXNREL.RRF:{len(RELATIONS) * 2 + 2}: found 3 columns; expected 16" in result.output


@pytest.mark.parametrize(
    ("name", "row", "says"),
    [("RXNCONSO.RRF", b"\xff|\n", "no UTF-8"), ("RXNCONSO.RRF", b"C1|" + b"|" * 17 + b"\n", "expected a number")],
)
def test_rows_that_make_no_sense_are_refused(release: Path, cards: Path, name: str, row: bytes, says: str) -> None:
    path = release / "rrf" / name
    path.write_bytes(path.read_bytes() + row)
    result = run(release, cards)
    assert result.exit_code == 1
    assert says in result.output


def test_a_broken_table_of_before_is_replaced(release: Path, cards: Path) -> None:
    (cards / "codes" / RELEASE).write_text("half a table")
    assert run(release, cards).exit_code == 0
    assert table(cards)["91001", "statin"]


def test_a_release_of_another_source_is_refused(release: Path, cards: Path) -> None:
    path = release / "rrf" / "RXNCONSO.RRF"
    path.write_text(_concept("1", "MTHSPL", "IN", "x"))
    assert "found no concept of RxNorm" in run(release, cards).output


def load(cards: Path) -> dict[str, set[str]]:
    problems = Problems()
    codes = load_codes(cards / "codes", problems)
    problems.check()
    found: dict[str, set[str]] = {}
    for row in codes.products:
        found.setdefault(row.rxcui, set()).add(row.group)
    return found
