"""The command that makes a key set and a JWT, from the command line to a call that lets it in."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner, Result
from joserfc import jwt
from joserfc.jwk import KeySet

from cds_service.cli import main
from cds_service.demo import local_session, running_service

URL = "https://cds.example.org/cds-services"


def make(runner: CliRunner, folder: Path, *options: str, audience: str = URL) -> Result:
    return runner.invoke(main, ["token", "--folder", str(folder), "--audience", audience, *options])


def read(folder: Path, printed: str, algorithm: str = "ES384") -> jwt.Token:
    """The token, its signature checked with the key set of the folder."""
    keys = KeySet.import_key_set(json.loads((folder / "jwks.json").read_text()))
    return jwt.decode(printed.strip(), keys, algorithms=[algorithm])


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_JWT_02_JWT_03_JWT_06_a_token_is_printed_alone_and_its_keys_are_written(
    runner: CliRunner, tmp_path: Path, algorithm: str
) -> None:
    folder = tmp_path / "deep" / "trying-out"
    options = ("--alg", algorithm, "--minutes", "60", "--tenant", "north", "--issuer", "https://me.example.org")
    done = make(runner, folder, *options)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("\n") == 1
    token = read(folder, done.stdout, algorithm)
    public = json.loads((folder / "jwks.json").read_text())["keys"]
    assert token.header == {"alg": algorithm, "typ": "JWT", "kid": public[0]["kid"]}
    claims = dict(token.claims)
    assert len(claims.pop("jti")) == 36
    assert claims.pop("exp") - claims.pop("iat") == 3600
    assert claims == {"iss": "https://me.example.org", "aud": URL, "tenant": "north"}
    assert not {"d", "p", "q"} & public[0].keys()


def test_the_private_key_is_for_its_owner_alone_and_is_used_again(runner: CliRunner, tmp_path: Path) -> None:
    first, second = make(runner, tmp_path), make(runner, tmp_path)
    assert stat.S_IMODE((tmp_path / "private-key.json").stat().st_mode) == 0o600
    tokens = [read(tmp_path, done.stdout) for done in (first, second)]
    assert tokens[0].header == tokens[1].header
    assert tokens[0].claims["jti"] != tokens[1].claims["jti"]
    assert "A new key was made" in first.stderr
    assert "The key in" in second.stderr
    (tmp_path / "jwks.json").unlink()
    assert read(tmp_path, make(runner, tmp_path).stdout).header == tokens[0].header


def test_what_it_says_to_register_lets_the_token_in(runner: CliRunner, tmp_path: Path) -> None:
    done = make(runner, tmp_path / "keys", "--tenant", "a: b", "--issuer", "me: #1")
    entry = done.stderr[done.stderr.index("clients:") : done.stderr.index("\n\nThe token")]
    assert yaml.safe_load(entry)["clients"][0]["tenants"] == ["a: b"]
    (tmp_path / "clients.yaml").write_text(entry)
    with running_service(CLIENTS=str(tmp_path / "clients.yaml")) as url, local_session() as session:

        def discover(token: str) -> requests.Response:
            headers = {"Authorization": f"Bearer {token}"}
            return session.get(f"{url}/cds-services", headers=headers, timeout=10)

        options = ("--tenant", "a: b", "--issuer", "me: #1")
        token = make(runner, tmp_path / "keys", *options, audience=f"{url}/cds-services").stdout.strip()
        assert discover(token).json()["services"]
        again = discover(token)
        assert (again.status_code, again.content, again.headers["WWW-Authenticate"]) == (401, b"", "Bearer")
        assert discover(done.stdout.strip()).status_code == 401


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--minutes", "0"], "0 is not in the range 1<=x<=60"),
        (["--minutes", "61"], "61 is not in the range 1<=x<=60"),
        (["--alg", "HS256"], "'HS256' is not one of 'ES384', 'RS384'"),
        (["--audience", "cds.example.org"], "found 'cds.example.org', expected the URL that is called"),
        (["--audience", "ftp://cds.example.org"], "expected the URL that is called"),
        (["--issuer", ""], "expected an issuer"),
        (["--tenant", ""], "a tenant that is not empty"),
    ],
)
def test_a_wrong_option_is_told(runner: CliRunner, tmp_path: Path, options: list[str], told: str) -> None:
    done = make(runner, tmp_path, *options)
    assert done.exit_code != 0
    assert done.stdout == ""
    assert told in done.stderr
    assert not list(tmp_path.iterdir())


def _write(folder: Path, name: str, content: Any, mode: int = 0o600) -> None:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    (folder / name).chmod(mode)


def test_a_folder_that_cannot_be_used_is_told_and_left_alone(runner: CliRunner, tmp_path: Path) -> None:
    make(runner, tmp_path)
    private = json.loads((tmp_path / "private-key.json").read_text())
    public = json.loads((tmp_path / "jwks.json").read_text())["keys"][0]
    faults: list[tuple[dict[str, tuple[Any, int]], str]] = [
        ({"jwks.json": ({"keys": [public]}, 0o644)}, "found it without private-key.json, expected both or none"),
        ({"private-key.json": (private, 0o640)}, "found a file that others can read"),
        ({"private-key.json": (public, 0o600)}, "found something else than a private key for ES384"),
        ({"private-key.json": ({**private, "d": "AA"}, 0o600)}, "found something else than a private key for ES384"),
        ({"private-key.json": ({**private, "kty": "oct"}, 0o600)}, "found something else than a private key for ES384"),
        ({"private-key.json": ("junk", 0o600)}, "found something else than a private key for ES384"),
        ({"private-key.json": ([], 0o600)}, "found something else than a private key for ES384"),
        ({"private-key.json": (private, 0o600), "jwks.json": ({"keys": []}, 0o644)}, "without the key of private-key"),
        ({"private-key.json": (private, 0o600), "jwks.json": ("junk", 0o644)}, "without the key of private-key"),
    ]
    for number, (files, told) in enumerate(faults):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, (content, mode) in files.items():
            _write(folder, name, content, mode)
        before = {path.name: path.read_text() for path in folder.iterdir()}
        done = make(runner, folder)
        assert (done.exit_code, done.stdout) == (1, "")
        assert told in done.stderr
        assert {path.name: path.read_text() for path in folder.iterdir()} == before
    done = make(runner, tmp_path, "--alg", "RS384")
    assert "found a key for ES384, expected one for RS384, or another folder" in done.stderr
    (tmp_path / "file").touch()
    done = make(runner, tmp_path / "file" / "folder")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"Error: {tmp_path / 'file' / 'folder'}: Not a directory\n"
