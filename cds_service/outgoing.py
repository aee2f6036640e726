"""Calls that this service makes: to key servers and FHIR servers that are registered, and to nobody else."""
