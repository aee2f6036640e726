"""docs/conformance.md: what we do about each rule of CDS Hooks, from rows.yaml and from the names of the tests.

A test carries the ids of the rows that it proves in its name, with `_` for `-`, before its sentence or in it:
`test_FB_09_the_same_event_is_kept_once`, `test_JWT_05_JWT_14_…`, `test_CDS_R_1_…`. An id is a word of capitals and a
number of two or three digits, or an invariant. Run `.venv/bin/python -m tests.conformance.page` to write the page.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
import yaml

HERE: Final = Path(__file__).resolve().parent
TESTS: Final = HERE.parent
PAGE: Final = TESTS.parent / "docs" / "conformance.md"

Level = Literal["SHALL", "SHOULD", "MAY", "D", "V", "BP", "note"]
"""How a rule binds: the word of CDS Hooks, our decision (D), a vendor's way (V), best practice (BP) or a remark."""
Binds = Literal["service", "client", "both"]

_ID: Final = re.compile(r"_([A-Z]+_\d{2,3}|(?:CDS_[A-Z]+|ORD)_\d)(?=_|$)")
_ACRONYMS: Final = "JSON JWT FHIR HTTP HTML URL UUID UTC CORS UTF TLS CDS SQL SMART R4"
_NAMES: Final = {word.lower(): word for word in _ACRONYMS.split()}
_HEAD: Final = """# Conformance

What this service does about each rule of [CDS Hooks](https://cds-hooks.hl7.org/), and the tests that prove it. Written
by `.venv/bin/python -m tests.conformance.page` from `tests/conformance/rows.yaml` and the names of the tests; a test
fails when this page is out of date.

CDS Hooks has no version on the wire, so each registered client has a profile: 1.0, 1.1, 2.0.1 or 3.0. A client without
one, and everybody who calls an installation without registered clients, is spoken to in **2.0.1**.

Levels: SHALL, SHOULD and MAY are the specification's; **D** is our decision where it is silent, **V** what real clients
make necessary, **BP** the best practices of the CDS Hooks community, **note** a remark without a rule. Rules for the
client are listed with how we cope with one that breaks them. Requests are read leniently wherever nothing is lost, in
one way for all clients: there is no strict mode.
"""


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule, in a sentence of ours. `decision`: what we chose where the rule leaves a choice or we do otherwise."""

    level: Level
    binds: Binds
    rule: str
    decision: str = ""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules about one thing, by id, in the order of the page."""

    title: str
    rows: dict[str, Row]


class Proof(msgspec.Struct, frozen=True):
    """A test: its file below tests/, its name, and the ids that the name carries, written as in a name (`FB_09`)."""

    file: str
    name: str
    ids: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What the test says, as a sentence without ids."""
        words = [word for word in _ID.sub("", f"_{self.name.removeprefix('test_')}").split("_") if word]
        text = " ".join(_NAMES.get(word, word) for word in words)
        return text[:1].upper() + text[1:]


def in_names(row: str) -> str:
    """The id of a row as the names of tests carry it: `FB-09` is `FB_09`."""
    return row.upper().replace("-", "_")


def read_sections(path: Path = HERE / "rows.yaml") -> list[Section]:
    """The sections of the page. Raises msgspec.ValidationError for what is not one."""
    return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), list[Section])


def read_tests(folder: Path = TESTS) -> list[Proof]:
    """Every test below a folder, in the order of files and lines."""
    return [test for path in sorted(folder.rglob("test_*.py")) if _is_ours(path) for test in _tests(path, folder)]


def proofs_by_id(tests: list[Proof]) -> dict[str, list[Proof]]:
    """The tests of each id, written as in a name."""
    found: dict[str, list[Proof]] = {}
    for test in tests:
        for one in test.ids:
            found.setdefault(one, []).append(test)
    return found


def page(sections: list[Section], tests: list[Proof]) -> str:
    """The text of docs/conformance.md."""
    by_id = proofs_by_id(tests)
    parts = [_HEAD]
    for section in sections:
        parts += ["", f"## {section.title}", "", "| row | level | rule | what we do | tests |", "|---|---|---|---|---|"]
        parts += [_line(name, row, by_id) for name, row in section.rows.items()]
    return "\n".join(parts) + "\n"


def _line(name: str, row: Row, by_id: Mapping[str, list[Proof]]) -> str:
    tests = by_id.get(in_names(name), [])
    done = row.decision.strip() or ". ".join(dict.fromkeys(test.sentence for test in tests)) + "."
    level = row.level if row.binds == "service" else f"{row.level} ({row.binds})"
    links = "<br>".join(f"[{test.file}](../tests/{test.file})::{test.name}" for test in tests)
    cells = (name, level, row.rule.strip(), done, links)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _is_ours(path: Path) -> bool:
    return "node_modules" not in path.parts


def _tests(path: Path, folder: Path) -> Iterator[Proof]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            ids = _ID.findall(node.name.removeprefix("test"))
            yield Proof(path.relative_to(folder).as_posix(), node.name, tuple(dict.fromkeys(ids)))


if __name__ == "__main__":
    PAGE.write_text(page(read_sections(), read_tests()), encoding="utf-8")
