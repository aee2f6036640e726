"""Everything in the shared data reads without an exception, and what is left out is named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.chart.chart import Chart, build_chart, read_bundle_chart
from cds_service.chart.codes import Codes
from cds_service.fhir.resources import READ
from data.files import NOW, text_of

NAMES = {kind.__name__ for kind in READ}


def whole(shared: Path, codes: Codes, pattern: str) -> Iterator[tuple[dict[str, int], Chart]]:
    """How many resources of each type a file of a pattern holds, and its chart."""
    paths = sorted(shared.glob(pattern))
    assert paths
    for path in paths:
        text = text_of(path)
        content = json.loads(text.decode("utf-8-sig"))
        resources = [entry.get("resource", {}) for entry in content.get("entry", [{"resource": content}])]
        yield Counter(one.get("resourceType", "") for one in resources), read_bundle_chart(text, codes=codes, now=NOW)


def test_all_75_synthea_patients_are_read(shared: Path, codes: Codes) -> None:
    seen, results = 0, Counter[str]()
    for sent, chart in whole(shared, codes, "synthea/*/*.json.gz"):
        seen += 1
        assert chart.gender in ("male", "female")
        assert isinstance(chart.age_years, int)
        assert chart.foreign == []
        assert chart.unresolved_medications == []
        assert chart.skipped == {kind: count for kind, count in sent.items() if kind not in NAMES}
        assert [one.reason for one in chart.unreadable if not _is_known(one.reason)] == []
        results.update({group: len(found) for group, found in chart.results.items()})
        for group, found in chart.results.items():
            assert [result.group for result in found] == [group] * len(found)
    assert seen == 75
    for group in (
        "potassium",
        "sodium",
        "total-calcium",
        "glucose",
        "creatinine",
        "haemoglobin",
        "blood-pressure",
        "ldl",
    ):
        assert results[group] > 30


@pytest.mark.parametrize("pattern", ["ecqm/*.json", "us-core/*.json", "ips/**/*.json", "quirks/**/*.json"])
def test_every_file_is_read(shared: Path, codes: Codes, pattern: str) -> None:
    for _, chart in whole(shared, codes, pattern):
        assert all(one.resource and one.reason for one in chart.unreadable)


@pytest.mark.parametrize(("folder", "patients"), [("bulk-100", 100), ("bulk-570", 574)])
def test_the_bulk_sets_are_read_patient_by_patient(shared: Path, codes: Codes, folder: str, patients: int) -> None:
    by_patient: dict[str, dict[str, list[bytes]]] = {}
    for path in sorted((shared / folder).glob("*.ndjson.gz")):
        for line in text_of(path).splitlines():
            one = json.loads(line)
            subject = one["id"] if one["resourceType"] == "Patient" else _subject(one)
            by_patient.setdefault(subject, {}).setdefault(path.stem, []).append(line)
    shared_ones = by_patient.pop("", {})
    assert len(by_patient) == patients
    found = Counter[str]()
    for name, files in by_patient.items():
        prefetch = {key: _bundle(lines) for key, lines in {**files, **shared_ones}.items()}
        chart = build_chart(
            codes=codes, now=NOW, patient_id=name, prefetch=prefetch, not_supplied={}, hook="patient-view"
        )
        assert chart.foreign == []
        assert chart.unresolved_medications == []
        assert [one.reason for one in chart.unreadable if not _is_known(one.reason)] == []
        found.update(
            results=sum(map(len, chart.results.values())),
            medications=sum(map(len, chart.medications.values())),
            findings=sum(map(len, chart.findings.values())),
        )
    assert found["results"] > 10 * patients
    assert found["medications"] > patients
    assert found["findings"] > patients / 2


def _is_known(reason: str) -> bool:
    """What of Synthea cannot be read: smoking as a number, pressure without unit, HbA1c lower than anybody has."""
    return reason in (
        "a quantity where another kind of value was expected",
        "no unit for blood pressure",
    ) or reason.endswith("is outside the plausible range of HbA1c (3 to 22)")


def _subject(resource: dict[str, dict[str, str]]) -> str:
    subject = resource.get("subject") or resource.get("patient") or {}
    return subject.get("reference", "").removeprefix("Patient/")


def _bundle(lines: list[bytes]) -> bytes:
    return b'{"resourceType":"Bundle","entry":[' + b",".join(b'{"resource":' + line + b"}" for line in lines) + b"]}"
