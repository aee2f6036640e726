"""Whether the service lives, and whether it is ready to answer: for load balancers and container platforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint


def health(knowledge_version: str, problems: Callable[[], list[str]]) -> Blueprint:
    """GET /health/live answers while the process runs; GET /health/ready says what is amiss.

    The knowledge is loaded by then: the service does not start without it. `problems` are sentences, such as that the
    database cannot be written; with them the service is `degraded` and still answers 200, because cards flow all the
    same and a balancer must not take the instance away.
    """
    views = Blueprint("health", __name__, url_prefix="/health")

    @views.get("/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @views.get("/ready")
    def ready() -> dict[str, Any]:
        found = problems()
        if found:
            return {"status": "degraded", "knowledge": knowledge_version, "problems": found}
        return {"status": "ready", "knowledge": knowledge_version}

    return views
