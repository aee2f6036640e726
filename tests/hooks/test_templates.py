"""Prefetch templates: what may stand in one in each version, and the query it becomes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from small import PREFETCH, a_bundle, a_service

from cds_service.hooks.clients import PROFILES, Profile
from cds_service.hooks.discovery import discovery
from cds_service.hooks.templates import fill, require_templates
from cds_service.knowledge.services import Hook

DRAFTS = "context.draftOrders.entry.resource.ofType(MedicationRequest)"
OLDER: tuple[Profile, ...] = ("1.0", "1.1", "2.0.1")


def refusal(prefetch: dict[str, str], hook: Hook = "order-sign", profile: Profile = "3.0") -> str:
    """What is said of the first template that clients of `profile` would not understand; empty when there is none."""
    try:
        require_templates(msgspec.structs.replace(a_service(hook), prefetch=prefetch), profile)
    except ValueError as error:
        return str(error)
    return ""


def of(template: str, hook: Hook = "order-sign", profile: Profile = "3.0") -> str:
    return refusal({"key": template}, hook, profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_TPL_01_reads_and_searches_relative_to_the_server_are_understood_by_all(profile: Profile) -> None:
    assert refusal(PREFETCH, "patient-view", profile) == ""
    assert of("Encounter/{{context.encounterId}}", profile=profile) == ""


@pytest.mark.parametrize(
    "template",
    [
        "https://ehr.example.org/Patient/1",
        "/Patient/{{context.patientId}}",
        "patient/{{context.patientId}}",
        "Pateint/{{context.patientId}}",
        "Patient/{{context.patientId}}/$everything",
        "Patient/{{context.patientId}}/Condition",
        "Patient",
        "Observation?",
        "Observation?code",
        "Observation?patient={{context.patientId}}#x",
        "{{context.patientId}}",
        "",
    ],
)
def test_TPL_01_what_is_no_read_or_search_is_refused(template: str) -> None:
    assert "expected" in of(template)


@pytest.mark.parametrize(
    "template", ["Patient/{{context.patientId}", "Patient/{context.patientId}}", "Patient/{{{{context.patientId}}}}"]
)
def test_TPL_02_a_token_stands_between_two_braces_on_each_side(template: str) -> None:
    assert "expected each token between {{ and }}" in of(template)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("token", ["context.draftOrders", "context.dispatchedOrders", "patientId", "context.", ""])
def test_TPL_03_TPL_04_a_token_is_a_field_of_text_in_the_context_of_the_hook(token: str, profile: Profile) -> None:
    assert "expected" in of(f"Patient/{{{{{token}}}}}", profile=profile)


def test_TPL_04_selections_are_text_from_3_0_on_where_the_hook_has_them() -> None:
    template = "MedicationRequest?_id={{context.selections.resolve().id}}"
    assert of(template, "order-select") == ""
    assert "expected one of the context fields" in of(template, "order-sign")
    assert "FHIRPath came with 3.0" in of(template, "order-select", "2.0.1")


@pytest.mark.parametrize(
    "name", ["userPractitionerId", "userPractitionerRoleId", "userPatientId", "userRelatedPersonId"]
)
def test_TPL_05_ids_of_the_user_are_tokens_from_2_0_on(name: str) -> None:
    template = f"PractitionerRole?_id={{{{{name}}}}}"
    assert of(template, profile="2.0.1") == of(template, profile="3.0") == ""
    assert "came with 2.0" in of(template, profile="1.0")
    assert "came with 2.0" in of(template, profile="1.1")


@pytest.mark.parametrize("profile", PROFILES)
def test_TPL_05_the_user_is_a_whole_read(profile: Profile) -> None:
    assert of("{{context.userId}}", profile=profile) == ""


def test_TPL_05_ids_of_the_user_are_filled_for_the_type_of_that_user_only() -> None:
    context = {"userId": "PractitionerRole/r1"}
    assert fill("PractitionerRole?_id={{userPractitionerRoleId}}", context) == "PractitionerRole?_id=r1"
    assert fill("Practitioner/{{userPractitionerId}}", context) is None
    assert fill("{{context.userId}}", context) == "PractitionerRole/r1"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("token", ["user", "Patient.id"])
def test_TPL_06_forms_from_before_version_1_0_are_refused(token: str, profile: Profile) -> None:
    assert "before CDS Hooks 1.0" in of(f"Patient/{{{{{token}}}}}", profile=profile)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("code:text=x", "modifier :text"),
        ("code:not=x", "modifier :not"),
        ("_include=MedicationRequest:medication", "parameter _include"),
        ("_revinclude=Provenance:target", "parameter _revinclude"),
        ("_has:Group:member:_id=1", "parameter _has"),
        ("subject.name=x", "expected name=value"),
        ("_summary=true", "parameter _summary"),
        ("_count=all", "expected a number"),
        ("date=ne2026", "date prefix ne"),
        ("date=sa2026-11-20", "date prefix sa"),
        ("date=ap{{today()}}", "date prefix ap"),
    ],
)
def test_TPL_07_what_is_outside_the_restricted_subset_is_refused(parameters: str, problem: str) -> None:
    assert problem in of(f"Observation?patient={{{{context.patientId}}}}&{parameters}")


def test_TPL_07_the_restricted_subset_is_understood() -> None:
    parameters = "code:in=http://x.org/set&category=laboratory&date=ge2026-01-01&date=lt2027&_count=5&_sort=-date,code"
    assert of(f"Observation?patient={{{{context.patientId}}}}&_lastUpdated=gt2026&_id=a,b&{parameters}") == ""


def test_TPL_08_a_total_is_asked_for_from_3_0_on() -> None:
    template = "Observation?patient={{context.patientId}}&_maxresults=5"
    assert of(template) == ""
    assert all("parameter _maxresults" in of(template, profile=profile) for profile in OLDER)


@pytest.mark.parametrize("token", ["today()", "today() - 365 days", "today() + 1 day", "today()-30 days"])
def test_TPL_09_dates_are_counted_from_today_in_days(token: str) -> None:
    template = f"Observation?patient={{{{context.patientId}}}}&date=ge{{{{{token}}}}}"
    assert of(template) == ""
    assert all("FHIRPath came with 3.0" in of(template, profile=profile) for profile in OLDER)


@pytest.mark.parametrize("token", ["today() - 1 year", "today() - 2 weeks", "today", "today() - days", "today() * 2"])
def test_TPL_09_other_units_are_refused(token: str) -> None:
    assert "a number of days" in of(f"Observation?patient={{{{context.patientId}}}}&date=ge{{{{{token}}}}}")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (f"{DRAFTS}.where(status='draft').id", "found where"),
        (f"{DRAFTS}.first().id", "found first"),
        (f"{DRAFTS}.medication.resolve(x).id", "found resolve"),
        ("context.draftOrders.entry.resource.ofType(Drug).id", "found Drug"),
        ("context.draftOrders.entry[0].resource.id", "expected a path"),
        ("Bundle.entry.id", "expected a path"),
        ("context.ofType(Patient).id", "expected one of the context fields"),
        ("context.appointments.entry.resource.id", "expected one of the context fields"),
    ],
)
def test_TPL_10_only_of_type_and_resolve_are_called_on_a_path(path: str, problem: str) -> None:
    assert problem in of(f"Medication?_id={{{{{path}}}}}")


def test_TPL_10_TPL_11_a_path_may_go_into_the_drafts_from_3_0_on() -> None:
    template = f"Medication?_id={{{{{DRAFTS}.medication.resolve().ofType(Medication).id | {DRAFTS}.id}}}}"
    assert of(template) == ""
    assert "expected one of the context fields" in of(template, "patient-view")
    assert all("FHIRPath came with 3.0" in of(template, profile=profile) for profile in OLDER)


def a_draft(**members: Any) -> dict[str, Any]:
    return {"resourceType": "MedicationRequest", "id": "d1", **members}


def test_TPL_11_several_values_become_a_list_joined_by_commas() -> None:
    drafts = a_bundle(
        a_draft(medicationReference={"reference": "Medication/a"}),
        a_draft(medicationReference={"reference": "https://ehr.example.org/fhir/Medication/b"}),
        a_draft(medicationReference={"reference": "Medication/a"}),
        a_draft(medicationReference={"reference": "#contained"}),
        a_draft(medicationCodeableConcept={"text": "a drug"}),
        {"resourceType": "DeviceRequest", "medicationReference": {"reference": "Medication/c"}},
    )
    template = f"Medication?_id={{{{{DRAFTS}.medication.resolve().ofType(Medication).id}}}}"
    assert fill(template, {"draftOrders": drafts}) == "Medication?_id=a,b"
    assert fill(template, {"draftOrders": a_bundle()}) is None
    both = f"Medication?_id={{{{{DRAFTS}.medication.resolve().id|{DRAFTS}.id}}}}"
    assert fill(both, {"draftOrders": drafts}) == "Medication?_id=a,b,d1"


def test_TPL_12_DISC_15_a_template_may_use_an_earlier_key_from_3_0_on() -> None:
    chain = {
        "encounter": "Encounter/{{context.encounterId}}",
        "doctor": "Practitioner?_id={{%encounter.participant.individual.resolve().ofType(Practitioner).id}}",
    }
    assert refusal(chain) == ""
    assert all("FHIRPath came with 3.0" in refusal(chain, profile=profile) for profile in OLDER)
    backwards = dict(reversed(chain.items()))
    assert "prefetch doctor: found %encounter, expected it to stand before" in refusal(backwards)
    assert "expected the key of another template" in refusal({"doctor": chain["doctor"]})


def test_TPL_12_DISC_15_keys_that_need_each_other_are_refused() -> None:
    names = {"a": "b", "b": "c", "c": "a"}
    circle = {key: f"Encounter/{{{{%{other}.id}}}}" for key, other in names.items()}
    assert "which depends on this key, expected no cycle" in refusal(circle)
    assert "expected no cycle" in refusal({"a": "Encounter/{{%a.id}}"})


@pytest.mark.parametrize("key", ["hemoglobin-a1c", "1st", "a b", ""])
def test_TPL_13_a_key_is_a_plain_identifier(key: str) -> None:
    assert "expected a key of letters" in refusal({key: "Patient/{{context.patientId}}"})


@pytest.mark.parametrize("profile", PROFILES)
def test_TPL_14_DISC_15_a_service_with_a_template_that_clients_do_not_understand_is_not_described(
    profile: Profile,
) -> None:
    broken = msgspec.structs.replace(a_service(), prefetch={"late": "Encounter/{{%later.id}}", **PREFETCH})
    with pytest.raises(ValueError, match="service 'small-patient-view': prefetch late: "):
        discovery([broken], profile)
