"""What prefetch left out, fetched from the client's FHIR server with the token of the request."""

from __future__ import annotations

from collections.abc import Callable

from cds_service.hooks.request import Request
from cds_service.knowledge.services import Service

Complete = Callable[[Request, Service], Request]
"""The request with what could be fetched for it; never raises for what a FHIR server does."""


def as_sent(request: Request, service: Service) -> Request:
    """The request as it came: nothing is fetched."""
    return request
