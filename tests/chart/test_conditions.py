"""Symptoms, signs and diagnoses."""

from __future__ import annotations

from typing import Any

import pytest
from charts import ICD10CM, NOW, SNOMED, ago, chart, concept, condition, observation

from cds_service.chart.items import Finding
from cds_service.fhir.uncertain import DAY, UNKNOWN, Span

CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
WEAKNESS = "leg-symptom.motor"


def finding(*resources: Any, group: str = WEAKNESS, **more: Any) -> Finding:
    (one,) = chart(*resources, **more).findings[group]
    return one


def groups(code: dict[str, Any], **more: Any) -> set[str]:
    return set(chart(condition(code=code, **more)).findings)


def test_a_condition_has_group_name_onset_age_and_reference() -> None:
    one = finding(condition(recordedDate=ago(1)))
    assert (one.id, one.group, one.name) == ("Condition/c1", WEAKNESS, "leg weakness")
    assert (one.onset, one.recorded, one.age) == (NOW - 2 * DAY, NOW - DAY, 2 * DAY)
    assert one.active
    assert one.exact is True
    assert not one.reason_now


def test_a_condition_is_a_diagnosis_too_and_an_observation_is_not() -> None:
    assert WEAKNESS in chart(condition()).conditions
    sign = observation("s1", code=concept("102568007"), valueBoolean=True)
    assert WEAKNESS in chart(sign).findings
    assert WEAKNESS not in chart(sign).conditions


@pytest.mark.parametrize("status", ["active", "recurrence", "relapse", None])
def test_active_recurrent_and_unstated_conditions_are_active(status: str | None) -> None:
    assert finding(condition(clinicalStatus=concept(status, CLINICAL) if status else None)).active


@pytest.mark.parametrize("status", ["inactive", "remission", "resolved"])
def test_past_conditions_are_known_but_not_active(status: str) -> None:
    assert not finding(condition(clinicalStatus=concept(status, CLINICAL))).active


def test_a_status_that_makes_no_sense_is_unreadable() -> None:
    found = chart(condition(clinicalStatus=concept("81323004", display="Alive and well")))
    assert not found.findings
    assert [(one.resource, one.reason) for one in found.unreadable] == [
        ("Condition/c1", "a clinicalStatus that is not known")
    ]


def test_a_status_in_words_alone_is_as_good_as_none() -> None:
    assert finding(condition(clinicalStatus={"text": "ongoing"})).active


@pytest.mark.parametrize("status", ["refuted", "entered-in-error"])
def test_refuted_conditions_never_were(status: str) -> None:
    assert not chart(condition(verificationStatus=concept(status, VERIFICATION))).findings


@pytest.mark.parametrize("status", ["confirmed", "provisional", "differential", "unconfirmed"])
def test_unconfirmed_conditions_count(status: str) -> None:
    assert finding(condition(verificationStatus=concept(status, VERIFICATION))).active


@pytest.mark.parametrize(
    ("abatement", "active"),
    [
        ({"abatementDateTime": ago(1)}, False),
        ({"abatementDateTime": ago(0)}, False),
        ({"abatementDateTime": "2026-06-14"}, False),
        ({"abatementDateTime": "2026-06-15"}, True),
        ({"abatementDateTime": ago(-5)}, True),
        ({"abatementPeriod": {"start": ago(9), "end": ago(3)}}, False),
        ({"abatementPeriod": {"start": ago(9)}}, True),
        ({"abatementString": "around April 9, 2013"}, False),
        ({"abatementAge": {"value": 61, "unit": "a"}}, False),
        ({"abatementRange": {}}, False),
        ({"abatementAge": None}, True),
    ],
)
def test_a_condition_is_over_once_it_has_abated(abatement: dict[str, Any], active: bool) -> None:
    assert finding({**condition(), **abatement}).active is active


@pytest.mark.parametrize(
    ("dates", "days", "exact"),
    [
        ({"onsetDateTime": ago(2), "recordedDate": ago(1)}, 2, True),
        ({"onsetDateTime": None, "onsetPeriod": {"start": ago(3), "end": ago(1)}}, 3, True),
        ({"onsetDateTime": None, "recordedDate": ago(4)}, 4, False),
        ({"onsetDateTime": None, "encounter": {"reference": "Encounter/e1"}}, 7, False),
        ({"onsetDateTime": None, "encounter": {"reference": "https://ehr.example/Encounter/e1"}}, 7, False),
        ({"onsetDateTime": None, "onsetString": "last week", "recordedDate": ago(4)}, 4, False),
        ({"onsetDateTime": None, "onsetAge": {"value": 60, "unit": "a"}, "recordedDate": ago(4)}, 4, False),
    ],
)
def test_onset_is_the_date_of_onset_else_of_recording_else_of_the_encounter(
    dates: dict[str, Any], days: int, exact: bool
) -> None:
    visit = {"resourceType": "Encounter", "id": "e1", "status": "finished", "period": {"start": ago(7)}}
    one = finding(condition(**dates), visit)
    assert (one.onset, one.exact) == (NOW - days * DAY, exact)


