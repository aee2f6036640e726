"""Requests: what every hook requires, what is tolerated, what is refused with the name of the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small import a_bundle, a_request, a_service, with_changes

from cds_service.hooks.errors import ISSUES, BadRequest
from cds_service.hooks.request import SELECTIONS, Request, read_request
from cds_service.knowledge.services import HOOKS, Hook

AUTHORIZATION = {
    "access_token": "opaque",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/Observation.read",
    "subject": "leg-weakness",
}


def read(request: dict[str, Any], hook: Hook = "patient-view") -> Request:
    return read_request(json.dumps(request).encode(), a_service(hook))


def changed(hook: Hook = "patient-view", /, **changes: Any) -> Request:
    """The request with members set; a dot in a path is written as two underscores."""
    return read(with_changes(a_request(hook), {p.replace("__", "."): value for p, value in changes.items()}), hook)


def refused(hook: Hook = "patient-view", /, **changes: Any) -> list[str | None]:
    """The fields that the refusal of such a request names."""
    with pytest.raises(BadRequest) as error:
        changed(hook, **changes)
    assert all(issue.field is None or issue.text.startswith(issue.field) for issue in error.value.issues)
    assert all("expected" in issue.text for issue in error.value.issues)
    return [issue.field for issue in error.value.issues]


@pytest.mark.parametrize("hook", HOOKS)
def test_REQ_08_the_least_request_of_each_hook_is_read(hook: Hook) -> None:
    request = read(a_request(hook), hook)
    assert (request.hook, request.user_id, request.patient_id) == (hook, "Practitioner/pr-1", "pat-1")
    assert (request.draft_orders is not None) == hook.startswith("order")
    assert request.selections == (("MedicationRequest/d1",) if hook == "order-select" else ())
    assert request.encounter_id == ("enc-1" if hook == "encounter-discharge" else None)
    assert request.fhir_server is None


@pytest.mark.parametrize("hook", HOOKS)
def test_REQ_08_each_required_context_member_that_is_missing_is_named(hook: Hook) -> None:
    for name in a_request(hook)["context"]:
        assert refused(hook, **{f"context__{name}": ...}) == [f"context.{name}"]
        assert refused(hook, **{f"context__{name}": None}) == [f"context.{name}"]
        assert refused(hook, **{f"context__{name}": 5}) == [f"context.{name}"]


@pytest.mark.parametrize("hook", HOOKS)
def test_REQ_02_REQ_03_only_the_hook_of_the_service_is_answered(hook: Hook) -> None:
    assert refused(hook, hook=...) == ["hook"]
    assert refused(hook, hook="") == ["hook"]
    assert refused(hook, hook=" \t") == ["hook"]
    assert refused(hook, hook=7) == ["hook"]
    other: Hook = "order-sign" if hook != "order-sign" else "patient-view"
    assert refused(hook, hook=other) == ["hook"]
    assert refused(hook, hook="org.example.own-hook") == ["hook"]


def test_JSON_07_blank_required_text_counts_as_missing() -> None:
    assert refused(context__userId="  ") == ["context.userId"]
    assert refused(hookInstance="\n") == ["hookInstance"]


def test_REQ_04_hook_instance_is_required_and_any_text_of_up_to_100_characters() -> None:
    assert refused(hookInstance=...) == ["hookInstance"]
    assert refused(hookInstance=12) == ["hookInstance"]
    assert refused(hookInstance="x" * 101) == ["hookInstance"]
    assert changed(hookInstance="x" * 100).hook_instance == "x" * 100


def test_REQ_05_the_same_hook_instance_may_come_again() -> None:
    assert changed().hook_instance == changed().hook_instance


def test_REQ_06_CDS_R_1_authorization_needs_a_fhir_server() -> None:
    assert refused(fhirAuthorization=AUTHORIZATION) == ["fhirServer"]
    assert changed(fhirAuthorization=AUTHORIZATION, fhirServer="https://ehr.example.org/fhir").fhir_server is not None


@pytest.mark.parametrize(
    "url", ["https://ehr.example.org/fhir/r4", "https://ehr.example.org/fhir/r4/", "http://localhost:8080/fhir"]
)
def test_REQ_07_a_fhir_server_is_an_http_url(url: str) -> None:
    assert changed(fhirServer=url).fhir_server == url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/fhir",
        "ehr.example.org",
        "https://user:word@ehr.example.org/",
        "https://x/#top",
        "https://",
        "http://[",
        5,
    ],
)
def test_REQ_07_another_fhir_server_is_refused(url: object) -> None:
    assert refused(fhirServer=url) == ["fhirServer"]


@pytest.mark.parametrize("context", [None, [], "text", 5, ...])
def test_REQ_08_context_is_an_object(context: object) -> None:
    assert refused(context=context) == ["context"]


def test_REQ_09_prefetch_is_an_object() -> None:
    assert refused(prefetch=[]) == ["prefetch"]
    assert refused(prefetch="none") == ["prefetch"]


def test_REQ_11_EXT_01_EXT_04_an_extension_is_an_object_of_any_content() -> None:
    assert changed(extension={"com.example.any": [1, {"a": None}]}).patient_id == "pat-1"
    assert refused(extension=[{"url": "x"}]) == ["extension"]


@pytest.mark.parametrize("user", ["Practitioner/1", "PractitionerRole/a.b-c", "Patient/pat-1", "RelatedPerson/r"])
def test_REQ_13_users_of_all_four_types_are_accepted(user: str) -> None:
    assert changed(context__userId=user).user_id == user


@pytest.mark.parametrize("user", ["1", "Practitioner/", "/1", "Practitioner/a/b", "practitioner 1", "Practitioner/a b"])
def test_REQ_13_ORD_1_a_user_is_type_and_id(user: str) -> None:
    assert refused(context__userId=user) == ["context.userId"]


def test_REQ_14_the_type_before_an_id_is_taken_off() -> None:
    assert changed(context__patientId="Patient/pat-1").patient_id == "pat-1"
    assert changed(context__encounterId="Encounter/e-1").encounter_id == "e-1"


@pytest.mark.parametrize("id_", ["a b", "Patient/", "Observation/1", "../1", "x" * 65, "1\n", "<script>"])
def test_REQ_14_what_is_no_id_is_refused_and_not_repeated(id_: str) -> None:
    with pytest.raises(BadRequest) as error:
        changed(context__patientId=id_)
    assert id_ not in str(error.value)


def test_REQ_16_draft_orders_may_lack_a_type_and_hold_other_resources() -> None:
    drafts = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Medication", "id": "m"}}]}
    request = changed("order-sign", context__draftOrders=drafts)
    assert request.draft_orders is not None
    assert json.loads(bytes(request.draft_orders)) == drafts
    assert changed("order-sign", context__draftOrders=a_bundle()).draft_orders is not None


@pytest.mark.parametrize(
    "drafts", [[], {}, {"resourceType": "MedicationRequest"}, {"resourceType": "Bundle", "entry": 5}]
)
def test_REQ_16_draft_orders_are_a_bundle(drafts: object) -> None:
    assert refused("order-sign", context__draftOrders=drafts) == ["context.draftOrders"]


@pytest.mark.parametrize(
    "selection",
    [
        "MedicationRequest/d1",
        "d1",
        "https://ehr.example.org/fhir/MedicationRequest/d1",
        "MedicationRequest/d1/_history/2",
        "urn:uuid:5f0c8a4e-0000-4000-8000-000000000000",
    ],
)
def test_REQ_16_a_selection_names_its_draft_however_it_is_written(selection: str) -> None:
    drafts = a_bundle({"resourceType": "MedicationRequest", "id": "d1"}, {"resourceType": "NutritionOrder", "id": "n"})
    drafts["entry"][0]["fullUrl"] = "urn:uuid:5f0c8a4e-0000-4000-8000-000000000000"
    drafts["entry"] += [{}, {"resource": {"resourceType": "ServiceRequest", "id": 5}}]
    request = changed(
        "order-select", context__draftOrders=drafts, context__selections=[selection, selection, "NutritionOrder/n"]
    )
    assert request.selections == ("MedicationRequest/d1", "NutritionOrder/n")


def test_REQ_16_a_draft_in_an_inner_bundle_or_without_id_is_selected_too() -> None:
    unnamed = {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "ServiceRequest"}}
    drafts = a_bundle(a_bundle({"resourceType": "ServiceRequest", "id": "s"}))
    drafts["entry"].append(unnamed)
    request = changed("order-select", context__draftOrders=drafts, context__selections=["s", "urn:uuid:1"])
    assert request.selections == ("ServiceRequest/s", "urn:uuid:1")


def test_REQ_16_selections_may_be_empty_but_refer_to_drafts() -> None:
    assert changed("order-select", context__selections=[]).selections == ()
    wrong = ["ServiceRequest/d1", "MedicationRequest/d1", "d2", ""]
    assert refused("order-select", context__selections=wrong) == [f"context.selections[{index}]" for index in (0, 2, 3)]
    assert refused("order-select", context__selections=[{"reference": "x"}]) == ["context.selections[0]"]
    assert refused("order-select", context__draftOrders={"resourceType": "Bundle"}) == ["context.selections[0]"]


def test_REQ_16_there_are_no_more_selections_than_anybody_selects_and_wrong_ones_are_counted() -> None:
    assert refused("order-select", context__selections=["x"] * (SELECTIONS + 1)) == ["context.selections"]
    with pytest.raises(BadRequest) as error:
        changed("order-select", context__selections=["x"] * SELECTIONS)
    assert [issue.text for issue in error.value.issues[ISSUES:]] == ["And 980 more."]
    assert len(str(error.value)) < 1100


def test_JSON_09_unknown_members_are_tolerated_anywhere() -> None:
    request = changed(
        foo=1,
        context__foo={"bar": [None]},
        fhirServer="https://ehr.example.org/fhir",
        fhirAuthorization=AUTHORIZATION | {"foo": [], "extension": {"com.example": 1}},
        prefetch__theirs={"resourceType": "Basic"},
    )
    assert request.patient_id == "pat-1"


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_JSON_10_a_null_or_empty_optional_member_counts_as_absent(nothing: object) -> None:
    request = changed(fhirServer=nothing, fhirAuthorization=nothing, extension=nothing, context__encounterId=nothing)
    assert (request.fhir_server, request.encounter_id) == (None, None)
    assert changed(fhirAuthorization={}, extension={}).fhir_server is None


@pytest.mark.parametrize("name", list(AUTHORIZATION))
def test_FHIR_02_each_member_of_authorization_is_required(name: str) -> None:
    granted = {key: value for key, value in AUTHORIZATION.items() if key != name}
    assert refused(fhirServer="https://x/fhir", fhirAuthorization=granted) == [f"fhirAuthorization.{name}"]


def test_FHIR_02_authorization_is_read_leniently_where_the_meaning_is_plain() -> None:
    lenient = AUTHORIZATION | {"token_type": "bearer", "expires_in": "300"}
    assert changed(fhirServer="https://x/fhir", fhirAuthorization=lenient).patient_id == "pat-1"
    wrong = AUTHORIZATION | {"token_type": "mac", "expires_in": "soon"}
    assert refused(fhirServer="https://x/fhir", fhirAuthorization=wrong) == [
        "fhirAuthorization.token_type",
        "fhirAuthorization.expires_in",
    ]


@pytest.mark.parametrize("patient", ["pat-1", "Patient/pat-1", "https://x/fhir/Patient/pat-1", " ", None])
def test_FHIR_03_CDS_R_2_a_token_is_for_the_patient_of_the_context_or_names_none(patient: str | None) -> None:
    granted = AUTHORIZATION | {"patient": patient}
    assert changed(fhirServer="https://x/fhir", fhirAuthorization=granted).patient_id == "pat-1"


@pytest.mark.parametrize("patient", ["pat-2", "Patient/pat-2", "Group/pat-1"])
def test_FHIR_03_a_token_for_another_patient_is_refused(patient: str) -> None:
    granted = AUTHORIZATION | {"patient": patient}
    assert refused(fhirServer="https://x/fhir", fhirAuthorization=granted) == ["fhirAuthorization.patient"]


def test_ERR_03_only_hooks_that_are_defined_are_repeated() -> None:
    for hook, found in (("order-dispatch", "order-dispatch"), ("JaneDoe", "another")):
        with pytest.raises(BadRequest, match=f"hook: expected patient-view, .*, found {found}\\."):
            changed(hook=hook)


def test_FHIR_05_the_token_is_not_repeated() -> None:
    granted = AUTHORIZATION | {"access_token": "secret-token", "scope": 5}
    with pytest.raises(BadRequest) as error:
        changed(fhirServer="https://x/fhir", fhirAuthorization=granted)
    assert "secret-token" not in str(error.value)


def test_JSON_08_a_key_twice_in_the_context_or_the_authorization_is_refused() -> None:
    text = json.dumps(a_request())
    for before, after in (
        ('"userId"', '"patientId": "other", "userId"'),
        ('"context"', '"fhirAuthorization": {"scope": 1, "scope": 2}, "context"'),
    ):
        with pytest.raises(BadRequest, match="expected each key once"):
            read_request(text.replace(before, after, 1).encode(), a_service())


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000])
def test_JSON_08_numbers_beyond_a_double_are_refused_in_the_envelope(number: str) -> None:
    for field in ('"own": ', '"context": {"own": ', '"extension": {"own": '):
        end = "}" if "{" in field else ""
        with pytest.raises(BadRequest, match="a double can hold"):
            read_request(f'{{"hook": "patient-view", "hookInstance": "1", {field}{number}{end}}}'.encode(), a_service())


def test_ERR_03_every_field_that_is_wrong_is_named_at_once() -> None:
    assert refused(hook=..., hookInstance=..., fhirServer="x", context=...) == [
        "hook",
        "hookInstance",
        "context",
        "fhirServer",
    ]
