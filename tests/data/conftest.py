"""Data that nobody of this project wrote: the folder that the environment variable SHARED_DATA names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cds_service.chart.chart import Chart, build_chart
from cds_service.chart.codes import Codes
from cds_service.folders import cards_folder
from cds_service.knowledge.codes import load_codes
from cds_service.knowledge.derived import compile_derived
from cds_service.knowledge.reading import Problems
from data.files import NOW, one_file, patient_of

Read = Callable[..., Chart]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data. Without it these tests fail: they are run on purpose."""
    folder = os.environ.get("SHARED_DATA")
    if not folder or not (Path(folder) / "QUIRKS.md").is_file():
        pytest.fail("SHARED_DATA must name the folder of shared test data, the one with QUIRKS.md")
    return Path(folder)


@pytest.fixture(scope="session")
def codes() -> Codes:
    """The code groups of the project, with their computed results."""
    problems = Problems()
    loaded = compile_derived(load_codes(cards_folder() / "codes", problems), problems)
    problems.check()
    return loaded


@pytest.fixture
def read(shared: Path, codes: Codes) -> Read:
    """Reads a file by the beginning of its name, or a resource, with some elements changed, into a chart."""

    def read(source: str | dict[str, Any], /, **changes: Any) -> Chart:
        resource = one_file(shared, source) if isinstance(source, str) else source
        resource = {key: value for key, value in {**resource, **changes}.items() if value is not None}
        return build_chart(
            codes=codes,
            now=NOW,
            patient_id=patient_of(resource),
            prefetch={"data": json.dumps(resource).encode()},
            not_supplied={},
            hook="patient-view",
        )

    return read
