"""The keys of registered clients: fetched, kept, rotated, and what a key server may answer instead (JWT-09)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from keys import ISSUER, NOW, KeyServer, Signer, encoded, jwks_url, key_set, register, weak_rsa
from loopback import Certificates, Listener, Speak, listening, saying
from place import PATHS, Place, reason, url

from cds_service.hooks.authentication import Authenticator
from cds_service.hooks.clients import Client, Clients
from cds_service.hooks.errors import Unauthorized
from cds_service.hooks.read_clients import read_clients
from cds_service.knowledge.knowledge import Knowledge

URL = "https://cds.example.org/cds-services"
MINUTE = 60
HOUR = 3600


class Watch:
    """An authenticator for one client, at a time that a test may move."""

    def __init__(self, client: Client, ca_bundle: Path | None = None, folder: Path | None = None) -> None:
        self.now = NOW
        self.refused = ""
        self._authenticator = Authenticator(Clients(clients=(client,)), lambda *_: True, ca_bundle, folder)

    def lets_in(self, signer: Signer, **header: Any) -> bool:
        token = signer.token(URL, header=header, now=self.now)
        try:
            self._authenticator.client_of(f"Bearer {token}", [URL], None, self.now * 1000)
        except Unauthorized as error:
            self.refused = error.reason
            return False
        return True


@pytest.fixture
def old() -> Signer:
    return Signer(kid="old")


@pytest.fixture
def new() -> Signer:
    return Signer(kid="new", which=1)


@pytest.fixture
def server(old: Signer) -> KeyServer:
    return KeyServer(old)


@pytest.fixture
def listener(server: KeyServer) -> Iterator[Listener]:
    with listening(server.speak) as found:
        yield found


@pytest.fixture
def watch(listener: Listener) -> Watch:
    return Watch(Client(name="main-ehr", issuer=ISSUER, jwks=jwks_url(listener)))


def fetches(listener: Listener) -> int:
    return len(listener.heard)


def soon(holds: Callable[[], bool]) -> bool:
    """Whether something that is done beside the calls comes about."""
    deadline = time.monotonic() + 10
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def test_JWT_09_keys_are_fetched_when_they_are_first_needed_and_once_an_hour(
    watch: Watch, old: Signer, listener: Listener
) -> None:
    assert fetches(listener) == 0
    for _ in range(5):
        assert watch.lets_in(old)
    assert fetches(listener) == 1
    assert "Authorization" not in listener.heard[0]
    watch.now += HOUR - 1
    assert watch.lets_in(old)
    assert fetches(listener) == 1
    watch.now += 1
    assert watch.lets_in(old)
    assert soon(lambda: fetches(listener) == 2)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("max-age=300", 300),
        ("public, max-age=300, must-revalidate", 300),
        ('max-age="300"', 300),
        ("MAX-AGE=300", 300),
        ("max-age=1", MINUTE),
        ("no-store", MINUTE),
        ("no-cache, max-age=300", MINUTE),
        ("max-age=86400", HOUR),
        ("max-age=soon", HOUR),
        ("s-maxage=300", HOUR),
    ],
)
def test_JWT_09_a_key_server_may_say_how_long_its_keys_are_fresh_within_bounds(
    watch: Watch, old: Signer, server: KeyServer, listener: Listener, said: str, seconds: int
) -> None:
    server.says = saying(key_set(old), f"Cache-Control: {said}")
    assert watch.lets_in(old)
    watch.now += seconds - 1
    assert watch.lets_in(old)
    assert fetches(listener) == 1
    watch.now += 1
    assert watch.lets_in(old)
    assert soon(lambda: fetches(listener) == 2)


def test_JWT_09_keys_rotate_without_a_restart(
    watch: Watch, old: Signer, new: Signer, server: KeyServer, listener: Listener
) -> None:
    assert watch.lets_in(old)
    server.says = saying(key_set(old, new))
    watch.now += MINUTE
    assert watch.lets_in(new)
    assert watch.lets_in(old)
    server.says = saying(key_set(new))
    assert watch.lets_in(old)
    watch.now += HOUR
    assert watch.lets_in(new)
    assert soon(lambda: not watch.lets_in(old))
    assert watch.refused == "main-ehr: no key has this kid"
    assert watch.lets_in(new)
    assert fetches(listener) == 3


def test_JWT_09_a_key_may_change_under_its_kid(watch: Watch, old: Signer, server: KeyServer) -> None:
    assert watch.lets_in(old)
    changed = Signer(kid="old", which=5)
    server.says = saying(key_set(changed))
    assert not watch.lets_in(changed)
    watch.now += HOUR
    assert soon(lambda: watch.lets_in(changed))
    assert not watch.lets_in(old)


def test_JWT_09_unknown_kids_have_the_keys_fetched_once_a_minute_at_most(
    watch: Watch, old: Signer, listener: Listener
) -> None:
    stranger = Signer(which=5)
    for second in range(3 * MINUTE):
        assert not watch.lets_in(stranger, kid=f"k-{second}")
        watch.now += 1
    assert fetches(listener) == 3
    assert watch.lets_in(old)


def test_JWT_09_no_token_of_another_issuer_has_keys_fetched(watch: Watch, listener: Listener) -> None:
    assert not watch.lets_in(Signer(issuer="https://elsewhere.example.org"))
    assert fetches(listener) == 0


def dripping(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


def hanging_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


JUNK: dict[str, Speak] = {
    "hangs up": hanging_up,
    "an error": saying(b'{"keys": []}', status="503 Service Unavailable"),
    "not found": saying(b'{"keys": []}', status="404 Not Found"),
    "HTML": saying(b"<html>Please log in</html>", "Content-Type: text/html"),
    "nothing": saying(b""),
    "another object": saying(b'{"key": []}'),
    "keys of another kind": saying(b'{"keys": "none"}'),
    "an array": saying(b"[]"),
    "no UTF-8": saying(b"\xff\xfe\xfd"),
    "too deep": saying(b"[" * 100_000),
    "too long": saying(b'{"keys": []}' + b" " * 262_144),
    "no HTTP": lambda connection: connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"),
}


@pytest.mark.parametrize("name", JUNK)
def test_JWT_09_while_a_key_server_answers_junk_the_old_keys_last_a_day(
    watch: Watch, old: Signer, new: Signer, server: KeyServer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert watch.lets_in(old)
    server.says = JUNK[name]
    for _ in range(23):
        watch.now += HOUR
        assert watch.lets_in(old)
        assert not watch.lets_in(new)
    assert "The key set of main-ehr could not be fetched" in caplog.text
    assert "Please" not in caplog.text
    watch.now += HOUR
    assert not watch.lets_in(old)
    server.says = saying(key_set(old, new))
    watch.now += MINUTE
    assert watch.lets_in(old)
    assert watch.lets_in(new)


def test_JWT_09_a_key_server_cannot_send_us_elsewhere(
    watch: Watch, old: Signer, new: Signer, server: KeyServer
) -> None:
    assert watch.lets_in(old)
    with listening(KeyServer(new).speak) as trap:
        server.says = saying(b"", f"Location: {jwks_url(trap)}", status="302 Found")
        watch.now += HOUR
        assert watch.lets_in(old)
        assert not watch.lets_in(new)
        assert trap.connections == 0


def test_JWT_09_a_failure_too_is_followed_by_a_minute_without_fetching(
    watch: Watch, old: Signer, new: Signer, server: KeyServer, listener: Listener
) -> None:
    assert watch.lets_in(old)
    watch.now += MINUTE
    server.says = JUNK["an error"]
    assert not watch.lets_in(new)
    assert watch.refused == "main-ehr: its key set could not be fetched"
    server.says = saying(key_set(old, new))
    watch.now += MINUTE - 1
    assert not watch.lets_in(new)
    assert watch.refused == "main-ehr: its key set could not be fetched"
    assert fetches(listener) == 2
    watch.now += 1
    assert watch.lets_in(new)
    assert not watch.lets_in(new, kid="another")
    assert watch.refused == "main-ehr: no key has this kid"


def test_JWT_09_while_there_are_no_keys_they_are_tried_again_after_five_seconds(
    watch: Watch, old: Signer, server: KeyServer, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    server.says = JUNK["an error"]
    for _ in range(2):
        assert not watch.lets_in(old)
        watch.now += 4
        assert not watch.lets_in(old)
        assert watch.refused == "main-ehr: its key set could not be fetched"
        watch.now += 1
    assert fetches(listener) == 2
    assert "There are no older keys." in caplog.text
    server.says = saying(key_set(old))
    assert watch.lets_in(old)


def test_JWT_09_a_key_server_that_is_down_leaves_the_old_keys(old: Signer, new: Signer) -> None:
    with listening(KeyServer(old).speak) as listener:
        watch = Watch(Client(name="main-ehr", issuer=ISSUER, jwks=jwks_url(listener)))
        assert watch.lets_in(old)
    watch.now += 2 * HOUR
    assert watch.lets_in(old)
    assert not watch.lets_in(new)


def test_JWT_09_a_slow_key_server_keeps_no_call_waiting_whose_key_is_known(
    watch: Watch, old: Signer, new: Signer, server: KeyServer, listener: Listener
) -> None:
    assert watch.lets_in(old)
    server.says = dripping
    watch.now += HOUR
    started = time.monotonic()
    for _ in range(20):
        assert watch.lets_in(old)
    assert time.monotonic() - started < 1
    assert soon(lambda: fetches(listener) == 2)
    assert not watch.lets_in(new)
    assert 1.5 < time.monotonic() - started < 5
    assert watch.refused == "main-ehr: its key set could not be fetched"
    assert fetches(listener) == 2


def test_JWT_09_calls_at_once_have_the_keys_fetched_once(
    watch: Watch, old: Signer, server: KeyServer, listener: Listener
) -> None:
    answering = threading.Event()

    def late(connection: socket.socket) -> None:
        answering.wait(10)
        saying(key_set(old))(connection)

    server.says = late
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(watch.lets_in, old) for _ in range(8)]
        while not listener.heard:
            time.sleep(0.01)
        answering.set()
        assert all(call.result(10) for call in calls)
    assert fetches(listener) == 1


def test_JWT_09_a_clock_that_is_set_back_does_not_keep_keys_from_being_fetched(
    watch: Watch, old: Signer, new: Signer, server: KeyServer
) -> None:
    assert watch.lets_in(old)
    server.says = saying(key_set(old, new))
    watch.now -= 10 * HOUR
    assert watch.lets_in(new)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"use": "enc"}, ""),
        ({"key_ops": ["sign"]}, ""),
        ({"kty": "OKP", "crv": "Ed25519"}, ""),
        ({"crv": "secp256k1"}, ""),
        ({"alg": "ES256"}, ""),
        ({"d": "AA"}, "key 1 is private"),
        ({"kty": "oct", "k": "AA"}, "key 1 is symmetric"),
        ({"k": "AA"}, "key 1 is symmetric"),
        ({"kid": ...}, "key 1 has no kid"),
        ({"kid": 7}, "key 1 has no kid"),
        ({"alg": 7}, "key 1 has an alg that is no text"),
        ({"x": "AA"}, "key 1 is broken"),
        ({"x": ...}, "key 1 is broken"),
        ({"y": 7}, "key 1 is broken"),
    ],
)
def test_JWT_14_only_public_keys_for_signatures_are_used(
    watch: Watch, old: Signer, new: Signer, server: KeyServer, caplog: pytest.LogCaptureFixture, change: Any, told: str
) -> None:
    server.says = saying(key_set(old.jwk(**change), new))
    assert watch.lets_in(new)
    assert not watch.lets_in(old)
    assert (f"In the key set of main-ehr, {told}; it is not used." in caplog.text) == bool(told)


def test_JWT_06_JWT_14_short_keys_are_not_used(
    server: KeyServer, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    server.says = saying(
        key_set(
            {**weak_rsa(), "kid": "weak"}, {"kty": "RSA", "n": encoded(b"\xff" * 2000), "e": "AQAB", "kid": "huge"}, "x"
        )
    )
    assert not watch.lets_in(Signer("RS384", "weak"))
    assert not watch.lets_in(Signer("RS384", "huge"))
    for told in ("key 1 has 1024 bits", "key 2 has 16000 bits", "key 3 is no JSON object"):
        assert told in caplog.text


def test_JWT_02_JWT_14_a_kid_that_stands_twice_is_of_neither_key(
    watch: Watch, old: Signer, new: Signer, server: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.says = saying(key_set(old, Signer(kid="old", which=5), new))
    assert watch.lets_in(new)
    assert not watch.lets_in(old)
    assert not watch.lets_in(Signer(kid="old", which=5))
    assert "key 1 has a kid that stands more than once" in caplog.text


def test_JWT_09_keys_come_over_tls_from_a_trusted_server(old: Signer, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with listening(KeyServer(old).speak, certificates.server("127.0.0.1")) as listener:
        client = Client(name="main-ehr", issuer=ISSUER, jwks=f"https://127.0.0.1:{listener.port}/jwks.json")
        assert Watch(client, certificates.bundle).lets_in(old)
        assert not Watch(client).lets_in(old)
        assert fetches(listener) == 1


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::ffff:127.0.0.1]", "2130706433", "localhost.example.org@127.0.0.1"]
)
def test_JWT_09_a_key_address_that_is_refused_is_not_asked(
    old: Signer, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    with listening(KeyServer(old).speak) as trap:
        watch = Watch(Client(name="main-ehr", issuer=ISSUER, jwks=f"https://{host}:{trap.port}/jwks.json"))
        assert not watch.lets_in(old)
        assert trap.connections == 0


def test_JWT_08_keys_of_a_file_are_those_it_had_when_the_service_started(
    tmp_path: Path, old: Signer, new: Signer
) -> None:
    (tmp_path / "jwks.json").write_bytes(key_set(old))
    clients = read_clients(register(tmp_path, {"name": "main-ehr", "issuer": ISSUER, "jwks": "jwks.json"}), [])
    watch = Watch(clients.clients[0])
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [new.jwk()]}))
    assert watch.lets_in(old)
    assert not watch.lets_in(new)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the service keeps key sets; it is not there yet."""
    return tmp_path / "state" / "key-sets"


