"""The resources of a request as they were sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Raw

from cds_service.chart.versions import alike
from cds_service.fhir.read import Sent, resources_of


class RawResources(Mapping[str, bytes]):
    """The resources of a request as they were sent, by reference (`MedicationRequest/m1`); taken apart when first
    asked. A draft order comes before what is stored. What came in several versions is not here: a suggestion that
    changed it could change the wrong one.
    """

    def __init__(self, sent: Iterable[Sent | Raw | bytes], drafts: Sent | Raw | bytes | None = None) -> None:
        self._sent = list(sent)
        self._drafts = drafts
        self._found: dict[str, bytes] | None = None

    def _all(self) -> dict[str, bytes]:
        if self._found is None:
            self._found = _sole(self._sent)
            if self._drafts is not None:
                for reference, _ in resources_of(_raw(self._drafts)):
                    self._found.pop(reference, None)
                self._found.update(_sole([self._drafts]))
        return self._found

    def __getitem__(self, reference: str) -> bytes:
        return self._all()[reference]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _raw(sent: Sent | Raw | bytes) -> Raw | bytes:
    return sent.raw if isinstance(sent, Sent) else sent


def _sole(sent: Iterable[Sent | Raw | bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    several: set[str] = set()
    for one in sent:
        for reference, raw in resources_of(_raw(one)):
            if not alike(found.setdefault(reference, raw), raw):
                several.add(reference)
    return {reference: raw for reference, raw in found.items() if reference not in several}
