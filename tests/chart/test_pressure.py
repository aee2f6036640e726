"""Blood pressure, and results of one day."""

from __future__ import annotations

from typing import Any

from charts import LOINC, chart, concept, hours, observation, quantity

from cds_service.chart.items import Result
from cds_service.fhir.uncertain import UNKNOWN


def component(code: str, value: float | None, unit: str = "mm[Hg]") -> dict[str, Any]:
    found: dict[str, Any] = {"code": concept(code, LOINC)}
    return found if value is None else found | {"valueQuantity": quantity(value, unit)}


def panel(
    systolic: float | None, diastolic: float | None, name: str = "bp", days: float = 1, **more: Any
) -> dict[str, Any]:
    components = [component("8480-6", systolic), component("8462-4", diastolic)]
    return observation(name, code="85354-9", days=days, component=components, **more)


def half(code: str, value: float, name: str, days: float = 1) -> dict[str, Any]:
    return observation(name, code=code, value=quantity(value, "mm[Hg]"), days=days)


def pressures(*resources: Any) -> list[Result]:
    return chart(*resources).results["blood-pressure"]


def test_a_panel_has_two_halves() -> None:
    (one,) = pressures(panel(150, 90))
    assert (one.systolic, one.diastolic, one.value) == (150, 90, None)


def test_a_component_is_known_however_its_system_is_written() -> None:
    careless = [
        {"code": concept(code, "https://loinc.org/"), "valueQuantity": quantity(value, "mm[Hg]")}
        for code, value in (("8480-6", 150), ("8462-4", 90))
    ]
    (one,) = pressures(observation("bp", code="85354-9", component=careless))
    assert (one.systolic, one.diastolic) == (150, 90)


def test_a_half_that_is_missing_is_null() -> None:
    absent = {"code": concept("8462-4", LOINC), "dataAbsentReason": {"text": "not measured"}}
    (one,) = pressures(observation("bp", code="85354-9", component=[component("8480-6", 150), absent]))
    assert (one.systolic, one.diastolic) == (150, None)


def test_a_half_that_cannot_be_read_is_unknown() -> None:
    components = [component("8480-6", 150), component("8462-4", 90, "furlong")]
    found = chart(observation("bp", code="85354-9", component=components))
    (one,) = found.results["blood-pressure"]
    assert one.systolic == 150
    assert one.diastolic is UNKNOWN
    assert [each.reason for each in found.unreadable] == ["unit 'furlong' is not known for blood pressure"]


def test_each_half_has_its_own_plausible_range() -> None:
    found = chart(panel(30, 10)).unreadable_results["blood-pressure"]
    assert [one.reason for one in found] == ["10 is outside the plausible range of blood pressure (20 to 220)"]


def test_halves_of_one_moment_are_one_pressure() -> None:
    (one,) = pressures(half("8480-6", 150, "s"), half("8462-4", 90, "d"))
    assert (one.systolic, one.diastolic) == (150, 90)


def test_a_half_alone_counts() -> None:
    (one,) = pressures(half("8480-6", 150, "s"))
    assert (one.systolic, one.diastolic) == (150, None)


def test_a_panel_without_components_is_unreadable_unless_its_halves_came_alone() -> None:
    empty = observation("bp", code="85354-9")
    assert [one.reason for one in chart(empty).unreadable_results["blood-pressure"]] == [
        "neither a systolic nor a diastolic value"
    ]
    found = chart(empty, half("8480-6", 150, "s"), half("8462-4", 90, "d"))
    assert len(found.results["blood-pressure"]) == 1
    assert not found.unreadable_results
    assert not found.unreadable


def test_several_pressures_of_one_day_are_their_mean() -> None:
    found = pressures(panel(150, 90, "a"), panel(141, 80, "b", days=1 + hours(2)), panel(130, 70, "c", days=9))
    assert [(one.systolic, one.diastolic, one.id) for one in found] == [
        (146, 85, "Observation/a"),
        (130, 70, "Observation/c"),
    ]


def test_a_day_is_one_whether_its_time_is_known_or_not() -> None:
    found = pressures(panel(150, 90, "a"), panel(130, 80, "b", effectiveDateTime="2026-06-14"))
    assert [(one.systolic, one.diastolic) for one in found] == [(140, 85)]


def test_the_lower_of_two_ankle_pressures_of_one_day_counts() -> None:
    left = observation("left", code="77194-9", value=quantity(0.95, "1"))
    right = observation("right", code="77194-9", value=quantity(0.62, "{ratio}"), days=1 + hours(1))
    earlier = observation("earlier", code="77194-9", value=quantity(0.50, "1"), days=400)
    assert [one.value for one in chart(left, right, earlier).results["abi"]] == [0.62, 0.50]
