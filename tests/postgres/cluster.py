"""A PostgreSQL server of the tests' own, from Debian's package: on a free loopback port, its files in a folder that
goes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cds_service.demo import free_port

_USER: Final = "postgres"
_SETTINGS: Final = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=60"


class Cluster:
    """A server that can be stopped, started, and made to hang."""

    def __init__(self, programs: Path, data: Path) -> None:
        self._programs = programs
        self._data = data
        self.port = free_port()
        self._run("initdb", "-D", str(data), "-U", "cds", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def url(self, name: str) -> str:
        """The URL of a database of the server."""
        return f"postgresql://cds@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-p {self.port} {_SETTINGS}"
        self._run("pg_ctl", "-D", str(self._data), "-o", options, "-l", str(self._data / "log"), "-w", "start")

    def stop(self, how: str = "fast") -> None:
        """Stop: `fast` ends all connections, `immediate` is as a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-m", how, "-w", "stop")

    @property
    def runs(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """The server holds its connections and says nothing more."""
        processes = self._processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def _processes(self) -> list[int]:
        """The first process of the server and all that it started."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", _USER, "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=False, stdout=subprocess.DEVNULL, cwd="/", timeout=60)
        assert done.returncode == 0, f"{program} ended with {done.returncode}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A server that runs, until the end. Raises AssertionError that says what to install when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "expected PostgreSQL in /usr/lib/postgresql: install Debian's package postgresql"
    folder = Path(tempfile.mkdtemp(prefix="cds-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        server = Cluster(found[-1].parent, folder / "data")
        server.start()
        try:
            yield server
        finally:
            if server.runs:
                server.stop("immediate")
    finally:
        shutil.rmtree(folder)
