"""The files of the shared data, and whom they speak of."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cds_service.fhir.references import parse_reference

NOW: Final = 1_795_168_800_000
"""2026-11-20T10:00:00Z"""


def one_file(shared: Path, name: str) -> dict[str, Any]:
    """The content of the one JSON file whose path begins so."""
    folder, _, start = name.rpartition("/")
    (path,) = (shared / folder).glob(f"{start}*")
    content: dict[str, Any] = json.loads(text_of(path).decode("utf-8-sig"))
    return content


def text_of(path: Path) -> bytes:
    """The bytes of a file, unpacked."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def patient_of(resource: dict[str, Any]) -> str:
    """The patient that a resource, or the first of a Bundle, speaks of."""
    for one in [resource, *inner(resource)]:
        if one.get("resourceType") == "Patient":
            return str(one.get("id", ""))
    for one in [resource, *inner(resource)]:
        target = parse_reference((one.get("subject") or {}).get("reference", ""))
        if target is not None:
            return target.id
    return "nobody"


def inner(bundle: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The resources of a Bundle."""
    for entry in bundle.get("entry", []):
        if "resource" in entry:
            yield entry["resource"]