@pytest.fixture
def down(old: Signer, folder: Path) -> Client:
    """A client whose key server is down since its keys were fetched, and kept."""
    with listening(KeyServer(old).speak) as listener:
        client = Client(name="main-ehr", issuer=ISSUER, jwks=jwks_url(listener))
        assert Watch(client, folder=folder).lets_in(old)
    return client


def kept(folder: Path) -> Path:
    """The one file in a folder of key sets."""
    (file,) = folder.iterdir()
    return file


def test_JWT_09_a_new_process_has_the_old_keys_for_a_day_while_the_key_server_is_down(
    old: Signer, new: Signer, down: Client, folder: Path
) -> None:
    watch = Watch(down, folder=folder)
    assert watch.lets_in(old)
    assert not watch.lets_in(new)
    assert watch.refused == "main-ehr: its key set could not be fetched"
    late = Watch(down, folder=folder)
    late.now += 24 * HOUR - 1
    assert late.lets_in(old)
    late.now += 1
    assert not late.lets_in(old)
    assert not Watch(down).lets_in(old)


def test_JWT_09_a_kept_key_set_is_renewed_at_its_first_use(
    old: Signer, new: Signer, server: KeyServer, listener: Listener, folder: Path
) -> None:
    client = Client(name="main-ehr", issuer=ISSUER, jwks=jwks_url(listener))
    assert Watch(client, folder=folder).lets_in(old)
    server.says = saying(key_set(new))
    watch = Watch(client, folder=folder)
    watch.now += 1
    assert watch.lets_in(old)
    assert soon(lambda: not watch.lets_in(old))
    assert fetches(listener) == 2
    assert watch.lets_in(new)
    written = json.loads(kept(folder).read_bytes())
    assert written["fetched"] == watch.now * 1000
    assert [key["kid"] for key in written["keys"]] == ["new"]


