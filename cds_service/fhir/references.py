"""References between resources: https://hl7.org/fhir/R4/references.html."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

_REFERENCE: Final = re.compile(
    r"(?:(?P<base>https?://.+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)


class Target(NamedTuple):
    """What a literal reference points to: `base` is the server's address, None for a relative reference."""

    base: str | None
    type: str
    id: str


def parse_reference(text: str) -> Target | None:
    """The target of a relative, absolute or versioned reference; None for any other (urn:uuid, #contained,
    conditional).
    """
    found = _REFERENCE.fullmatch(text)
    return Target(found["base"], found["type"], found["id"]) if found else None


def relative(text: str) -> str:
    """A reference without server and version, `Observation/k1`; anything but a literal reference is returned as it
    is.
    """
    target = parse_reference(text)
    return f"{target.type}/{target.id}" if target else text


def base_of(full_url: str | None) -> str | None:
    """The server's address in the fullUrl of a Bundle entry; None when it has none (urn:uuid) or is missing."""
    if full_url is None or not full_url.startswith("http"):
        return None
    target = parse_reference(full_url)
    return target.base if target else None


@lru_cache(maxsize=256)
def server_of(base: str) -> str:
    """A server's address to compare by: host, port and path, without scheme, default port and closing slash."""
    host, slash, path = base.rstrip("/").split("://", 1)[-1].partition("/")
    return host.lower().removesuffix(":80").removesuffix(":443") + slash + path
