"""What a UUID looks like."""

from __future__ import annotations

import re
from typing import Final

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID as RFC 9562 writes it, in capitals or not."""
    return _UUID.fullmatch(text) is not None
