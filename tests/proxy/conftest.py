"""Certificates of the tests' own, and the proxy in front of a server that records what it hears."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Certificates

from proxy.servers import Proxy, Recorder, running_proxy


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as deploy/site/tls, with a certificate for localhost, and one of a client (`ehr.example.org.pem`)."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Certificates(folder)
    authority.server("localhost")
    authority.server("ehr.example.org")
    for name in ("certificate.pem", "key.pem"):
        shutil.copy(folder / "localhost.pem", folder / name)
    shutil.copy(authority.bundle, folder / "clients.pem")
    return folder


@pytest.fixture(scope="session")
def trusting(tls: Path) -> ssl.SSLContext:
    """What a client trusts that knows our authority."""
    return ssl.create_default_context(cafile=str(tls / "ca.pem"))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A server in the place of the service."""
    with Recorder().listening() as recorder:
        yield recorder


@pytest.fixture
def proxy(tls: Path, recorder: Recorder) -> Iterator[Proxy]:
    """The proxy in front of the recorder."""
    with running_proxy(tls, recorder.port) as proxy:
        yield proxy
