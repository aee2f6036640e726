"""Feedback. Databases of before revisions were kept have this table already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table if it is not there."""
    op.create_table(
        "feedback",
        sa.Column("card", sa.String(200), primary_key=True),
        sa.Column("outcome", sa.String(10), primary_key=True),
        sa.Column("suggestion", sa.String(200), primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("service", sa.String(100), nullable=False),
        sa.Column("reason", sa.String(200)),
        sa.Column("reason_system", sa.String(500)),
        sa.Column("comment", sa.Text),
        if_not_exists=True,
    )
