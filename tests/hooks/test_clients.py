"""The file of registered clients: what it may say, and that every mistake in it is told with its place."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from keys import Signer, key_set, weak_rsa
from small import a_service

from cds_service.app import create_app
from cds_service.config import ConfigError, read_config
from cds_service.hooks.clients import Client, Clients
from cds_service.hooks.read_clients import read_clients
from cds_service.knowledge.knowledge import Knowledge
from cds_service.knowledge.reading import KnowledgeError

SERVICES = [a_service("patient-view"), a_service("order-sign")]
WHOLE = """
public_url: https://cds.example.org/leg-weakness/
clients:
  - name: main-ehr
    issuer: https://ehr.example.org/
    jwks: https://ehr.example.org/jwks.json
    jku: https://keys.example.org/jwks.json
    algorithms: [ES384]
    profile: "3.0"
    audiences: [cds-service]
    tenants: [north, south]
    services: [small-patient-view]
    fhir_servers: [https://ehr.example.org/fhir/r4, https://10.1.2.3/fhir, http://127.0.0.1:8080/fhir]
    networks: [10.1.0.0/16, "fd00::/8"]
    open_fhir_server: true
    origins: [https://ehr.example.org, http://localhost:8080, "http://[::1]:8080"]
    prefetch_keys: {their-patient: patient, their-drafts: draft_medications}
    one_action: true
  - name: second
    issuer: https://second.example.org
    jwks: keys/second.json
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the key file `jwks.json`, and `keys/second.json`."""
    (tmp_path / "keys").mkdir()
    for name in ("jwks.json", "keys/second.json"):
        (tmp_path / name).write_bytes(key_set(Signer(), Signer("RS384", "k-2")))
    return tmp_path


def read(folder: Path, text: str) -> Clients:
    path = folder / "clients.yaml"
    path.write_text(text)
    return read_clients(path, SERVICES)


def mistakes(folder: Path, text: str) -> list[str]:
    """The mistakes of a file, each as line:column: found …; expected …"""
    with pytest.raises(KnowledgeError) as caught:
        read(folder, text)
    return [str(problem).removeprefix(f"{folder / 'clients.yaml'}:") for problem in caught.value.problems]


def client(**members: Any) -> str:
    """A file with one client whose entry has these lines besides, from line 5 on."""
    entry = {"name": "main-ehr", "issuer": "https://ehr.example.org/", "jwks": "jwks.json", **members}
    lines = "\n".join(f"    {name}: {value}" for name, value in entry.items() if value is not None)
    return "clients:\n  -" + lines[3:] + "\n"


def test_everything_that_a_file_may_say_is_read(folder: Path) -> None:
    found = read(folder, WHOLE)
    assert found.public_url == "https://cds.example.org/leg-weakness"
    assert found.clients[0] == Client(
        name="main-ehr",
        issuer="https://ehr.example.org/",
        jwks="https://ehr.example.org/jwks.json",
        jku="https://keys.example.org/jwks.json",
        algorithms=("ES384",),
        profile="3.0",
        audiences=("cds-service",),
        tenants=("north", "south"),
        services=("small-patient-view",),
        fhir_servers=("https://ehr.example.org/fhir/r4", "https://10.1.2.3/fhir", "http://127.0.0.1:8080/fhir"),
        networks=("10.1.0.0/16", "fd00::/8"),
        open_fhir_server=True,
        origins=("https://ehr.example.org", "http://localhost:8080", "http://[::1]:8080"),
        prefetch_keys={"their-patient": "patient", "their-drafts": "draft_medications"},
        one_action=True,
    )
    second = Client(name="second", issuer="https://second.example.org", jwks_file=folder / "keys" / "second.json")
    assert found.clients[1] == second


@pytest.mark.parametrize("written", ["1.0", "1.1", "2.0.1", "3.0", '"1.0"', "'3.0'"])
def test_VER_01_a_profile_needs_no_quotes(folder: Path, written: str) -> None:
    assert read(folder, client(profile=written)).clients[0].profile == written.strip("\"'")


def test_VER_01_without_a_profile_it_is_2_0_1(folder: Path) -> None:
    assert read(folder, client()).clients[0].profile == "2.0.1"


@pytest.mark.parametrize("written", ["2", "2.0", "3", "1.10", "2.0.0", '"3"', "true", "[3.0]", "{a: b}", "~"])
def test_VER_01_another_version_is_a_mistake(folder: Path, written: str) -> None:
    (told,) = mistakes(folder, client(profile=written))
    assert re.fullmatch(r"5:14: found .*; expected one of 1\.0, 1\.1, 2\.0\.1, 3\.0", told)


URL = "expected an https URL (http on this machine only) of an address that may be asked, without query and fragment"
ORIGIN = "expected the origin of a browser, such as https://ehr.example.org (http on this machine only)"
NETWORK = "expected a network such as 10.20.0.0/16"
PRIVATE = "expected a private network; link-local, multicast and reserved addresses are never asked"
MISTAKES = [
    ({"colour": "red"}, "5:5: found the unknown key 'colour'; expected one of name, issuer, jwks,"),
    ({"name": "main ehr"}, "2:11: found 'main ehr'; expected a name of letters, digits"),
    ({"name": "x" * 65}, "2:11: found "),
    ({"name": '"a\\nb"'}, "2:11: found "),
    ({"name": "[a]"}, "2:11: found a list; expected text"),
    ({"name": None}, "2:5: found no 'name'; expected the key 'name'"),
    ({"issuer": None}, "2:5: found no 'issuer'; expected the key 'issuer'"),
    ({"jwks": None}, "2:5: found no 'jwks'; expected the key 'jwks'"),
    ({"issuer": "~"}, "3:13: found 'None'; expected a value"),
    ({"issuer": '""'}, "3:13: found ''; expected"),
    ({"issuer": "7"}, "3:13: found '7'; expected text"),
    ({"jwks": "http://ehr.example.org/jwks.json"}, f"4:11: found 'http://ehr.example.org/jwks.json'; {URL}"),
    ({"jwks": "ftp://ehr.example.org/jwks.json"}, f"4:11: found 'ftp://ehr.example.org/jwks.json'; {URL}"),
    ({"jwks": "https://169.254.169.254/"}, f"4:11: found 'https://169.254.169.254/'; {URL}"),
    ({"jwks": "https://a:b@ehr.example.org/"}, f"4:11: found a URL with a user; {URL}"),
    ({"jwks": "missing.json"}, "4:11: found a file that cannot be read (No such file or directory); expected an https"),
    ({"jwks": "keys"}, "4:11: found a file that cannot be read (Is a directory); expected an https"),
    ({"jku": "http://ehr.example.org/"}, f"5:10: found 'http://ehr.example.org/'; {URL}"),
    ({"algorithms": "[HS256]"}, "5:18: found 'HS256'; expected one of ES256, ES384, ES512, RS256"),
    ({"algorithms": "[ES384, none]"}, "5:25: found 'none'; expected one of"),
    ({"algorithms": "[]"}, "5:17: found a list; expected at least one algorithm"),
    ({"algorithms": "ES384"}, "5:17: found 'ES384'; expected a list"),
    ({"algorithms": "[ES512]"}, "4:11: found no key to check signatures with in 'jwks.json'; expected keys for ES512"),
    ({"audiences": "[7]"}, "5:17: found '7'; expected text"),
    ({"tenants": "[12]"}, "5:15: found '12'; expected text"),
    ({"tenants": "north"}, "5:14: found 'north'; expected a list"),
    ({"services": "[small-patient-vieww]"}, "5:16: found the unknown service 'small-patient-vieww'; expected one of "),
    ({"fhir_servers": "[http://ehr.example.org]"}, f"5:20: found 'http://ehr.example.org'; {URL}"),
    ({"fhir_servers": "['https://ehr.example.org/?a=b']"}, f"5:20: found 'https://ehr.example.org/?a=b'; {URL}"),
    ({"fhir_servers": "['https://ehr.example.org/#a']"}, f"5:20: found 'https://ehr.example.org/#a'; {URL}"),
    ({"fhir_servers": "[https://u:p@ehr.example.org/]"}, f"5:20: found a URL with a user; {URL}"),
    ({"fhir_servers": "['https://[fe80::1]/']"}, f"5:20: found 'https://[fe80::1]/'; {URL}"),
    ({"fhir_servers": "['https://[fec0::1]/']"}, f"5:20: found 'https://[fec0::1]/'; {URL}"),
    ({"jwks": "'https://[2600::5efe:a00:1]/'"}, f"4:11: found 'https://[2600::5efe:a00:1]/'; {URL}"),
    ({"fhir_servers": "['https://[::ffff:10.0.0.1]/']"}, f"5:20: found 'https://[::ffff:10.0.0.1]/'; {URL}"),
    ({"fhir_servers": "[https://2130706433/]"}, f"5:20: found 'https://2130706433/'; {URL}"),
    ({"fhir_servers": "[https://169.254.169.254/]"}, f"5:20: found 'https://169.254.169.254/'; {URL}"),
    ({"fhir_servers": "[ehr.example.org]"}, f"5:20: found 'ehr.example.org'; {URL}"),
    ({"networks": "[10.0.0.1]"}, f"5:16: found '10.0.0.1'; {NETWORK}"),
    ({"networks": "[10.0.0.1/8]"}, f"5:16: found '10.0.0.1/8'; {NETWORK}"),
    ({"networks": "[everywhere]"}, f"5:16: found 'everywhere'; {NETWORK}"),
    ({"networks": "[0.0.0.0/0]"}, f"5:16: found '0.0.0.0/0'; {PRIVATE}"),
    ({"networks": "['::/0']"}, f"5:16: found '::/0'; {PRIVATE}"),
    ({"networks": "[128.0.0.0/1]"}, f"5:16: found '128.0.0.0/1'; {PRIVATE}"),
    ({"networks": "['fec0::/10']"}, f"5:16: found 'fec0::/10'; {PRIVATE}"),
    ({"networks": "[169.254.0.0/16]"}, f"5:16: found '169.254.0.0/16'; {PRIVATE}"),
    ({"open_fhir_server": "yes"}, "5:23: found 'yes'; expected true or false"),
    ({"open_fhir_server": "1"}, "5:23: found '1'; expected true or false"),
    ({"one_action": "'true'"}, "5:17: found 'true'; expected true or false"),
    ({"origins": "[https://ehr.example.org/]"}, f"5:15: found 'https://ehr.example.org/'; {ORIGIN}"),
    ({"origins": "[https://ehr.example.org/app]"}, f"5:15: found 'https://ehr.example.org/app'; {ORIGIN}"),
    ({"origins": "[http://ehr.example.org]"}, f"5:15: found 'http://ehr.example.org'; {ORIGIN}"),
    ({"origins": "['*']"}, f"5:15: found '*'; {ORIGIN}"),
    ({"origins": "['null']"}, f"5:15: found 'null'; {ORIGIN}"),
    ({"origins": "[https://EHR.example.org]"}, f"5:15: found 'https://EHR.example.org'; {ORIGIN}"),
    ({"origins": "[https://u:p@ehr.example.org]"}, f"5:15: found a URL with a user; {ORIGIN}"),
    ({"prefetch_keys": "{theirs: potassium}"}, "5:29: found the unknown prefetch key 'potassium'; expected one of con"),
    ({"prefetch_keys": "{theirs: 7}"}, "5:29: found '7'; expected text"),
    ({"prefetch_keys": "[patient]"}, "5:20: found a list; expected a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "told"), MISTAKES)
def test_a_mistake_is_told_with_its_place(folder: Path, members: dict[str, Any], told: str) -> None:
    (found,) = mistakes(folder, client(**members))
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: found no 'clients'; expected the key 'clients'"),
        ("clients: []", "1:10: found a list; expected at least one registered client"),
        ("clients: main-ehr", "1:10: found 'main-ehr'; expected a list"),
        ("clients: ~", "1:10: found 'None'; expected a value"),
        ("- name: a", "1:1: found no mapping; expected a mapping of keys"),
        ("clients: [main-ehr]", "1:11: found no mapping; expected a mapping of keys"),
        ("clients: [", "2:1: found no valid YAML"),
        ("public_url: https://a.example.org?b\n" + client(), f"1:13: found 'https://a.example.org?b'; {URL}"),
        ("public_url: http://a.example.org\n" + client(), f"1:13: found 'http://a.example.org'; {URL}"),
        ("public_url: 7\n" + client(), "1:13: found '7'; expected text"),
        ("client: a\n" + client(), "1:1: found the unknown key 'client'; expected one of public_url, clients"),
        (client(profile="1.0\n    profile: 1.1"), "6:5: found the key 'profile' a second time; expected each key once"),
    ],
)
def test_a_mistake_in_the_whole_is_told_with_its_place(folder: Path, text: str, told: str) -> None:
    (found,) = mistakes(folder, text)
    assert found.startswith(told)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="cannot be read"):
        read_clients(tmp_path / "clients.yaml", SERVICES)


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    text = client(profile="4.0", services="[a, b]", networks="[c]", origins="[d]", colour="red", name="main ehr")
    assert len(mistakes(folder, text)) == 7


def two(first: str, second: str, issuer: str = "https://ehr.example.org/") -> str:
    return client() + first + f"  - name: other\n    issuer: {issuer}\n    jwks: jwks.json\n" + second


def test_two_clients_have_two_names(folder: Path) -> None:
    text = two("", "", "https://other.example.org").replace("name: other", "name: Main-EHR")
    assert mistakes(folder, text) == ["5:11: found the name 'Main-EHR' a second time; expected a name for each client"]


@pytest.mark.parametrize(
    ("first", "second"), [("", ""), ("[a]", ""), ("", "[a]"), ("[a, b]", "[b, c]"), ("[a]", "[]")]
)  # fmt: skip
def test_JWT_12_clients_of_one_issuer_need_tenants_of_their_own(folder: Path, first: str, second: str) -> None:
    texts = [f"    tenants: {one}\n" if one else "" for one in (first, second)]
    (told,) = mistakes(folder, two(*texts))
    expected = "the issuer 'https://ehr.example.org/' a second time; expected clients of one issuer, each with tenants"
    assert expected in told


def test_JWT_12_clients_of_one_issuer_may_have_tenants_of_their_own(folder: Path) -> None:
    found = read(folder, two("    tenants: [a, b]\n", "    tenants: [c]\n"))
    assert [one.tenants for one in found.clients] == [("a", "b"), ("c",)]


KEYS_EXPECTED = "expected public keys, each with a kid of its own: EC keys, RSA keys of 2048 to 8192 bits"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<html>", "found no JSON in 'jwks.json'; expected a JWK set"),
        (b"{}", "found no JWK set in 'jwks.json'; expected a JWK set"),
        (Signer().key.as_pem(private=False), "found no JSON in 'jwks.json'; expected a JWK set"),
        (b" " * 300_000, "found a file that is too long in 'jwks.json'; expected a JWK set"),
        (b"[" * 100_000, "found no JSON in 'jwks.json'; expected a JWK set"),
        (key_set(), "found no key to check signatures with in 'jwks.json'; expected keys for ES384, RS384"),
        (key_set(Signer("ES256")), "found no key to check signatures with in 'jwks.json'; expected keys for ES384"),
        (key_set(Signer().jwk(use="enc")), "found no key to check signatures with in 'jwks.json'; expected keys for"),
        (key_set(Signer(), Signer(kid="k-2").key.as_dict(private=True)), f"where key 2 is private; {KEYS_EXPECTED}"),
        (key_set(Signer(), {"kty": "oct", "kid": "a", "k": "AA"}), f"where key 2 is symmetric; {KEYS_EXPECTED}"),
        (key_set({**weak_rsa(), "kid": "a"}), f"where key 1 has 1024 bits, not 2048 to 8192; {KEYS_EXPECTED}"),
        (key_set(Signer().jwk(kid=...)), f"where key 1 has no kid; {KEYS_EXPECTED}"),
        (key_set(Signer().jwk(y="AA")), f"where key 1 is broken; {KEYS_EXPECTED}"),
    ],
)  # fmt: skip
def test_JWT_06_JWT_08_JWT_14_a_key_file_holds_public_keys_that_can_be_used(
    folder: Path, content: bytes, told: str
) -> None:
    (folder / "jwks.json").write_bytes(content)
    (found,) = mistakes(folder, client())
    assert found.startswith("4:11: ")
    assert told in found


def test_JWT_02_a_kid_stands_once_in_a_key_file(folder: Path) -> None:
    (folder / "jwks.json").write_bytes(key_set(Signer(), Signer(which=1)))
    found = mistakes(folder, client())
    assert len(found) == 2
    assert all("has a kid that stands more than once" in told for told in found)


SANDBOX = pytest.mark.parametrize(
    "members",
    [
        {"issuer": "https://sandbox.cds-hooks.org"},
        {"issuer": "https://sandbox.cds-hooks.org/"},
        {"jwks": "https://sandbox.cds-hooks.org/.well-known/jwks.json"},
        {"jku": "https://sandbox.cds-hooks.org/.well-known/jwks.json"},
        {"jwks": "https://Sandbox.cds-hooks.org./.well-known/jwks.json"},
    ],
)


@SANDBOX
def test_JWT_15_the_public_sandbox_is_for_loopback_only(folder: Path, members: dict[str, Any]) -> None:
    (told,) = mistakes(folder, "public_url: https://cds.example.org\n" + client(**members))
    assert "found the public sandbox 'https://sandbox.cds-hooks.org" in told.lower()
    assert "anybody can read the private key" in told
    for public in ("", "public_url: http://localhost:8080\n", "public_url: http://127.0.0.1:8080\n"):
        assert len(read(folder, public + client(**members)).clients) == 1


@SANDBOX
def test_JWT_04_JWT_15_no_host_that_a_caller_names_is_the_audience_beyond_loopback(
    folder: Path, knowledge: Knowledge, members: dict[str, Any]
) -> None:
    path = folder / "clients.yaml"
    given = {"CDS_SERVICE_DATABASE": f"sqlite:///{folder}/service.sqlite3"}

    def start(host: str, public: str = "") -> None:
        path.write_text(public + client(**members))
        create_app(read_config(given, host=host, clients=path), knowledge)

    start("127.0.0.1")
    with pytest.raises(ConfigError, match=f"found no public_url in {re.escape(str(path))}"):
        start("0.0.0.0")  # noqa: S104
    with pytest.raises(KnowledgeError, match="anybody can read the private key"):
        start("0.0.0.0", "public_url: https://cds.example.org\n")  # noqa: S104


def test_a_mistake_refuses_the_start_of_the_service(folder: Path) -> None:
    path = folder / "clients.yaml"
    path.write_text(client(profile="4.0"))
    environment = {"CDS_SERVICE_CLIENTS": str(path), "CDS_SERVICE_DATABASE": f"sqlite:///{folder}/service.sqlite3"}
    command = [sys.executable, "-m", "cds_service", "serve", "--port", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"{path}:5:14: found '4.0'; expected one of 1.0, 1.1, 2.0.1, 3.0" in done.stderr
    assert "Traceback" not in done.stderr
