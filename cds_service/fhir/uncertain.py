"""Values that are not exact: an unknown, a number known only as an interval, a date known only to the day.

Comparisons with such a value give True or False when every value it may stand for gives the same answer, else
`UNKNOWN`. `None` is something else: the CQL null, known to be absent. Callers test for `None` before they compare.
"""

from __future__ import annotations

from typing import Any, Final, Literal

DAY: Final = 86_400_000
"""Milliseconds in a day. Instants and durations are whole milliseconds everywhere."""
HOUR: Final = 3_600_000


class Unknown:
    """A value that exists or not, we cannot tell: every comparison and every sum with it is unknown again.

    Raises TypeError when used as a truth value, so that it is never taken for True.
    """

    __slots__ = ()

    def _unknown(self, _other: object = None) -> Unknown:
        return self

    __lt__ = __le__ = __gt__ = __ge__ = _unknown
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _unknown
    __pow__ = __rpow__ = _unknown
    __eq__ = __ne__ = _unknown  # type: ignore[assignment]
    __abs__ = __neg__ = _unknown

    def __hash__(self) -> int:
        return 7

    def __bool__(self) -> bool:
        raise TypeError("an unknown value is neither true nor false")

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()


class Interval:
    """A number known to lie between `lo` and `hi`; an open end is not reached.

    `<2.5` is `Interval(-inf, 2.5, hi_open=True)`. Sums and products of intervals are intervals.
    """

    __slots__ = ("hi", "hi_open", "lo", "lo_open")

    def __init__(self, lo: float, hi: float, *, lo_open: bool = False, hi_open: bool = False) -> None:
        self.lo, self.hi, self.lo_open, self.hi_open = lo, hi, lo_open, hi_open

    def __lt__(self, other: Any) -> bool | Unknown:
        lo, hi, lo_open, _ = _ends(other)
        if self.hi < lo or (self.hi == lo and (self.hi_open or lo_open)):
            return True
        return False if self.lo >= hi else UNKNOWN

    def __ge__(self, other: Any) -> bool | Unknown:
        below = self < other
        return below if below is UNKNOWN else not below

    def __gt__(self, other: Any) -> bool | Unknown:
        lo, hi, _, hi_open = _ends(other)
        if self.lo > hi or (self.lo == hi and (self.lo_open or hi_open)):
            return True
        return False if self.hi <= lo else UNKNOWN

    def __le__(self, other: Any) -> bool | Unknown:
        above = self > other
        return above if above is UNKNOWN else not above

    def __eq__(self, other: object) -> bool | Unknown:  # type: ignore[override]
        if other is None or isinstance(other, Unknown):
            return UNKNOWN
        lo, hi, _, _ = _ends(other)
        if (self < other) is True or (self > other) is True:
            return False
        return True if self.lo == self.hi == lo == hi else UNKNOWN

    def __ne__(self, other: object) -> bool | Unknown:  # type: ignore[override]
        same = self == other
        return same if isinstance(same, Unknown) else not same

    def __hash__(self) -> int:
        return hash((self.lo, self.hi))

    def __bool__(self) -> bool:
        raise TypeError("an interval is neither true nor false")

    def __add__(self, other: Any) -> Interval | Unknown:
        if isinstance(other, Unknown):
            return UNKNOWN
        lo, hi, lo_open, hi_open = _ends(other)
        return Interval(self.lo + lo, self.hi + hi, lo_open=self.lo_open or lo_open, hi_open=self.hi_open or hi_open)

    __radd__ = __add__

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo, lo_open=self.hi_open, hi_open=self.lo_open)

    def __sub__(self, other: Any) -> Interval | Unknown:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Interval | Unknown:
        return self.__neg__().__add__(other)

    def __mul__(self, other: Any) -> Interval | Unknown:
        if isinstance(other, Unknown):
            return UNKNOWN
        lo, hi, lo_open, hi_open = _ends(other)
        products = [  # a zero that belongs to one of them is reached whatever the other is
            (_product(a, b), (a_open or b_open) and not (a == 0 and not a_open) and not (b == 0 and not b_open))
            for a, a_open in ((self.lo, self.lo_open), (self.hi, self.hi_open))
            for b, b_open in ((lo, lo_open), (hi, hi_open))
        ]
        least, most = min(p for p, _ in products), max(p for p, _ in products)
        return Interval(
            least,
            most,
            lo_open=all(is_open for p, is_open in products if p == least),
            hi_open=all(is_open for p, is_open in products if p == most),
        )

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Interval | Unknown:
        if isinstance(other, Unknown):
            return UNKNOWN
        lo, hi, lo_open, hi_open = _ends(other)
        if lo <= 0 <= hi:
            return UNKNOWN
        return self * Interval(1 / hi, 1 / lo, lo_open=hi_open, hi_open=lo_open)

    def __rtruediv__(self, other: Any) -> Interval | Unknown:
        return Interval(other, other) / self

    def __pow__(self, exponent: Any) -> Interval | Unknown:
        if self.lo <= 0 or not isinstance(exponent, (int, float)):
            return UNKNOWN
        ends = (self.lo**exponent, self.hi**exponent)
        if exponent >= 0:
            return Interval(*ends, lo_open=self.lo_open, hi_open=self.hi_open)
        return Interval(ends[1], ends[0], lo_open=self.hi_open, hi_open=self.lo_open)

    def __rpow__(self, _base: Any) -> Unknown:
        return UNKNOWN

    def __abs__(self) -> Interval:
        if self.lo >= 0:
            return self
        if self.hi <= 0:
            return -self
        if self.hi >= -self.lo:
            return Interval(0.0, self.hi, hi_open=self.hi_open)
        return Interval(0.0, -self.lo, hi_open=self.lo_open)

    def __round__(self, decimals: int = 0) -> Interval:
        lo, hi = round(self.lo, decimals), round(self.hi, decimals)
        return Interval(lo, hi, lo_open=self.lo_open and lo == self.lo, hi_open=self.hi_open and hi == self.hi)

    def __repr__(self) -> str:
        if self.lo == float("-inf"):
            return f"{'<' if self.hi_open else '<='}{self.hi:g}"
        if self.hi == float("inf"):
            return f"{'>' if self.lo_open else '>='}{self.lo:g}"
        return f"{self.lo:g}..{self.hi:g}"


