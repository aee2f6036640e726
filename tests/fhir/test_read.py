"""From bytes to resources."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from cds_service.fhir.read import Reading, nothing_read, read, read_contained, resources_of
from cds_service.fhir.resources import Condition, Medication, Observation, Patient

GOOD = {"resourceType": "Observation", "id": "k1", "status": "final", "code": {"text": "potassium"}}


def reading(content: Any) -> Reading:
    into = nothing_read()
    read(content if isinstance(content, bytes) else json.dumps(content).encode(), "electrolytes", into)
    return into


def bundle(*resources: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]}


def test_a_single_resource_is_read() -> None:
    found = reading({"resourceType": "Patient", "id": "p1", "gender": "female"})
    assert [entry.resource.id for entry in found.entries[Patient] if entry.resource] == ["p1"]
    assert not found.failures


def test_the_type_may_stand_anywhere_in_the_object() -> None:
    found = reading(b'{"id":"k1","status":"final","entry":[],"resourceType":"Observation"}')
    assert len(found.entries[Observation]) == 1


def test_the_resources_of_a_bundle_are_read_one_by_one() -> None:
    found = reading(bundle(GOOD, {**GOOD, "id": "k2"}, {"resourceType": "Condition", "id": "c1"}))
    assert len(found.entries[Observation]) == 2
    assert len(found.entries[Condition]) == 1


def test_a_bundle_in_a_bundle_is_read_too() -> None:
    assert len(reading(bundle(bundle(GOOD), bundle(bundle(GOOD)))).entries[Observation]) == 2


def test_entries_without_a_resource_are_no_fault() -> None:
    found = reading({"resourceType": "Bundle", "entry": [{"fullUrl": "x"}, {"resource": None}, {}]})
    assert not found.failures
    assert reading({"resourceType": "Bundle"}).failures == []
    assert reading({"resourceType": "Bundle", "entry": None}).failures == []
    assert reading(b"null").failures == []


@pytest.mark.parametrize("kind", ["OperationOutcome", "Claim", "ImagingSelection", "Kangaroo"])
def test_types_that_are_not_read_are_skipped_and_counted(kind: str) -> None:
    found = reading(bundle({"resourceType": kind, "id": "x"}, GOOD, {"resourceType": kind}))
    assert found.skipped == {kind: 2}
    assert len(found.entries[Observation]) == 1
    assert not found.failures


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"status": 7}, "status: expected `str | null`, got `int`"),
        ({"code": {"coding": {"code": "2823-3"}}}, "code.coding: expected `array | null`, got `object`"),
        ({"valueQuantity": {"value": "many"}}, "valueQuantity.value: expected `float | null`, got `str`"),
        ({"component": "none"}, "component: expected `array | null`, got `str`"),
    ],
)
def test_an_unreadable_resource_costs_only_itself_and_is_named(bad: dict[str, Any], reason: str) -> None:
    found = reading(bundle(GOOD, {"resourceType": "Observation", "id": "bad", **bad}, {**GOOD, "id": "k2"}))
    assert len(found.entries[Observation]) == 2
    ((failure, key),) = found.failures
    assert (failure.resource, failure.reason, key) == ("Observation/bad", reason, "electrolytes")


def test_an_object_where_a_list_was_expected_is_a_clear_reason() -> None:
    found = reading({"resourceType": "Condition", "id": "c1", "clinicalStatus": {"coding": {"code": "active"}}})
    assert found.failures[0][0].reason == "clinicalStatus.coding: expected `array | null`, got `object`"


def test_a_resource_without_type_is_named_by_its_place() -> None:
    ((failure, _),) = reading(bundle(GOOD, {"id": "x"})).failures
    assert failure.resource == "electrolytes entry 1"
    assert "resourceType" in failure.reason


def test_the_code_of_an_unreadable_resource_is_kept_when_it_can_be_read() -> None:
    code = {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]}
    found = reading({"resourceType": "Observation", "id": "k1", "code": code, "status": []})
    failure = found.failures[0][0]
    assert failure.code is not None
    assert failure.code.coding is not None
    assert failure.code.coding[0].code == "2823-3"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "expected `object`"),
        (b'"text"', "expected `object`"),
        (b'{"resourceType":"Observation","valueQuantity":{"value":NaN}}', "malformed"),
        (b'{"resourceType":"Observation","valueQuantity":{"value":1e999}}', "out of range"),
        (b'{"resourceType":"Observation","valueQuantity":{"value":' + b"9" * 400 + b"}}", "out of range"),
        (b'{"resourceType":"Observation","status":"\xff\xfe"}', "not UTF-8"),
        (b'{"resourceType":"Observation","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"resourceType":"Bundle","entry":' + b'[{"resource":{"entry":' * 20_000, "nested too deeply"),
    ],
)
def test_what_is_no_resource_at_all_is_named_and_never_raises(text: bytes, reason: str) -> None:
    ((failure, key),) = reading(text).failures
    assert reason in failure.reason
    assert key == "electrolytes"


def test_a_number_written_as_text_is_a_number() -> None:
    found = reading({**GOOD, "valueQuantity": {"value": "4.2", "unit": "mmol/L"}})
    observation = found.entries[Observation][0].resource
    assert isinstance(observation, Observation)
    assert observation.valueQuantity is not None
    assert observation.valueQuantity.value == 4.2


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert len(reading(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()).entries[Observation]) == 1


def test_explicit_nulls_are_as_good_as_nothing() -> None:
    found = reading({**GOOD, "component": None, "subject": None, "code": {"coding": None}, "note": None})
    assert not found.failures


def test_a_key_may_stand_twice_and_the_last_one_counts() -> None:
    found = reading(b'{"resourceType":"Observation","id":"a","id":"b"}')
    resource = found.entries[Observation][0].resource
    assert resource is not None
    assert resource.id == "b"


def test_contained_resources_are_found_by_their_fragment() -> None:
    contained = Raw(
        json.dumps([{"resourceType": "Kangaroo", "id": "x"}, {"resourceType": "Medication", "id": "m"}]).encode()
    )
    assert isinstance(read_contained(contained, "m"), Medication)
    assert read_contained(contained, "x") is None
    assert read_contained(contained, "absent") is None
    assert read_contained(Raw(b"7"), "m") is None


def test_resources_are_given_back_exactly_as_they_were_sent() -> None:
    text = b'{ "resourceType" : "MedicationRequest", "id":"m1", "x": 1.00 }'
    whole = b'{"resourceType":"Bundle","entry":[{"resource":' + text + b'},{"fullUrl":"y"}]}'
    assert dict(resources_of(whole)) == {"MedicationRequest/m1": text}
    assert dict(resources_of(text)) == {"MedicationRequest/m1": text}
    assert dict(resources_of(b"{")) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Observation.__struct_fields__, "resourceType"]), json_values, max_size=6))
def test_any_json_in_a_resource_is_read_skipped_or_named(content: dict[str, Any]) -> None:
    found = reading(bundle({"resourceType": "Observation", **content}, GOOD))
    assert len(found.entries[Observation]) + len(found.failures) + sum(found.skipped.values()) == 2


@given(st.binary(max_size=60))
def test_any_bytes_at_all_never_raise(text: bytes) -> None:
    reading(text)
    dict(resources_of(text))