def test_a_month_or_year_of_onset_is_kept_as_such() -> None:
    one = finding(condition(onsetDateTime="2020", recordedDate=ago(3)))
    assert isinstance(one.onset, Span)
    assert one.onset.precision == "year"
    assert one.exact is False
    assert one.recorded == NOW - 3 * DAY


def test_without_any_date_the_onset_is_null_and_with_an_unreadable_one_unknown() -> None:
    assert finding(condition(onsetDateTime=None)).onset is None
    assert finding(condition(onsetDateTime="last Tuesday")).onset is UNKNOWN


def test_a_condition_of_the_future_is_named_and_not_used() -> None:
    found = chart(condition(onsetDateTime=ago(-3)))
    assert not found.findings
    assert [one.reason for one in found.unreadable] == ["dated in the future"]


def test_a_longer_icd_code_is_the_same_diagnosis() -> None:
    assert "diabetes" in groups(concept("E11.9", ICD10CM))
    assert "diabetes" in groups(concept("E1142", ICD10CM))
    assert "diabetes" in groups(concept("e11.42", ICD10CM))
    assert not groups(concept("E1", ICD10CM))


def test_icd_codes_may_be_excluded_from_a_group() -> None:
    assert "anaemia" in groups(concept("D64.9", ICD10CM))
    assert "anaemia" not in groups(concept("D64.81", ICD10CM))


def test_later_visits_for_an_injury_are_no_new_injury() -> None:
    assert "injury.fall" in groups(concept("W19.XXXA", ICD10CM))
    assert "injury.fall" not in groups(concept("W19.XXXD", ICD10CM))
    assert "injury.fall" not in groups(concept("W19.XXXS", ICD10CM))


@pytest.mark.parametrize(
    "system",
    [
        "http://hl7.org/fhir/sid/icd-9-cm",
        "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
        "urn:oid:2.16.840.1.113883.6.103",
    ],
)
def test_codes_of_other_classifications_mean_nothing_here(system: str) -> None:
    assert not groups(concept("E11.9", system))


def test_snomed_codes_match_exactly_in_any_edition() -> None:
    assert groups(concept("102568007", f"{SNOMED}/731000124108/version/20240301")) == {WEAKNESS}
    assert not groups(concept("10256800", SNOMED))


def test_our_code_without_its_system_is_named_as_unreadable() -> None:
    found = chart(condition(code={"coding": [{"code": "102568007"}]}))
    assert not found.findings
    assert [(one.resource, one.reason) for one in found.unreadable] == [("Condition/c1", "a code without its system")]


def test_blanks_around_code_and_system_do_not_hide_a_condition() -> None:
    assert groups(concept(" 102568007 ", f" {SNOMED} ")) == {WEAKNESS}
    assert finding(condition(clinicalStatus=concept(" active ", f"{CLINICAL}/"))).active


def test_any_coding_may_be_the_one_we_know() -> None:
    code = {"coding": [{"system": "urn:oid:1.2.3", "code": "IMO-1"}, {"system": SNOMED, "code": "102568007"}]}
    assert groups(code) == {WEAKNESS}


@pytest.mark.parametrize(
    "text", ["leg weakness", "Leg Weakness", " Leg weakness (finding)", "leg\u200b weakness", "LEG  WEAKNESS"]
)
def test_a_whole_phrase_in_text_or_display_is_a_symptom(text: str) -> None:
    assert groups({"text": text}) == {WEAKNESS}
    assert groups(concept("IMO-1", "urn:oid:1.2.3", display=text)) == {WEAKNESS}


@pytest.mark.parametrize("text", ["no leg weakness", "leg weakness denied", "worried about leg weakness", "weakness"])
def test_a_phrase_inside_a_text_is_none(text: str) -> None:
    assert not groups({"text": text})


def test_unlocalised_weakness_is_of_the_leg_by_its_site_or_by_phrase() -> None:
    general = concept("M62.81", ICD10CM)
    assert groups(general) == {"weakness-unlocalised.weakness"}
    assert groups(general, bodySite=[concept("61685007")]) == {WEAKNESS}
    assert groups(general, bodySite=[{"text": "Left leg"}]) == {WEAKNESS}
    assert groups(general, bodySite=[{"text": "left arm"}]) == {"weakness-unlocalised.weakness"}
    assert groups({**general, "text": "Weakness of legs"}) == {WEAKNESS}


def test_numbness_of_another_site_does_not_count() -> None:
    numb = concept("44077006")
    assert groups(numb) == {"numbness-paresthesia"}
    assert groups(numb, bodySite=[concept("56459004")]) == {"numbness-paresthesia"}
    assert not groups(numb, bodySite=[{"text": "left hand"}])
    assert groups(numb, bodySite=[concept("7771000")]) == {"numbness-paresthesia"}, "a side alone is no place"


@pytest.mark.parametrize(
    ("more", "side"),
    [
        ({}, None),
        ({"bodySite": [concept("7771000")]}, "left"),
        ({"bodySite": [{"text": "Right leg"}]}, "right"),
        ({"bodySite": [concept("7771000"), concept("24028007")]}, "both"),
        ({"bodySite": [concept("51440002")]}, "both"),
        ({"code": {"text": "left leg weakness"}}, "left"),
        ({"code": {"text": "bilateral leg weakness"}}, "both"),
    ],
)
def test_the_side_comes_from_code_phrase_or_site_and_is_never_guessed(more: dict[str, Any], side: str | None) -> None:
    assert finding(condition(**more)).side == side


