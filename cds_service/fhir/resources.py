"""FHIR R4 resources, with only the elements that the chart reads (https://hl7.org/fhir/R4/resourcelist.html).

The structs are narrow on purpose: what is not named here is skipped while decoding and costs next to nothing. Elements
that only matter once the codes are known to be ours (`Raw`) are decoded when asked for. Lists may be an explicit JSON
null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Union

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from cds_service.fhir.other_types import OTHER_TYPES

Deferred = Raw | UnsetType
"""The JSON of an element that is decoded when it is needed; UNSET when the element is not there."""


class Coding(Struct, gc=False):
    """https://hl7.org/fhir/R4/datatypes.html#Coding"""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(Struct, gc=False):
    """https://hl7.org/fhir/R4/datatypes.html#CodeableConcept"""

    coding: list[Coding] | None = None
    text: str | None = None


class Reference(Struct, gc=False):
    """https://hl7.org/fhir/R4/references.html; a reference by identifier alone has no `reference`."""

    reference: str | None = None
    display: str | None = None


class Quantity(Struct, gc=False):
    """https://hl7.org/fhir/R4/datatypes.html#Quantity; the value may have come as a number in a string."""

    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Period(Struct, gc=False):
    """https://hl7.org/fhir/R4/datatypes.html#Period"""

    start: str | None = None
    end: str | None = None


class Range(Struct, gc=False):
    """https://hl7.org/fhir/R4/datatypes.html#Range"""

    low: Quantity | None = None
    high: Quantity | None = None


class ReferenceRange(Struct, gc=False):
    """Observation.referenceRange: the limits of normal, for whom, and of which type."""

    low: Quantity | None = None
    high: Quantity | None = None
    type: CodeableConcept | None = None
    appliesTo: list[CodeableConcept] | None = None
    age: Range | None = None


class Annotation(Struct, gc=False):
    """A note; only its text is read."""

    text: str | None = None


class Resource(Struct, gc=False, tag_field="resourceType"):
    """What all resources have. `meta` tells versions apart."""

    id: str | None = None
    meta: Deferred = UNSET


class OfPatient(Resource, gc=False):
    """A resource that says whose it is."""

    subject: Reference | None = None


class Patient(Resource, gc=False, tag="Patient"):
    """https://hl7.org/fhir/R4/patient.html"""

    gender: str | None = None
    birthDate: str | None = None


class Component(Struct, gc=False):
    """Observation.component."""

    code: CodeableConcept | None = None
    valueQuantity: Quantity | None = None


class Observation(OfPatient, gc=False, tag="Observation"):
    """https://hl7.org/fhir/R4/observation.html"""

    status: str | None = None
    code: CodeableConcept | None = None
    effectiveDateTime: str | None = None
    effectivePeriod: Period | None = None
    effectiveInstant: str | None = None
    issued: str | None = None
    valueQuantity: Quantity | None = None
    valueCodeableConcept: CodeableConcept | None = None
    valueString: str | None = None
    valueBoolean: bool | None = None
    valueInteger: int | None = None
    valueDateTime: str | None = None
    valueRange: Deferred = UNSET
    valueRatio: Deferred = UNSET
    dataAbsentReason: CodeableConcept | None = None
    component: list[Component] | None = None
    specimen: Reference | None = None
    interpretation: Deferred = UNSET
    referenceRange: Deferred = UNSET
    note: Deferred = UNSET
    bodySite: Deferred = UNSET
    contained: Deferred = UNSET


class Condition(OfPatient, gc=False, tag="Condition"):
    """https://hl7.org/fhir/R4/condition.html"""

    clinicalStatus: CodeableConcept | None = None
    verificationStatus: CodeableConcept | None = None
    severity: CodeableConcept | None = None
    code: CodeableConcept | None = None
    bodySite: list[CodeableConcept] | None = None
    encounter: Reference | None = None
    onsetDateTime: str | None = None
    onsetPeriod: Period | None = None
    abatementDateTime: str | None = None
    abatementPeriod: Period | None = None
    abatementString: str | None = None
    abatementAge: Deferred = UNSET
    abatementRange: Deferred = UNSET
    recordedDate: str | None = None


class MedicationRequest(OfPatient, gc=False, tag="MedicationRequest"):
    """https://hl7.org/fhir/R4/medicationrequest.html"""

    status: str | None = None
    intent: str | None = None
    doNotPerform: bool | None = None
    medicationCodeableConcept: CodeableConcept | None = None
    medicationReference: Reference | None = None
    authoredOn: str | None = None
    dosageInstruction: Deferred = UNSET
    contained: Deferred = UNSET


