"""Which Observation is a result, and what is read of it."""

from __future__ import annotations

from typing import Any

import pytest
from charts import (
    LOINC,
    NOW,
    UCUM,
    ago,
    chart,
    concept,
    hours,
    observation,
    project_codes,
    quantity,
)

from cds_service.chart.chart import Chart
from cds_service.chart.items import Result
from cds_service.fhir.uncertain import DAY, HOUR, UNKNOWN, Interval, Span


def potassium(*resources: Any) -> Result:
    """The newest potassium."""
    return chart(*resources).results["potassium"][0]


def reasons(found: Chart, group: str = "potassium") -> list[str]:
    """Why results of a group cannot be read; each must be named in the chart's list too."""
    unreadable = found.unreadable_results.get(group, [])
    named = [one.resource for one in found.unreadable]
    assert all(one.id in named for one in unreadable)
    return [one.reason for one in unreadable]


def test_a_result_has_value_date_age_and_reference() -> None:
    result = potassium(observation(value=4.2, days=3))
    assert (result.id, result.group, result.value, result.exact) == ("Observation/k1", "potassium", 4.2, 4.2)
    assert (result.date, result.age, result.status) == (NOW - 3 * DAY, 3 * DAY, "final")
    assert not result.preliminary


@pytest.mark.parametrize("code", ["2823-3", "6298-4", "77142-8", "39789-3"])
def test_serum_and_whole_blood_are_the_same_result(code: str) -> None:
    assert potassium(observation(code=code, value=4.2)).value == 4.2


def test_our_code_need_not_be_the_first() -> None:
    local = [{"system": "urn:oid:1.2.3", "code": "K"}, {"code": "2823-3"}, {"system": LOINC, "code": "2823-3"}]
    assert potassium(observation(code={"coding": local}, value=4.2)).value == 4.2


@pytest.mark.parametrize(
    "code",
    [
        {"coding": [{"system": "http://example.com/lab", "code": "2823-3"}]},
        {"coding": [{"system": LOINC, "code": "2823-4"}]},
        {"text": "Potassium"},
        {},
    ],
)
def test_a_code_counts_only_in_its_own_system(code: dict[str, Any]) -> None:
    found = chart(observation(code=code, value=4.2))
    assert not found.results
    assert not found.unreadable


@pytest.mark.parametrize("system", [{}, {"system": ""}])
def test_our_code_without_its_system_is_unreadable_not_absent(system: dict[str, str]) -> None:
    found = chart(observation(code={"coding": [{"code": " 2823-3", **system}]}, value=4.2))
    assert not found.results
    assert [item.reason for item in found.unreadable] == ["a code without its system"]
    assert list(found.unreadable_results) == ["potassium"]


def test_a_code_without_its_system_is_heard_beside_one_with() -> None:
    coding = [{"code": "2823-3"}, {"system": LOINC, "code": "2823-3"}]
    found = chart(observation(code={"coding": coding}, value=4.2))
    assert len(found.results["potassium"]) == 1
    assert not found.unreadable


@pytest.mark.parametrize("code", [" 2823-3", "2823-3 ", "\t2823-3\n"])
def test_blanks_around_a_code_do_not_hide_its_result(code: str) -> None:
    assert potassium(observation(code=concept(code, LOINC), value=4.2)).value == 4.2


def test_a_code_system_may_be_written_carelessly() -> None:
    for system in (
        " http://loinc.org ",
        "https://loinc.org",
        "http://loinc.org/",
        "http://loinc.org|2.77",
        "urn:oid:2.16.840.1.113883.6.1",
    ):
        assert potassium(observation(code=concept("2823-3", system), value=4.2)).value == 4.2


@pytest.mark.parametrize("status", ["final", "amended", "corrected"])
def test_final_amended_and_corrected_results_count(status: str) -> None:
    assert potassium(observation(value=4.2, status=status)).status == status


