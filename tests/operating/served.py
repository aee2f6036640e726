"""The service as a process of its own, with its log, for tests of how it runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from cds_service.demo import free_port, local_session
from cds_service.folders import cards_folder, data_folder

NAME = "/cds-services/leg-weakness-patient-view"
BODY = (data_folder("fixtures") / "requests" / "several-causes-at-once.json").read_bytes()
HEAD = f"POST {NAME} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = (HEAD + f"Content-Length: {len(BODY)}\r\n\r\n").encode() + BODY
TIMEOUT = 60.0


@dataclass
class Served:
    """A running service: its address, its main process, and the lines of its log."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; a line that is not JSON fails the test."""
        text = self.log.read_text(encoding="ascii")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def said(self, message: str) -> list[dict[str, Any]]:
        """The lines of the log with this message."""
        return [line for line in self.lines() if line["message"].startswith(message)]

    def workers(self) -> list[int]:
        """The processes that answer."""
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]

    def get(self, path: str) -> requests.Response:
        with local_session() as session:
            return session.get(self.url + path, timeout=TIMEOUT)

    def post(self, body: bytes = BODY, path: str = NAME) -> requests.Response:
        with local_session() as session:
            return session.post(
                self.url + path, data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT
            )

    def counts(self) -> Path:
        """The folder in which its processes count for the metrics; a call has been answered before."""
        maps = [Path(f"/proc/{worker}/maps").read_text(encoding="utf-8") for worker in self.workers()]
        (folder,) = {Path(line.split()[-1]).parent for one in maps for line in one.splitlines() if line.endswith(".db")}
        return folder

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)


def until(holds: Callable[[], Any], what: str, seconds: float = TIMEOUT) -> Any:
    """What `holds` gives once it is true; the test fails when that takes longer."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
    return found


@contextlib.contextmanager
def served(folder: Path, **settings: str) -> Iterator[Served]:
    """The service on a free loopback port, its database and its log in `folder`; `settings` without prefix."""
    port = free_port()
    given = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE": f"sqlite:///{folder}/cds-service.sqlite3",
        **settings,
    }
    environment = os.environ | {f"CDS_SERVICE_{name}": value for name, value in given.items()}
    environment["XDG_STATE_HOME"] = str(folder)
    log = folder / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "cds_service", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        running = Served(port, process, log)
        try:
            until(lambda: _answers(running), "the service gets ready")
            yield running
        finally:
            process.terminate()
            try:
                process.wait(TIMEOUT)
            finally:
                process.kill()
                process.wait()


def _answers(running: Served) -> bool:
    assert running.process.poll() is None, running.log.read_text()
    with contextlib.suppress(requests.ConnectionError):
        return running.get("/health/ready").status_code == 200
    return False


def a_few_cases(folder: Path) -> Path:
    """A copy of the cards, with the first case of each: what has to pass is checked quickly."""
    copy = folder / "cards"
    shutil.copytree(cards_folder(), copy)
    for path in copy.rglob("*.cases.yaml"):
        head, first, *_ = re.split(r"(?m)^(?=- )", path.read_text(encoding="utf-8"))
        path.write_text(head + first, encoding="utf-8")
    return copy
