"""Our conditions against the reference implementation of CQL: translator @cqframework/cql, engine cql-execution.

For every condition and definition of every card, and for `operators.yaml`, on random charts: ours equals theirs or is
unknown. Needs Node 20 and `npm ci` in this folder; it runs only when its path is given.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cds_service.chart.chart import build_chart
from cds_service.folders import cards_folder
from cds_service.knowledge.compile import FIRST_FREE, compile_definition
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.load import load_knowledge
from cds_service.knowledge.names import Frames, Names
from cds_service.knowledge.reading import Problems, read_yaml
from cds_service.knowledge.syntax import Expression

from .agreement import agreement
from .charts import NOW_MS, RandomChart, frame, literals, random_chart
from .to_cql import Library, card_library, cql, library, targets
from .uncertain import less_certain

HERE = Path(__file__).parent
CHARTS = 600
"""Random charts per card."""
PROCESSES = 2


@dataclass
class Compared:
    """A library with its charts, and what the reference made of it: `results` by chart, then by expression."""

    library: Library
    start: list[Any]
    charts: list[RandomChart]
    errors: list[dict[str, str]] = field(default_factory=list)
    results: list[list[Any]] = field(default_factory=list)

    def request(self) -> dict[str, Any]:
        """The library and its charts as `run.mjs` reads them."""
        return {
            "name": self.library.name,
            "text": self.library.text,
            "expressions": list(self.library.expressions),
            "charts": [chart.request() for chart in self.charts],
        }


@pytest.fixture(scope="module")
def compared() -> list[Compared]:
    """The shared definitions, every card and the operators, with the answers of the reference."""
    knowledge = load_knowledge(cards_folder())
    of_cards = [library("shared", {}, knowledge.shared), *map(card_library, knowledge.cards.values())]
    libraries = [*((one, _empty_frame(knowledge)) for one in of_cards), _operators(knowledge)]
    found = []
    for one, start in libraries:
        near = literals(one.expressions.values())
        found.append(Compared(one, start, [random_chart(one, near, f"{one.name} {n}") for n in range(CHARTS)]))
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(_run, (found[n::PROCESSES] for n in range(PROCESSES))))
    return found


def _empty_frame(knowledge: Knowledge) -> list[Any]:
    chart = build_chart(
        codes=knowledge.codes, now=NOW_MS, patient_id="p", prefetch={}, not_supplied={}, hook="patient-view"
    )
    return knowledge.plan.fill(chart)[0]


def _operators(knowledge: Knowledge) -> tuple[Library, list[Any]]:
    problems = Problems()
    frames = Frames(FIRST_FREE)
    names = Names(read_yaml(HERE / "operators.yaml", problems), knowledge.codes, frames, problems).all({})
    problems.check()
    for named in names.values():
        compile_definition(named, frames.allocate)
    return library("operators", {}, names), frames.start


def _run(asked: list[Compared]) -> None:
    """Translate and evaluate in one Node process."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules").is_dir():
        pytest.fail("the comparison needs Node 20 or later, and `npm ci` in tests/reference")
    done = subprocess.run(
        [node, "run.mjs"],
        input=json.dumps({"libraries": [one.request() for one in asked]}),
        cwd=HERE,
        env={**os.environ, "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for one, answer in zip(asked, json.loads(done.stdout.splitlines()[-1]), strict=True):
        one.errors, one.results = answer["errors"], answer["results"]


def test_every_condition_and_definition_translates(compared: list[Compared]) -> None:
    wrong = [f"{one.library.name} {e['expression']}: {e['message']}" for one in compared for e in one.errors]
    assert not wrong, "\n".join(wrong)


def test_on_random_charts_ours_equals_theirs_or_is_unknown(
    compared: list[Compared], capsys: pytest.CaptureFixture[str]
) -> None:
    _compare(compared, lambda chart, _name: {**chart.given, **chart.facts}, "on random charts", capsys)


def test_what_is_certain_of_uncertain_facts_is_what_the_engine_says_of_certain_ones(
    compared: list[Compared], capsys: pytest.CaptureFixture[str]
) -> None:
    def blurred(chart: RandomChart, seed: str) -> dict[int, Any] | None:
        return less_certain(chart, seed) if chart.to_the_minute else None

    _compare(compared, blurred, "on charts made uncertain", capsys)


def _compare(
    compared: list[Compared],
    slots: Callable[[RandomChart, str], dict[int, Any] | None],
    where: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found: Counter[str] = Counter()
    different: dict[str, str] = {}
    for one in (one for one in compared if not one.errors):
        for number, (chart, results) in enumerate(zip(one.charts, one.results, strict=True)):
            filled = slots(chart, f"{one.library.name} {number}")
            if filled is None:
                continue
            fresh = frame(one.start, filled)
            theirs_by_name = dict(zip(one.library.expressions, results, strict=True))
            for name, expression in one.library.expressions.items():
                theirs = theirs_by_name[name]
                if isinstance(theirs, dict) and "threw" in theirs:
                    assert "Median" in theirs["threw"], theirs["threw"]  # of nulls only: a fault of the engine
                    found["not evaluated"] += 1
                    continue
                ours = expression.run(fresh)
                says = agreement(ours, theirs)
                found[says] += 1
                if says == "different":
                    detail = _describe(one, chart, expression, fresh, theirs_by_name)
                    different.setdefault(f"{one.library.name} {name}", f"ours {ours!r}, theirs {theirs!r}\n{detail}")
    with capsys.disabled():
        print(f"\n{where}: {', '.join(f'{number} {what}' for what, number in sorted(found.items()))}")
    if different:
        pytest.fail("\n\n".join(f"{name}: {text}" for name, text in different.items()), pytrace=False)


def _describe(
    one: Compared, chart: RandomChart, expression: Expression, fresh: list[Any], theirs: dict[str, Any]
) -> str:
    """The text of an expression, and what each name in it is to us and to the engine."""
    lines = [f"  {cql(expression)}"]
    for named in sorted(set(targets(expression)), key=lambda target: target.name):
        if named.expression is None:
            lines.append(f"  {named.name}: {fresh[named.slot]!r}, {chart.parameters['facts'].get(named.name)!r}")
        else:
            lines.append(f"  {named.name}: {named.expression.run(fresh)!r}, {theirs[named.name]!r}")
    return "\n".join(lines)
