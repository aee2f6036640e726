"""The cards that were shown, so that what a clinician overrode stays away for a while.

Patients, clinicians and the data behind a card are kept as HMACs with the secret of the installation: nobody can tell
from the table who was meant, and the tables of two installations cannot be joined.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    select,
    true,
    tuple_,
    union_all,
)

from cds_service.fhir.references import relative
from cds_service.fhir.uncertain import DAY
from cds_service.history import History, Showing, evidence
from cds_service.hooks.call import Answer
from cds_service.hooks.request import Request
from cds_service.knowledge.card import INDICATORS
from cds_service.store.database import Database
from cds_service.store.tables import FEEDBACK, SHOWN
from cds_service.store.uuids import is_uuid

REMEMBERED: Final = 366 * DAY
"""How far back a history goes, in milliseconds: longer than any card stays away."""
_PATIENCE_MS: Final = 200


def _answered_at(answer: FromClause) -> ColumnElement[int]:
    return case((answer.c.at < answer.c.received_at, answer.c.at), else_=answer.c.received_at)


def _answered() -> Select[Any]:
    """The findings that the cards said which a clinician answered for a patient, the last of those that are alike, each
    with its last answer.
    """
    answer, later = FEEDBACK.alias("answer"), FEEDBACK.alias("later")
    superseded = exists().where(
        later.c.client == answer.c.client,
        later.c.card == answer.c.card,
        tuple_(_answered_at(later), later.c.at, answer.c.outcome)
        > tuple_(_answered_at(answer), answer.c.at, later.c.outcome),
    )
    answers = and_(answer.c.client == bindparam("client"), answer.c.card == SHOWN.c.uuid, ~superseded)
    alike = (
        SHOWN.c.card, SHOWN.c.line_of, SHOWN.c.indicator, SHOWN.c.evidence,
        answer.c.outcome, _answered_at(answer).label("answered_at"),
    )  # fmt: skip
    return (
        select(*alike, func.max(SHOWN.c.at).label("at"))
        .select_from(SHOWN.outerjoin(answer, answers))
        .where(
            SHOWN.c.patient == bindparam("patient"),
            SHOWN.c.clinician == bindparam("clinician"),
            SHOWN.c.answered,
            *_OF_OTHER_CALLS,
        )
        .group_by(*alike)
    )


def _newest() -> Select[Any]:
    """When the cards of a patient last said a finding, by card and indicator; null when they never did.

    The rows of a patient may be many: an index leads from card to card, and to the last row of each.
    """
    of_patient = SHOWN.c.patient == bindparam("patient")
    said = select(func.min(SHOWN.c.card).label("card")).where(of_patient).cte("said", recursive=True)
    following = select(func.min(SHOWN.c.card)).where(of_patient, SHOWN.c.card > said.c.card).scalar_subquery()
    said = said.union_all(select(following).where(said.c.card.is_not(None)))
    tier = union_all(*(select(literal(one).label("indicator")) for one in INDICATORS)).subquery("tier")
    alike = SHOWN.c.card == said.c.card, SHOWN.c.indicator == tier.c.indicator
    at = select(func.max(SHOWN.c.at)).where(of_patient, *alike, *_OF_OTHER_CALLS).correlate(said, tier)
    return select(said.c.card, tier.c.indicator, at.scalar_subquery().label("at")).select_from(said.join(tier, true()))


_OF_OTHER_CALLS: Final = (
    SHOWN.c.at > bindparam("since"),
    SHOWN.c.hook_instance != bindparam("hook_instance"),
)
_ANSWERED: Final = _answered()
_NEWEST: Final = _newest()
_INSERT: Final = SHOWN.insert()


class CardMemory:
    """What was shown, in a database; `secret` is that of the installation."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._secret = secret

    def patient(self, client: str, patient_id: str) -> str:
        """The HMAC-SHA-256, in hexadecimal digits, by which a patient of a client is known here."""
        return self._hmac("patient", client, patient_id)

    def clinician(self, client: str, user_id: str) -> str:
        """The HMAC-SHA-256, in hexadecimal digits, by which a user of a client (`Practitioner/123`) is known here."""
        return self._hmac("clinician", client, relative(user_id))

    def record(self, client: str, answered: Answer, now: int) -> None:
        """Remember the cards of an answer to `client` at `now` (milliseconds since 1970 UTC), and each of their lines.

        Raises Unwritable.
        """
        rows = list(self._rows(answered))
        if not rows:
            return
        request = answered.request
        common = {
            "service": request.service_id,
            "client": client,
            "hook_instance": self._instance(client, request.hook_instance),
            "at": now,
            "patient": self.patient(client, request.patient_id),
            "clinician": self.clinician(client, request.user_id),
        }
        with self._database.begin(patience_ms=_PATIENCE_MS) as connection:
            connection.execute(_INSERT, [row | common for row in rows])

    def history(self, client: str, request: Request, now: int) -> History:
        """What was shown of the patient of a request to this client within REMEMBERED: all that the clinician who asks
        answered, and how; of the rest when each card last said each indicator, and no more.

        The cards of the same hookInstance are left out, so that a call that is sent again is answered as before
        (checklist, REQ-05). Of several answers to a card the last counts; one that says it was given later than it came
        was given when it came. Raises Unwritable.
        """
        asked = {
            "client": client,
            "patient": self.patient(client, request.patient_id),
            "clinician": self.clinician(client, request.user_id),
            "since": now - REMEMBERED,
            "hook_instance": self._instance(client, request.hook_instance),
        }
        with self._database.begin(patience_ms=_PATIENCE_MS, write=False) as connection:
            answered = connection.execute(_ANSWERED, asked).all()
            newest = connection.execute(_NEWEST, asked).all()
        known = {(row.card, row.indicator, row.at) for row in answered}
        showings = [
            Showing(
                card=row.card,
                indicator=row.indicator,
                evidence=row.evidence,
                at=row.at,
                into=row.line_of,
                answer=row.outcome,
                answered_at=row.answered_at,
                same_clinician=True,
            )
            for row in answered
        ]
        showings += [
            Showing(card=row.card, indicator=row.indicator, evidence="", at=row.at)
            for row in newest
            if row.at is not None and (row.card, row.indicator, row.at) not in known
        ]
        return History(key=self._secret, showings=tuple(showings))

    def _rows(self, answered: Answer) -> Iterator[dict[str, Any]]:
        for shown, card in zip(answered.selection.cards, answered.cards, strict=True):
            said = [(outcome, None if outcome is shown.outcome else shown.id) for outcome in shown.lines]
            if shown.outcome is not None:
                said.insert(0, (shown.outcome, None))
            else:
                yield {
                    "uuid": card["uuid"],
                    "card": shown.id,
                    "line_of": None,
                    "version": answered.judgement.knowledge.version,
                    "indicator": shown.indicator,
                    "evidence": "",
                }
            for outcome, line_of in said:
                yield {
                    "uuid": card["uuid"],
                    "card": outcome.card.id,
                    "line_of": line_of,
                    "version": outcome.card.version,
                    "indicator": outcome.indicator,
                    "evidence": evidence(outcome, self._secret),
                }

    def _instance(self, client: str, hook_instance: str) -> str:
        """A hookInstance as it is kept: one that is no UUID may say anything."""
        return hook_instance if is_uuid(hook_instance) else self._hmac("hookInstance", client, hook_instance)

    def _hmac(self, kind: str, client: str, id_: str) -> str:
        return hmac.digest(self._secret, f"{kind}\0{client}\0{id_}".encode(), "sha256").hex()
