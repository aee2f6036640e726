"""The demonstration: the service is started and called over HTTP as an EHR does, its cards are printed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import requests
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from cds_service import sandbox
from cds_service.config import PREFIX
from cds_service.folders import patients_folder
from cds_service.sandbox_dates import shift_dates

DEFAULT_PATIENT: Final = "several-causes-at-once"
FIXTURES_NOW: Final = datetime(2026, 11, 20, 10, tzinfo=UTC)
"""The moment to which the dates of the synthetic patients belong."""
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_CALL_SECONDS: Final = 10.0
_COLOURS: Final = {"critical": "red", "warning": "yellow", "info": "blue"}


class DemoError(Exception):
    """The demonstration could not be shown; the text says why."""


def run_demo(patient: str, console: Console) -> None:
    """Start the service, send it `patient` (the name of a fixture, or a file with a Bundle), print the cards, stop it.

    Raises DemoError.
    """
    bundle = read_patient(patient)
    with running_service() as url, local_session() as session:
        console.print(f"[bold]GET[/bold] {url}/cds-services")
        services = _json(session.get(f"{url}/cds-services", timeout=_CALL_SECONDS))["services"]
        service = next((one for one in services if one["hook"] == "patient-view"), None)
        if service is None:
            raise DemoError("expected a service for patient-view in discovery, found none")
        request = sandbox.request(service, bundle)
        resources = sum(len(found.get("entry", [1])) for found in request.get("prefetch", {}).values() if found)
        console.print(
            f"[bold]POST[/bold] {url}/cds-services/{service['id']} about {escape(patient)}, {resources} resources\n"
        )
        started = time.perf_counter()
        answer = _json(session.post(f"{url}/cds-services/{service['id']}", json=request, timeout=_CALL_SECONDS))
        took = (time.perf_counter() - started) * 1000
    console.print(as_text(answer))
    console.print(f"\nCards: {len(answer['cards'])}, in {took:.0f} ms. This is no medical device.")


def read_patient(patient: str) -> dict[str, Any]:
    """The Bundle of a fixture, its dates moved to today, or of a file, as it is. Raises DemoError."""
    folder = patients_folder()
    fixture = folder / f"{patient}.json"
    path = fixture if fixture.is_file() and Path(patient).name == patient else Path(patient)
    try:
        bundle = json.loads(path.read_bytes())
        sandbox.Records(bundle)
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise DemoError(f"{path}: {error.strerror}. Expected a file with a Bundle, or one of {known}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DemoError(f"{path}: expected a FHIR Bundle with a Patient: {error}") from error
    return shift_dates(bundle, FIXTURES_NOW, datetime.now(UTC)) if path == fixture else bundle


@contextlib.contextmanager
def running_service(**settings: str) -> Iterator[str]:
    """The URL of a service that runs under gunicorn on a free loopback port, with a database of its own, until the end.

    `settings` are environment variables without prefix (`MAX_BODY`); those that are set already do not count.
    Raises DemoError when it does not get ready.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        port = free_port()
        defaults = {"DATABASE": f"sqlite:///{folder}/service.sqlite3", "WORKERS": "1", "LOG_LEVEL": "warning"}
        given = {"HOST": "127.0.0.1", "PORT": str(port), **defaults, **settings}
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment = others | {PREFIX + name: value for name, value in given.items()}
        command = [sys.executable, "-m", "cds_service", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 (our own command)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, Path(folder) / "log")
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with local_session() as session:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise DemoError(f"the service did not start:\n{log.read_text().strip()}")
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if session.get(f"{url}/health/ready", timeout=_CALL_SECONDS).status_code == requests.codes.ok:
                    return
            time.sleep(0.05)
    raise DemoError(f"the service was not ready within {_START_SECONDS:.0f} s:\n{log.read_text().strip()}")


def local_session() -> requests.Session:
    """A client for this machine: proxies that the environment names are not asked."""
    session = requests.Session()
    session.trust_env = False
    return session


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _json(answer: requests.Response) -> dict[str, Any]:
    if answer.status_code != requests.codes.ok:
        raise DemoError(f"{answer.request.method} {answer.url} was answered with {answer.status_code}: {answer.text}")
    found: dict[str, Any] = answer.json()
    return found


def as_text(answer: dict[str, Any]) -> Group:
    """The cards of a response, as a clinician reads them, and what the service says it could not judge."""
    parts: list[RenderableType] = [_card(card) for card in answer["cards"]] or [Text("No cards.")]
    for name, lines in answer.get("extension", {}).items():
        if name.endswith(".not-judged"):
            parts += [Text("Not judged", style="bold"), *(_line(line) for line in lines)]
    return Group(*parts)


def _card(card: dict[str, Any]) -> RenderableType:
    colour = _COLOURS[card["indicator"]]
    parts: list[RenderableType] = [Text(card["summary"], style="bold")]
    if "detail" in card:
        parts += [Text(), Markdown(card["detail"])]
    if "suggestions" in card:
        parts += [Text(), Text("Suggestions", style="bold")]
        parts += [_line(f"[ ] {suggestion['label']}") for suggestion in card["suggestions"]]
    if "links" in card:
        parts += [Text(), Text("Read more", style="bold")]
        parts += [_line(f"{link['label']}: {link['url']}") for link in card["links"]]
    source = card["source"]
    parts += [Text(), Text(" ".join((f"Source: {source['label']}", source.get("url", ""))).strip(), style="dim")]
    return Panel(Group(*parts), title=card["indicator"].upper(), title_align="left", border_style=colour)


def _line(text: str) -> RenderableType:
    return Padding(Text(text), (0, 0, 0, 2))
