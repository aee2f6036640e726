"""Whose resource is it? A chart holds one patient; resources of any other are refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from cds_service.fhir.read import Reading
from cds_service.fhir.references import base_of, parse_reference, relative
from cds_service.fhir.resources import Entry, Patient, Reference, Resource

_R = TypeVar("_R", bound=Resource)


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

    def own(self, reading: Reading, kind: type[_R]) -> list[tuple[_R, str]]:
        """The resources of a type with their references; those of other patients are named in `foreign`."""
        found: list[tuple[_R, str]] = []
        for entry in reading.entries[kind]:
            resource: Any = entry.resource
            subject = resource.subject
            if subject is None or subject.reference in self.accepted or self.owns(subject, entry.fullUrl):
                found.append((resource, name_of(entry, kind.__name__)))
            else:
                self.foreign.append(name_of(entry, kind.__name__))
        return found


def name_of(entry: Entry, kind: str) -> str:
    """How a resource is named: `Observation/k1`, or by its fullUrl when it has no id."""
    name = entry.resource.id if entry.resource else None
    return f"{kind}/{name}" if name else relative(entry.fullUrl or kind)


def sole_patient(reading: Reading) -> str | None:
    """The id of the first Patient of a Bundle."""
    for entry in reading.entries[Patient]:
        if entry.resource and entry.resource.id:
            return entry.resource.id
    return None


def _last(full_url: str | None, patient_id: str) -> bool:
    return full_url is not None and full_url in (f"urn:uuid:{patient_id}", f"Patient/{patient_id}")
