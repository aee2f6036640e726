"""The prefetch state table: what was sent for each key, and what that means (CDS Hooks 2.0.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small import PREFETCH, a_bundle, a_request, a_service, with_changes

from cds_service.hooks.errors import BadRequest, DataMissing
from cds_service.hooks.prefetch import Prefetch, require_prefetch
from cds_service.hooks.request import read_request

REQUIRED, OPTIONAL = "conditions", "vital_signs"
OBSERVATION = {"resourceType": "Observation", "id": "o1", "status": "final"}


def an_outcome(severity: str) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "processing"}]}


def an_outcome_entry(severity: str) -> dict[str, Any]:
    return {"resource": an_outcome(severity), "search": {"mode": "outcome"}}


def read(**sent: Any) -> Prefetch:
    """The prefetch of a request, with some keys replaced, or left out where the value is `...`; what is required is
    there.
    """
    base = a_request()
    base["prefetch"].update({key: None for key, value in sent.items() if value is ... and key not in base["prefetch"]})
    changes = {f"prefetch.{key}": value for key, value in sent.items()}
    prefetch = read_request(json.dumps(with_changes(base, changes)).encode(), a_service()).prefetch
    require_prefetch(prefetch, a_service())
    return prefetch


def missing(**sent: Any) -> tuple[str, ...]:
    with pytest.raises(DataMissing) as error:
        read(**sent)
    return error.value.keys


@pytest.mark.parametrize(
    "data",
    [
        None,
        a_bundle(),
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "searchset", "entry": []},
        {"resourceType": "Bundle", "entry": None},
        a_bundle(OBSERVATION),
        {"resourceType": "Bundle", "total": 0, "entry": [an_outcome_entry("warning")]},
        {"resourceType": "Bundle", "total": 0, "entry": [an_outcome_entry("information")]},
        {"resourceType": "Bundle", "total": 0, "entry": [{"resource": an_outcome("information")}]},
        {"resourceType": "Bundle", "entry": [{"resource": OBSERVATION}, an_outcome_entry("warning")]},
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Unheard"}}, {"fullUrl": "urn:uuid:1"}]},
    ],
)
@pytest.mark.parametrize("key", [REQUIRED, OPTIONAL])
def test_PRE_06_data_nothing_and_a_harmless_outcome_are_answers(key: str, data: object) -> None:
    prefetch = read(**{key: data})
    assert [json.loads(bytes(sent.raw)) for sent in prefetch.supplied[key]] == [data]
    assert (key in prefetch.failed, key in prefetch.absent, prefetch.partial) == (False, False, ())


@pytest.mark.parametrize(
    "data",
    [
        an_outcome("error"),
        an_outcome("fatal"),
        an_outcome("warning"),
        {"resourceType": "Bundle", "total": 0, "entry": [an_outcome_entry("error")]},
        {"resourceType": "Bundle", "total": 0, "entry": [an_outcome_entry("warning"), an_outcome_entry("fatal")]},
        {"resourceType": "Bundle", "total": 0, "entry": [{"resource": an_outcome("fatal")}]},
    ],
)
def test_PRE_05_an_outcome_that_tells_of_failure_makes_the_key_failed(data: object) -> None:
    prefetch = read(**{OPTIONAL: data})
    assert prefetch.failed == (OPTIONAL,)
    assert OPTIONAL not in prefetch.supplied
    assert missing(**{REQUIRED: data}) == (REQUIRED,)


def test_PRE_03_PRE_10_a_missing_required_key_is_412_that_names_it() -> None:
    with pytest.raises(DataMissing) as error:
        read(conditions=..., electrolytes=an_outcome("error"))
    assert (error.value.status, error.value.keys) == (412, ("conditions", "electrolytes"))
    assert [issue.field for issue in error.value.issues] == ["prefetch.conditions", "prefetch.electrolytes"]
    assert "pat-1" not in str(error.value)


@pytest.mark.parametrize("prefetch", [..., None, {}])
def test_PRE_02_no_prefetch_at_all_lacks_every_required_key(prefetch: object) -> None:
    request = with_changes(a_request(), {"prefetch": prefetch})
    read = read_request(json.dumps(request).encode(), a_service())
    with pytest.raises(DataMissing) as error:
        require_prefetch(read.prefetch, a_service())
    assert error.value.keys == ("patient", "conditions", "electrolytes")


def test_PRE_02_PRE_04_an_optional_key_may_be_absent() -> None:
    prefetch = read()
    assert prefetch.absent == (OPTIONAL,)
    assert set(prefetch.supplied) == set(PREFETCH) - {OPTIONAL}


@pytest.mark.parametrize(
    "more",
    [
        a_bundle(OBSERVATION, link=[{"relation": "self", "url": "x"}, {"relation": "next", "url": "https://x?page=2"}]),
        {"resourceType": "Bundle", "entry": [{"resource": OBSERVATION}, an_outcome_entry("error")]},
    ],
)
def test_PRE_07_a_first_page_is_used_and_noted(more: dict[str, Any]) -> None:
    prefetch = read(**{REQUIRED: more, OPTIONAL: more})
    assert prefetch.partial == (REQUIRED, OPTIONAL)
    assert {REQUIRED, OPTIONAL} <= set(prefetch.supplied)


def test_PRE_07_other_links_mean_nothing() -> None:
    assert read(conditions=a_bundle(link=[{"relation": "self", "url": "x"}, {"url": "y"}])).partial == ()


@pytest.mark.parametrize(
    "data", ["text", 5, True, [], [OBSERVATION], {}, {"id": "1"}, OBSERVATION | {"resourceType": 5}]
)
@pytest.mark.parametrize("key", ["patient", REQUIRED, OPTIONAL])
def test_PRE_anything_else_is_malformed(key: str, data: object) -> None:
    with pytest.raises(BadRequest) as error:
        read(**{key: data})
    assert [issue.field for issue in error.value.issues] == [f"prefetch.{key}"]


@pytest.mark.parametrize(
    "data",
    [
        {"resourceType": "Patient", "id": "1"},
        {"resourceType": "Bundle", "entry": {}},
        {"resourceType": "Bundle", "entry": [5]},
        {"resourceType": "Bundle", "link": "next"},
    ],
)
def test_PRE_a_search_is_answered_with_a_bundle(data: object) -> None:
    with pytest.raises(BadRequest, match=r"prefetch.vital_signs: expected"):
        read(vital_signs=data)


def test_PRE_a_read_is_answered_with_the_resource_or_a_bundle_of_it() -> None:
    assert "patient" in read(patient=a_bundle({"resourceType": "Patient", "id": "pat-1"})).supplied
    with pytest.raises(BadRequest, match="expected a Patient, found Observation"):
        read(patient=OBSERVATION)


def test_PRE_09_the_wrapper_of_drafts_before_1_0_is_refused_with_a_word_on_what_is_expected() -> None:
    wrapped = {"response": {"status": "200 OK"}, "resource": a_bundle()}
    with pytest.raises(BadRequest, match=r"expected a Bundle, found the \{response, resource\} wrapper"):
        read(conditions=wrapped)


def test_REQ_17_keys_of_others_are_ignored() -> None:
    prefetch = read(theirs="of any kind")
    assert "theirs" not in {*prefetch.supplied, *prefetch.failed, *prefetch.absent, *prefetch.partial}


def test_PRE_the_names_of_unknown_types_are_not_repeated() -> None:
    for name in ("Jane Doe, born 1.1.1970", "JaneDoe", "OBS"):
        with pytest.raises(BadRequest, match="expected a Bundle, found another resource type") as error:
            read(vital_signs={"resourceType": name})
        assert name not in str(error.value)
    with pytest.raises(BadRequest, match="found Observation"):
        read(vital_signs=OBSERVATION)
