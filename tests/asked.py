"""Requests put to the application, with what is true of every answer checked against `explain`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from patients import NOW_MS, request

from cds_service.app import create_app
from cds_service.config import read_config
from cds_service.explain_requests import explained
from cds_service.history import NOTHING, History
from cds_service.hooks.call import answer
from cds_service.hooks.cards import CardWriter
from cds_service.knowledge.card import INDICATORS
from cds_service.knowledge.knowledge import Knowledge
from cds_service.select import CAPS, FOLDED

ABOUT: Final = "org.leg-weakness-cds.card"
NOT_JUDGED: Final = "org.leg-weakness-cds.not-judged"
NOT_SUPPLIED: Final = "org.leg-weakness-cds.not-supplied"
WORKUP: Final = "leg-weakness-workup"
HOLDS: Final = ("shown", "merged", "withheld")


def id_of(card: Mapping[str, Any]) -> str:
    """The id of its card definition."""
    return str(card["extension"][ABOUT]["id"])


def merged_into(card: Mapping[str, Any]) -> list[str]:
    """The ids of the cards that are lines of this one."""
    return list(card["extension"][ABOUT].get("merged", ()))


def labels(card: Mapping[str, Any]) -> list[str]:
    """What its buttons say."""
    return [suggestion["label"] for suggestion in card.get("suggestions", ())]


class Asked:
    """The application at a moment, with what `explain` says of the same requests."""

    def __init__(self, knowledge: Knowledge, folder: Path, now: int = NOW_MS) -> None:
        config = read_config({"CDS_SERVICE_DATABASE": f"sqlite:///{folder / 'feedback.sqlite3'}"})
        self.knowledge = knowledge
        self.now = now
        self.client = create_app(config, knowledge, lambda: now).test_client()

    def request(self, facts: Mapping[str, str | Sequence[str]], **about: Any) -> dict[str, Any]:
        """A request about a patient put together from words."""
        return request(self.knowledge, facts, **about)

    def send(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """The answer over HTTP."""
        answered = self.client.post(f"/cds-services/leg-weakness-{sent['hook']}", json=sent)
        assert answered.status_code == 200, answered.get_data(as_text=True)
        body: dict[str, Any] = answered.get_json()
        return body

    def outcomes(self, sent: Mapping[str, Any], history: History = NOTHING) -> dict[str, dict[str, Any]]:
        """What became of each card, by id."""
        body = json.dumps(sent).encode()
        found = answer(self.knowledge, f"leg-weakness-{sent['hook']}", body, self.now, recall=lambda _: history)
        return {one["card"]: one for one in explained(found, self.knowledge)["outcomes"]}

    def cards(self, facts: Mapping[str, str | Sequence[str]], **about: Any) -> dict[str, dict[str, Any]]:
        """The cards about a patient, by id, in their order, after all that is true of every answer was checked."""
        return {id_of(card): card for card in self.checked(self.request(facts, **about))["cards"]}

    def line(self, sent: Mapping[str, Any], id_: str) -> str:
        """A card as a line of another."""
        found = answer(self.knowledge, f"leg-weakness-{sent['hook']}", json.dumps(sent).encode(), self.now)
        return CardWriter(found.judgement).line(found.judgement.by_id[id_])

    def checked(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, after all that is true of every one was checked."""
        body = self.send(sent)
        cards = {id_of(card): card for card in body["cards"]}
        assert len(cards) == len(body["cards"])
        self._check_number(sent["hook"], cards)
        found = self.outcomes(sent)
        for id_, one in found.items():
            self._check_named(id_, one, cards)
            if one["outcome"] == "merged" or (one["outcome"] == "withheld" and "room" in one["reason"]):
                into = one.get("into") or list(cards)[-1]
                assert self.line(sent, id_) in cards[into]["detail"], f"{id_} is named nowhere"
        self._check_doubts(found, cards, body)
        return body

    def _check_number(self, hook: str, cards: dict[str, dict[str, Any]]) -> None:
        most_others, most = CAPS[hook]
        assert len(cards) <= most
        assert len([card for card in cards.values() if card["indicator"] != "critical"]) <= most_others
        ranks = [
            (INDICATORS.index(card["indicator"]), 99 if id_ == FOLDED else self.knowledge.cards[id_].priority)
            for id_, card in cards.items()
        ]
        ordered = hook in ("order-select", "order-sign")  # there the cards about the draft come first
        assert [rank[: 1 if ordered else 2] for rank in ranks] == sorted(rank[: 1 if ordered else 2] for rank in ranks)

    def _check_named(self, id_: str, one: dict[str, Any], cards: dict[str, dict[str, Any]]) -> None:
        assert (one["outcome"] == "shown") == (id_ in cards)
        if one["outcome"] == "shown":
            assert cards[id_]["indicator"] == one["indicator"]
        elif one["outcome"] == "merged":
            assert id_ in merged_into(cards[one["into"]])
        elif one["outcome"] == "withheld" and "room" in one["reason"]:
            assert "Also found: " in list(cards.values())[-1]["detail"]
        if one["outcome"] in HOLDS and one["indicator"] == "critical":
            assert cards[one.get("into", id_)]["indicator"] == "critical"

    def _check_doubts(self, found: dict[str, Any], cards: dict[str, dict[str, Any]], body: dict[str, Any]) -> None:
        doubtful = [
            (id_, lack["fact"], lack["reason"])
            for id_, one in found.items()
            for lack in one["missing"]
            if one["outcome"] != "not-applicable" and lack["reason"] != "not-found"
        ]
        in_workup = WORKUP in cards and "**Could not be judged**" in cards[WORKUP]["detail"]
        in_extension = NOT_JUDGED in body.get("extension", {})
        assert in_workup + in_extension == bool(doubtful), doubtful
        assert in_workup == (bool(doubtful) and WORKUP in cards)
