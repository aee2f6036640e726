"""The prefetch templates of discovery, written as queries to a FHIR server (CDS Hooks 2.0.1, prefetch template)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from cds_service.fhir.server import COUNT
from cds_service.hooks.request import Request

_TOKEN: Final = re.compile(r"\{\{(.*?)\}\}")


def query_of(template: str, request: Request) -> str | None:
    """The URL below the base by which a template is asked, for the context of a request; None when it names what is not
    in the context.
    """
    values = {"context.patientId": request.patient_id, "context.encounterId": request.encounter_id}
    if any(values.get(token) is None for token in _TOKEN.findall(template)):
        return None
    path, question, query = _TOKEN.sub(lambda token: values[token[1]] or "", template).partition("?")
    if not question:
        return path
    written = quote(query, safe="=&:/,")
    return f"{path}?{written}" if "_count=" in query else f"{path}?{written}&_count={COUNT}"