class MedicationStatement(OfPatient, gc=False, tag="MedicationStatement"):
    """https://hl7.org/fhir/R4/medicationstatement.html; `taken` is what older senders still add."""

    status: str | None = None
    taken: str | None = None
    medicationCodeableConcept: CodeableConcept | None = None
    medicationReference: Reference | None = None
    effectiveDateTime: str | None = None
    effectivePeriod: Period | None = None
    dateAsserted: str | None = None
    dosage: Deferred = UNSET
    contained: Deferred = UNSET


class MedicationAdministration(OfPatient, gc=False, tag="MedicationAdministration"):
    """https://hl7.org/fhir/R4/medicationadministration.html"""

    status: str | None = None
    medicationCodeableConcept: CodeableConcept | None = None
    medicationReference: Reference | None = None
    effectiveDateTime: str | None = None
    effectivePeriod: Period | None = None
    dosage: Deferred = UNSET
    contained: Deferred = UNSET


class Ingredient(Struct, gc=False):
    """Medication.ingredient."""

    itemCodeableConcept: CodeableConcept | None = None
    itemReference: Reference | None = None


class Medication(Resource, gc=False, tag="Medication"):
    """https://hl7.org/fhir/R4/medication.html"""

    code: CodeableConcept | None = None
    form: CodeableConcept | None = None
    ingredient: list[Ingredient] | None = None


class ServiceRequest(OfPatient, gc=False, tag="ServiceRequest"):
    """https://hl7.org/fhir/R4/servicerequest.html"""

    status: str | None = None
    intent: str | None = None
    doNotPerform: bool | None = None
    code: CodeableConcept | None = None
    authoredOn: str | None = None
    occurrenceDateTime: str | None = None
    occurrencePeriod: Period | None = None
    reasonCode: list[CodeableConcept] | None = None


class Procedure(OfPatient, gc=False, tag="Procedure"):
    """https://hl7.org/fhir/R4/procedure.html"""

    status: str | None = None
    code: CodeableConcept | None = None
    performedDateTime: str | None = None
    performedPeriod: Period | None = None


class DiagnosticReport(OfPatient, gc=False, tag="DiagnosticReport"):
    """https://hl7.org/fhir/R4/diagnosticreport.html"""

    status: str | None = None
    code: CodeableConcept | None = None
    effectiveDateTime: str | None = None
    effectivePeriod: Period | None = None
    issued: str | None = None
    result: Deferred = UNSET


class Encounter(OfPatient, gc=False, tag="Encounter"):
    """https://hl7.org/fhir/R4/encounter.html"""

    status: str | None = None
    class_: Coding | None = msgspec.field(default=None, name="class")
    type: list[CodeableConcept] | None = None
    serviceType: CodeableConcept | None = None
    period: Period | None = None
    reasonCode: list[CodeableConcept] | None = None
    reasonReference: list[Reference] | None = None


class Specimen(Resource, gc=False, tag="Specimen"):
    """https://hl7.org/fhir/R4/specimen.html; read for the condition of the sample (haemolysed)."""

    condition: list[CodeableConcept] | None = None


class Entry(Struct, gc=False):
    """Bundle.entry."""

    resource: AnyResource | None = None
    fullUrl: str | None = None


class BundleLink(Struct, gc=False):
    """Bundle.link; only the one to the next page is read."""

    relation: str | None = None
    url: str | None = None


class Bundle(Resource, gc=False, tag="Bundle"):
    """https://hl7.org/fhir/R4/bundle.html"""

    entry: list[Entry] | None = None
    link: list[BundleLink] | None = None


class Issue(Struct, gc=False):
    """OperationOutcome.issue."""

    severity: str | None = None


class OperationOutcome(Resource, gc=False, tag="OperationOutcome"):
    """https://hl7.org/fhir/R4/operationoutcome.html; what a search says besides its matches, or instead of them."""

    issue: list[Issue] | None = None


READ: Final[tuple[type[Resource], ...]] = (
    Patient,
    Observation,
    Condition,
    MedicationRequest,
    MedicationStatement,
    MedicationAdministration,
    Medication,
    ServiceRequest,
    Procedure,
    DiagnosticReport,
    Encounter,
    Specimen,
)
"""The types that the chart reads; all others are skipped and counted."""

if TYPE_CHECKING:
    AnyResource = Resource
else:
    _not_read = [
        msgspec.defstruct(name, [], bases=(Struct,), tag_field="resourceType", tag=name, gc=False)
        for name in OTHER_TYPES
    ]
    AnyResource = Union[(*READ, Bundle, OperationOutcome, *_not_read)]
    """Any resource that decodes in one pass: those we read, and the other types of a patient's record, which stay
    empty.
    """
