"""The tables, as the migrations leave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Insert,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

METADATA: Final = MetaData()

FEEDBACK: Final = Table(
    "feedback",
    METADATA,
    Column("client", String(200), nullable=False, doc="name of the client that sent it"),
    Column("card", String(200), nullable=False, doc="uuid of the card, as the client sent it"),
    Column("outcome", String(10), nullable=False, doc="accepted or overridden"),
    Column("suggestion", String(200), nullable=False, doc="uuid of the accepted suggestion, else empty"),
    Column("at", BigInteger, nullable=False, doc="when, as the client says, in milliseconds since 1970 UTC"),
    Column("received_at", BigInteger, nullable=False, doc="when it came; for what revision 0001 held, as at"),
    Column("service", String(100), nullable=False, doc="id of the service that the feedback was sent to"),
    Column("reason", String(200), doc="code of the override reason"),
    Column("reason_system", String(500)),
    Column("comment", Text, doc="the clinician's own words; may hold patient data"),
    PrimaryKeyConstraint("client", "card", "outcome", "suggestion", "at", name="pk_feedback"),
    Index("ix_feedback_received_at", "received_at"),
)
"""What became of the cards, each event once. No patient data, save what a clinician types."""

SHOWN: Final = Table(
    "shown",
    METADATA,
    Column("uuid", String(36), nullable=False, doc="of the card that said it"),
    Column("card", String(200), nullable=False, doc="id of the card definition"),
    Column("line_of", String(200), doc="id of the card definition in which it was a line; none: the card itself"),
    Column("version", String(100), nullable=False, doc="of the card definition"),
    Column("indicator", String(10), nullable=False, doc="critical, warning or info: of the finding itself"),
    Column("evidence", Text, nullable=False, doc="fingerprints of the data that it rested on"),
    Column("service", String(100), nullable=False),
    Column("client", String(200), nullable=False, doc="name of the client that was answered"),
    Column("hook_instance", String(100), nullable=False, doc="as sent when it is a UUID, else its HMAC"),
    Column("at", BigInteger, nullable=False, doc="when, in milliseconds since 1970 UTC"),
    Column("patient", String(64), nullable=False, doc="HMAC of the patient's id at the client"),
    Column("clinician", String(64), nullable=False, doc="HMAC of the user's id at the client"),
    Column("answered", Boolean, nullable=False, server_default=false(), doc="whether feedback about the card came"),
    PrimaryKeyConstraint("patient", "at", "uuid", "card", name="pk_shown"),
    Index("ix_shown_at", "at"),
    Index("ix_shown_uuid", "uuid"),
    Index("ix_shown_card", "patient", "card", "indicator", "at", "hook_instance"),
    Index(
        "ix_shown_answered",
        "patient",
        "clinician",
        "at",
        sqlite_where=text("answered = 1"),
        postgresql_where=text("answered"),
    ),
    sqlite_with_rowid=False,
)
"""Each finding that a card said: the card itself and its lines. No patient data."""

TOKEN: Final = Table(
    "token",
    METADATA,
    Column("id", String(64), nullable=False, doc="SHA-256 of issuer and jti"),
    Column("until", BigInteger, nullable=False, doc="when the token expires, in milliseconds since 1970 UTC"),
    PrimaryKeyConstraint("id", name="pk_token"),
    Index("ix_token_until", "until"),
)
"""The tokens that were used and have not expired."""

PROBE: Final = Table(
    "probe",
    METADATA,
    Column("id", Integer, nullable=False, autoincrement=False),
    Column("times", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="pk_probe"),
)
"""One row, written to find out whether the database can be written."""


def keeping_the_first(table: Table) -> Mapping[str, Insert]:
    """By the name of the SQL dialect: the insertion that leaves a row with the same key as it is."""
    found: dict[str, Any] = {
        "sqlite": sqlite.insert(table).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(table).on_conflict_do_nothing(),
    }
    return found
