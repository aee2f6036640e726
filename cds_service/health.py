"""Whether the service lives, and whether it is ready to answer: for load balancers and container platforms."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint

from cds_service.hooks.errors import Unavailable


def health(knowledge_version: str, writable: Callable[[], bool]) -> Blueprint:
    """GET /health/live answers while the process runs; /health/ready when the database can be written as well.

    The knowledge is loaded by then: the service does not start without it. Not ready is 503 with an OperationOutcome.
    """
    views = Blueprint("health", __name__, url_prefix="/health")

    @views.get("/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @views.get("/ready")
    def ready() -> dict[str, str]:
        if not writable():
            raise Unavailable(["The database cannot be written."])
        return {"status": "ready", "knowledge": knowledge_version}

    return views