@pytest.mark.parametrize(
    ("severity", "named"),
    [
        (concept("24484000"), "severe"),
        ({"text": "Severe"}, "severe"),
        (concept("255604002"), "mild"),
        ({"text": "bad"}, None),
        (None, None),
    ],
)
def test_severity_is_severe_moderate_or_mild(severity: Any, named: str | None) -> None:
    assert finding(condition(severity=severity)).severity == named


def sign(**value: Any) -> dict[str, Any]:
    return observation("s1", code=concept("102568007"), **value)


@pytest.mark.parametrize(
    "value",
    [
        {"valueBoolean": True},
        {"valueCodeableConcept": concept("52101004")},
        {"valueCodeableConcept": concept("LA33-6", "http://loinc.org")},
        {"valueCodeableConcept": {"text": "Present"}},
        {"valueString": "positive"},
    ],
)
def test_an_observation_that_says_present_is_a_finding(value: dict[str, Any]) -> None:
    one = finding(sign(**value))
    assert (one.id, one.onset, one.exact, one.active) == ("Observation/s1", NOW - DAY, True, True)


@pytest.mark.parametrize(
    "value",
    [
        {"valueBoolean": False},
        {"valueCodeableConcept": concept("2667000")},
        {"valueString": "negative"},
        {"valueString": "not present"},
        {"value": 3},
        {"dataAbsentReason": {"text": "not asked"}},
    ],
)
def test_an_observation_that_says_anything_else_is_none(value: dict[str, Any]) -> None:
    found = chart(sign(**value))
    assert not found.findings
    assert not found.unreadable


def test_an_observation_that_says_nothing_is_unreadable() -> None:
    found = chart(sign())
    assert not found.findings
    assert [one.reason for one in found.unreadable] == ["no value that says whether it is present"]


@pytest.mark.parametrize("status", ["preliminary", "cancelled", "entered-in-error", "registered"])
def test_only_final_observations_are_findings(status: str) -> None:
    assert not chart(sign(valueBoolean=True, status=status)).findings


def test_an_observation_named_by_a_phrase_is_a_finding() -> None:
    text = observation("s1", code={"text": "Heavy legs"}, valueBoolean=True)
    again = observation("s2", code={"text": "Heavy legs"}, valueBoolean=True)
    assert len(chart(text, again).findings["leg-symptom.gait-heavy"]) == 2


VISIT = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "in-progress",
    "subject": {"reference": "Patient/p1"},
    "period": {"start": ago(0.1)},
}


def test_the_reason_of_the_current_encounter_is_a_finding_now() -> None:
    one = finding({**VISIT, "reasonCode": [{"text": "Leg weakness"}]}, encounter_id="e1")
    assert (one.id, one.reason_now, one.exact) == ("Encounter/e1", True, False)
    assert one.onset == NOW - DAY // 10


def test_the_reason_of_another_encounter_is_none() -> None:
    visit = {**VISIT, "reasonCode": [{"text": "Leg weakness"}]}
    assert not chart(visit).findings
    assert not chart(visit, encounter_id="e2").findings


def test_an_old_problem_is_the_reason_when_the_encounter_names_it() -> None:
    old = condition(onsetDateTime=ago(400), recordedDate=ago(400))
    assert not finding(old, VISIT, encounter_id="e1").reason_now
    by_reference = {**VISIT, "reasonReference": [{"reference": "https://ehr.example/fhir/Condition/c1"}]}
    assert finding(old, by_reference, encounter_id="e1").reason_now
    by_code = {**VISIT, "reasonCode": [concept("102568007")]}
    found = chart(old, by_code, encounter_id="e1").findings[WEAKNESS]
    assert [(one.id, one.reason_now) for one in found] == [("Encounter/e1", True), ("Condition/c1", True)]


def test_a_resolved_problem_is_no_reason() -> None:
    over = condition(clinicalStatus=concept("resolved", CLINICAL))
    by_reference = {**VISIT, "reasonReference": [{"reference": "Condition/c1"}]}
    assert not finding(over, by_reference, encounter_id="e1").reason_now


def test_the_reason_of_a_draft_order_is_a_finding_now() -> None:
    draft = {
        "resourceType": "ServiceRequest",
        "id": "d1",
        "status": "draft",
        "subject": {"reference": "Patient/p1"},
        "reasonCode": [concept("102568007")],
    }
    one = finding(drafts=[draft])
    assert (one.id, one.reason_now, one.onset) == ("ServiceRequest/d1", True, NOW)
    assert not chart(draft).findings


def test_the_same_condition_under_two_keys_counts_once() -> None:
    assert len(chart(condition(), condition()).findings[WEAKNESS]) == 1


def test_an_item_keeps_the_group_of_its_own_code() -> None:
    assert groups(concept("63491006")) == {"claudication"}
