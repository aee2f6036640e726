"""What a request costs: CPU of the worker for bodies of 200, 1,000 and 5,000 resources, against two bare endpoints.

Ours, A (orjson) and B (msgspec) run at the same time and are called in turn, so that a busy machine slows all three
alike; read the ratios. With `--json` one object per size is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SIZES = (200, 1_000, 5_000)
KEYS = {
    "Observation": "vital_signs", "Condition": "conditions", "MedicationRequest": "medication_requests",
    "Procedure": "procedures", "Encounter": "encounters", "DiagnosticReport": "diagnostic_reports",
    "ServiceRequest": "service_requests", "MedicationStatement": "medication_statements",
}  # fmt: skip
PATIENT = "benchmark"


def bundles() -> Iterator[dict[str, Any]]:
    """Whole-patient Bundles: those of the Synthea data beside the project, else the project's own patients."""
    shared = ROOT.parent / "shared" / "data" / "synthea"
    if shared.is_dir():
        for path in sorted(shared.glob("*/*.json.gz"), reverse=True):
            yield json.loads(gzip.decompress(path.read_bytes()))
        return
    for path in sorted((ROOT / "fixtures" / "patients").glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def resources(count: int) -> list[dict[str, Any]]:
    """So many resources, all of one patient; the Bundles are used again when they are too few."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        before = len(found)
        for bundle in bundles():
            entries = [entry["resource"] for entry in bundle["entry"]]
            own = next((one["id"] for one in entries if one["resourceType"] == "Patient"), None)
            for resource in entries:
                if resource["resourceType"] in KEYS:
                    text = json.dumps(resource, separators=(",", ":"))
                    text = text.replace(f"urn:uuid:{own}", f"Patient/{PATIENT}").replace(
                        f"Patient/{own}", f"Patient/{PATIENT}"
                    )
                    found.append(json.loads(text))
            if len(found) >= count:
                break
        if len(found) == before:
            raise SystemExit("no resources found")
    return found[:count]


def body(count: int, keys: list[str]) -> bytes:
    """A CDS Hooks request with so many resources in its prefetch, which answers every key of discovery."""
    prefetch: dict[str, Any] = {
        "patient": {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1956-02-03"}
    }
    for key in (key for key in keys if key != "patient"):
        prefetch[key] = {"resourceType": "Bundle", "type": "searchset", "entry": []}
    for resource in resources(count - 1):
        prefetch[KEYS[resource["resourceType"]]]["entry"].append({"resource": resource})
    request = {
        "hook": "patient-view",
        "hookInstance": "b7d1e2a4-0000-4000-8000-000000000000",
        "context": {"userId": "Practitioner/benchmark", "patientId": PATIENT},
        "prefetch": prefetch,
    }
    return json.dumps(request, separators=(",", ":")).encode()


class Endpoint:
    """A running server with one worker process."""

    def __init__(self, name: str, command: list[str], path: str, port: int) -> None:
        self.name = name
        self.path = path
        self.port = port
        self.process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "CDS_SERVICE_LOG_LEVEL": "error"})
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.worker = self._wait()

    def _wait(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for _ in range(300):
            time.sleep(0.1)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                workers = children.read_text().split()
                if workers:
                    return int(workers[0])
        raise SystemExit(f"{self.name} did not start")

    def cpu(self) -> float:
        """Milliseconds of CPU that the worker has used, all its threads together."""
        tasks = Path(f"/proc/{self.worker}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6

    def keys(self) -> list[str]:
        """The prefetch keys that discovery asks for."""
        self.connection.request("GET", "/cds-services")
        services = json.loads(self.connection.getresponse().read())["services"]
        return list(next(one["prefetch"] for one in services if self.path.endswith(one["id"])))

    def call(self, data: bytes) -> float:
        """Send a body; the milliseconds until the answer was read."""
        started = time.perf_counter()
        self.connection.request("POST", self.path, data, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        response.read()
        if response.status != 200:
            raise SystemExit(f"{self.name} answered {response.status}")
        return (time.perf_counter() - started) * 1000

    def stop(self) -> None:
        """End the server."""
        self.connection.close()
        self.process.terminate()
        self.process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def endpoints() -> Iterator[list[Endpoint]]:
    """Ours, A and B, each on a port of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CDS_SERVICE_DATABASE"] = f"sqlite:///{folder}/feedback.sqlite3"
        ports = [free_port() for _ in range(3)]
        python = sys.executable
        ours = [python, "-m", "cds_service", "serve", "--workers", "1", "--port", str(ports[0])]
        running = []
        try:
            running.append(Endpoint("ours", ours, "/cds-services/leg-weakness-patient-view", ports[0]))
            for kind, port in zip(("orjson", "msgspec"), ports[1:], strict=True):
                bare = [
                    python,
                    "-m",
                    "gunicorn",
                    "--workers",
                    "1",
                    "--threads",
                    "4",
                    "--keep-alive",
                    "30",
                    "--bind",
                    f"127.0.0.1:{port}",
                ]
                bare += ["--log-level", "error", f"benchmarks.bare:create('{kind}')"]
                running.append(Endpoint(kind, bare, "/", port))
            yield running
        finally:
            for endpoint in running:
                endpoint.stop()


def measure(running: list[Endpoint], count: int, seconds: float) -> dict[str, float]:
    """Call the three in turn until the time is over; CPU per request of each, and our latencies."""
    data = body(count, running[0].keys())
    for endpoint in running:
        for _ in range(5):
            endpoint.call(data)
    cpu: dict[str, list[float]] = {endpoint.name: [] for endpoint in running}
    latencies: list[float] = []
    ends = time.monotonic() + seconds
    batch = max(10, 20_000 // count)
    while time.monotonic() < ends:
        for endpoint in running:
            before = endpoint.cpu()
            taken = [endpoint.call(data) for _ in range(batch)]
            cpu[endpoint.name].append((endpoint.cpu() - before) / batch)
            if endpoint.name == "ours":
                latencies += taken
    latencies.sort()
    return {
        "resources": count,
        "body_mb": round(len(data) / 1e6, 2),
        "requests": len(latencies),
        "ours_cpu_ms": round(statistics.median(cpu["ours"]), 3),
        "orjson_cpu_ms": round(statistics.median(cpu["orjson"]), 3),
        "msgspec_cpu_ms": round(statistics.median(cpu["msgspec"]), 3),
        "p50_ms": round(statistics.median(latencies), 3),
        "p99_ms": round(latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))], 3),
    }


def main() -> None:
    """Measure each size and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object per size")
    parser.add_argument("--seconds", type=float, default=12.0, help="how long to measure each size")
    arguments = parser.parse_args()
    with endpoints() as running:
        if not arguments.json:
            print("resources   MB   ours   A orjson   B msgspec   ours/A   ours/B   p50    p99   p99/p50")
        for count in SIZES:
            found = measure(running, count, arguments.seconds)
            if arguments.json:
                print(json.dumps(found), flush=True)
                continue
            ours, a, b = found["ours_cpu_ms"], found["orjson_cpu_ms"], found["msgspec_cpu_ms"]
            print(
                f"{count:9d} {found['body_mb']:5.2f} {ours:6.2f} {a:10.2f} {b:11.2f} {ours / a:8.2f} {ours / b:8.2f} "
                f"{found['p50_ms']:6.2f} {found['p99_ms']:6.2f} {found['p99_ms'] / found['p50_ms']:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
