"""FHIR R4 types that come with a patient's record and that the chart does not read: skipped and counted."""

from __future__ import annotations

from typing import Final

OTHER_TYPES: Final = (
    "Account", "AdverseEvent", "AllergyIntolerance", "Appointment", "AppointmentResponse", "AuditEvent", "Basic",
    "Binary", "BodyStructure", "CarePlan", "CareTeam", "ChargeItem", "Claim", "ClaimResponse", "ClinicalImpression",
    "Communication", "CommunicationRequest", "Composition", "Consent", "Contract", "Coverage",
    "CoverageEligibilityRequest", "CoverageEligibilityResponse", "DetectedIssue", "Device", "DeviceMetric",
    "DeviceRequest", "DeviceUseStatement", "DocumentManifest", "DocumentReference", "Endpoint", "EpisodeOfCare",
    "ExplanationOfBenefit", "FamilyMemberHistory", "Flag", "Goal", "Group", "GuidanceResponse", "HealthcareService",
    "ImagingStudy", "Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation", "InsurancePlan",
    "Invoice", "Linkage", "List", "Location", "Measure", "MeasureReport", "Media", "MedicationDispense",
    "MedicationKnowledge", "MessageHeader", "MolecularSequence", "NutritionOrder",
    "Organization", "OrganizationAffiliation", "Parameters", "PaymentNotice", "PaymentReconciliation", "Person",
    "Practitioner", "PractitionerRole", "Provenance", "Questionnaire", "QuestionnaireResponse", "RelatedPerson",
    "RequestGroup", "ResearchStudy", "ResearchSubject", "RiskAssessment", "Schedule", "Slot", "Substance",
    "SupplyDelivery", "SupplyRequest", "Task", "VerificationResult", "VisionPrescription",
)  # fmt: skip
