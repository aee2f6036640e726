"""Medications: which drug, whether it is taken, since when, how much."""

from __future__ import annotations

from typing import Any

import pytest
from charts import ATC, NOW, RXNORM, ago, chart, concept, request

from cds_service.chart.items import Medication
from cds_service.fhir.uncertain import DAY, UNKNOWN, Interval, Span


def groups(drug: Any, *others: Any, **more: Any) -> set[tuple[str, str]]:
    """The groups and ingredients of a medicine."""
    found = chart(request(drug=drug, **more), *others).medications
    return {(group, one.ingredient) for group, items in found.items() for one in items}


def one(*resources: Any, group: str = "statin", **more: Any) -> Medication:
    (item,) = chart(*resources, **more).medications[group]
    return item


def statement(name: str = "s1", drug: str = "atorvastatin 40 MG Oral Tablet", **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": "MedicationStatement",
        "id": name,
        "status": "active",
        "medicationCodeableConcept": concept(text=drug),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": ago(30),
        **more,
    }
    return {key: element for key, element in found.items() if element is not None}


@pytest.mark.parametrize(
    "drug",
    [
        concept("83367", RXNORM),
        concept("617310", RXNORM),
        concept("C10AA05", ATC),
        concept(text="Atorvastatin"),
        concept(text="Lipitor 40 mg tablet"),
        concept(display="atorvastatin 40 MG Oral Tablet [Lipitor]", system="urn:oid:1.2.3"),
    ],
)
def test_a_drug_is_known_by_code_or_by_name(drug: Any) -> None:
    assert ("statin", "atorvastatin") in groups(drug)


def test_a_drug_known_by_its_name_alone_says_so() -> None:
    assert one(request(drug=concept(text="Atorvastatin"))).by_name
    assert not one(request(drug={**concept("83367", RXNORM), "text": "Atorvastatin"})).by_name


def test_a_component_code_with_a_misspelt_name_is_still_the_drug() -> None:
    assert ("statin", "simvastatin") in groups(concept("316672", RXNORM, display="Simvistatin 10 MG"))


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("Nystatin 100000 UNT/ML", "statin"),
        ("losartan potassium 50 MG Oral Tablet", "potassium-supplement"),
        ("Penicillin V Potassium 250 MG", "potassium-supplement"),
        ("insulin pen needle 31G", "insulin"),
        ("digoxin immune fab", "digoxin"),
        ("methyl-prednisolone", "nothing"),
        ("atorvastatin calcium 10 MG", "calcium-supplement"),
    ],
)
def test_a_part_of_a_word_or_a_salt_is_no_drug(text: str, group: str) -> None:
    assert group not in {name for name, _ in groups(concept(text=text))}


@pytest.mark.parametrize(
    ("text", "ingredient"),
    [
        ("methyl-prednisolone 4 mg tablet", "methylprednisolone"),
        ("Methylprednisolone 4 mg tablet", "methylprednisolone"),
        ("hydro-cortisone 10 mg tablet", "hydrocortisone"),
    ],
)
def test_a_hyphen_does_not_make_two_words_of_one_name(text: str, ingredient: str) -> None:
    assert groups(concept(text=text)) == {("systemic-glucocorticoid", ingredient)}


@pytest.mark.parametrize(
    "text",
    [
        "lisinopril-hydrochlorothiazide 20-12.5 mg",
        "Lisinopril/Hydrochlorothiazide",
        "hydrochlorothiazide 12.5 MG / lisinopril 20 MG Oral Tablet",
    ],
)
def test_a_combination_counts_for_each_ingredient(text: str) -> None:
    assert groups(concept(text=text)) == {("acei", "lisinopril"), ("thiazide", "hydrochlorothiazide")}


@pytest.mark.parametrize(
    "more",
    [
        {"drug": "hydrocortisone 1% cream"},
        {"drug": "fluticasone 110 MCG Metered Dose Inhaler"},
        {"drug": "prednisolone acetate ophthalmic suspension"},
        {"drug": "budesonide nebuliser suspension"},
        {"drug": "hydrocortisone", "dosageInstruction": [{"route": {"text": "Topical"}}]},
        {"drug": "hydrocortisone", "dosageInstruction": [{"text": "Apply cream twice daily"}]},
        {"drug": "hydrocortisone", "dosageInstruction": [{"route": concept("6064005", display="Topical route")}]},
    ],
)
def test_a_steroid_that_acts_where_it_is_put_is_not_systemic(more: dict[str, Any]) -> None:
    assert not chart(request(**more)).medications


