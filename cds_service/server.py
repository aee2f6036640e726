"""The service under gunicorn, started from our own command: no configuration file, settings from `Config` alone."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from cds_service.config import Config, ConfigError
from cds_service.knowledge.reading import KnowledgeError
from cds_service.operating import logs
from cds_service.operating.metrics import FOLDER, Metrics, bury
from cds_service.store.commands import prepare
from cds_service.worker import ServerLog, patient_worker

_log = logging.getLogger(__name__)

_THREADS: Final = 16
"""Threads of a worker: they wait for slow clients and for FHIR servers; the work itself is done one at a time."""
_ALLOCATIONS: Final = 50_000
"""Containers allocated before the garbage collector looks at the young ones: more than a usual request needs."""
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3
_MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108 (gunicorn creates and unlinks its own heartbeat file there)
_HEADER_BYTES: Final = 16_380
"""The longest header field: a bearer token that is too long shall be refused as such, not as bad HTTP."""
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

Build = Callable[[], Flask]
"""Makes the application from the files as they are now. Raises KnowledgeError or ConfigError for a mistake in them."""


class Server(BaseApplication):
    """gunicorn serving an application, which is built before it forks and shared by its workers.

    The first application is built here: what `build` raises is the caller's.
    """

    def __init__(self, build: Build, config: Config) -> None:
        self._build = build
        self._config = config
        self._app = build()
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its settings."""
        for name, value in settings(self._config).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application. What exists by now is left alone by the garbage collector of every worker."""
        keep_freed_memory()
        gc.collect()
        gc.freeze()
        gc.set_threshold(_ALLOCATIONS, 20, 50)
        return self._app

    def renew(self) -> bool:
        """Build the application again; False when the files have mistakes: the log names them, the old one stays."""
        try:
            app = self._build()
        except (KnowledgeError, ConfigError) as error:
            problems = error.problems if isinstance(error, KnowledgeError) else [error]
            fields = {"problems": [str(problem) for problem in problems]}
            _log.error("not reloaded: mistakes; the service goes on as it was", extra={"fields": fields})
        except Exception as error:
            _log.error("not reloaded: an error; the service goes on as it was", exc_info=error)
        else:
            self._app = app
            self.callable = None
            gc.unfreeze()
            return True
        Metrics().failed("reload")
        return False

    def run(self) -> None:
        """Serve until a signal stops it."""
        _Arbiter(self).run()


class _Stopped(BaseException):
    """A signal to stop came while an application was being built."""


class _Arbiter(Arbiter):
    """gunicorn's main process. On HUP it leaves the workers alone unless there is something new to serve.

    Several HUPs at once are one, and a signal to stop goes before them and breaks off building.
    """

    app: Server
    _building = False

    def wait_for_signals(self, timeout: float | None = 1.0) -> list[int]:
        found = super().wait_for_signals(timeout)
        return [one for one in found if one in _STOPS] or list(dict.fromkeys(found))

    def signal(self, sig: int, frame: FrameType | None) -> None:
        super().signal(sig, frame)
        if self._building and sig in _STOPS:
            raise _Stopped

    def reload(self) -> None:
        self._building = True
        try:
            if not self.app.renew():
                return
        except _Stopped:
            return
        finally:
            self._building = False
        super().reload()
        _log.info("reloaded")


def settings(config: Config) -> dict[str, Any]:
    """The settings of gunicorn for `config`: workers with threads, renewed now and then, stopped gracefully."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return {
        "bind": f"{host}:{config.port}",
        "workers": config.workers,
        "worker_class": patient_worker(config.body_seconds),
        "threads": _THREADS,
        "preload_app": True,
        "max_requests": 20_000,
        "max_requests_jitter": 2_000,
        "keepalive": 30,
        "timeout": 30,
        "graceful_timeout": 30,
        "limit_request_field_size": _HEADER_BYTES,
        "worker_tmp_dir": str(_MEMORY_FOLDER) if _MEMORY_FOLDER.is_dir() else None,
        "loglevel": "info" if config.log_level == "debug" else config.log_level,  # its debug lines repeat requests
        "logger_class": ServerLog,
        "accesslog": None,
        "control_socket_disable": True,
        "proc_name": "cds-service",
        "child_exit": _ended,
    }


def keep_freed_memory() -> None:
    """Have glibc keep the memory that one request freed for the next, instead of giving it back to the system.

    Fetching it again, page by page, cost 0.5 ms of CPU for a body of 0.8 MB and 3 ms for 4.2 MB. What is kept is
    bounded by the largest requests that the threads served at once. Other C libraries have no `mallopt`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, size in ((_M_TRIM_THRESHOLD, 1 << 28), (_M_TOP_PAD, 1 << 24), (_M_MMAP_THRESHOLD, 1 << 25)):
            mallopt(parameter, size)


def serve(build: Build, config: Config) -> None:
    """Serve what `build` makes until a signal stops it: TERM lets requests finish, INT and QUIT do not.

    HUP builds anew and lets new workers serve it while the old ones finish; what has mistakes is not served.
    """
    logs.configure(config.log_level)
    if config.clients is None:
        _log.warning("no clients are registered: everybody on this machine is answered, and nobody else")
    memory = _MEMORY_FOLDER if _MEMORY_FOLDER.is_dir() else None
    folder, owner = tempfile.mkdtemp(prefix="cds-service-", dir=memory), os.getpid()
    os.environ[FOLDER] = folder
    try:
        server = Server(build, config)
        prepare(config)
        server.run()
    finally:
        if os.getpid() == owner:  # a worker comes by here too
            shutil.rmtree(folder, ignore_errors=True)


def _ended(_: Arbiter, worker: Any) -> None:
    bury(worker.pid, Path(os.environ[FOLDER]))
