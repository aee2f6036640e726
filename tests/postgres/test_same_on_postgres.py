"""What holds on SQLite holds on PostgreSQL."""

from test_database import TestDatabase
from test_feedback_store import TestFeedback
from test_purge import TestPurge
from test_schema import TestSchema
from test_seen import TestTokens
from test_shown_cards import TestMemory, TestShownCards

__all__ = ["TestDatabase", "TestFeedback", "TestMemory", "TestPurge", "TestSchema", "TestShownCards", "TestTokens"]
