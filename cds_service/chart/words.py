"""Text of people: whole phrases and words, never substrings."""

from __future__ import annotations

import re
from typing import Final

_INVISIBLE: Final = re.compile("[\u200b-\u200f\u2060\ufeff]")
_SPACE: Final = re.compile(r"\s+")
_TAG: Final = "(finding)"
_WORD: Final = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def whole_text(text: str) -> str:
    """A text as phrases are compared: lower case, trimmed, single spaces, without a trailing "(finding)"."""
    text = _SPACE.sub(" ", _INVISIBLE.sub("", text)).strip().lower()
    return text.removesuffix(_TAG).rstrip() if text.endswith(_TAG) else text


def words(text: str, known: frozenset[str] = frozenset()) -> list[str]:
    """The words of a text, lower case.

    A hyphen joins: `methyl-prednisolone` is the word `methylprednisolone` when that is in `known`; otherwise the parts
    are words of their own, as in `lisinopril-hydrochlorothiazide`.
    """
    text = text.lower()
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
    if "-" not in text:
        return _WORD.findall(text)
    found: list[str] = []
    for word in _WORD.findall(text):
        if "-" in word:
            joined = word.replace("-", "")
            found += [joined] if joined in known else word.split("-")
        else:
            found.append(word)
    return found
