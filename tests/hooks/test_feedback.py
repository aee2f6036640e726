"""Feedback: what clients may send, and what is refused as a whole."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from small import with_changes

from cds_service.hooks.errors import ISSUES, BadRequest, operation_outcome
from cds_service.hooks.feedback import ENTRIES, SUGGESTIONS, SUGGESTIONS_OF_AN_ENTRY, FeedbackEntry, read_feedback

CARD = "0b9a3d5c-52f4-4f4e-8f0e-3f6a1d2c7b01"
ACCEPTED = {
    "card": CARD,
    "outcome": "accepted",
    "acceptedSuggestions": [{"id": "s-1"}, {"id": "s-2"}],
    "outcomeTimestamp": "2026-11-20T09:24:51.567Z",
}
OVERRIDDEN = {
    "card": CARD,
    "outcome": "overridden",
    "overrideReason": {"reason": {"system": "urn:reasons", "code": "noted"}, "userComment": "Discussed by phone."},
    "outcomeTimestamp": "2026-11-20T09:25:10Z",
}
AT = 1_795_166_691_567


def read(*entries: Any) -> list[FeedbackEntry]:
    return read_feedback(json.dumps({"feedback": entries}).encode())


def refused(*entries: Any) -> list[str | None]:
    with pytest.raises(BadRequest) as error:
        read(*entries)
    return [issue.field for issue in error.value.issues]


def test_FB_03_FB_04_FB_05_FB_06_FB_07_entries_are_read() -> None:
    assert read(ACCEPTED, OVERRIDDEN) == [
        FeedbackEntry(card=CARD, outcome="accepted", at=AT, suggestions=("s-1", "s-2")),
        FeedbackEntry(
            card=CARD,
            outcome="overridden",
            at=1_795_166_710_000,
            reason="noted",
            reason_system="urn:reasons",
            comment="Discussed by phone.",
        ),
    ]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"feedback":{}}', b'{"feedback":null}', b'{"feedback":"x"}', b'{"feedback":[5]}', b"{"],
)
def test_FB_02_the_body_is_an_object_with_an_array(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_feedback(body)


def test_FB_02_nothing_to_report_and_extensions_are_accepted() -> None:
    assert read_feedback(b'{"feedback":[],"extension":{"org.example.batch":"12"}}') == []


def test_FB_03_a_card_is_any_text_known_or_not() -> None:
    assert read(ACCEPTED | {"card": "not-a-uuid"})[0].card == "not-a-uuid"
    for card in (..., None, "", "  ", 5, "x" * 201):
        assert refused(with_changes(ACCEPTED, {"card": card})) == ["feedback[0].card"]


@pytest.mark.parametrize("outcome", ["Accepted", "ignored", ..., 1, None])
def test_FB_04_the_outcome_is_one_of_two(outcome: object) -> None:
    assert refused(with_changes(ACCEPTED, {"outcome": outcome})) == ["feedback[0].outcome"]


def test_FB_05_accepting_names_the_suggestions() -> None:
    for nothing in (..., None, ()):
        assert refused(with_changes(ACCEPTED, {"acceptedSuggestions": nothing})) == ["feedback[0].acceptedSuggestions"]
    assert refused(ACCEPTED | {"acceptedSuggestions": [{}]}) == ["feedback[0].acceptedSuggestions[0].id"]
    assert refused(ACCEPTED | {"acceptedSuggestions": ["s-1"]}) == ["feedback[0].acceptedSuggestions[0]"]


def test_FB_06_an_override_needs_no_reason_but_not_an_empty_one() -> None:
    assert read(with_changes(OVERRIDDEN, {"overrideReason": ...}))[0].reason is None
    for empty in ({}, {"note": "x"}, {"userComment": " "}):
        assert refused(OVERRIDDEN | {"overrideReason": empty}) == ["feedback[0].overrideReason"]
    assert read(OVERRIDDEN | {"overrideReason": {"userComment": "x"}})[0].comment == "x"


def test_FB_07_a_reason_is_a_coding_that_may_lack_display_and_system() -> None:
    assert read(OVERRIDDEN | {"overrideReason": {"reason": {"code": "noted"}}})[0].reason == "noted"
    assert refused(OVERRIDDEN | {"overrideReason": {"reason": {"system": "urn:x"}}}) == [
        "feedback[0].overrideReason.reason.code"
    ]
    assert refused(OVERRIDDEN | {"overrideReason": {"reason": "noted"}}) == ["feedback[0].overrideReason.reason"]


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-20T09:24:51.567Z",
        "2026-11-20t09:24:51.567z",
        "2026-11-20T10:24:51.567+01:00",
        "2026-11-20T04:54:51.5670000-04:30",
    ],
)
def test_FB_08_instants_are_normalised_to_utc(time: str) -> None:
    assert read(ACCEPTED | {"outcomeTimestamp": time})[0].at == AT


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-20T09:24:51",
        "2026-11-20",
        "2026-11-20 09:24:51Z",
        "20261120T092451Z",
        "2026-02-30T09:24:51Z",
        "",
        5,
        ...,
    ],
)
def test_FB_08_local_and_other_times_are_refused(time: object) -> None:
    assert refused(with_changes(ACCEPTED, {"outcomeTimestamp": time})) == ["feedback[0].outcomeTimestamp"]


def test_FB_09_a_batch_of_500_is_read_and_the_same_card_may_come_again() -> None:
    assert len(read(*[ACCEPTED] * 500)) == 500


def test_FB_09_a_batch_is_as_long_as_we_say_and_no_longer() -> None:
    assert len(read(*[ACCEPTED] * ENTRIES)) == ENTRIES
    longest = ACCEPTED | {"acceptedSuggestions": [{"id": "s"}] * SUGGESTIONS_OF_AN_ENTRY}
    assert len(read(longest)[0].suggestions) == SUGGESTIONS_OF_AN_ENTRY
    assert len(read(*[longest] * (SUGGESTIONS // SUGGESTIONS_OF_AN_ENTRY))) == SUGGESTIONS // SUGGESTIONS_OF_AN_ENTRY


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (
            [{"card": "c"}] * 300_000,
            "feedback: expected an array of entries, at most 5,000, found an array of 300,000.",
        ),
        ([0] * 1_000_000, "feedback: expected an array of entries, at most 5,000, found an array of 1,000,000."),
        (
            [ACCEPTED | {"acceptedSuggestions": [{"id": 5}] * 500_000}],
            "feedback[0].acceptedSuggestions: expected an array of at least one suggestion, at most 100, "
            "found an array of 500,000.",
        ),
        (
            [ACCEPTED | {"acceptedSuggestions": [0] * 100}] * 5000,
            "feedback: expected an array whose entries have at most 10,000 suggestions together, "
            "found an array of 5,000.",
        ),
    ],
    ids=["entries", "numbers", "suggestions of one", "suggestions of all"],
)
def test_a_batch_that_is_too_long_is_refused_before_its_entries_are_read(entries: list[Any], says: str) -> None:
    body = json.dumps({"feedback": entries}).encode()
    started = time.process_time()
    with pytest.raises(BadRequest) as error:
        read_feedback(body)
    assert time.process_time() - started < 5
    assert [issue.text for issue in error.value.issues] == [says]


def test_FB_12_of_many_wrong_entries_some_are_named_and_the_rest_counted() -> None:
    with pytest.raises(BadRequest) as error:
        read(*[{"card": 5}] * 1000)
    issues = error.value.issues
    assert len(issues) == ISSUES + 1
    assert issues[0].field == "feedback[0].card"
    assert issues[-1].text == "And 2,980 more."
    assert len(str(error.value)) < 1100
    assert len(operation_outcome(error.value, "id")) < 10_000


def test_FB_12_one_wrong_entry_refuses_all_and_is_named_by_its_index() -> None:
    assert refused(ACCEPTED, with_changes(ACCEPTED, {"card": ...}), OVERRIDDEN) == ["feedback[1].card"]


def test_FB_13_the_plural_of_one_vendor_is_understood() -> None:
    own = {"extension": {"com.epic.cdshooks.feedback.overrideReason.id": "12"}, "userComment": "Not now"}
    for reasons in (own, [own]):
        entry = with_changes(OVERRIDDEN, {"overrideReason": ..., "overrideReasons": reasons})
        assert read(entry)[0].comment == "Not now"
    only = with_changes(OVERRIDDEN, {"overrideReason": ..., "overrideReasons": {"extension": {"com.epic": "1"}}})
    assert read(only)[0].reason is None


def test_FB_15_a_comment_is_not_repeated_in_a_refusal() -> None:
    with pytest.raises(BadRequest) as error:
        read(OVERRIDDEN | {"outcome": "secret", "overrideReason": {"userComment": "Jane Doe " * 2000}})
    assert "Jane" not in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"card": "\0"},
        {"overrideReason": {"userComment": "by\0phone"}},
        {"overrideReason": {"reason": {"code": "a\0"}}},
        {"overrideReason": {"reason": {"code": "a", "system": "urn:\0"}}},
        {"outcome": "accepted", "acceptedSuggestions": [{"id": "s\0"}]},
    ],
)
def test_a_character_that_no_database_keeps_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as error:
        read(OVERRIDDEN | changes)
    (issue,) = error.value.issues
    assert issue.text == f"{issue.field}: expected text without NUL characters, found another string."


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"card":', '"card": "x", "card":', "feedback[0]: expected each key once, found card twice."),
        ('"code":', '"code": "x", "code":', "feedback[0].overrideReason.reason: expected each key once, found code"),
        ('"outcome":', '"Jane": 1, "Jane": 2, "outcome":', "feedback[0]: expected each key once, found another"),
    ],
)
def test_JSON_08_a_key_twice_in_an_entry_is_refused(before: str, after: str, says: str) -> None:
    text = json.dumps({"feedback": [OVERRIDDEN]}).replace(before, after, 1)
    with pytest.raises(BadRequest) as error:
        read_feedback(text.encode())
    assert str(error.value).startswith(says)
