"""Units read by an independent reader of UCUM, ucumvert on top of pint."""

from __future__ import annotations

from functools import cache
from typing import Any

from ucumvert import PintUcumRegistry


@cache
def registry() -> Any:
    """The reader; it takes a second or two to start."""
    return PintUcumRegistry()


@cache
def read_as_ucum(unit: str) -> Any:
    """A unit as a quantity of pint; None when it is no UCUM or the reader cannot read it."""
    try:
        quantity = registry().from_ucum(unit)
    except Exception:  # lark and pint raise errors of many kinds
        return None
    return quantity if hasattr(quantity, "dimensionality") else None
