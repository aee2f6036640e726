"""Three-valued logic: what is said of an uncertain chart is true of every certain one that it may stand for."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import CONDITIONS, FACTS, LEAVES, NOW, World, worlds

from cds_service.chart.codes import Codes
from cds_service.chart.items import ABSENT, CANNOT_TELL
from cds_service.fhir.uncertain import UNKNOWN
from cds_service.knowledge.compile import FIRST_FREE, compile_expression
from cds_service.knowledge.load import load_knowledge
from cds_service.knowledge.names import Frames, Names, words_of
from cds_service.knowledge.reading import Node, Problems
from cds_service.knowledge.syntax import Named, Run
from cds_service.knowledge.types import BOOLEAN

SMALL: Final = Path(__file__).parent / "small_cards"


class Compiled(NamedTuple):
    """A condition ready to run, its facts by name, and an empty frame."""

    run: Run
    slots: dict[str, int]
    start: list[Any]


@cache
def codes() -> Codes:
    """The code groups of the small cards."""
    return load_knowledge(SMALL).codes


@lru_cache(maxsize=2000)
def compiled(text: str) -> Compiled:
    """A condition over the facts."""
    problems, frames = Problems(), Frames(FIRST_FREE)
    names = Names(Node({}, SMALL, 1, 1), codes(), frames, problems)
    names.all(words_of(codes()))
    for name, fact in FACTS.items():
        slot, of = frames.fact(fact), names.type_of(fact)
        names.known[name] = Named(name=name, slot=slot, type=of, path=SMALL, line=1, fact=fact)
    place = Node(text, SMALL, 1, 1)
    place.raw = text
    expression = names.read_expression(place, BOOLEAN)
    problems.check()
    assert expression is not None
    run = compile_expression(expression, frames.allocate)
    return Compiled(run, {name: named.slot for name, named in names.known.items()}, frames.start)


def judged(condition: Compiled, world: World) -> Any:
    """What a condition is in a world."""
    frame = list(condition.start)
    frame[:FIRST_FREE] = [NOW, "female", world["years"], world["years"] * 12, "patient-view"]
    for name, value in world.items():
        if name in condition.slots:
            frame[condition.slots[name]] = value
    return condition.run(frame)


def check(text: str, uncertain: World, certain: World) -> None:
    """What is said of an uncertain world must be so in a certain one that it may stand for."""
    condition = compiled(text)
    said, truth = judged(condition, uncertain), judged(condition, certain)
    assert said is UNKNOWN or said is truth, f"{text} is said to be {said} and is {truth}"


@pytest.mark.parametrize("kind", LEAVES)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_no_certain_chart_contradicts_what_an_operator_says_of_an_uncertain_one(kind: str, data: st.DataObject) -> None:
    text = data.draw(LEAVES[kind])
    check(text, *data.draw(worlds(text)))


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_no_certain_chart_contradicts_what_a_condition_says_of_an_uncertain_one(data: st.DataObject) -> None:
    text = data.draw(CONDITIONS)
    check(text, *data.draw(worlds(text)))


TRUTH: Final = {"true": True, "false": False, "null": None, "Sodium is null": UNKNOWN}
"""Conditions that are true, false, null, and unknown when sodium cannot be told."""
CANNOT: Final[World] = {"years": 40.0, "Sodium": CANNOT_TELL}


@pytest.mark.parametrize("first", TRUTH)
@pytest.mark.parametrize("second", TRUTH)
def test_and_or_follow_the_tables_of_cql_and_unknown_is_kept_apart_from_null(first: str, second: str) -> None:
    values = {TRUTH[first], TRUTH[second]}
    open_ = UNKNOWN if UNKNOWN in values else None
    both = False if False in values else True if values == {True} else open_
    either = True if True in values else False if values == {False} else open_
    assert judged(compiled(f"({first}) and ({second})"), CANNOT) is both
    assert judged(compiled(f"({first}) or ({second})"), CANNOT) is either


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not (true)", False),
        ("not (null)", None),
        ("not (Sodium is null)", UNKNOWN),
        ("(null) is null", True),
        ("(null) is true", False),
        ("(null) is not true", True),
        ("(Sodium is null) is null", UNKNOWN),
        ("(Sodium is null) is not true", UNKNOWN),
        ("Sodium.value < 130 'mmol/L'", UNKNOWN),
        ("Potassium.value < 3.5 'mmol/L'", None),
        ("Potassium is null", True),
        ("exists LegSymptom", False),
    ],
)
def test_null_is_known_to_be_absent_and_unknown_is_not(text: str, expected: Any) -> None:
    absent: World = {"Potassium": ABSENT, "LegSymptom": []}
    assert judged(compiled(text), CANNOT | absent) is expected