def test_JWT_09_a_process_takes_up_the_keys_that_another_fetched(old: Signer, new: Signer, folder: Path) -> None:
    server = KeyServer(old)
    with listening(server.speak) as listener:
        client = Client(name="main-ehr", issuer=ISSUER, jwks=jwks_url(listener))
        first, second = Watch(client, folder=folder), Watch(client, folder=folder)
        assert first.lets_in(old)
        server.says = saying(key_set(new))
        second.now += MINUTE
        assert second.lets_in(old)
        assert soon(lambda: second.lets_in(new))
    first.now += 2 * MINUTE
    assert first.lets_in(new)


def test_JWT_14_public_keys_alone_are_kept_and_for_their_owner(
    server: KeyServer, listener: Listener, folder: Path
) -> None:
    plain, rsa = Signer(kid="plain"), Signer("RS384", "r\u00e4tsel")
    private = {**Signer(kid="private", which=1).key.as_dict(private=True), "kid": "private"}
    server.says = saying(key_set(plain.jwk(alg=...), rsa, private, {"kty": "oct", "kid": "k", "k": "c2VjcmV0"}))
    client = Client(name="main-ehr", issuer=ISSUER, jwks=jwks_url(listener))
    assert Watch(client, folder=folder).lets_in(plain)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert kept(folder).stat().st_mode & 0o777 == 0o600
    written = json.loads(kept(folder).read_bytes())
    assert written["url"] == client.jwks
    assert written["keys"] == [plain.jwk(alg=...), rsa.jwk()]
    server.says = JUNK["an error"]
    watch = Watch(client, folder=folder)
    assert watch.lets_in(plain)
    assert watch.lets_in(rsa)