@pytest.mark.parametrize("status", ["registered", "cancelled", "entered-in-error"])
def test_a_status_without_result_leaves_nothing_to_report(status: str) -> None:
    found = chart(observation(value=4.2, status=status))
    assert not found.results
    assert not found.unreadable


@pytest.mark.parametrize(
    ("status", "reason"), [(None, "no status"), ("unknown", "status 'unknown'"), ("ok", "status 'ok'")]
)
def test_a_missing_or_unknown_status_is_unreadable(status: str | None, reason: str) -> None:
    assert reasons(chart(observation(value=2.0, status=status))) == [reason]


def test_preliminary_results_stand_apart() -> None:
    found = chart(observation(value=4.2, days=5), observation("k2", value=2.1, status="preliminary"))
    assert [result.value for result in found.results["potassium"]] == [4.2]
    (early,) = found.preliminary["potassium"]
    assert (early.value, early.preliminary) == (2.1, True)
    assert [result.value for result in found.with_preliminary("potassium")] == [2.1, 4.2]


def test_a_preliminary_result_leads_only_when_it_is_a_day_newer_than_the_final_one() -> None:
    found = chart(observation(value=4.2, days=1.5), observation("k2", value=2.1, days=1, status="preliminary"))
    assert [result.value for result in found.with_preliminary("potassium")] == [4.2]


def test_an_unreadable_preliminary_result_does_not_make_the_final_one_doubtful() -> None:
    found = chart(observation(value=quantity(4.2, "furlong"), status="preliminary"))
    assert not found.unreadable_results
    assert [one.resource for one in found.unreadable] == ["Observation/k1"]


@pytest.mark.parametrize(
    ("dates", "days"),
    [
        ({"effectiveDateTime": ago(2), "issued": ago(1)}, 2),
        ({"effectiveInstant": ago(2), "issued": ago(1)}, 2),
        ({"effectivePeriod": {"start": ago(3), "end": ago(2)}, "issued": ago(1)}, 2),
        ({"effectivePeriod": {"start": ago(3)}, "issued": ago(1)}, 1),
        ({"effectivePeriod": {"start": ago(3)}}, 3),
        ({"issued": ago(1)}, 1),
    ],
)
def test_the_date_is_that_of_the_sample_else_of_the_end_of_its_period_else_of_issue(
    dates: dict[str, Any], days: int
) -> None:
    assert potassium(observation(value=4.2, effectiveDateTime=None) | dates).date == NOW - days * DAY


def test_a_result_without_date_takes_that_of_the_report_that_names_it() -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": ago(4),
        "result": [{"reference": "Observation/k1"}],
    }
    assert potassium(report, observation(value=4.2, effectiveDateTime=None)).date == NOW - 4 * DAY


def test_a_result_without_any_date_is_unreadable() -> None:
    assert reasons(chart(observation(value=4.2, effectiveDateTime=None))) == ["no date"]


def test_a_date_that_cannot_be_read_is_not_replaced_by_another() -> None:
    (reason,) = reasons(chart(observation(value=4.2, effectiveDateTime="31.05.2026", issued=ago(1))))
    assert reason.startswith("a date that cannot be read: expected ")


def test_a_plain_date_has_an_age_in_whole_calendar_days() -> None:
    result = potassium(observation(value=4.2, effectiveDateTime="2026-06-08"))
    assert isinstance(result.date, Span)
    assert result.age == 7 * DAY
    assert potassium(observation(value=4.2, effectiveDateTime="2026-06-15")).age == 0


def test_a_month_has_an_uncertain_age() -> None:
    age = potassium(observation(value=4.2, effectiveDateTime="2026-05")).age
    assert isinstance(age, Interval)
    assert (age.lo, age.hi) == (15 * DAY, 45 * DAY)


