"""Data that nobody of this project wrote."""
