"""Intervals and vague dates: what is said of them is true of every number and instant that they may stand for."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vague import around

from cds_service.chart.moment import Moment
from cds_service.fhir.dates import parse_date
from cds_service.fhir.uncertain import DAY, HOUR, UNKNOWN, Interval, Span

NOW: Final = 1_781_524_800_000
"""2026-06-15T12:00:00Z."""
MOMENT: Final = Moment(NOW)
EIGHTHS: Final = st.integers(-40, 40).map(lambda number: number / 8)
"""Numbers whose sums and products are exact."""
OPERATIONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
COMPARISONS: Final = ("<", "<=", ">", ">=", "=", "!=")


def agrees(said: Any, truth: Any) -> bool:
    """Whether what is said of vague values may be said of the exact ones."""
    return said is UNKNOWN or said is truth


def holds(interval: Any, number: float) -> bool:
    """Whether a number is one of those that an interval stands for, but for the error of the last digit."""
    if interval is UNKNOWN:
        return True
    error = 1e-12 * abs(number)
    above = interval.lo < number + error if interval.lo_open else interval.lo <= number + error
    below = number - error < interval.hi if interval.hi_open else number - error <= interval.hi
    return bool(above and below)


@settings(deadline=None)
@pytest.mark.parametrize("sign", ["+", "-", "*"])
@given(data=st.data(), first=EIGHTHS, second=EIGHTHS)
def test_a_sum_or_product_of_intervals_holds_that_of_their_numbers(
    sign: str, data: st.DataObject, first: float, second: float
) -> None:
    compute = OPERATIONS[sign]
    one, other = data.draw(around(first)), data.draw(around(second) | st.just(second))
    assert holds(compute(one, other), compute(first, second)), (one, other)
    assert holds(compute(second, one), compute(second, first)), (second, one)


def test_zero_times_an_open_interval_is_zero() -> None:
    around_zero = Interval(-1.0, 1.0, lo_open=True, hi_open=True)
    for product in (around_zero * 0.0, 0.0 * around_zero):
        assert holds(product, 0.0)


@settings(deadline=None)
@given(data=st.data(), first=EIGHTHS, second=EIGHTHS.filter(bool))
def test_a_ratio_of_intervals_holds_that_of_their_numbers(data: st.DataObject, first: float, second: float) -> None:
    over = data.draw(around(second) | st.just(second))
    assert holds(data.draw(around(first)) / over, first / second)
    assert holds(first / data.draw(around(second)), first / second)


@settings(deadline=None)
@given(data=st.data(), number=EIGHTHS)
def test_what_is_computed_of_one_interval_holds_that_of_its_numbers(data: st.DataObject, number: float) -> None:
    interval = data.draw(around(number))
    assert holds(-interval, -number)
    assert holds(abs(interval), abs(number))
    assert holds(interval**2 if number > 0 else UNKNOWN, number**2)
    assert holds(round(Interval(interval.lo, interval.hi), 1), round(number, 1))


@settings(deadline=None, max_examples=300)
@pytest.mark.parametrize("sign", COMPARISONS)
@given(data=st.data(), first=EIGHTHS, second=EIGHTHS)
def test_a_comparison_of_intervals_is_that_of_all_their_numbers(
    sign: str, data: st.DataObject, first: float, second: float
) -> None:
    compare = OPERATIONS[sign]
    one, other = data.draw(around(first)), data.draw(around(second) | st.just(second))
    assert agrees(compare(one, other), compare(first, second)), (one, other)
    assert agrees(compare(second, one), compare(second, first)), (second, one)


@pytest.mark.parametrize("sign", COMPARISONS)
def test_a_comparison_is_decided_when_all_numbers_agree(sign: str) -> None:
    compare = OPERATIONS[sign]
    for text, number in (("<", 2.5), ("<=", 2.5), (">", 2.5), (">=", 2.5)):
        bound = {
            "<": (-inf, number, True),
            "<=": (-inf, number, False),
            ">": (number, inf, True),
            ">=": (number, inf, False),
        }
        lo, hi, is_open = bound[text]
        interval = Interval(lo, hi, lo_open=is_open, hi_open=is_open)
        for limit in (1.0, 2.5, 4.0):
            numbers = [n / 4 for n in range(-400, 400) if OPERATIONS[text](n / 4, number)]
            truths = {compare(one, limit) for one in numbers}
            assert compare(interval, limit) is (truths.pop() if len(truths) == 1 else UNKNOWN), (interval, sign, limit)


@st.composite
def dates(draw: st.DrawFn) -> tuple[int, list[Span]]:
    """An instant of three years, and its day, month and year."""
    instant = NOW - draw(st.integers(-400, 800)) * DAY + draw(st.integers(-48, 48)) * HOUR // 2
    written = datetime.fromtimestamp(instant / 1000, UTC).date().isoformat()
    spans = [parse_date(written[:length]) for length in (10, 7, 4)]
    assert all(isinstance(span, Span) for span in spans)
    return instant, [span for span in spans if isinstance(span, Span)]


@settings(deadline=None, max_examples=300)
@pytest.mark.parametrize("sign", COMPARISONS)
@given(first=dates(), second=dates())
def test_a_comparison_with_a_day_month_or_year_is_that_of_all_its_instants(
    sign: str, first: tuple[int, list[Span]], second: tuple[int, list[Span]]
) -> None:
    compare = OPERATIONS[sign]
    for span in first[1]:
        assert agrees(compare(span, second[0]), compare(first[0], second[0])), span
        assert agrees(compare(second[0], span), compare(second[0], first[0])), span


@settings(deadline=None, max_examples=300)
@pytest.mark.parametrize("sign", COMPARISONS)
@given(first=dates(), second=dates(), days=st.integers(-40, 40))
def test_a_comparison_with_a_month_or_year_is_that_of_all_its_days(
    sign: str, first: tuple[int, list[Span]], second: tuple[int, list[Span]], days: int
) -> None:
    compare = OPERATIONS[sign]
    day, other = first[1][0], second[1][0]
    for span in first[1][1:]:
        assert agrees(compare(span, other), compare(day, other)), span
        assert agrees(compare(other, span), compare(other, day)), span
        assert agrees(compare(span + days * DAY, other), compare(day + days * DAY, other)), span


@settings(deadline=None, max_examples=300)
@given(date=dates(), days=st.integers(0, 800))
def test_the_age_of_a_month_or_year_is_that_of_all_its_days(date: tuple[int, list[Span]], days: int) -> None:
    day, *longer = date[1]
    age = MOMENT.age(day)
    assert isinstance(age, int)
    for span in longer:
        rough = MOMENT.age(span)
        for sign in COMPARISONS:
            said = OPERATIONS[sign](rough, days * DAY)
            assert agrees(said, OPERATIONS[sign](age, days * DAY)), (span, sign, days)


@settings(deadline=None)
@given(first=dates(), second=dates())
def test_dates_of_the_same_length_compare_as_cql_compares_them(
    first: tuple[int, list[Span]], second: tuple[int, list[Span]]
) -> None:
    for one, other in zip(first[1], second[1], strict=True):
        assert (one == other) is (one.lo == other.lo)
        assert (one < other) is (one.lo < other.lo)
        assert (one >= other) is (one.lo >= other.lo)