@pytest.mark.parametrize("date", [ago(-hours(1.01)), ago(-3), "2026-06-17", "2027"])
def test_a_result_from_the_future_is_named_and_not_used(date: str) -> None:
    found = chart(observation(value=2.0, effectiveDateTime=date))
    assert not found.results
    assert not found.unreadable_results
    ((resource, reason),) = [(one.resource, one.reason) for one in found.unreadable]
    assert resource == "Observation/k1"
    assert reason.startswith("dated in the future")


@pytest.mark.parametrize("date", [ago(-hours(0.9)), ago(-hours(1)), "2026-06-15", "2026-06-16", "2026-06", "2026"])
def test_an_hour_ahead_or_a_day_that_has_begun_somewhere_is_not_the_future(date: str) -> None:
    result = potassium(observation(value=4.2, effectiveDateTime=date))
    lowest = result.age.lo if isinstance(result.age, Interval) else result.age
    assert isinstance(lowest, (int, float))
    assert lowest >= -HOUR


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"valueString": "4.0"}, "a value without a unit for potassium"),
        ({"valueInteger": 4}, "a value without a unit for potassium"),
        ({"valueQuantity": {"value": 4.0}}, "no unit for potassium"),
        ({"valueQuantity": {"value": 4.0, "unit": ""}}, "no unit for potassium"),
        ({"valueQuantity": quantity(4.0, "furlong")}, "unit 'furlong' is not known for potassium"),
        ({"valueQuantity": {"value": 4.0, "unit": "furlong"}}, "unit 'furlong' is not known for potassium"),
        ({"valueQuantity": {"value": 4.0, "unit": "mmol/L", "system": UCUM, "code": "furlong"}},
         "unit 'furlong' is not known for potassium"),
        ({"valueQuantity": {"unit": "mmol/L", "extension": []}}, "no value"),
        ({"valueQuantity": quantity(40, "mmol/L")}, "40 is outside the plausible range of potassium (1 to 12)"),
        ({"valueQuantity": quantity(-4, "mmol/L")}, "-4 is outside the plausible range of potassium (1 to 12)"),
        ({"valueQuantity": quantity(1e300, "mmol/L")}, "not a number that potassium can have"),
        ({"valueQuantity": quantity(4.0, "mmol/L", "~")}, "a comparator that is not known"),
        ({"valueCodeableConcept": {"text": "high"}}, "a coded value where another kind of value was expected"),
        ({"valueRatio": {}}, "a ratio where another kind of value was expected"),
        ({"valueRange": {}}, "a range where another kind of value was expected"),
        ({"valueBoolean": True}, "true or false where another kind of value was expected"),
        ({}, "no value"),
        ({"dataAbsentReason": concept("error", "http://terminology.hl7.org/CodeSystem/data-absent-reason")},
         "no value: error"),
        ({"dataAbsentReason": {"text": "sample lost"}}, "no value: a reason in words"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_unreadable_with_its_reason(value: dict[str, Any], reason: str) -> None:
    found = chart(observation() | value)
    assert reasons(found) == [reason]
    assert not found.results
    assert [one.key for one in found.unreadable] == [None]


def test_an_unreadable_result_keeps_its_date_and_what_the_laboratory_flagged() -> None:
    flag = [concept("LL", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")]
    found = chart(observation(value=quantity(2, "furlong"), interpretation=flag))
    (one,) = found.unreadable_results["potassium"]
    assert (one.date, one.flag) == (NOW - DAY, "LL")


def test_not_a_number_in_words_is_no_number() -> None:
    for value in ("nan", "inf", "-inf"):
        found = chart(observation(value={"value": value, "unit": "mmol/L"}))
        assert reasons(found) == ["not a number that potassium can have"]


@pytest.mark.parametrize(
    ("comparator", "below_three", "text"),
    [("<", True, "<2.5"), ("<=", True, "<=2.5"), (">", UNKNOWN, ">2.5"), (">=", UNKNOWN, ">=2.5")],
)
def test_a_comparator_makes_an_interval(comparator: str, below_three: Any, text: str) -> None:
    value = potassium(observation(value=quantity(2.5, "mmol/L", comparator))).value
    assert isinstance(value, Interval)
    assert repr(value) == text
    assert (value < 3.0) is below_three


def test_a_resource_that_does_not_decode_harms_only_its_own_group() -> None:
    found = chart({**observation(value=4.2), "status": 7}, observation("na", code="2951-2", value=140))
    assert reasons(found) == ["status: expected `str | null`, got `int`"]
    assert [one.key for one in found.unreadable] == [None]
    assert "sodium" in found.results


def test_a_resource_whose_code_cannot_be_read_may_harm_all_of_its_key() -> None:
    found = chart({**observation(value=4.2), "code": 7})
    assert [(one.resource, one.key) for one in found.unreadable] == [("Observation/k1", "data")]


def test_the_same_resource_under_two_keys_counts_once() -> None:
    found = chart(observation(value=4.2), observation(value=4.2))
    assert len(found.results["potassium"]) == 1


def test_the_same_value_of_the_same_moment_counts_once() -> None:
    found = chart(observation("k1", value=4.2), observation("k2", value=4.2), observation("k3", value=4.3))
    assert sorted(result.value for result in found.results["potassium"]) == [4.2, 4.3]  # type: ignore[type-var]


def test_a_coded_answer_has_the_name_of_its_answer() -> None:
    smoker = observation("s1", code="72166-2", valueCodeableConcept=concept("449868002"))
    assert chart(smoker).results["smoking-status"][0].value == "smoking.current"
    unknown = observation("s1", code="72166-2", valueCodeableConcept=concept("000"))
    assert reasons(chart(unknown), "smoking-status") == ["an answer that is not known for smoking status"]


def test_a_result_may_be_a_date() -> None:
    due = observation("e1", code="11778-8", valueDateTime="2026-09-01")
    assert isinstance(chart(due).results["edd"][0].value, Span)
    assert reasons(chart(observation("e1", code="11778-8", valueDateTime="soon")), "edd") == [
        "a value that is not a date"
    ]
    assert reasons(chart(observation("e1", code="11778-8")), "edd") == ["no value"]


def test_results_older_than_any_card_asks_for_are_not_read() -> None:
    codes = project_codes().with_horizon({"potassium": 30 * DAY})
    inside, outside = observation("new", value=4.2, days=30), observation("old", value=4.0, days=40)
    found = chart(inside, outside, {**outside, "id": "odd", "valueQuantity": {"value": 1}}, codes=codes)
    assert [result.id for result in found.results["potassium"]] == ["Observation/new"]
    assert not found.unreadable
    assert len(chart(observation(value=4, effectiveDateTime="2026"), codes=codes).results["potassium"]) == 1


@pytest.mark.parametrize(
    ("text", "answer"),
    [("2+", "ketones.moderate"), (" Moderate ", "ketones.moderate"), ("NEGATIVE", "ketones.negative"),
     ("+", "ketones.small"), ("4+", "ketones.large"), ("trace", "ketones.trace")],
)  # fmt: skip
def test_an_answer_may_be_a_whole_text(text: str, answer: str) -> None:
    found = chart(observation(code="2514-8", valueString=text))
    assert [one.value for one in found.results["ketones-urine-strip"]] == [answer]


def test_another_text_is_no_answer() -> None:
    found = chart(observation(code="2514-8", valueString="see report"))
    assert reasons(found, "ketones-urine-strip") == ["an answer that is not known for urine ketone strip"]


@pytest.mark.parametrize(("days", "weeks"), [(97, 13.9), (98, 14.0), (195, 27.9), (196, 28.0)])
def test_a_gestational_age_in_days_is_no_week_too_long(days: int, weeks: float) -> None:
    found = chart(observation(code="49051-6", value=quantity(days, "d")))
    assert found.results["gestational-age"][0].value == weeks
