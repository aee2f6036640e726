"""Whose resource is it? A chart holds one patient; resources of any other are refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cds_service.chart.versions import newer
from cds_service.fhir.read import Reading
from cds_service.fhir.references import base_of, parse_reference, relative, server_of
from cds_service.fhir.resources import Entry, Patient, Reference


class Subject:
    """The patient of a chart, and the references that mean this patient.

    A relative reference means the server of its Bundle entry, an absolute one the server it names. When the patient's
    own server is known (the patient's fullUrl, or `server`), a reference to another server is another patient. Servers
    are the same when host, port and path are: a proxy that ends TLS writes http where the client says https.
    """

    def __init__(self, patient_id: str, patients: Iterable[Entry], server: str | None = None) -> None:
        self._id = patient_id
        self.disputed: list[Entry] = []
        self._bases = {server_of(server)} if server else set()
        self.accepted: set[str | None] = {None}
        self.patient: Patient | None = None
        self.foreign: list[str] = []
        for entry in patients:
            resource = entry.resource
            if not isinstance(resource, Patient):
                continue
            if resource.id != patient_id and not _last(entry.fullUrl, patient_id):
                self.foreign.append(name_of(entry))
                continue
            known = Entry(self.patient) if self.patient is not None else entry
            newest = self._newer(known, entry).resource
            self.patient = newest if isinstance(newest, Patient) else resource
            base = base_of(entry.fullUrl)
            if base:
                self._bases.add(server_of(base))
            elif entry.fullUrl:
                self.accepted.add(entry.fullUrl)
        if not self._bases:
            self.accepted.add(f"Patient/{patient_id}")

    def owns(self, subject: Reference, full_url: str | None) -> bool:
        """Whether a subject is this patient. A subject without a reference (identifier only, suppressed) is accepted:
        the client answered a search for this patient with it.
        """
        text = subject.reference
        if text in self.accepted or text is None:
            return True
        if text == f"urn:uuid:{self._id}" or (text.startswith("#") and len(text) > 1):
            return True
        target = parse_reference(text)
        if target is None or target.type != "Patient" or target.id != self._id:
            return False
        base = target.base or base_of(full_url)
        if base is None or not self._bases or server_of(base) in self._bases:
            if target.base is None and not self._bases:
                self.accepted.add(text)
            return True
        return False

    def own(self, entries: list[Entry], *, drafts: bool = False) -> list[Entry]:
        """The entries of one type that are this patient's, each resource once, in its newest version; those of others
        are named in `foreign`, those of which versions differ and none is certainly newer in `disputed`. Draft orders
        that differ are all kept: each of them is being placed.
        """
        accepted = self.accepted
        seen: dict[str, int] = {}
        found: list[Entry] = []
        for entry in entries:
            resource: Any = entry.resource
            subject = resource.subject
            if subject is not None and subject.reference not in accepted and not self.owns(subject, entry.fullUrl):
                self.foreign.append(name_of(entry))
            elif resource.id not in seen:
                if resource.id is not None:
                    seen[resource.id] = len(found)
                found.append(entry)
            elif drafts and resource != found[seen[resource.id]].resource:
                found.append(entry)
            elif not drafts:
                place = seen[resource.id]
                found[place] = self._newer(found[place], entry)
        return found

    def _newer(self, first: Entry, second: Entry) -> Entry:
        if first.resource is None or second.resource is None:
            return first if second.resource is None else second
        resource, certain = newer(first.resource, second.resource)
        chosen = first if resource is first.resource else second
        if not certain:
            self.disputed.append(chosen)
        return chosen


def name_of(entry: Entry) -> str:
    """How a resource is named: `Observation/k1`, or by its fullUrl when it has no id."""
    resource = entry.resource
    kind = type(resource).__name__
    if resource is not None and resource.id:
        return f"{kind}/{resource.id}"
    return relative(entry.fullUrl or kind)


def sole_patient(reading: Reading) -> str | None:
    """The id of the first Patient of a Bundle, or what its fullUrl calls it."""
    for entry in reading.entries[Patient]:
        name = (entry.resource.id if entry.resource else None) or (entry.fullUrl or "").removeprefix("urn:uuid:")
        if name:
            return name
    return None


def _last(full_url: str | None, patient_id: str) -> bool:
    return full_url is not None and full_url in (f"urn:uuid:{patient_id}", f"Patient/{patient_id}")
