"""Orders, procedures, reports and encounters."""

from __future__ import annotations

from typing import Any

import pytest
from charts import LOINC, NOW, SNOMED, ago, chart, concept

from cds_service.fhir.uncertain import DAY


def service(name: str = "o1", code: Any = None, **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": "ServiceRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "code": code or concept("2823-3", LOINC),
        "subject": {"reference": "Patient/p1"},
        "authoredOn": ago(2),
        **more,
    }
    return {key: element for key, element in found.items() if element is not None}


def done(kind: str = "Procedure", code: Any = None, **more: Any) -> dict[str, Any]:
    date = {"performedDateTime": ago(3)} if kind == "Procedure" else {"effectiveDateTime": ago(3)}
    status = "completed" if kind == "Procedure" else "final"
    found = {
        "resourceType": kind,
        "id": "r1",
        "status": status,
        "code": code or concept("24968-0", LOINC),
        "subject": {"reference": "Patient/p1"},
        **date,
        **more,
    }
    return {key: element for key, element in found.items() if element is not None}


def test_an_order_of_a_test_is_of_its_result_group() -> None:
    (order,) = chart(service(occurrenceDateTime=ago(-5))).orders["potassium"]
    assert (order.id, order.status, order.date) == ("ServiceRequest/o1", "active", NOW - 2 * DAY)
    assert (order.planned, order.age) == (NOW + 5 * DAY, 2 * DAY)


def test_a_panel_orders_each_of_its_tests() -> None:
    found = chart(service(code=concept("24321-2", LOINC))).orders
    assert {"potassium", "sodium", "creatinine"} <= set(found)


def test_an_image_is_ordered_by_code_or_whole_phrase() -> None:
    assert "lumbar-imaging" in chart(service(code=concept("24968-0", LOINC))).orders
    assert "lumbar-imaging" in chart(service(code={"text": "MRI lumbar spine"})).orders
    assert not chart(service(code={"text": "discuss MRI lumbar spine"})).orders


@pytest.mark.parametrize(
    ("elements", "status"),
    [
        ({}, "active"),
        ({"status": "on-hold"}, "on-hold"),
        ({"status": "draft"}, "planned"),
        ({"status": "completed"}, None),
        ({"status": "revoked"}, None),
        ({"status": "entered-in-error"}, None),
        ({"status": None}, None),
        ({"doNotPerform": True}, None),
        ({"intent": "proposal"}, None),
        ({"intent": "option"}, None),
        ({"intent": "plan"}, None),
        ({"intent": "reflex-order"}, "active"),
    ],
)
def test_an_order_is_open_until_it_is_completed_or_cancelled(elements: dict[str, Any], status: str | None) -> None:
    found = chart(service(**elements)).orders
    assert [order.status for order in found.get("potassium", [])] == ([status] if status else [])


def test_a_draft_of_this_request_is_a_draft_of_now() -> None:
    found = chart(drafts=[service(status="draft", intent="proposal", authoredOn=None)])
    (order,) = found.orders["potassium"]
    assert (order.status, order.date, order.age) == ("draft", NOW, 0)
    assert found.drafts == ["ServiceRequest/o1"]


def test_a_draft_replaces_the_order_of_the_same_id() -> None:
    assert [order.status for order in chart(service(), drafts=[service()]).orders["potassium"]] == ["draft"]


@pytest.mark.parametrize(("kind", "prefix"), [("Procedure", "Procedure"), ("DiagnosticReport", "DiagnosticReport")])
def test_what_was_done_has_a_date(kind: str, prefix: str) -> None:
    (one,) = chart(done(kind)).procedures["lumbar-imaging"]
    assert (one.id, one.date, one.age) == (f"{prefix}/r1", NOW - 3 * DAY, 3 * DAY)


def test_a_period_ends_when_it_ends_and_a_report_may_only_be_issued() -> None:
    period: dict[str, Any] = {"performedDateTime": None, "performedPeriod": {"start": ago(9), "end": ago(8)}}
    assert chart(done(**period)).procedures["lumbar-imaging"][0].date == NOW - 8 * DAY
    ongoing: dict[str, Any] = {"performedDateTime": None, "performedPeriod": {"start": ago(9)}}
    assert chart(done(**ongoing)).procedures["lumbar-imaging"][0].date == NOW - 9 * DAY
    issued = done("DiagnosticReport", effectiveDateTime=None, issued=ago(4))
    assert chart(issued).procedures["lumbar-imaging"][0].date == NOW - 4 * DAY
    assert chart(done(performedDateTime=None)).procedures["lumbar-imaging"][0].date is None


@pytest.mark.parametrize(
    "resource",
    [
        done(status="in-progress"),
        done(status="not-done"),
        done(status="entered-in-error"),
        done("DiagnosticReport", status="registered"),
        done("DiagnosticReport", status="preliminary"),
        done("DiagnosticReport", status="cancelled"),
        done(code=concept("24968-0", SNOMED)),
    ],
)
def test_what_is_not_done_does_not_count(resource: dict[str, Any]) -> None:
    assert not chart(resource).procedures


@pytest.mark.parametrize(
    ("date", "reason"), [("someday", "a date that cannot be read"), (ago(-3), "dated in the future")]
)
def test_a_date_that_cannot_be_is_named(date: str, reason: str) -> None:
    found = chart(done(performedDateTime=date))
    assert not found.procedures
    assert [(one.resource, one.reason) for one in found.unreadable] == [("Procedure/r1", reason)]


def visit(name: str = "e1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "finished",
        "subject": {"reference": "Patient/p1"},
        "period": {"start": ago(9), "end": ago(4)},
        **more,
    }


ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.mark.parametrize(
    ("elements", "group"),
    [
        ({"class": {"system": ACT, "code": "IMP"}}, "inpatient"),
        ({"class": {"system": ACT, "code": "EMER"}}, "emergency"),
        ({"serviceType": concept("394591006")}, "neurology"),
        ({"serviceType": {"text": "Neurology"}}, "neurology"),
        ({"type": [{"text": "Neurology clinic"}]}, "neurology"),
    ],
)
def test_a_visit_is_known_by_class_service_or_type(elements: dict[str, Any], group: str) -> None:
    (one,) = chart(visit(**elements)).encounters[group]
    assert (one.id, one.start, one.end, one.age) == ("Encounter/e1", NOW - 9 * DAY, NOW - 4 * DAY, 9 * DAY)


def test_a_cancelled_visit_does_not_count() -> None:
    assert not chart(visit(status="cancelled", serviceType=concept("394591006"))).encounters


def test_the_encounter_of_the_request_is_the_current_one() -> None:
    here = chart(visit("e1"), visit("e2"), encounter_id="e2").current_encounter
    assert here is not None
    assert here.id == "Encounter/e2"
    assert chart(visit("e1")).current_encounter is None
    assert chart(visit("e1"), encounter_id="e9").current_encounter is None
