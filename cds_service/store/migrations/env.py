"""What alembic runs to migrate: the connection is given by `migrations.upgrade`, in a transaction of its own."""

from __future__ import annotations

from alembic import context

from cds_service.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