@pytest.mark.parametrize(
    "drug", ["prednisone 20 MG Oral Tablet", "prednisone", "methylprednisolone injection", "Dexamethasone 4 mg tablet"]
)
def test_a_steroid_by_mouth_or_injection_or_of_unknown_route_is_systemic(drug: str) -> None:
    assert "systemic-glucocorticoid" in chart(request(drug=drug)).medications


@pytest.mark.parametrize(
    "more",
    [
        {"drug": "prednisone 20 MG Oral Tablet", "dosageInstruction": [{"text": "20 mg daily for eye inflammation"}]},
        {"drug": "prednisone", "dosageInstruction": [{"text": "take by mouth for nasal polyps"}]},
        {"drug": "prednisone", "dosageInstruction": [{"text": "for the eye", "route": {"text": "Oral"}}]},
    ],
)
def test_an_eye_in_the_instructions_does_not_make_a_tablet_local(more: dict[str, Any]) -> None:
    assert "systemic-glucocorticoid" in chart(request(**more)).medications


MEDICATION = {"resourceType": "Medication", "id": "med1", "code": {"text": "Atorvastatin 40 mg"}}


def by_reference(reference: str, **more: Any) -> dict[str, Any]:
    return request(
        medicationCodeableConcept=None, medicationReference={"reference": reference, **more.pop("pointer", {})}, **more
    )


def test_a_medication_may_be_contained_or_referenced() -> None:
    assert one(by_reference("#med1", contained=[MEDICATION])).ingredient == "atorvastatin"
    assert one(by_reference("Medication/med1"), MEDICATION).ingredient == "atorvastatin"
    assert (
        one(by_reference("https://ehr.example/fhir/Medication/med1/_history/2"), MEDICATION).ingredient
        == "atorvastatin"
    )
    assert one(by_reference("Medication/elsewhere", pointer={"display": "Lipitor"})).ingredient == "atorvastatin"


def test_a_medication_may_be_described_by_its_ingredients_and_form() -> None:
    ingredient = {"itemCodeableConcept": concept("8640", RXNORM)}
    tablet = {"resourceType": "Medication", "id": "med1", "ingredient": [ingredient]}
    assert "systemic-glucocorticoid" in chart(by_reference("Medication/med1"), tablet).medications
    cream = {**tablet, "form": {"text": "Cream"}, "code": {"text": "prednisone"}}
    assert not chart(by_reference("Medication/med1"), cream).medications


@pytest.mark.parametrize(
    "nameless",
    [
        by_reference("Medication/absent"),
        by_reference("#absent"),
        request(medicationCodeableConcept=None),
        request(drug={"coding": [{"system": RXNORM, "code": "99999999"}]}),
        request(drug={"coding": []}),
    ],
)
def test_a_medicine_that_does_not_say_what_it_is_is_unresolved(nameless: dict[str, Any]) -> None:
    assert chart(nameless).unresolved_medications == ["MedicationRequest/m1"]


def test_a_medicine_that_is_over_need_not_be_resolved() -> None:
    assert not chart(by_reference("Medication/absent", status="completed")).unresolved_medications
    assert not chart(by_reference("Medication/absent", status="cancelled")).unresolved_medications


def test_a_drug_of_no_group_is_no_fault() -> None:
    found = chart(request(drug="paracetamol 500 mg"))
    assert not found.medications
    assert not found.unresolved_medications


@pytest.mark.parametrize(
    ("elements", "status"),
    [
        ({}, "active"),
        ({"intent": "original-order"}, "active"),
        ({"intent": "reflex-order"}, "active"),
        ({"intent": "filler-order"}, "active"),
        ({"intent": "instance-order"}, "active"),
        ({"intent": None}, "active"),
        ({"intent": "proposal"}, "proposed"),
        ({"intent": "plan"}, "proposed"),
        ({"intent": "option"}, "proposed"),
        ({"status": "draft"}, "proposed"),
        ({"status": "on-hold"}, "on-hold"),
        ({"status": "completed"}, "completed"),
        ({"status": "stopped"}, "stopped"),
        ({"status": None}, "unknown"),
        ({"status": "nonsense"}, "unknown"),
    ],
)
def test_the_status_of_an_order(elements: dict[str, Any], status: str) -> None:
    assert one(request(**elements)).status == status