def _product(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _ends(value: Any) -> tuple[float, float, bool, bool]:
    if isinstance(value, Interval):
        return value.lo, value.hi, value.lo_open, value.hi_open
    if isinstance(value, Unknown):
        return float("-inf"), float("inf"), False, False
    return value, value, False, False


Precision = Literal["day", "month", "year", "shifted"]


class Span:
    """A date known only to the day, month or year: all instants from `lo` to `hi`, milliseconds, both included.

    Two spans of the same precision compare as that precision does (the same day is the same day), as CQL compares
    dates; any other comparison is decided only when all instants agree.
    """

    __slots__ = ("hi", "lo", "precision")

    def __init__(self, lo: int, hi: int, precision: Precision) -> None:
        self.lo, self.hi, self.precision = lo, hi, precision

    def _alike(self, other: Any) -> bool:
        return isinstance(other, Span) and other.precision == self.precision != "shifted"

    def _overlaps_vaguely(self, other: Any) -> bool:
        """Whether one date says less of the same time than the other does: CQL then leaves them uncompared."""
        lo, hi = instants(other)
        if self.precision == "shifted" or (isinstance(other, Span) and other.precision == "shifted"):
            return False
        return self.lo <= lo <= hi <= self.hi or lo <= self.lo <= self.hi <= hi

    def __lt__(self, other: Any) -> bool | Unknown:
        if isinstance(other, Unknown):
            return UNKNOWN
        if self._alike(other):
            return bool(self.lo < other.lo)
        if self._overlaps_vaguely(other):
            return UNKNOWN
        lo, hi = instants(other)
        if self.hi < lo:
            return True
        return False if self.lo >= hi else UNKNOWN

    def __ge__(self, other: Any) -> bool | Unknown:
        below = self < other
        return below if isinstance(below, Unknown) else not below

    def __gt__(self, other: Any) -> bool | Unknown:
        if isinstance(other, Unknown):
            return UNKNOWN
        if self._alike(other):
            return bool(self.lo > other.lo)
        if self._overlaps_vaguely(other):
            return UNKNOWN
        lo, hi = instants(other)
        if self.lo > hi:
            return True
        return False if self.hi <= lo else UNKNOWN

    def __le__(self, other: Any) -> bool | Unknown:
        above = self > other
        return above if isinstance(above, Unknown) else not above

    def __eq__(self, other: object) -> bool | Unknown:  # type: ignore[override]
        if other is None or isinstance(other, Unknown):
            return UNKNOWN
        if self._alike(other):
            return bool(self.lo == other.lo)  # type: ignore[attr-defined]
        lo, hi = instants(other)
        return False if self.hi < lo or self.lo > hi else UNKNOWN

    def __ne__(self, other: object) -> bool | Unknown:  # type: ignore[override]
        same = self == other
        return same if isinstance(same, Unknown) else not same

    def __hash__(self) -> int:
        return hash((self.lo, self.hi))

    def __bool__(self) -> bool:
        raise TypeError("a date is neither true nor false")

    def __add__(self, milliseconds: Any) -> Span | Unknown:
        if not isinstance(milliseconds, (int, float)):
            return UNKNOWN
        by = int(milliseconds)
        whole_days = self.precision == "day" and by % DAY == 0
        return Span(self.lo + by, self.hi + by, "day" if whole_days else "shifted")

    __radd__ = __add__

    def __sub__(self, milliseconds: Any) -> Span | Unknown:
        return self.__add__(-milliseconds)

    def __repr__(self) -> str:
        return f"{self.precision} {self.lo}..{self.hi}"


EVER: Final = Span(-(2**62), 2**62, "shifted")
"""All of time: a date of which nothing is known, or, with one end of it, nothing on that side."""


def instants(value: Any) -> tuple[int, int]:
    """The first and the last instant, in milliseconds, that a date (an int or a Span) may stand for."""
    if isinstance(value, Span):
        return value.lo, value.hi
    return value, value
