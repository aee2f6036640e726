"""Feedback, the cards that were shown and the tokens that were used, kept in a database."""
