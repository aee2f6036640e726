"""The resources of a request as they were sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Raw

from cds_service.fhir.dates import parse_date, start_of
from cds_service.fhir.read import Sent, resources_of


class RawResources(Mapping[str, bytes]):
    """The resources of a request as they were sent, by reference (`MedicationRequest/m1`); taken apart when first
    asked. Of several versions of one resource it is the newest; a draft order comes before what is stored.
    """

    def __init__(self, sent: Iterable[Sent | Raw | bytes], drafts: Sent | Raw | bytes | None = None) -> None:
        self._sent = list(sent)
        self._drafts = drafts
        self._found: dict[str, bytes] | None = None
        self._versions: dict[str, list[bytes]] = {}

    def _all(self) -> dict[str, bytes]:
        if self._found is None:
            for one in self._sent:
                for reference, raw in resources_of(_bytes(one)):
                    self._versions.setdefault(reference, []).append(raw)
            self._found = {reference: _newest(held)[0] for reference, held in self._versions.items()}
            if self._drafts is not None:
                self._found.update(resources_of(_bytes(self._drafts)))
        return self._found

    def newest(self, reference: str) -> tuple[bytes | None, bool]:
        """The newest version of a stored resource, and whether that is certain; None for what is a draft alone."""
        self._all()
        held = self._versions.get(reference)
        return _newest(held) if held is not None else (None, True)

    def __getitem__(self, reference: str) -> bytes:
        return self._all()[reference]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _bytes(sent: Sent | Raw | bytes) -> Raw | bytes:
    return sent.raw if isinstance(sent, Sent) else sent


def _newest(versions: list[bytes]) -> tuple[bytes, bool]:
    """By `meta.lastUpdated`, then by `meta.versionId` where both are numbers; else the one with the greatest text, so
    that the order of arrival decides nothing.
    """
    if len(versions) == 1:
        return versions[0], True
    held = {json.dumps(json.loads(raw), sort_keys=True): raw for raw in versions}
    ranked = sorted(((*_version(json.loads(raw)), text) for text, raw in held.items()), reverse=True)
    certain = len(ranked) == 1 or ranked[0][:2] != ranked[1][:2]
    return held[ranked[0][2]], certain


def _version(resource: Any) -> tuple[int, int]:
    meta = resource.get("meta")
    said = meta if isinstance(meta, dict) else {}
    try:
        updated = start_of(parse_date(said["lastUpdated"]))
    except (KeyError, TypeError, ValueError):
        updated = 0
    number = str(said.get("versionId", ""))
    return updated, int(number) if number.isdecimal() and len(number) < 19 else 0
