"""The table of conformance: every row has its test or its decision, every id in a test's name is a row's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from page import PAGE, in_names, page, proofs_by_id, read_sections, read_tests

ROWS = {name: row for section in read_sections() for name, row in section.rows.items()}
HELD = {
    "JSON": 10, "DISC": 21, "REQ": 17, "TPL": 14, "PRE": 11, "FHIR": 12, "RESP": 7, "CARD": 11, "SRC": 4, "COD": 3,
    "SUG": 5, "ACT": 7, "SYS": 3, "LNK": 7, "FB": 15, "SEC": 4, "JWT": 15, "CORS": 2, "HTTP": 12, "ERR": 4, "PERF": 5,
    "VER": 2, "EXT": 4, "cds-r": 2, "cds-resp": 7, "cds-fb": 3, "ord": 1, "HOOK": 13,
}  # fmt: skip
"""How many rows each section of the checklist has."""
BY_DECISION_ALONE = {
    "PERF-01",  # a time depends on the machine: benchmarks/request.py
    "PERF-03",  # not used, as DISC-13
}
"""Rows that bind the service, are neither a remark nor a choice (MAY), and yet have no test."""


def test_every_row_of_the_checklist_is_there() -> None:
    assert Counter(name.rpartition("-")[0] for name in ROWS) == HELD
    for family, held in HELD.items():
        numbers = [name.rpartition("-")[2] for name in ROWS if name.rpartition("-")[0] == family]
        if family != "HTTP":
            assert [int(number) for number in numbers] == list(range(1, held + 1))


def test_every_row_has_a_test_or_where_it_may_a_decision() -> None:
    tested = proofs_by_id(read_tests())
    without = {name for name in ROWS if in_names(name) not in tested}
    undecided = {name for name in without if not ROWS[name].decision}
    assert not undecided, "expected a test or a decision"
    bound = {
        name for name in without if ROWS[name].binds != "client" and ROWS[name].level not in ("note", "MAY")
    } - BY_DECISION_ALONE
    assert not bound, "expected a test"


def test_every_id_in_the_name_of_a_test_is_that_of_a_row() -> None:
    known = {in_names(name) for name in ROWS}
    wrong = [f"{test.file}: {test.name}" for test in read_tests() if not known.issuperset(test.ids)]
    assert not wrong


def test_the_page_is_up_to_date() -> None:
    written = page(read_sections(), read_tests())
    assert PAGE.read_text(encoding="utf-8") == written, "run .venv/bin/python -m tests.conformance.page"


def test_DISC_21_FHIR_12_every_file_that_a_decision_names_is_there() -> None:
    text = "\n".join(row.decision for row in ROWS.values())
    root = PAGE.parent.parent
    for name in ("README.md", "docs/deploy.md", "docs/cards", "docker-compose.yml", "benchmarks/request.py"):
        assert name in text
        assert (root / name).exists(), name


@pytest.mark.parametrize(
    ("name", "ids", "sentence"),
    [
        ("test_FB_09_the_same_event_is_kept_once", ("FB_09",), "The same event is kept once"),
        ("test_JWT_05_JWT_14_a_fault", ("JWT_05", "JWT_14"), "A fault"),
        ("test_CDS_RESP_1_ORD_1_json_of_a_user", ("CDS_RESP_1", "ORD_1"), "JSON of a user"),
        ("test_HTTP_413_413_bytes", ("HTTP_413",), "413 bytes"),
        ("test_FBB_09_a_typing_mistake", ("FBB_09",), "A typing mistake"),
        ("test_SEC_01_TLS_1_2_is_spoken", ("SEC_01",), "TLS 1 2 is spoken"),
        ("test_PRE_a_whole_section", (), "PRE a whole section"),
    ],
)
def test_ids_are_read_from_names(tmp_path: Path, name: str, ids: tuple[str, ...], sentence: str) -> None:
    (tmp_path / "test_x.py").write_text(f"def {name}(): ...\n\ndef helper(): ...\n")
    [test] = read_tests(tmp_path)
    assert (test.file, test.name, test.ids, test.sentence) == ("test_x.py", name, ids, sentence)