@pytest.mark.parametrize("elements", [{"status": "cancelled"}, {"status": "entered-in-error"}, {"doNotPerform": True}])
def test_an_order_that_was_not_to_be_carried_out_is_none(elements: dict[str, Any]) -> None:
    assert not chart(request(**elements)).medications


@pytest.mark.parametrize(
    ("elements", "status"),
    [
        ({}, "active"),
        ({"status": "intended"}, "active"),
        ({"status": "completed"}, "completed"),
        ({"status": "not-taken"}, "not-taken"),
        ({"taken": "n"}, "not-taken"),
        ({"status": "on-hold"}, "on-hold"),
        ({"status": None}, "unknown"),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": ago(60), "end": ago(10)}}, "completed"),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": ago(60), "end": ago(-10)}}, "active"),
    ],
)
def test_the_status_of_a_statement(elements: dict[str, Any], status: str) -> None:
    assert one(statement(**elements)).status == status
    assert not chart(statement(status="entered-in-error")).medications


@pytest.mark.parametrize(("days", "status"), [(0.9, "active"), (1.1, "completed"), (-1, "completed")])
def test_an_administration_is_active_for_a_day(days: float, status: str) -> None:
    given = {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "medicationCodeableConcept": concept(text="furosemide 40 mg"),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": ago(days),
    }
    assert one(given, group="loop").status == status
    assert not chart({**given, "status": "not-done"}).medications


def bounded(**repeat: Any) -> dict[str, Any]:
    return {"dosageInstruction": [{"timing": {"repeat": repeat}}]}


@pytest.mark.parametrize(
    ("more", "status", "end"),
    [
        (bounded(boundsPeriod={"start": ago(40), "end": ago(3)}), "completed", 3),
        (bounded(boundsPeriod={"end": ago(-3)}), "active", -3),
        (bounded(boundsDuration={"value": 10, "code": "d"}), "completed", 20),
        (bounded(boundsDuration={"value": 8, "unit": "wk"}), "active", -26),
        ({"status": "stopped"}, "stopped", 30),
        ({"status": "completed"}, "completed", 30),
    ],
)
def test_an_end_in_the_past_ends_an_order_and_one_without_end_ends_on_its_last_date(
    more: dict[str, Any], status: str, end: int
) -> None:
    item = one(request(**more))
    assert (item.status, item.end) == (status, NOW - end * DAY)


def test_an_active_order_without_an_end_has_none() -> None:
    assert one(request()).end is None


def test_a_drug_is_taken_since_the_first_order_of_its_chain() -> None:
    orders = [
        request("first", authoredOn=ago(300), status="completed"),
        request("renewal", authoredOn=ago(220), status="completed"),
        request("again", authoredOn=ago(135)),
    ]
    assert {item.start for item in chart(*orders).medications["statin"]} == {NOW - 300 * DAY}


def test_a_gap_of_more_than_ninety_days_begins_a_new_chain() -> None:
    orders = [request("old", authoredOn=ago(300), status="completed"), request("new", authoredOn=ago(209))]
    assert [item.start for item in chart(*orders).medications["statin"]] == [NOW - 209 * DAY, NOW - 300 * DAY]


def test_a_gap_counts_from_the_end_of_the_earlier_order() -> None:
    until = bounded(boundsPeriod={"start": ago(300), "end": ago(100)})
    orders = [request("old", authoredOn=ago(300), **until), request("new", authoredOn=ago(30))]
    assert {item.start for item in chart(*orders).medications["statin"]} == {NOW - 300 * DAY}


def test_another_ingredient_is_another_chain() -> None:
    orders = [request("a", authoredOn=ago(90)), request("s", drug="simvastatin 20 MG Oral Tablet", authoredOn=ago(10))]
    assert [item.start for item in chart(*orders).medications["statin"]] == [NOW - 10 * DAY, NOW - 90 * DAY]


def test_statements_are_links_of_the_chain_and_cancelled_orders_and_proposals_are_not() -> None:
    found = chart(
        statement(effectiveDateTime=ago(100)),
        request("now", authoredOn=ago(20)),
        request("x", authoredOn=ago(150), status="cancelled"),
        request("p", authoredOn=ago(160), intent="proposal"),
    ).medications["statin"]
    assert {item.start for item in found if item.status == "active"} == {NOW - 100 * DAY}


