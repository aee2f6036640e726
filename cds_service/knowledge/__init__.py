"""The folder of cards: read, checked and compiled."""
