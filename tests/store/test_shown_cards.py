"""The cards that were shown, and what a clinician's answer to them does to the next ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from databases import ADDRESS, NOW, OVERRIDDEN, SERVICE, OnDatabase, changed, give, rows, sent, sqlite_url
from flask.testing import FlaskClient
from patients import CRITICAL, NOW_MS, STROKE
from patients import request as patient_request

from cds_service.fhir.dates import written
from cds_service.fhir.uncertain import DAY
from cds_service.folders import data_folder
from cds_service.history import Showing
from cds_service.hooks.call import Answer, answer
from cds_service.hooks.feedback import FeedbackEntry
from cds_service.hooks.request import Request
from cds_service.knowledge.knowledge import Knowledge
from cds_service.select import FOLDED
from cds_service.store.database import Database
from cds_service.store.feedback import FeedbackStore
from cds_service.store.memory import REMEMBERED, CardMemory
from cds_service.store.tables import SHOWN

SECRET = b"a secret of this installation 123"
LOW_POTASSIUM = "low-potassium-on-diuretic"
CRITICAL_POTASSIUM = "potassium-critical-with-digoxin"
ABOUT = "org.leg-weakness-cds.card"
INSTANCE = "8f9fd9b2-4b8b-4b33-8a5c-6a6a2f2f7b11"


def asked(fixture: str = LOW_POTASSIUM, *, instance: str = "", user: str = "") -> dict[str, Any]:
    """The request of a fixture, as a new call, by another user."""
    request: dict[str, Any] = json.loads((data_folder("fixtures") / "requests" / f"{fixture}.json").read_bytes())
    request["hookInstance"] = instance or str(uuid4())
    request["context"]["userId"] = user or request["context"]["userId"]
    return request


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


class TestShownCards(OnDatabase):
    """What is kept of an answer."""

    @pytest.fixture
    def memory(self, database: Database) -> CardMemory:
        return CardMemory(database, SECRET)

    @pytest.fixture
    def show(self, memory: CardMemory, knowledge: Knowledge) -> Callable[..., Answer]:
        """Answers a request and remembers it."""

        def show(request: dict[str, Any], *, client: str = "a", at: int = NOW) -> Answer:
            answered = answer(knowledge, SERVICE, json.dumps(request).encode(), at)
            memory.record(client, answered, at)
            return answered

        return show

    @pytest.fixture
    def read(self, knowledge: Knowledge) -> Callable[..., Request]:
        return lambda request: answer(knowledge, SERVICE, json.dumps(request).encode(), NOW).request

    def test_each_finding_that_a_card_says_is_a_row(
        self, show: Callable[..., Answer], memory: CardMemory, database: Database
    ) -> None:
        answered = show(asked("ten-findings-at-once", instance=INSTANCE))
        expected = {
            (card["uuid"], one.card.id, None if one is shown.outcome else shown.id, one.card.version, one.indicator)
            for card, shown in zip(answered.cards, answered.selection.cards, strict=True)
            for one in (shown.outcome, *shown.lines)
            if one is not None
        }
        kept = rows(database, SHOWN)
        assert len(kept) > 10
        assert {(row.uuid, row.card, row.line_of, row.version, row.indicator) for row in kept} == expected
        who = memory.patient("a", answered.request.patient_id), memory.clinician("a", answered.request.user_id)
        assert {tuple(row)[6:] for row in kept} == {(SERVICE, "a", INSTANCE, NOW, *who, False)}

    def test_the_card_that_folds_critical_findings_is_a_row_and_they_are_its_lines(
        self, show: Callable[..., Answer], database: Database, knowledge: Knowledge
    ) -> None:
        answered = show(patient_request(knowledge, {**CRITICAL, **STROKE}), at=NOW_MS)
        folded = answered.selection.cards[-1]
        assert folded.id == FOLDED
        kept = [row for row in rows(database, SHOWN) if row.uuid == answered.cards[-1]["uuid"]]
        assert {(row.card, row.line_of, row.indicator) for row in kept} == {
            (FOLDED, None, "critical"),
            *((one.card.id, FOLDED, "critical") for one in folded.lines),
        }
        assert [row.version for row in kept if row.card == FOLDED] == [knowledge.version]

    def test_no_patient_no_clinician_and_no_value_stands_in_the_table(
        self, show: Callable[..., Answer], database: Database
    ) -> None:
        request = show(asked(instance="Jane Doe, room 5 \0")).request
        kept = rows(database, SHOWN)
        assert len(kept) == 1
        for secret in (request.patient_id, request.user_id.rpartition("/")[2], "Jane", "Observation", "3.1"):
            assert secret not in repr(kept)

    def test_who_is_meant_depends_on_the_client_the_kind_of_id_and_the_secret(
        self, memory: CardMemory, database: Database
    ) -> None:
        other = CardMemory(database, b"the secret of another installation")
        found = [memory.patient("a", "1"), memory.patient("b", "1"), memory.patient("a", "2")]
        found += [memory.clinician("a", "1"), other.patient("a", "1"), other.clinician("a", "1")]
        assert len(set(found)) == len(found)
        assert {len(one) for one in found} == {64}
        absolute = "https://ehr.example.org/fhir/Practitioner/7"
        assert memory.clinician("a", absolute) == memory.clinician("a", "Practitioner/7")

    def test_the_history_is_that_of_the_patient_at_the_client(
        self, show: Callable[..., Answer], read: Callable[..., Request], memory: CardMemory
    ) -> None:
        outcome = show(asked()).selection.cards[0].outcome
        history = memory.history("a", read(asked()), NOW + 1)
        assert outcome is not None
        assert history.key == SECRET
        assert [(one.card, one.indicator, one.at, one.into, one.answer) for one in history.showings] == [
            (outcome.card.id, outcome.indicator, NOW, None, None)
        ]
        assert memory.history("b", read(asked()), NOW + 1).showings == ()
        assert memory.history("a", read(asked("statin-muscle-ck-ten-times")), NOW + 1).showings == ()
        assert memory.history("a", read(asked()), NOW + REMEMBERED).showings == ()

    def test_of_what_nobody_answered_the_last_of_each_card_and_indicator_is_remembered(
        self, show: Callable[..., Answer], read: Callable[..., Request], memory: CardMemory
    ) -> None:
        for number in (0, 3, 4, 1):
            show(asked(), at=NOW + number)
        show(asked(user="Practitioner/another"), at=NOW + 2)
        show(asked(instance=INSTANCE), at=NOW + 5)
        (found,) = memory.history("a", read(asked(instance=INSTANCE)), NOW + 9).showings
        assert (found.card, found.at, found.answer) == ("hypokalemia", NOW + 4, None)
        (found,) = memory.history("a", read(asked()), NOW + 9).showings
        assert found.at == NOW + 5

    def test_what_a_clinician_answered_is_remembered_for_that_clinician_beside_what_was_shown_since(
        self, show: Callable[..., Answer], read: Callable[..., Request], memory: CardMemory, database: Database
    ) -> None:
        store = FeedbackStore(database)
        for number in range(3):
            uuid = show(asked(), at=NOW + number).cards[0]["uuid"]
            store.save("a", SERVICE, [changed(OVERRIDDEN, card=uuid, at=NOW + number)], NOW + 50)
        show(asked(user="Practitioner/another"), at=NOW + 9)
        mine = memory.history("a", read(asked()), NOW + 99).showings
        assert sorted((one.at - NOW, one.answer, one.same_clinician, bool(one.evidence)) for one in mine) == [
            *((number, "overridden", True, True) for number in range(3)),
            (9, None, False, False),
        ]
        (theirs,) = memory.history("a", read(asked(user="Practitioner/another")), NOW + 99).showings
        assert (theirs.at, theirs.answer, theirs.same_clinician) == (NOW + 9, None, False)

    def test_a_long_history_takes_no_longer_to_read(
        self, show: Callable[..., Answer], read: Callable[..., Request], memory: CardMemory, database: Database
    ) -> None:
        answered = show(asked(), at=NOW)
        FeedbackStore(database).save("a", SERVICE, [changed(OVERRIDDEN, card=answered.cards[0]["uuid"])], NOW + 1)
        (row,) = rows(database, SHOWN)
        for start in range(0, 30_000, 5000):
            with database.begin(patience_ms=60_000) as connection:
                connection.execute(
                    SHOWN.insert(),
                    [
                        {
                            **row._mapping,
                            "uuid": str(uuid4()),
                            "hook_instance": str(uuid4()),
                            "card": f"card-{number % 60}",
                            "at": NOW + 2 + number,
                            "answered": False,
                        }
                        for number in range(start, start + 5000)
                    ],
                )
        request = read(asked())
        found: tuple[Showing, ...] = ()
        started = time.process_time()
        for _ in range(10):
            found = memory.history("a", request, NOW + DAY).showings
        assert time.process_time() - started < 10 * 0.02
        assert {(one.card, one.at - NOW - 2, one.answer) for one in found} == {
            ("hypokalemia", -2, "overridden"),
            *((f"card-{number % 60}", number, None) for number in range(29_940, 30_000)),
        }

    @pytest.mark.parametrize(
        ("given", "told", "at"),
        [
            ([("overridden", -5, 0)], "overridden", -5),
            ([("accepted", -9, 0), ("overridden", -5, 0)], "overridden", -5),
            ([("overridden", -9, 0), ("accepted", -5, 0)], "accepted", -5),
            ([("accepted", -5, 1), ("overridden", -9, 2)], "accepted", -5),
            ([("overridden", -5, 0), ("accepted", -5, 0)], "accepted", -5),
            ([("overridden", 999_999, 7)], "overridden", 7),
            ([("accepted", 999_999, 3), ("overridden", 4, 4)], "overridden", 4),
        ],
        ids=["one", "the later", "the later accepted", "a late batch", "both at once", "a clock ahead", "not for ever"],
    )
    def test_the_last_answer_to_a_card_counts(
        self, show: Callable[..., Answer], read: Callable[..., Request], memory: CardMemory, database: Database,
        given: list[tuple[Any, int, int]], told: str, at: int,
    ) -> None:  # fmt: skip
        uuid = show(asked(), at=NOW - 1000).cards[0]["uuid"]
        for outcome, said_at, received in given:
            suggestions = ("s-1", "s-2") if outcome == "accepted" else ()
            entry = FeedbackEntry(card=uuid, outcome=outcome, at=NOW + said_at, suggestions=suggestions)
            FeedbackStore(database).save("a", SERVICE, [entry], NOW + received)
        (found,) = memory.history("a", read(asked()), NOW + 100).showings
        assert (found.answer, found.answered_at) == (told, NOW + at)

    def test_feedback_of_another_client_answers_nothing(
        self, show: Callable[..., Answer], read: Callable[..., Request], memory: CardMemory, database: Database
    ) -> None:
        uuid = show(asked()).cards[0]["uuid"]
        FeedbackStore(database).save("b", SERVICE, [changed(OVERRIDDEN, card=uuid)], NOW)
        (found,) = memory.history("a", read(asked()), NOW + 1).showings
        assert (found.answer, found.answered_at) == (None, None)

    def test_a_history_goes_further_back_than_any_card_stays_away(self, knowledge: Knowledge) -> None:
        longest = max(max(card.repeat or 0, card.answered or 0, 90 * DAY) for card in knowledge.order)
        assert 2 * longest <= REMEMBERED


class TestMemory(OnDatabase):
    """What the next call gets, over HTTP."""

    @pytest.fixture
    def cards(self, caller: FlaskClient, clock: list[int]) -> Callable[..., dict[str, str]]:
        """The uuids of the cards that a request gets at a time, by their ids."""

        def cards(request: dict[str, Any], at: int = NOW) -> dict[str, str]:
            clock[0] = at
            told = caller.post(ADDRESS, json=request)
            assert told.status_code == 200
            return {card["extension"][ABOUT]["id"]: card["uuid"] for card in told.get_json()["cards"]}

        return cards

    def test_what_a_clinician_overrode_stays_away_from_that_clinician_until_its_time_is_over(
        self, caller: FlaskClient, cards: Callable[..., dict[str, str]]
    ) -> None:
        shown = cards(asked(CRITICAL_POTASSIUM))
        uuids = [shown.pop("hypokalemia").upper(), *shown.values()]
        assert give(caller, *(sent(uuid, outcomeTimestamp=written(NOW)) for uuid in uuids)).status_code == 200
        assert "hypokalemia" not in cards(asked(CRITICAL_POTASSIUM), NOW + DAY - 1)
        assert "hypokalemia" in cards(asked(CRITICAL_POTASSIUM, user="Practitioner/another"), NOW + DAY - 1)
        assert "hypokalemia" in cards(asked(CRITICAL_POTASSIUM), NOW + DAY)

    def test_what_was_overridden_for_one_patient_is_shown_for_another(
        self, caller: FlaskClient, cards: Callable[..., dict[str, str]]
    ) -> None:
        assert give(caller, sent(cards(asked())["hypokalemia"])).status_code == 200
        assert "hypokalemia" in cards(asked("digoxin-low-potassium"))

    def test_REQ_05_a_call_that_is_sent_again_gets_the_same_cards(
        self, caller: FlaskClient, cards: Callable[..., dict[str, str]]
    ) -> None:
        request = asked(instance=INSTANCE)
        shown = cards(request)
        give(caller, sent(shown["hypokalemia"]))
        assert set(cards(request)) == set(shown)
        assert set(cards(asked())) == set()

    def test_a_card_that_was_only_looked_at_comes_again(self, cards: Callable[..., dict[str, str]]) -> None:
        assert set(cards(asked())) == set(cards(asked(), NOW + 1)) == {"hypokalemia"}

    def test_an_answer_without_cards_leaves_no_row(
        self, cards: Callable[..., dict[str, str]], database: Database
    ) -> None:
        assert cards(asked("healthy-adult")) == {}
        assert rows(database, SHOWN) == []
