"""The audit trail: who asked about whom and was shown what (CDS Hooks 2.0.1, security; checklist SEC-04)."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from cds_service.operating.logs import instant
from cds_service.operating.record import CallRecord

_log = logging.getLogger(__name__)

_AGAIN_AFTER: Final = 60.0
"""Seconds between two lines of the log about records that were lost."""


class Audit:
    """An append-only file with one line of JSON for each call of a CDS client.

    Patient and clinician stand there as HMACs. The file is made when it is first needed, for its owner alone, and made
    again when it was moved away (logrotate). Several processes may write it: a record is one write.
    """

    def __init__(self, path: Path, failed: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._failed = failed
        self._file: int | None = None
        self._broken = False
        self._lost = 0
        self._told = -_AGAIN_AFTER
        self._lock = Lock()

    def observe(self, record: CallRecord) -> None:
        """Write the record of a call. Never raises: one that cannot be written is counted, and the log says so."""
        line = msgspec.json.encode(
            {
                "time": instant(record.at / 1000),
                "correlation_id": record.correlation_id,
                "kind": record.kind,
                "client": record.client,
                "service": record.service,
                "hook_instance": record.hook_instance,
                "status": record.status,
                "patient": record.patient,
                "clinician": record.clinician,
                "cards": [card for card, _ in record.cards],
            }
        )
        with self._lock:
            try:
                self._write(line + b"\n")
            except OSError as error:
                self._note(error)

    def close(self) -> None:
        """Give back the file; the next record opens it again."""
        with self._lock:
            self._close()

    def _write(self, line: bytes) -> None:
        file = self._open()
        if self._broken:
            line = b"\n" + line
        if os.write(file, line) < len(line):
            self._broken = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._broken = False

    def _open(self) -> int:
        if self._file is not None and not self._is_there(self._file):
            self._close()
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def _is_there(self, file: int) -> bool:
        """Whether the open file is still the one of that name."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except OSError:
            return False

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _note(self, error: OSError) -> None:
        self._failed()
        self._lost += 1
        now = time.monotonic()
        if now - self._told >= _AGAIN_AFTER:
            _log.error("audit records were lost: %d; %s: %s", self._lost, self._path, os.strerror(error.errno or 0))
            self._told, self._lost = now, 0
