"""Values of which not all is known, for tests of what is said of them."""

from __future__ import annotations

from math import inf

from hypothesis import strategies as st

from cds_service.fhir.uncertain import Interval


@st.composite
def around(draw: st.DrawFn, value: float) -> Interval:
    """An interval that holds a number; an open end is not the number itself."""
    below, above = draw(st.sampled_from([0.0, 1.0, 2.5, inf])), draw(st.sampled_from([0.0, 1.0, 2.5, inf]))
    lo_open, hi_open = below > 0 and draw(st.booleans()), above > 0 and draw(st.booleans())
    return Interval(value - below, value + above, lo_open=lo_open, hi_open=hi_open)
