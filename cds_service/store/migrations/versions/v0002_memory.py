"""Feedback is told apart by client and has the time at which it came; what was shown, used tokens, the probe.

All that called before clients were registered is the client `local`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_KEPT = "card, outcome, suggestion, at, service, reason, reason_system, comment"


def upgrade() -> None:
    """Make feedback anew, as its primary key changes, with all its rows; and the new tables."""
    op.rename_table("feedback", "feedback_0001")
    op.create_table(
        "feedback",
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("card", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("suggestion", sa.String(200), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("service", sa.String(100), nullable=False),
        sa.Column("reason", sa.String(200)),
        sa.Column("reason_system", sa.String(500)),
        sa.Column("comment", sa.Text),
        sa.PrimaryKeyConstraint("client", "card", "outcome", "suggestion", "at", name="pk_feedback"),
    )
    op.execute(
        f"INSERT INTO feedback (client, received_at, {_KEPT}) SELECT 'local', at, {_KEPT} FROM feedback_0001"  # noqa: S608 (names of columns)
    )
    op.drop_table("feedback_0001")
    op.create_index("ix_feedback_received_at", "feedback", ["received_at"])
    op.create_table(
        "shown",
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("card", sa.String(200), nullable=False),
        sa.Column("line_of", sa.String(200)),
        sa.Column("version", sa.String(100), nullable=False),
        sa.Column("indicator", sa.String(10), nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("service", sa.String(100), nullable=False),
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("hook_instance", sa.String(100), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("patient", sa.String(64), nullable=False),
        sa.Column("clinician", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("patient", "at", "uuid", "card", name="pk_shown"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_shown_at", "shown", ["at"])
    op.create_table(
        "token",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
    )
    op.create_index("ix_token_until", "token", ["until"])
    op.create_table(
        "probe",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("times", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_probe"),
    )
