"""The resources of a request as they were sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Raw

from cds_service.fhir.read import Sent, resources_of


class RawResources(Mapping[str, bytes]):
    """The resources of a request as they were sent, by reference (`MedicationRequest/m1`); taken apart when first
    asked.
    """

    def __init__(self, sent: Iterable[Sent | Raw | bytes]) -> None:
        self._sent = [one.raw if isinstance(one, Sent) else one for one in sent]
        self._found: dict[str, bytes] | None = None

    def _all(self) -> dict[str, bytes]:
        if self._found is None:
            self._found = {}
            for raw in self._sent:
                self._found.update(resources_of(raw))
        return self._found

    def __getitem__(self, reference: str) -> bytes:
        return self._all()[reference]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
