"""References."""

from __future__ import annotations

import pytest

from cds_service.fhir.references import Target, base_of, parse_reference, relative, server_of


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Patient/23", Target(None, "Patient", "23")),
        ("Patient/23/_history/2", Target(None, "Patient", "23")),
        ("https://ehr.example/fhir/Patient/23", Target("https://ehr.example/fhir", "Patient", "23")),
        ("http://ehr.example/fhir/Patient/23/_history/2", Target("http://ehr.example/fhir", "Patient", "23")),
        ("urn:uuid:04121321-4af5-424c-a0e1-ed3aab1c349d", None),
        ("#p1", None),
        ("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999", None),
        ("Patient/", None),
        ("23", None),
        ("", None),
        ("Patient/23/extra", None),
        ("Patient/a b", None),
    ],
)
def test_a_literal_reference_has_a_target(text: str, target: Target | None) -> None:
    assert parse_reference(text) == target


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Observation/k1", "Observation/k1"),
        ("https://ehr.example/fhir/Observation/k1/_history/3", "Observation/k1"),
        ("urn:uuid:04121321", "urn:uuid:04121321"),
        ("#k1", "#k1"),
    ],
)
def test_a_name_has_neither_server_nor_version(text: str, name: str) -> None:
    assert relative(text) == name


def test_the_server_of_an_entry_is_in_its_full_url() -> None:
    assert base_of("https://ehr.example/fhir/Observation/k1") == "https://ehr.example/fhir"
    assert base_of("urn:uuid:04121321") is None
    assert base_of("https://ehr.example/") is None
    assert base_of(None) is None


@pytest.mark.parametrize(
    "other",
    [
        "http://ehr.example/fhir",
        "https://EHR.example/fhir/",
        "https://ehr.example:443/fhir",
        "http://ehr.example:80/fhir",
    ],
)
def test_a_server_is_its_host_port_and_path(other: str) -> None:
    assert server_of(other) == server_of("https://ehr.example/fhir")


@pytest.mark.parametrize(
    "other",
    [
        "https://ehr.example/fhir/tenant",
        "https://ehr.example",
        "https://ehr.example:8443/fhir",
        "https://ehr2.example/fhir",
    ],
)
def test_another_host_port_or_path_is_another_server(other: str) -> None:
    assert server_of(other) != server_of("https://ehr.example/fhir")
