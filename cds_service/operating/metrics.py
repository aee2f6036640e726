"""What the service counts, for Prometheus: calls, latency, cards, outcomes, what could not be read, failures.

Under gunicorn every worker counts in files of its own in one folder (`FOLDER`), which is the sum that `/metrics` shows.
In any other process an application has a registry of its own. No label holds an id of a patient or a user, nor anything
else that a client can choose.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from flask import Blueprint, Response

from cds_service.operating.record import CallRecord

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder of the workers' files; prometheus-client reads it when it is imported."""
Part = Literal["memory", "audit", "feedback", "reload"]
"""What can fail while calls are still answered."""

_STEPS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_TOTALS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHOWN_TYPES: Final = ("counter", "histogram")


class _Counted:
    """All metrics. `registry` is None when the files of the workers are the registry."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        from prometheus_client import Counter, Histogram

        def counter(name: str, help_: str, *labels: str) -> _Children:
            return _Children(Counter(name, help_, labels, registry=registry))

        def histogram(name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> _Children:
            return _Children(Histogram(name, help_, labels, buckets=buckets, registry=registry))

        self.calls = counter("cds_calls", "Calls of CDS clients", "kind", "client", "service", "status")
        self.total = histogram("cds_call_seconds", "Time of a call", _TOTALS, "kind", "service")
        self.steps = histogram("cds_step_seconds", "Time of one step of a call", _STEPS, "step")
        self.cards = counter("cds_cards", "Cards shown", "card", "indicator")
        self.outcomes = counter("cds_outcomes", "Outcomes of card definitions", "outcome")
        self.unreadable = counter("cds_unreadable", "Resources that could not be read", "reason")
        self.not_supplied = counter("cds_not_supplied", "Prefetch keys that were neither sent nor fetched")
        self.fetched = counter("cds_fetched", "Prefetch keys that were fetched from a FHIR server")
        self.feedback = counter("cds_feedback", "Entries of feedback", "outcome")
        self.failures = counter("cds_failures", "What failed while calls were answered", "part")


class _Children:
    """A metric and its children by their labels; looking one up here costs a third of what `labels` does."""

    def __init__(self, metric: Counter | Histogram) -> None:
        self._metric: Any = metric
        self._children: dict[tuple[str, ...], Any] = {}

    def of(self, *labels: str) -> Any:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels) if labels else self._metric
        return child

    def add(self, counts: Mapping[str, int]) -> None:
        for label, count in counts.items():
            self.of(label).inc(count)


class Metrics:
    """The metrics of one application. `services` are the ids that may stand in a label; any other is `unknown`."""

    def __init__(self, services: Iterable[str] = ()) -> None:
        self._services = frozenset(services)
        self._registry: CollectorRegistry | None = None
        if os.environ.get(FOLDER):
            self._counted = _counted_by_process()
        else:
            from prometheus_client import CollectorRegistry

            self._registry = CollectorRegistry()
            self._counted = _Counted(self._registry)

    def observe(self, record: CallRecord) -> None:
        """Count a call that has been answered."""
        counted = self._counted
        service = "none" if record.service is None else record.service
        if record.service is not None and service not in self._services:
            service = "unknown"
        counted.calls.of(record.kind, record.client or "none", service, str(record.status)).inc()
        counted.total.of(record.kind, service).observe(record.total)
        for step, seconds in record.seconds.items():
            counted.steps.of(step).observe(seconds)
        for card, indicator in record.cards:
            counted.cards.of(card, indicator).inc()
        counted.outcomes.add(record.outcomes)
        counted.unreadable.add(record.unreadable)
        counted.feedback.add(record.feedback)
        if record.not_supplied:
            counted.not_supplied.of().inc(record.not_supplied)
        if record.fetched:
            counted.fetched.of().inc(record.fetched)

    def failed(self, part: Part) -> None:
        """Count a failure of a part without which calls are answered all the same."""
        self._counted.failures.of(part).inc()

    def text(self) -> tuple[bytes, str]:
        """All metrics in the text format of Prometheus, and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if self._registry is not None:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        folder = os.environ[FOLDER]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        with _hold(Path(folder), fcntl.LOCK_SH):
            return generate_latest(registry), CONTENT_TYPE_LATEST


def metrics(counted: Metrics) -> Blueprint:
    """GET /metrics, for Prometheus."""
    views = Blueprint("metrics", __name__)

    @views.get("/metrics")
    def show() -> Response:
        text, media_type = counted.text()
        return Response(text, content_type=media_type)

    return views


def bury(pid: int, folder: Path) -> None:
    """Add the counts of a worker that has ended to those of all that ended before, in one pair of files.

    Workers are renewed now and then: without this their files would grow in number for ever.
    """
    from prometheus_client import mmap_dict, multiprocess

    files: Any = mmap_dict.MmapedDict
    mark_process_dead: Any = multiprocess.mark_process_dead
    with suppress(OSError), _hold(folder, fcntl.LOCK_EX):
        mark_process_dead(pid, str(folder))
        for type_ in _SHOWN_TYPES:
            file = folder / f"{type_}_{pid}.db"
            if not file.exists():
                continue
            ended = files(str(folder / f"{type_}_ended.db"))
            for key, value, _, _ in files.read_all_values_from_file(str(file)):
                ended.write_value(key, ended.read_value(key)[0] + value, 0.0)
            ended.close()
            file.unlink()


@cache
def _counted_by_process() -> _Counted:
    """The metrics of this process: the files of a worker belong to it, whatever application it runs."""
    return _Counted(None)


@contextmanager
def _hold(folder: Path, how: int) -> Iterator[None]:
    """Hold the folder of the workers' files, shared or alone, against other processes."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)
