"""Whose resource is it? A chart holds one patient; resources of any other are refused."""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.fhir.read import Reading
from cds_service.fhir.references import base_of, parse_reference, relative
from cds_service.fhir.resources import Entry, Patient, Reference



class Subject:
    """The patient of a chart, and the references that mean this patient.

    A relative reference means the server of its Bundle entry, an absolute one the server it names. When the patient's own
    server is known (the patient's fullUrl, or `server`), a reference to another server is another patient.
    """

    def __init__(self, patient_id: str, patients: Iterable[Entry], server: str | None = None) -> None:
        self._id = patient_id
        self._bases = {server.rstrip("/")} if server else set()
        self.accepted: set[str | None] = {None}
        self.patient: Patient | None = None
        self.foreign: list[str] = []
        for entry in patients:
            resource = entry.resource
            if not isinstance(resource, Patient):
                continue
            if resource.id != patient_id and not _last(entry.fullUrl, patient_id):
                self.foreign.append(f"Patient/{resource.id}")
                continue
            self.patient = self.patient or resource
            base = base_of(entry.fullUrl)
            if base:
                self._bases.add(base)
            elif entry.fullUrl:
                self.accepted.add(entry.fullUrl)
        if not self._bases:
            self.accepted.add(f"Patient/{patient_id}")

    def owns(self, subject: Reference, full_url: str | None) -> bool:
        """Whether a subject is this patient. A subject without a reference (identifier only, suppressed) is accepted: the
        client answered a search for this patient with it."""
        text = subject.reference
        if text in self.accepted or text is None:
            return True
        if text == f"urn:uuid:{self._id}" or (text.startswith("#") and len(text) > 1):
            return True
        target = parse_reference(text)
        if target is None or target.type != "Patient" or target.id != self._id:
            return False
        base = target.base or base_of(full_url)
        if base is None or not self._bases or base in self._bases:
            if target.base is None and not self._bases:
                self.accepted.add(text)
            return True
        return False

    def own(self, entries: list[Entry]) -> list[Entry]:
        """The entries of this patient, whose resources all have a subject; those of others are named in `foreign`."""
        accepted = self.accepted
        found = []
        for entry in entries:
            subject = entry.resource.subject  # type: ignore[union-attr]
            if subject is None or subject.reference in accepted or self.owns(subject, entry.fullUrl):
                found.append(entry)
            else:
                self.foreign.append(name_of(entry))
        return found


def name_of(entry: Entry) -> str:
    """How a resource is named: `Observation/k1`, or by its fullUrl when it has no id."""
    resource = entry.resource
    kind = type(resource).__name__
    if resource is not None and resource.id:
        return f"{kind}/{resource.id}"
    return relative(entry.fullUrl or kind)


def sole_patient(reading: Reading) -> str | None:
    """The id of the first Patient of a Bundle."""
    for entry in reading.entries[Patient]:
        if entry.resource and entry.resource.id:
            return entry.resource.id
    return None


def _last(full_url: str | None, patient_id: str) -> bool:
    return full_url is not None and full_url in (f"urn:uuid:{patient_id}", f"Patient/{patient_id}")
