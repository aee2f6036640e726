"""Which of the shown cards were answered, and indices by which a history is read without all that was ever shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column, true where there is feedback, and the indices."""
    op.add_column("shown", sa.Column("answered", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_shown_uuid", "shown", ["uuid"])
    op.create_index("ix_shown_card", "shown", ["patient", "card", "indicator", "at", "hook_instance"])
    op.create_index(
        "ix_shown_answered",
        "shown",
        ["patient", "clinician", "at"],
        sqlite_where=sa.text("answered = 1"),
        postgresql_where=sa.text("answered"),
    )
    shown = sa.table("shown", sa.column("client"), sa.column("uuid"), sa.column("answered", sa.Boolean))
    feedback = sa.table("feedback", sa.column("client"), sa.column("card"))
    about = sa.exists().where(feedback.c.client == shown.c.client, feedback.c.card == shown.c.uuid)
    op.execute(shown.update().where(about).values(answered=sa.true()))
