"""The service under gunicorn, started from our own command: no configuration file, settings from `Config` alone."""

from __future__ import annotations

import ctypes
import gc
import logging
from pathlib import Path
from typing import Any, Final

from flask import Flask
from gunicorn.app.base import BaseApplication

from cds_service.config import Config

_THREADS: Final = 4
"""Threads of a worker: they keep connections alive and wait for slow clients, the work itself is done one at a time."""
_ALLOCATIONS: Final = 50_000
"""Containers allocated before the garbage collector looks at the young ones: more than a usual request needs."""
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3
_MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108 (gunicorn creates and unlinks its own heartbeat file there)


class Server(BaseApplication):
    """gunicorn serving one application, which is built before it forks and shared by its workers."""

    def __init__(self, app: Flask, config: Config) -> None:
        self._app = app
        self._config = config
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


def settings(config: Config) -> dict[str, Any]:
    """The settings of gunicorn for `config`: workers with threads, renewed now and then, stopped gracefully."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return {
        "bind": f"{host}:{config.port}",
        "workers": config.workers,
        "worker_class": "gthread",
        "threads": _THREADS,
        "preload_app": True,
        "max_requests": 20_000,
        "max_requests_jitter": 2_000,
        "keepalive": 30,
        "timeout": 30,
        "graceful_timeout": 30,
        "worker_tmp_dir": str(_MEMORY_FOLDER) if _MEMORY_FOLDER.is_dir() else None,
        "loglevel": config.log_level,
        "accesslog": None,
        "control_socket_disable": True,
        "proc_name": "cds-service",
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


def serve(app: Flask, config: Config) -> None:
    """Serve until a signal stops it: TERM lets requests finish, INT and QUIT do not."""
    logging.basicConfig(format="[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s")
    logging.getLogger("cds_service").setLevel(config.log_level.upper())
    Server(app, config).run()