def changed(**members: Any) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | members).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-10],
        lambda content: b"\xff" + content,
        lambda content: b"[" * 100_000,
        lambda content: content + b" " * 2_000_000,
        lambda content: b"[]",
        changed(url="https://elsewhere.example.org/jwks.json"),
        changed(url=None),
        changed(fetched="yesterday"),
        changed(fetched=(NOW - 24 * HOUR) * 1000),
        changed(fetched=(NOW + HOUR) * 1000),
        changed(keys=None),
        changed(keys=[7]),
        changed(keys=[Signer(kid="old").jwk(d="AA")]),
        changed(keys=[Signer(kid="old").jwk(x="AA")]),
        changed(keys=[]),
    ],
)
def test_JWT_09_a_kept_file_that_is_old_or_not_as_it_was_written_is_ignored(
    old: Signer, down: Client, folder: Path, change: Callable[[bytes], bytes]
) -> None:
    file = kept(folder)
    assert Watch(down, folder=folder).lets_in(old)
    file.write_bytes(change(file.read_bytes()))
    watch = Watch(down, folder=folder)
    assert not watch.lets_in(old)
    assert watch.refused == "main-ehr: its key set could not be fetched"


def test_JWT_09_a_key_set_that_cannot_be_kept_is_told_once_and_harms_no_call(
    old: Signer, listener: Listener, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.mkdir()
    folder.write_text("no folder")
    client = Client(name="main-ehr", issuer=ISSUER, jwks=jwks_url(listener))
    watch = Watch(client, folder=folder)
    assert watch.lets_in(old)
    watch.now += HOUR
    assert watch.lets_in(old)
    assert soon(lambda: fetches(listener) == 2)
    assert not watch.lets_in(old, kid="another")
    assert caplog.text.count(f"Key sets cannot be kept in {folder}: ") == 1


def test_JWT_09_a_file_that_cannot_be_replaced_leaves_nothing_behind(
    old: Signer, listener: Listener, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(name="main-ehr", issuer=ISSUER, jwks=jwks_url(listener))
    assert Watch(client, folder=folder).lets_in(old)
    file = kept(folder)
    file.unlink()
    file.mkdir()
    assert Watch(client, folder=folder).lets_in(old)
    assert list(folder.iterdir()) == [file]
    assert "Key sets cannot be kept in" in caplog.text


def test_JWT_09_a_restarted_service_answers_while_the_key_server_is_down(
    tmp_path: Path, knowledge: Knowledge, old: Signer, new: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(KeyServer(old).speak) as listener:
        entry = {"name": "main-ehr", "issuer": ISSUER, "jwks": jwks_url(listener)}
        place = Place(tmp_path, knowledge, entry)
        assert place.status("service", old.token(url("service"))) == 200
    place.start()
    for address in PATHS:
        assert place.status(address, old.token(url(address))) == 200
    assert place.status("service", new.token(url("service"))) == 401
    assert reason(caplog) == "main-ehr: its key set could not be fetched"
    assert kept(tmp_path / "key-sets").suffix == ".json"
