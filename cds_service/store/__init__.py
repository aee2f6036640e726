"""Feedback, kept in a database."""