def test_the_last_change_of_dose_is_a_date() -> None:
    def dose(name: str, mg: int, days: float, **more: Any) -> dict[str, Any]:
        return request(name, drug=f"atorvastatin {mg} MG Oral Tablet", authoredOn=ago(days), **more)

    orders = [dose("a", 20, 200, status="completed"), dose("b", 40, 130, status="completed"), dose("c", 40, 50)]
    found = chart(*orders).medications["statin"]
    assert {item.changed for item in found} == {NOW - 130 * DAY}
    assert {item.dose for item in found} == {20, 40}
    assert one(dose("a", 20, 10)).changed is None


def test_an_order_without_a_date_has_no_start_and_one_with_an_unreadable_date_an_unknown_one() -> None:
    item = one(request(authoredOn=None))
    assert (item.start, item.age) == (None, None)
    assert one(request(authoredOn="in May")).start is UNKNOWN


def test_a_day_or_month_of_start_is_kept_as_such() -> None:
    assert isinstance(one(request(authoredOn="2026-03")).start, Span)
    assert isinstance(one(request(authoredOn="2026-03")).age, Interval)


def test_newest_start_comes_first() -> None:
    orders = [
        request("a", authoredOn=ago(300), status="stopped"),
        request("s", drug="simvastatin 20 MG", authoredOn=ago(5)),
    ]
    assert [item.ingredient for item in chart(*orders).medications["statin"]] == ["simvastatin", "atorvastatin"]


def draft(name: str = "d1", **more: Any) -> dict[str, Any]:
    return request(name, **{"status": "draft", "authoredOn": None, **more})


def test_a_draft_of_this_request_is_a_draft_that_starts_now() -> None:
    found = chart(drafts=[draft()], selections=("MedicationRequest/d1",))
    (item,) = found.medications["statin"]
    assert (item.status, item.start, item.id) == ("draft", NOW, "MedicationRequest/d1")
    assert found.drafts == ["MedicationRequest/d1"]
    assert found.selected == {"MedicationRequest/d1"}


def test_a_draft_that_renews_continues_the_chain() -> None:
    found = chart(request(authoredOn=ago(80)), drafts=[draft()]).medications["statin"]
    assert {item.start for item in found} == {NOW - 80 * DAY}
    assert {item.changed for item in found} == {None}


def test_a_draft_with_another_dose_changes_it_now() -> None:
    double = draft(drug="atorvastatin 80 MG Oral Tablet")
    found = chart(request(authoredOn=ago(80)), drafts=[double]).medications["statin"]
    assert {item.status: item.changed for item in found} == {"active": None, "draft": NOW}


def test_a_draft_replaces_the_order_of_the_same_id() -> None:
    found = chart(request("m1"), drafts=[draft("m1")]).medications["statin"]
    assert [item.status for item in found] == ["draft"]


def test_a_medication_of_the_drafts_is_found_there() -> None:
    found = chart(drafts=[{**by_reference("Medication/med1"), "status": "draft"}, MEDICATION])
    assert [item.status for item in found.medications["statin"]] == ["draft"]


def test_orders_can_be_had_exactly_as_they_were_sent() -> None:
    found = chart(request(), drafts=[draft()])
    assert set(found.raw) == {"MedicationRequest/m1", "MedicationRequest/d1"}
    assert b'"atorvastatin 40 MG Oral Tablet"' in found.raw["MedicationRequest/m1"]
    assert "MedicationRequest/absent" not in found.raw


def test_the_equivalent_is_the_dose_times_the_factor_of_the_drug() -> None:
    daily: dict[str, Any] = {"dosageInstruction": [{"text": "20 mg daily"}]}
    assert (
        one(request(drug="hydrocortisone 20 MG Oral Tablet", **daily), group="systemic-glucocorticoid").equivalent == 5
    )
    assert one(request(drug="prednisone 20 MG Oral Tablet", **daily), group="systemic-glucocorticoid").equivalent == 20
    assert one(request()).equivalent is None


def test_a_draft_without_an_id_replaces_nothing() -> None:
    kept, draft = request("a"), request("b", status="draft", drug="furosemide 40 mg")
    del kept["id"], draft["id"]
    found = chart(kept, drafts=[draft])
    assert [one.status for one in found.medications["statin"]] == ["active"]
    assert [one.status for one in found.medications["loop"]] == ["draft"]
