"""The numbered quirks of QUIRKS.md: for each, what is read, what is refused, and why.

Where a file is about something no card asks for, nothing is read and nothing reported; the same quirk is then shown on
a result, condition or drug that a card does ask for, made from that very file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.chart.chart import Chart, read_bundle_chart
from cds_service.chart.codes import Codes
from cds_service.fhir.uncertain import DAY, UNKNOWN, Interval, Span
from data.conftest import Read
from data.files import NOW, one_file, text_of

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
HL7 = "quirks/hl7-r4-examples/"
AU = "quirks/au-core/"
DE = "quirks/mii-de/"
MS = "quirks/ms-fhir-converter/"
RECOMMENDED = f"{DE}Bundle-mii-exa-test-data-bundle-mtb-1__MedicationRequest-mii-exa-test-data-mtb-therapieempfehlung-"
POTASSIUM = {"coding": [{"system": LOINC, "code": "2823-3"}]}
WEAK = {"coding": [{"system": SNOMED, "code": "102568007"}]}
DATED = {"effectiveDateTime": "2026-11-19T10:00:00Z"}


def nothing(chart: Chart) -> bool:
    """Nothing was read, and nothing is reported as unreadable."""
    kinds = (chart.results, chart.preliminary, chart.findings, chart.medications, chart.orders, chart.procedures)
    return not any(kinds) and not chart.unreadable and not chart.unresolved_medications and not chart.foreign


def value(chart: Chart, group: str) -> Any:
    """The newest value of a group."""
    return chart.results[group][0].value


def reason(chart: Chart, group: str) -> str:
    """Why the one result of a group cannot be read."""
    (one,) = chart.unreadable_results[group]
    assert group not in chart.results
    assert one.id in [named.resource for named in chart.unreadable]
    return one.reason


# Code


def test_quirk_01_without_coding_a_whole_phrase_counts_and_a_laboratory_name_does_not(read: Read) -> None:
    for name in ("Observation-eye-color", "Observation-decimal", "Condition-example2"):
        assert nothing(read(HL7 + name))
    assert "leg-symptom.gait-heavy" in read(HL7 + "Condition-example2", code={"text": "Heavy legs"}).findings
    assert nothing(read(HL7 + "Observation-decimal", code={"text": "Potassium"}))


def test_quirk_02_a_local_or_foreign_code_means_nothing_here(read: Read) -> None:
    assert nothing(read(HL7 + "Observation-f204"))
    assert nothing(read(HL7 + "Observation-656"))


def test_quirk_03_a_loinc_code_under_another_system_is_not_loinc(read: Read) -> None:
    name = MS + "ORU-R01-RMGEAD"
    assert nothing(read(name, **DATED))
    assert value(read(name, code={"coding": [{"system": LOINC, "code": "1554-5"}]}, **DATED), "glucose") == 182


def test_quirk_04_loinc_need_not_come_first(read: Read) -> None:
    assert value(read(AU + "Observation-smokingstatus-current-smoker"), "smoking-status") == "smoking.current"
    assert value(read(HL7 + "Observation-f202", status="final"), "temperature") == 39.0


def test_quirk_05_one_of_several_loinc_codes_is_enough(read: Read) -> None:
    assert value(read(HL7 + "Observation-example"), "weight") == 83.9
    assert value(read(HL7 + "Observation-satO2"), "spo2") == 95


def test_quirk_06_a_code_without_a_system_is_not_guessed(read: Read) -> None:
    name = MS + "DFT-P03-01-expected__Observation-11c6a9f6"
    assert nothing(read(name))
    found = read(name, code={"coding": [{"code": "2823-3"}]}, valueQuantity={"value": 2.0, "unit": "mmol/L"})
    assert not found.results
    assert [one.reason for one in found.unreadable_results["potassium"]] == ["a code without its system"]


@pytest.mark.parametrize(
    "name", ["Observation-pathresult-missing-code", "Observation-observation-masked", "Condition-condition-masked"]
)
def test_quirk_07_a_masked_code_is_not_ours_to_know(read: Read, name: str) -> None:
    assert nothing(read(AU + name))


def test_quirk_08_without_any_code_there_is_nothing_to_read(read: Read) -> None:
    assert nothing(read(MS + "ADT-A01-01-expected__Condition"))
    assert nothing(read(HL7 + "Observation-f001", code=None))


def test_quirk_09_displays_may_be_missing_or_hold_invisible_characters(shared: Path, codes: Codes, read: Read) -> None:
    creatinine = one_file(shared, AU + "Observation-creatinine-clearance-1")
    assert "display" not in json.dumps(creatinine["code"])
    assert nothing(read(creatinine))
    with_spaces = [
        text
        for path in sorted((shared / "synthea/generated-sample-data_v2.4.0-100").glob("*.gz"))
        if "\u200b" in (text := text_of(path).decode())
    ]
    assert with_spaces
    charts = [read_bundle_chart(text.encode(), codes=codes, now=NOW) for text in with_spaces]
    assert any("haemoglobin" in chart.results for chart in charts)
    assert "leg-symptom.motor" in read(HL7 + "Condition-example2", code={"text": "leg\u200b weakness"}).findings


# Value and unit


@pytest.mark.parametrize(
    "name",
    [
        AU + "Observation-lipid-total-chol-1",
        DE + "Observation-mii-exa-test-data-onko",
        MS + "History_and_Physical-expected__Observation",
    ],
)
def test_quirk_10_a_number_without_unit_is_no_result(read: Read, name: str) -> None:
    assert nothing(read(name))
    assert reason(read(name, code=POTASSIUM, **DATED), "potassium") == "no unit for potassium"


def test_quirk_11_the_text_of_a_unit_counts_when_there_is_no_code(shared: Path, read: Read) -> None:
    panel = one_file(shared, HL7 + "Bundle-ghp")
    by_id = {entry["resource"]["id"]: entry["resource"] for entry in panel["entry"]}
    assert by_id["o2"]["valueQuantity"] == {"value": 4.2, "unit": "mmol/L"}
    assert value(read(by_id["o2"], **DATED), "potassium") == 4.2
    assert value(read(MS + "C-CDA_R2-1_CCD.xml-expected__Observation-eb4ec292"), "haemoglobin") == 132
    ecqm = one_file(shared, "ecqm/CMS871HHHyperFHIR__4c12355d")
    glucose = next(entry["resource"] for entry in ecqm["entry"] if "valueQuantity" in entry["resource"])
    assert set(glucose["valueQuantity"]) == {"value", "unit"}
    assert value(read(glucose, code={"coding": [{"system": LOINC, "code": "2345-7"}]}), "glucose") in (200, 201)


def test_quirk_12_the_code_of_a_unit_counts_without_its_text(read: Read) -> None:
    name = DE + "Observation-mii-exa-test-data-seltene-labobs-1"
    assert reason(read(name), "ck") == "no date"
    assert value(read(name, **DATED), "ck") == 450


def test_quirk_13_where_unit_and_code_differ_the_code_counts(read: Read) -> None:
    assert value(read(HL7 + "Observation-f001"), "glucose") == 114
    pressure = read(AU + "Observation-bloodpressure-diastolic-missing").results["blood-pressure"][0]
    assert (pressure.systolic, pressure.diastolic) == (110, None)
    name = DE + "Observation-mii-exa-test-data-patient-1-labobs-4"
    words = {"value": 12.1, "unit": "gram per deciliter", "system": "http://unitsofmeasure.org", "code": "g/dL"}
    assert value(read(name, valueQuantity=words), "haemoglobin") == 121


def test_quirk_14_a_broken_unit_is_never_guessed_and_a_known_spelling_is_no_guess(shared: Path, read: Read) -> None:
    broken = read(MS + "LAB-ORU-2-expected__Observation")
    assert reason(broken, "haemoglobin") == "unit 'g/l-1' is not known for haemoglobin"
    report = read(HL7 + "Bundle-report")
    assert (value(report, "wbc"), value(report, "platelets")) == (31.9, 84)
    assert value(read(HL7 + "Bundle-101"), "wbc") == 4.6
    potassiums = read("ecqm/CMSFHIR529HybridHospitalWideReadmission__6e20f297").results["potassium"]
    assert [result.value for result in potassiums] == [3.0, 5.0]


def test_quirk_15_a_value_that_its_unit_makes_absurd_is_refused(read: Read) -> None:
    grams = read(MS + "LRI_2.0-NG_CBC_Typ_Message-expected__Observation-e950bf40")
    assert reason(grams, "haemoglobin") == "unit 'g/mL' is not known for haemoglobin"
    high = read(DE + "Observation-mii-exa-test-data-patient-1-labobs-4")
    assert reason(high, "haemoglobin") == "450 is outside the plausible range of haemoglobin (20 to 260)"
    low = read("ecqm/CMSFHIR529HybridHospitalWideReadmission__569ebc6b").unreadable_results["sodium"]
    assert [one.reason for one in low] == ["5 is outside the plausible range of sodium (90 to 200)"]


def test_quirk_16_the_unit_decides_and_not_the_property_of_the_code(read: Read) -> None:
    for name in ("db75d7a3", "dbb82192"):
        found = read(f"ecqm/CMSFHIR529HybridHospitalWideReadmission__{name}")
        values = [result.value for result in found.results.get("creatinine", [])]
        undated = [one.reason for one in found.unreadable_results.get("creatinine", [])]
        assert values or undated
        assert all(0.5 <= one <= 5 for one in values if isinstance(one, float))
        assert set(undated) <= {"no date"}
    assert value(read("ecqm/CMSFHIR529HybridHospitalWideReadmission__d22bb876"), "glucose") == 95


def test_quirk_17_si_units_are_converted(shared: Path, read: Read) -> None:
    panel = one_file(shared, HL7 + "Bundle-ghp")
    for entry in panel["entry"]:
        if entry["resource"]["resourceType"] == "Observation":
            entry["resource"].setdefault("effectiveDateTime", "2015-08-16T06:40:17Z")
    chart = read(panel)
    expected = {"creatinine": 1.02, "glucose": 133, "total-calcium": 2.38, "haemoglobin": 176, "sodium": 140}
    for group, canonical in expected.items():
        assert value(chart, group) == canonical, group
    assert value(read(AU + "Observation-lipid-hdl-1-referenceRange-text"), "hdl") == 58


def test_quirk_18_a_unit_from_another_system_counts_by_its_text(shared: Path, read: Read) -> None:
    assert value(read(HL7 + "Observation-f203"), "hco3") == 28
    assert value(read(MS + "ADT-A06-01-expected__Observation"), "heart-rate") == 44
    creatinine = {"coding": [{"system": LOINC, "code": "14682-9"}]}
    assert value(read(HL7 + "Observation-f204", code=creatinine, **DATED), "creatinine") == 1.38
    assert nothing(read(HL7 + "Observation-656"))


def test_quirk_19_a_comparator_makes_an_interval(shared: Path, read: Read) -> None:
    panel = one_file(shared, HL7 + "Bundle-ghp")
    urine = next(entry["resource"] for entry in panel["entry"] if entry["resource"]["id"] == "u8")
    assert urine["valueQuantity"]["comparator"] == "<"
    assert nothing(read(urine))
    low = {**urine["valueQuantity"], "value": 2.5, "unit": "mmol/L"}
    found = value(read(urine, code=POTASSIUM, valueQuantity=low), "potassium")
    assert isinstance(found, Interval)
    assert found < 2.5
    assert (found < 2.4) is UNKNOWN


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (DE + "Bundle-mii-exa-test-data-bundle-pro-1__Observation", "a value without a unit for potassium"),
        (DE + "Bundle-mii-exa-test-data-bundle-mtb-1__Observation-mii-exa-test-data-mtb-hrd", None),
        (DE + "Bundle-mii-exa-test-data-bundle-mtb-1__Observation-mii-exa-test-data-mtb-insitu", None),
        (HL7 + "Observation-abdo-tender", "true or false where another kind of value was expected"),
        (MS + "VXU-V04-01-expected__Observation", None),
    ],
)
def test_quirk_20_other_kinds_of_values_are_no_quantities(read: Read, name: str, why: str | None) -> None:
    assert nothing(read(name))
    found = reason(read(name, code=POTASSIUM, **DATED), "potassium")
    assert found == why or (why is None and ("expected" in found or "unit" in found))


def test_quirk_21_a_suppressed_value_is_no_value(read: Read) -> None:
    name = AU + "Observation-pathresult-suppressed-valueQuantity"
    assert reason(read(name), "total-cholesterol") == "no value"


def test_quirk_22_no_value_is_reported_with_its_reason_and_a_cancelled_test_is_no_result(read: Read) -> None:
    assert reason(read(AU + "Observation-smokingstatus-notasked"), "smoking-status") == "no value: not-asked"
    assert reason(read(HL7 + "Observation-f205"), "egfr") == "no value"
    assert nothing(read(HL7 + "Observation-unsat"))
    name = AU + "Observation-pathresult-missing-value"
    assert nothing(read(name))
    assert reason(read(name, code=POTASSIUM), "potassium") == "no value: unknown"


def test_quirk_23_trailing_zeros_and_exponents_are_the_same_number(read: Read) -> None:
    for text in ("4.2", "4.20", "42e-1", "0.42E1"):
        sent = json.dumps({"valueQuantity": {"value": "NUMBER", "unit": "mmol/L"}}).replace('"NUMBER"', text)
        assert value(read(HL7 + "Observation-decimal", code=POTASSIUM, **json.loads(sent), **DATED), "potassium") == 4.2


# Status, time, category, range


def test_quirk_24_only_final_amended_and_corrected_results_count(read: Read) -> None:
    assert nothing(read(HL7 + "Observation-f202"))
    assert nothing(read(HL7 + "Observation-blood-pressure-cancel"))
    missing = read(MS + "C-CDA_R2-1_CCD.xml-expected__Observation-14d2ade8")
    assert reason(missing, "bun") == "no status"
    assert nothing(read(AU + "Observation-pathresult-missing-status"))
    unknown = read(
        AU + "Observation-pathresult-missing-status", code=POTASSIUM, valueQuantity={"value": 2, "unit": "mmol/L"}
    )
    assert reason(unknown, "potassium") == "status 'unknown'"
    early = read(HL7 + "Observation-vp-oyster", status="preliminary", code=POTASSIUM,
                 valueQuantity={"value": 2.1, "unit": "mmol/L"}, **DATED)  # fmt: skip
    assert "potassium" not in early.results
    assert [result.value for result in early.preliminary["potassium"]] == [2.1]


def test_quirk_25_a_date_may_be_missing_or_imprecise(shared: Path, read: Read) -> None:
    assert (
        reason(read(HL7 + "Observation-f205", issued=None, valueQuantity={"value": 50, "unit": "mL/min"}), "egfr")
        == "no date"
    )
    assert reason(read(DE + "Observation-mii-exa-test-data-seltene-labobs-1"), "ck") == "no date"
    undated = read(HL7 + "Bundle-ghp").unreadable_results
    assert {one.reason for found in undated.values() for one in found} == {"no date"}
    missing = read(
        AU + "Observation-pathresult-missing-effective", code=POTASSIUM, valueQuantity={"value": 4, "unit": "mmol/L"}
    )
    assert reason(missing, "potassium") == "no date"
    assert read(HL7 + "Bundle-101").results["haemoglobin"][0].date == 1_299_187_800_000
    assert read(HL7 + "Observation-f001").results["glucose"][0].date == 1_364_999_410_000
    assert isinstance(read(HL7 + "Observation-example").results["weight"][0].date, Span)
    for offset, hours in (("+05:30", 5.5), ("+07:00", 7), ("+01:00", 1)):
        dated = read(HL7 + "Observation-f001", effectivePeriod=None, effectiveDateTime=f"2026-11-19T10:00:00{offset}")
        assert dated.results["glucose"][0].date == NOW - DAY - hours * DAY / 24
    year = read(AU + "Condition-aci-logical-refs", code=WEAK).findings["leg-symptom.motor"][0]
    assert isinstance(year.onset, Span)
    assert year.onset.precision == "year"
    assert year.exact is False


def test_quirk_26_the_category_decides_nothing(read: Read) -> None:
    for category in (
        None,
        [{"text": "Laboratory"}],
        [{"coding": [{"system": LOINC, "code": "26436-6"}]}],
        {"text": "x"},
    ):
        assert value(read(HL7 + "Observation-f001", category=category), "glucose") == 114
    assert value(read(DE + "Observation-mii-exa-test-data-patient-1-labobs-1"), "wbc") == 17
    assert nothing(read(HL7 + "Observation-vomiting", code={"text": "Vomiting of blood"}))


def test_quirk_27_a_range_counts_when_it_is_numbers_for_this_patient(read: Read) -> None:
    def limits(chart: Chart, group: str) -> tuple[Any, Any]:
        return chart.results[group][0].low, chart.results[group][0].high

    assert limits(read(HL7 + "Observation-f001"), "glucose") == (56, 112)
    assert limits(read(HL7 + "Observation-f202", status="final"), "temperature") == (None, 38.2)
    text = read(
        MS + "LRI_2.0-NG_CBC_Typ_Message-expected__Observation-e950bf40", valueQuantity={"value": 12.5, "unit": "g/dL"}
    )
    assert limits(text, "haemoglobin") == (None, None)
    ranged = read(MS + "ORU-R01-RMGEAD", code={"coding": [{"system": LOINC, "code": "2345-7"}]}, **DATED)
    assert limits(ranged, "glucose") == (None, None)
    assert limits(read(HL7 + "Observation-f203"), "hco3") == (None, None)


def test_quirk_28_the_status_counts_and_not_the_interpretation(shared: Path, read: Read) -> None:
    cancelled = one_file(shared, HL7 + "Observation-blood-pressure-cancel")
    assert cancelled["status"] == "cancelled"
    assert '"L"' in json.dumps(cancelled.get("interpretation", cancelled.get("component")))
    assert nothing(read(cancelled))


# Blood pressure


def test_quirk_29_a_systolic_pressure_alone_counts(read: Read) -> None:
    one = read(MS + "C-CDA_R2-1_CCD.xml-expected__Observation-3acfc8ef").results["blood-pressure"][0]
    assert (one.systolic, one.diastolic) == (132, None)


@pytest.mark.parametrize(
    ("name", "systolic"),
    [
        (AU + "Observation-bloodpressure-diastolic-missing", 110),
        (AU + "Observation-bloodpressure-data-absent", 109),
        (HL7 + "Observation-blood-pressure-dar", 107),
        ("us-core/Observation-bp-data-absent", 109),
    ],
)
def test_quirk_30_one_half_of_a_panel_counts(read: Read, name: str, systolic: int) -> None:
    one = read(name).results["blood-pressure"][0]
    assert (one.systolic, one.diastolic) == (systolic, None)
    assert nothing(read("us-core/Observation-average-blood-pressure"))


# References


def test_quirk_31_a_subject_is_recognised_in_every_way_to_write_it(shared: Path, codes: Codes, read: Read) -> None:
    whole = one_file(shared, HL7 + "Bundle-bundle-references")
    for number, entry in enumerate(whole["entry"]):
        if entry["resource"]["resourceType"] == "Observation":
            entry["resource"] |= {"valueQuantity": {"value": 90 + number, "unit": "mg/dL"}, **DATED}

    def chart(patient: str) -> Chart:
        return read_bundle_chart(json.dumps(whole).encode(), codes=codes, now=NOW, patient_id=patient)

    first = chart("23")
    assert sorted(result.id for result in first.results["glucose"]) == [
        "Observation/123",
        "Observation/124",
        "Observation/48",
    ]
    assert first.foreign.count("Observation/14") == 2
    assert {"Observation/12", "Observation/47", "Patient/45"} <= set(first.foreign)
    versioned = chart("45")
    assert "Observation/47" in [result.id for result in versioned.results["glucose"]]
    by_uuid = chart("04121321-4af5-424c-a0e1-ed3aab1c349d")
    assert "Observation/12" in [result.id for result in by_uuid.results["glucose"]]
    assert value(read(HL7 + "Bundle-report"), "wbc") == 31.9
    contained = read(
        HL7 + "Observation-10minute-apgar-score", code=POTASSIUM, valueQuantity={"value": 4, "unit": "mmol/L"}
    )
    assert contained.foreign == []
    suppressed = read(
        AU + "Observation-pathresult-suppressed-subject", code=POTASSIUM, valueQuantity={"value": 4, "unit": "mmol/L"}
    )
    assert value(suppressed, "potassium") == 4.0


def test_quirk_32_conditional_references_to_others_harm_nothing(shared: Path, codes: Codes) -> None:
    for path in sorted((shared / "synthea/exafluence_2025-07").glob("*.gz"))[:5]:
        text = text_of(path)
        assert b"Practitioner?identifier=" in text
        chart = read_bundle_chart(text, codes=codes, now=NOW)
        assert chart.foreign == []
        assert chart.results


# Medication


def test_quirk_33_a_referenced_medication_is_read_or_the_drug_is_unresolved(
    shared: Path, codes: Codes, read: Read
) -> None:
    for name in ("contained-oral-axid", "referenced-oral-axid"):
        (one,) = read(f"us-core/MedicationRequest-medicationrequest-{name}").medications["h2ra"]
        assert one.ingredient == "nizatidine"
    assert read(MS + "Bundle__MedicationRequest-3123").unresolved_medications == ["MedicationRequest/3123"]
    ended = DE + "Bundle-mii-exa-test-data-bundle-bildgebung-1__MedicationRequest"
    assert nothing(read(ended))
    assert len(read(ended, status="active").unresolved_medications) == 1
    assert nothing(read(HL7 + "MedicationRequest-medrx0329"))
    referenced = 0
    for path in sorted((shared / "synthea/exafluence_2025-07").glob("*.gz")):
        text = text_of(path)
        referenced += text.count(b'"medicationReference"')
        assert read_bundle_chart(text, codes=codes, now=NOW).unresolved_medications == []
    assert referenced >= 30


def test_quirk_34_a_drug_is_known_by_its_words_or_its_atc_code(read: Read) -> None:
    (statin,) = read(AU + "MedicationRequest-atorvastatin-instance").medications["statin"]
    assert (statin.ingredient, statin.by_name, statin.dose) == ("atorvastatin", True, 20)
    assert nothing(read(AU + "MedicationRequest-fluclox"))
    name = RECOMMENDED + "1"
    assert nothing(read(name))
    german = {"coding": [{"system": "http://fhir.de/CodeSystem/bfarm/atc", "code": "C10AA05"}]}
    assert [one.ingredient for one in read(name, medicationCodeableConcept=german).medications["statin"]] == [
        "atorvastatin"
    ]


def test_quirk_35_is_no_longer_in_the_list(shared: Path) -> None:
    assert "\n35." not in (shared / "QUIRKS.md").read_text(encoding="utf-8")


def test_quirk_36_component_codes_and_misspelt_names_are_known(shared: Path, codes: Codes) -> None:
    (path,) = (shared / "synthea").glob("*/Louie*Jast*")
    text = text_of(path)
    assert b"Simvistatin" in text
    statins = read_bundle_chart(text, codes=codes, now=NOW).medications["statin"]
    assert {one.ingredient for one in statins} == {"simvastatin"}


def test_quirk_37_what_is_not_a_current_order_is_not_active(read: Read) -> None:
    statin = {"medicationCodeableConcept": {"text": "atorvastatin 20 mg"}, "medicationReference": None}
    expected = {
        HL7 + "MedicationRequest-medrx0329": "on-hold",
        f"{RECOMMENDED}1": "proposed",
        f"{RECOMMENDED}2": "proposed",
        DE + "Bundle-mii-exa-test-data-bundle-pat-1__MedicationRequest": None,
        MS + "RDE-O11-01-expected__MedicationRequest": "completed",
        MS + "MedicationStatement.json": "not-taken",
        DE + "Bundle-mii-exa-test-data-bundle-pat-1__MedicationStatement": None,
    }
    for name, status in expected.items():
        found = [one.status for one in read(name, **statin).medications.get("statin", [])]
        assert found == ([status] if status else []), name


# Condition and Patient


def test_quirk_38_a_status_may_be_missing_past_or_nonsense(read: Read) -> None:
    nonsense = MS + "History_and_Physical-expected__Condition"
    assert nothing(read(nonsense))
    assert [one.reason for one in read(nonsense, code=WEAK).unreadable] == ["a clinicalStatus that is not known"]
    missing = read(DE + "Bundle-mii-exa-test-data-bundle-patho-1__Condition", code=WEAK)
    assert missing.findings["leg-symptom.motor"][0].active
    for name in (HL7 + "Condition-f204", DE + "Bundle-mii-exa-test-data-bundle-onkologie-1__Condition"):
        found = read(name, code=WEAK).findings["leg-symptom.motor"]
        assert [one.active for one in found] == [False]


def test_quirk_39_an_object_where_a_list_belongs_is_unreadable_and_a_single_category_is_not(read: Read) -> None:
    found = read(MS + "Condition.json")
    assert not found.findings
    assert [(one.resource, one.reason, one.key) for one in found.unreadable] == [
        ("Condition/f201", "clinicalStatus.coding: expected `array | null`, got `object`", "data")
    ]
    statement = read(MS + "MedicationStatement.json", status="active", medicationReference=None,
                     medicationCodeableConcept={"text": "Lipitor"})  # fmt: skip
    assert "statin" in statement.medications


@pytest.mark.parametrize(
    "name",
    [
        "PROBLEMS_in_Empty",
        "ADT01-23-expected__Condition",
        "Bundle-mii-exa-test-data-bundle-mtb-1__Condition",
        "Bundle-mii-exa-test-data-bundle-pat-1__Condition",
    ],
)
def test_quirk_40_other_classifications_are_not_icd10cm(read: Read, name: str) -> None:
    folder = DE if name.startswith("Bundle") else MS
    assert nothing(read(folder + name))
    bare = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "G83.11"}]}
    assert "monoparesis-leg" in read(folder + name, code=bare).findings


def test_quirk_41_onset_and_abatement_in_words_or_as_an_age(read: Read) -> None:
    words = read(HL7 + "Condition-example2", code=WEAK).findings["leg-symptom.motor"][0]
    assert words.onset is None
    assert words.exact is False
    aged = read(HL7 + "Condition-f202").findings["cancer"][0]
    assert aged.onset == aged.recorded
    assert aged.exact is False
    over = read(MS + "Condition.json", clinicalStatus=None, verificationStatus=None, severity=None, code=WEAK)
    assert [one.active for one in over.findings["leg-symptom.motor"]] == [False]


def test_quirk_42_what_is_not_said_of_the_patient_is_not_known(shared: Path, codes: Codes, read: Read) -> None:
    plain = read(HL7 + "Patient-ihe-pcd")
    assert (plain.gender, plain.age_years) == (None, None)
    other = read(DE + "Bundle-mii-exa-test-data-bundle-pat-2__Patient")
    assert other.gender == "other"
    hidden = read(DE + "Bundle-mii-exa-test-data-bundle-pat-2__Patient", birthDate=None)
    assert (hidden.birth, hidden.age_years) == (None, None)
    (path,) = (shared / MS).glob("ADT-A01-01-expected__Patient*")
    marked = read_bundle_chart(b"\xef\xbb\xbf" + text_of(path).removeprefix(b"\xef\xbb\xbf"), codes=codes, now=NOW)
    assert marked.gender == "male"


# Seen in vendor sandboxes: made by hand


def observation(code: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": code,
        "subject": {"reference": "Patient/p1"},
        **DATED,
        **elements,
    }


def coded(code: str, text: str | None = None) -> dict[str, Any]:
    concept: dict[str, Any] = {"coding": [{"system": LOINC, "code": code}]}
    return concept if text is None else {**concept, "text": text}


def test_quirk_43_epic(read: Read) -> None:
    local = {"system": "urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.1", "code": "1234"}
    code = {"coding": [local, {"system": LOINC, "code": "4548-4"}]}
    unitless = observation(code, valueQuantity={"value": 5.1})
    assert reason(read(unitless), "hba1c") == "no unit for HbA1c"
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}
    percent = observation(code, valueQuantity={"value": 5.1, "unit": "%"}, referenceRange=[{"text": "<=200"}], id="o2")
    found = read({"resourceType": "Bundle", "entry": [{"resource": percent}, {"resource": outcome}]})
    assert value(found, "hba1c") == 5.1
    assert found.results["hba1c"][0].high is None
    assert found.skipped == {"OperationOutcome": 1}
    assert not found.unreadable


def test_quirk_44_oracle(read: Read) -> None:
    grams = observation(coded("2823-3", "Potassium Level"), valueQuantity={"value": 0.7, "unit": "g/dL"})
    assert reason(read(grams), "potassium") == "unit 'g/dL' is not known for potassium"
    for unit in ("mcmol/L", "umol/L"):
        moles = observation(coded("718-7", "Hgb"), valueQuantity={"value": 32, "unit": unit})
        assert reason(read(moles), "haemoglobin") == f"unit '{unit}' is not known for haemoglobin"
    again = [
        {"resource": observation(coded("2823-3"), id=name, valueQuantity={"value": 4.1, "unit": "mmol/L"})}
        for name in ("a", "b", "b")
    ]
    assert len(read({"resourceType": "Bundle", "entry": again}).results["potassium"]) == 1
    imo = {"coding": [{"system": "http://imo.example/terms", "code": "47"}, WEAK["coding"][0]]}
    condition = {"resourceType": "Condition", "id": "c1", "code": imo, "subject": {"reference": "Patient/p1"}}
    (found,) = read(condition).findings["leg-symptom.motor"]
    assert found.active


def test_quirk_45_meditech(read: Read) -> None:
    assert nothing(read(observation({"text": "Creatinine"}, valueQuantity={"value": 1.1})))
    assert (
        reason(read(observation(coded("77142-8"), valueString="4.0")), "potassium")
        == "a value without a unit for potassium"
    )
    grams = observation(coded("718-7"), valueQuantity={"value": 13.4, "unit": "gm/L"})
    assert reason(read(grams), "haemoglobin").endswith("is outside the plausible range of haemoglobin (20 to 260)")
    assert value(read({**grams, "valueQuantity": {"value": 134, "unit": "gm/L"}}), "haemoglobin") == 134
    error = observation(
        coded("2823-3"),
        status="entered-in-error",
        dataAbsentReason={
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "error"}]
        },
    )
    assert nothing(read(error))
