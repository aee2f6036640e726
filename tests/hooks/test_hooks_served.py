"""The hooks that are served: what each demands of a request, what it tolerates, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from exchanges import answered, refused, url_of
from flask.testing import FlaskClient
from small import a_bundle, a_request, with_changes

from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.services import HOOKS, Hook

AUTHORIZATION = {
    "access_token": "opaque",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/Observation.rs",
    "subject": "leg-weakness",
    "patient": "pat-1",
}
ORDER_TYPES = ["MedicationRequest", "ServiceRequest", "NutritionOrder", "VisionPrescription", "DeviceRequest"]
ORDER_HOOKS: list[Hook] = ["order-select", "order-sign"]
PLAIN = {"userId": "Practitioner/pr-1", "patientId": "pat-1"}
NOT_SERVED: dict[str, dict[str, Any]] = {
    "order-dispatch": {
        "patientId": "pat-1",
        "dispatchedOrders": ["ServiceRequest/s1"],
        "performer": "Organization/o1",
    },
    "encounter-start": PLAIN | {"encounterId": "enc-1"},
    "appointment-book": PLAIN | {"appointments": a_bundle({"resourceType": "Appointment", "status": "proposed"})},
    "problem-list-item-create": PLAIN | {"conditions": a_bundle({"resourceType": "Condition", "id": "c1"})},
    "allergyintolerance-create": PLAIN | {"allergyIntolerance": {"resourceType": "AllergyIntolerance", "id": "a1"}},
    "medication-refill": {"patientId": "pat-1", "medications": a_bundle({"resourceType": "MedicationRequest"})},
    "medication-verify": PLAIN | {"medication": {"resourceType": "MedicationRequest", "status": "active"}},
    "medication-prescribe": PLAIN | {"medications": a_bundle({"resourceType": "MedicationRequest"})},
    "order-review": PLAIN | {"orders": a_bundle({"resourceType": "ServiceRequest"})},
}


def least(hook: Hook, knowledge: Knowledge) -> dict[str, Any]:
    """A request of required members only; its prefetch says that nothing else is known of the patient."""
    service = knowledge.service(f"leg-weakness-{hook}")
    assert service is not None
    patient = {"resourceType": "Patient", "id": "pat-1", "birthDate": "1960-05-01"}
    return a_request(hook) | {"prefetch": {**dict.fromkeys(service.prefetch), "patient": patient}}


@pytest.mark.parametrize("hook", HOOKS)
def test_HOOK_01_HOOK_02_HOOK_03_HOOK_06_REQ_08_the_least_context_is_answered(
    hook: Hook, client: FlaskClient, knowledge: Knowledge
) -> None:
    request = least(hook, knowledge)
    answered(client.post(url_of(request), json=request))


@pytest.mark.parametrize("hook", HOOKS)
def test_HOOK_01_HOOK_02_HOOK_03_HOOK_06_REQ_10_every_optional_member_is_accepted(
    hook: Hook, client: FlaskClient, knowledge: Knowledge
) -> None:
    optional = {
        "context.encounterId": "enc-1",
        "fhirServer": "https://ehr.example.org/fhir/r4",
        "fhirAuthorization": AUTHORIZATION,
        "extension": {"org.example.ehr.site": "north"},
    }
    request = with_changes(least(hook, knowledge), optional)
    answered(client.post(url_of(request), json=request))


@pytest.mark.parametrize("hook", HOOKS)
def test_HOOK_01_HOOK_02_HOOK_03_HOOK_06_REQ_02_REQ_04_REQ_08_each_required_member_is_missed(
    hook: Hook, client: FlaskClient, knowledge: Knowledge
) -> None:
    request = least(hook, knowledge)
    for path in ["hook", "hookInstance", "context", *(f"context.{name}" for name in request["context"])]:
        answer = client.post(url_of(request), json=with_changes(request, {path: ...}))
        refused(answer, 400)
        assert [issue["expression"] for issue in answer.get_json()["issue"]] == [[path]]
        assert answer.get_json()["issue"][0]["details"]["text"].endswith("found nothing.")


@pytest.mark.parametrize("wrong", [5, True, [5], {"a": 1}, "a b/c d", ""])
@pytest.mark.parametrize("hook", HOOKS)
def test_HOOK_01_HOOK_02_HOOK_03_HOOK_06_REQ_08_a_member_of_a_wrong_type_is_named(
    hook: Hook, wrong: object, client: FlaskClient, knowledge: Knowledge
) -> None:
    request = least(hook, knowledge)
    for path in ["context", *(f"context.{name}" for name in request["context"])]:
        answer = client.post(url_of(request), json=with_changes(request, {path: wrong}))
        assert f"{path}" in refused(answer, 400)
        assert all(issue["expression"][0].startswith(path) for issue in answer.get_json()["issue"])


@pytest.mark.parametrize("wrong", [5, "Bearer opaque", [AUTHORIZATION], True])
def test_REQ_10_a_wrong_authorization_is_named(wrong: object, client: FlaskClient, knowledge: Knowledge) -> None:
    changes = {"fhirServer": "https://ehr.example.org", "fhirAuthorization": wrong}
    request = with_changes(least("patient-view", knowledge), changes)
    assert "fhirAuthorization: expected an object" in refused(client.post(url_of(request), json=request), 400)


@pytest.mark.parametrize("hook", HOOKS)
def test_HOOK_01_HOOK_02_HOOK_03_HOOK_06_JSON_09_VER_02_members_that_nobody_defined_change_nothing(
    hook: Hook, client: FlaskClient, knowledge: Knowledge
) -> None:
    plain = least(hook, knowledge)
    more: dict[str, Any] = {"foo": 1, "context.foo": {"bar": [None]}, "context.extension": {"com.example.a": 1}}
    more["prefetch.theirs"] = {"resourceType": "Basic", "id": "b"}
    request = with_changes(plain, more)
    asked, less = (answered(client.post(url_of(one), json=one)) for one in (request, plain))
    assert [card["summary"] for card in asked["cards"]] == [card["summary"] for card in less["cards"]]


def test_EXT_03_an_extension_is_accepted_on_every_object(client: FlaskClient, knowledge: Knowledge) -> None:
    more = {"extension": {"com.example.any": [1, {"b": None}]}}
    request = least("patient-view", knowledge) | more
    request["context"] |= more
    request |= {"fhirServer": "https://ehr.example.org/fhir", "fhirAuthorization": AUTHORIZATION | more}
    answered(client.post(url_of(request), json=request))
    card = {"card": "c", "outcomeTimestamp": "2026-11-20T09:24:51Z"} | more
    reason = {"reason": {"code": "c", "system": "urn:s"} | more} | more
    entries = [
        card | {"outcome": "overridden", "overrideReason": reason},
        card | {"outcome": "accepted", "acceptedSuggestions": [{"id": "s"} | more]},
    ]
    answer = client.post(f"{url_of(request)}/feedback", json={"feedback": entries} | more)
    assert answer.status_code == 200


@pytest.mark.parametrize("user", ["Practitioner/1", "PractitionerRole/1", "Patient/pat-1", "RelatedPerson/1"])
@pytest.mark.parametrize("hook", HOOKS)
def test_REQ_13_ORD_1_every_hook_takes_users_of_all_four_types(
    hook: Hook, user: str, client: FlaskClient, knowledge: Knowledge
) -> None:
    request = with_changes(least(hook, knowledge), {"context.userId": user})
    answered(client.post(url_of(request), json=request))


@pytest.mark.parametrize(
    "user", ["pr-1", "Practitioner/", "/1", "Practitioner/a/b", "Practitioner 1", "Practitioner/é"]
)
def test_ORD_1_a_user_that_is_no_type_and_id_is_refused(user: str, client: FlaskClient, knowledge: Knowledge) -> None:
    request = with_changes(least("patient-view", knowledge), {"context.userId": user})
    assert "context.userId: expected" in refused(client.post(url_of(request), json=request), 400)


@pytest.mark.parametrize("order_type", ORDER_TYPES)
@pytest.mark.parametrize("hook", ORDER_HOOKS)
def test_HOOK_02_HOOK_03_REQ_16_drafts_of_every_order_type_are_accepted(
    hook: Hook, order_type: str, client: FlaskClient, knowledge: Knowledge
) -> None:
    draft = {"resourceType": order_type, "id": "d9", "status": "draft"}
    request = with_changes(least(hook, knowledge), {"context.draftOrders": a_bundle(draft)})
    if hook == "order-select":
        request["context"]["selections"] = [f"{order_type}/d9"]
    answered(client.post(url_of(request), json=request))


@pytest.mark.parametrize("drafts", [{"resourceType": "Bundle"}, a_bundle(), {"resourceType": "Bundle", "entry": []}])
@pytest.mark.parametrize("hook", ORDER_HOOKS)
def test_HOOK_02_HOOK_03_REQ_16_there_may_be_no_drafts(
    hook: Hook, drafts: dict[str, Any], client: FlaskClient, knowledge: Knowledge
) -> None:
    request = with_changes(least(hook, knowledge), {"context.draftOrders": drafts})
    if hook == "order-select":
        request["context"]["selections"] = []
    assert answered(client.post(url_of(request), json=request))["cards"] == []


def test_HOOK_02_REQ_16_a_selection_of_no_draft_is_refused(client: FlaskClient, knowledge: Knowledge) -> None:
    request = with_changes(least("order-select", knowledge), {"context.selections": ["MedicationRequest/other"]})
    text = refused(client.post(url_of(request), json=request), 400)
    assert "context.selections[0]: expected a reference to one of context.draftOrders" in text


@pytest.mark.parametrize("status", ["active", "draft", "on-hold", "unknown"])
def test_HOOK_03_orders_that_are_signed_again_need_not_be_drafts(
    status: str, client: FlaskClient, knowledge: Knowledge
) -> None:
    order = {"resourceType": "MedicationRequest", "id": "d1", "status": status, "intent": "order"}
    request = with_changes(least("order-sign", knowledge), {"context.draftOrders": a_bundle(order)})
    answered(client.post(url_of(request), json=request))


@pytest.mark.parametrize("hook", list(NOT_SERVED))
def test_HOOK_04_HOOK_05_HOOK_07_HOOK_08_HOOK_09_HOOK_10_HOOK_11_HOOK_12_HOOK_13_REQ_03_other_hooks_are_refused(
    hook: str, client: FlaskClient, knowledge: Knowledge
) -> None:
    for served in HOOKS:
        request = least(served, knowledge) | {"hook": hook, "context": NOT_SERVED[hook]}
        answer = client.post(f"/cds-services/leg-weakness-{served}", json=request)
        assert f"hook: expected {served}, the hook of this service, found" in refused(answer, 400)
    refused(client.post(f"/cds-services/leg-weakness-{hook}", json=request), 404)


def test_DISC_05_REQ_01_HTTP_200_each_service_of_discovery_is_called_below_it_by_its_id(
    client: FlaskClient, knowledge: Knowledge
) -> None:
    services = client.get("/cds-services").get_json()["services"]
    assert len(services) == len(HOOKS)
    for service in services:
        answered(client.post(f"/cds-services/{service['id']}", json=least(service["hook"], knowledge)))


def test_DISC_16_only_hooks_of_the_library_are_served(client: FlaskClient) -> None:
    found = {service["hook"] for service in client.get("/cds-services").get_json()["services"]}
    assert found == {"patient-view", "order-select", "order-sign", "encounter-discharge"}


def test_REQ_15_what_is_no_r4_is_named_and_judged_without(client: FlaskClient, knowledge: Knowledge) -> None:
    of_stu3 = {"resourceType": "Condition", "id": "c3", "clinicalStatus": "active", "code": {"text": "Weak legs"}}
    request = with_changes(least("patient-view", knowledge), {"prefetch.conditions": a_bundle(of_stu3)})
    extension = answered(client.post(url_of(request), json=request))["extension"]
    assert extension["org.leg-weakness-cds.unreadable"]["resources"][0]["resource"] == "Condition/c3"
