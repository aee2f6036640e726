"""Why a resource could not be read, as one of few kinds: the texts themselves name values of a chart."""

from __future__ import annotations

import re
from typing import Final, Literal

Reason = Literal[
    "no-value", "no-unit", "unknown-unit", "implausible", "not-a-number", "unknown-comparator", "wrong-kind",
    "unknown-answer", "no-date", "bad-date", "future", "status", "disputed", "no-code-system", "another-patient",
    "malformed", "other",
]  # fmt: skip
"""The kinds; `other` is a text that this file does not know."""

_PATTERNS: Final[tuple[tuple[Reason, str], ...]] = (
    ("no-unit", r"no unit for |a value without a unit for "),
    ("unknown-unit", r"unit '.*' is not known for "),
    ("implausible", r"\S+ is outside the plausible range of "),
    ("not-a-number", r"not a number that "),
    ("unknown-comparator", r"a comparator that is not known$"),
    ("no-value", r"no value\b|neither a systolic nor a diastolic value$"),
    ("wrong-kind", r".* where another kind of value was expected$"),
    ("unknown-answer", r"an answer that is not known for "),
    ("no-date", r"no date$"),
    ("bad-date", r"a date that cannot be read|a value that is not a date$|a birth date that cannot be read$"),
    ("future", r"dated in the future|a birth date in the future$"),
    ("status", r"status '|no status$|a clinicalStatus that is not known$"),
    ("disputed", r"versions of it differ"),
    ("no-code-system", r"a code without its system$"),
    ("another-patient", r"it is about another patient$"),
    ("malformed", r"nested too deeply$|text that is not UTF-8$|JSON is malformed|input data was truncated"),
    ("malformed", r"(?:[\w.\[\]]+: )?(?:expected |object missing |number out of range|invalid |number not )"),
)
_KINDS: Final = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)


def reason_kind(text: str) -> Reason:
    """The kind of a reason as the chart gives it (`Unreadable.reason`)."""
    return next((kind for kind, pattern in _KINDS if pattern.match(text)), "other")
