"""Clinical decision support for leg weakness over CDS Hooks."""

__version__ = "0.1.0"
