"""schemathesis calls the running service as its OpenAPI document says, and worse, and judges what comes back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cds_service.demo import running_service

CONFIG = Path(__file__).with_name("schemathesis.toml")


def test_the_service_is_as_its_openapi_document_says() -> None:
    with running_service() as url:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{url}/openapi.json"]
        done = subprocess.run([*command, "--no-color"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 selected / 6 total" in done.stdout
