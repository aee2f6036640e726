"""HUP: new knowledge without a lost request, mistakes are refused and the old knowledge goes on."""

from __future__ import annotations

import shutil
import signal
import stat
import threading
from collections import Counter
from pathlib import Path

import pytest
import requests
from served import BODY, NAME, TIMEOUT, Served, a_few_cases, served, until

from cds_service.demo import local_session
from cds_service.folders import data_folder


class Callers:
    """Clients that call the service until they are told to stop: most on a new connection each time, one on its own."""

    def __init__(self, service: Served, count: int = 3) -> None:
        self.answers: Counter[str] = Counter()
        self._service = service
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number == 0,)) for number in range(count)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self, keep: bool) -> None:
        headers = {"Content-Type": "application/json", "Connection": "keep-alive" if keep else "close"}
        with local_session() as session:
            while not self._over.wait(0.02):
                try:
                    answer = session.post(self._service.url + NAME, data=BODY, headers=headers, timeout=TIMEOUT)
                    self.answers[str(answer.status_code)] += 1
                except requests.RequestException as error:
                    self.answers[repr(error)] += 1


def test_new_knowledge_is_served_and_no_request_is_lost(tmp_path: Path) -> None:
    cards = a_few_cases(tmp_path)
    with served(tmp_path, CARDS=str(cards)) as service, Callers(service) as callers:
        before = service.get("/health/ready").json()["knowledge"]
        card = cards / "electrolytes" / "hypokalemia.yaml"
        written = card.read_text(encoding="utf-8")
        card.write_text(written.replace("title: Low potassium", "title: Potassium is low"), encoding="utf-8")
        service.hang_up()
        until(lambda: service.said("reloaded"), "the new title is read")
        now = service.get("/health/ready").json()["knowledge"]
        assert now != before

        card.write_text(written.replace("priority: ", "priority: soon "), encoding="utf-8")
        service.hang_up()
        (line,) = until(lambda: service.said("not reloaded"), "the mistake is refused")
        assert line["level"] == "error"
        assert len(line["problems"]) == 1
        assert line["problems"][0].startswith(f"{card}:")
        assert "expected" in line["problems"][0]
        assert service.get("/health/ready").json()["knowledge"] == now
        assert 'cds_failures_total{part="reload"} 1.0' in service.get("/metrics").text
    assert set(callers.answers) == {"200"}
    assert callers.answers["200"] > 50


def test_a_case_that_fails_keeps_the_old_knowledge(tmp_path: Path) -> None:
    cards = a_few_cases(tmp_path)
    with served(tmp_path, CARDS=str(cards), WORKERS="1") as service:
        before = service.get("/health/ready").json()["knowledge"]
        cases = cards / "electrolytes" / "hypokalemia.cases.yaml"
        cases.write_text(
            cases.read_text(encoding="utf-8").replace("expect: critical", "expect: info"), encoding="utf-8"
        )
        service.hang_up()
        (line,) = until(lambda: service.said("not reloaded"), "the case is refused")
        assert line["problems"] == [f"{cases}:2:1: found critical; expected info"]
        assert service.get("/health/ready").json()["knowledge"] == before
        assert service.post().status_code == 200


def test_new_clients_are_let_in_and_a_mistake_in_their_file_keeps_the_old_ones(tmp_path: Path) -> None:
    clients = tmp_path / "clients"
    shutil.copytree(data_folder("fixtures") / "clients", clients)
    file = clients / "sandbox.yaml"
    with served(tmp_path, CARDS=str(a_few_cases(tmp_path)), CLIENTS=str(file), WORKERS="1") as service:

        def allowed(origin: str) -> bool:
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            with local_session() as session:
                answer = session.options(service.url + NAME, headers=asked, timeout=TIMEOUT)
            return answer.headers.get("Access-Control-Allow-Origin") == origin

        assert allowed("https://sandbox.cds-hooks.org")
        written = file.read_text(encoding="utf-8")
        file.write_text(written.replace("origins: [https://sandbox", "origins: [https://new"), encoding="utf-8")
        service.hang_up()
        until(lambda: service.said("reloaded"), "the clients are read")
        assert allowed("https://new.cds-hooks.org")
        assert not allowed("https://sandbox.cds-hooks.org")

        file.write_text(written.replace('profile: "2.0.1"', 'profile: "2"'), encoding="utf-8")
        service.hang_up()
        (line,) = until(lambda: service.said("not reloaded"), "the mistake is refused")
        assert len(line["problems"]) == 1
        assert line["problems"][0].startswith(f"{file}:")
        assert allowed("https://new.cds-hooks.org")


@pytest.mark.parametrize("hangs_up", [1, 3])
def test_a_stop_does_not_wait_for_a_reload(tmp_path: Path, hangs_up: int) -> None:
    with served(tmp_path, WORKERS="1") as service:
        for _ in range(hangs_up):
            service.hang_up()
        until(lambda: service.said("Handling signal: hup"), "HUP is heard")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
        assert not service.said("reloaded")


def test_the_files_of_the_metrics_are_private_and_end_with_the_service(tmp_path: Path) -> None:
    with served(tmp_path, WORKERS="1") as service:
        assert service.post().status_code == 200
        folder = service.counts()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
