"""The register as a real process under the centre's TLS: people, programs, nodes, and its end."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pyotp
import pytest
from typer.testing import CliRunner

from federation.commands import registry_keys
from federation.commands.registry_accounts import account_app
from federation.commands.registry_serve import _place, tls_context
from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.errors.access import AccountKeyError, IdentitySettingError, RegisterServeError
from federation.errors.core import InvalidValueError
from federation.errors.upkeep import KeyClaimRefusedError
from federation.evidence.signing import Signer
from federation.operations.enrolment import init_centre
from federation.operations.register_accounts import (
    PROVIDER_FILE,
    accounts_in,
    own_origin,
    provider_of,
    sealing_of,
)
from federation.pki.authority import certificate_pem
from federation.pki.keys import new_tls_key, private_pem
from registry.api.server import listening_socket
from tests.registry.access_builders import PASSWORD

RUN = "import sys; from pathlib import Path; from federation.commands.registry_serve import serve; "
RUN += "serve(Path(sys.argv[1]), '127.0.0.1:0')"


def make_home(folder: Path) -> Path:
    init_centre(folder, name="Centre", address="localhost:7443", now=datetime.now(UTC))
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("centre") / "C")


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    environment = {**os.environ, "TRIFED_LANG": "en", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"https://\S+:\d+", said)
        assert found is not None, said + process.stdout.read()
        yield found.group()
        process.send_signal(signal.SIGTERM)
        left = process.stdout.read()
        assert process.wait(20) == 0, left
        assert left.strip() == "The register has stopped."


def client(home: Path, address: str, certificate: Path | None = None) -> httpx.Client:
    trust = ssl.create_default_context(cafile=home / "pki" / "ca.crt")
    if certificate is not None:
        trust.load_cert_chain(certificate)
    return httpx.Client(base_url=address, verify=trust, timeout=60)


def account(home: Path, *arguments: str, **more: object) -> str:
    given = [*arguments, "--home", str(home)]
    done = CliRunner().invoke(account_app, given, catch_exceptions=False, **more)  # type: ignore[arg-type]
    assert done.exit_code == 0, done.output
    return done.output


def test_the_first_registrar_is_invited_by_file_enrols_and_logs_in(
    home: Path, address: str, tmp_path: Path
) -> None:
    file = tmp_path / "rae.json"
    said = account(
        home, "add", "rae", "--role", "RAI-R", "--organisation", "Centre One",
        "--centre", "responsible-ai", "--out", str(file),
    )  # fmt: skip
    assert file.stat().st_mode & 0o777 == 0o600
    secret = re.search(r'"secret": "([^"]+)"', file.read_text())
    assert secret is not None and secret.group(1) not in said
    with client(home, address) as http:
        body = {"secret": secret.group(1)}
        seed = http.post("/v1/enrolment/start", json=body).json()["seed"]
        code = pyotp.TOTP(seed).now()
        done = http.post("/v1/enrolment", json=body | {"password": PASSWORD, "code": code})
        recovery = done.json()["recovery_codes"][0]
        log_in = {"name": "rae", "password": PASSWORD, "code": recovery}
        assert http.post("/v1/session", json=log_in).status_code == 200
        assert http.get("/v1/session").json()["roles"] == ["RAI-R"]
        assert http.get("/register").status_code == 200
    assert "rae  active  RAI-R  Centre One" in account(home, "list")


def test_a_person_enrols_with_the_command_line(
    home: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from federation.commands import registry_accounts

    file = tmp_path / "hal.json"
    monkeypatch.setattr(registry_accounts, "_origin", lambda _home: address)
    account(home, "add", "hal", "--role", "HAC", "--organisation", "H", "--out", str(file))
    shown: list[str] = []

    def prompt(text: str, **_more: object) -> str:
        if "assword" in text or "密碼" in text:
            return PASSWORD
        return pyotp.TOTP(shown[0]).now()

    monkeypatch.setattr(registry_accounts.typer, "prompt", prompt)
    monkeypatch.setattr(
        registry_accounts, "say", lambda _text, **values: shown.append(values.get("seed", ""))
    )
    ca = str(home / "pki" / "ca.crt")
    done = CliRunner().invoke(account_app, ["enrol", str(file), "--authority", ca])
    assert done.exit_code == 0, done.output
    assert len(done.output.split()) == 10 and not file.exists()


def test_a_program_comes_in_with_a_certificate_of_the_centre(
    home: Path, address: str, tmp_path: Path
) -> None:
    program = ("--role", "AUD", "--organisation", "Centre Two", "--program")
    account(home, "add", "robot", *program)
    file = tmp_path / "robot.pem"
    account(home, "certificate", "robot", "--out", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    with client(home, address, file) as http:
        found = http.get("/v1/session").json()
        assert (found["account"], found["means"]) == ("robot", "certificate")
        assert http.get("/v1/incidents").json() == {"items": [], "next": None}
        assert http.post("/v1/tokens", json={}).json()["code"] == "TF766"
    account(home, "shut", "robot")
    with client(home, address, file) as http:
        assert http.get("/v1/session").json()["code"] == "TF776"


def test_a_nodes_certificate_is_nobodys_and_a_foreign_one_does_not_connect(
    home: Path, address: str, tmp_path: Path
) -> None:
    now, key = datetime.now(UTC), new_tls_key()
    own = CentreHome.open(home).authority()
    node = own.issue_node(key.public_key(), site=SiteId("tainan-1"), now=now)
    (tmp_path / "node.pem").write_bytes(private_pem(key) + certificate_pem(node).encode())
    with client(home, address, tmp_path / "node.pem") as http:
        assert http.get("/v1/session").json()["code"] == "TF776"
        assert http.get("/v1/health").status_code == 200
    other = CentreHome.open(make_home(tmp_path / "other")).authority()
    foreign = other.issue_node(key.public_key(), site=SiteId("tainan-1"), now=now)
    (tmp_path / "foreign.pem").write_bytes(private_pem(key) + certificate_pem(foreign).encode())
    with client(home, address, tmp_path / "foreign.pem") as http, pytest.raises(httpx.HTTPError):
        http.get("/v1/health")


def test_a_token_file_opens_the_api(home: Path, address: str, tmp_path: Path) -> None:
    account(home, "add", "feed", "--role", "DST", "--organisation", "H", "--program")
    file = tmp_path / "feed.token"
    said = account(home, "token", "feed", "--scope", "read", "--out", str(file))
    secret = file.read_text().strip()
    assert secret not in said and file.stat().st_mode & 0o777 == 0o600
    with client(home, address) as http:
        answer = http.get("/v1/session", headers={"authorization": f"Bearer {secret}"})
    assert answer.json()["scopes"] == ["read"]


def test_plain_http_gets_no_answer_and_no_version_is_told(home: Path, address: str) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(address.replace("https", "http") + "/v1/health")
    with client(home, address) as http:
        assert "server" not in http.get("/v1/health").headers


def test_a_person_adds_a_key_and_revokes_it_with_the_command_line(
    home: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, ca = tmp_path / "kim.json", str(home / "pki" / "ca.crt")
    account(home, "add", "kim", "--role", "HAC", "--organisation", "H", "--out", str(file))
    secret = {"secret": json.loads(file.read_text())["secret"]}
    with client(home, address) as http:
        seed = http.post("/v1/enrolment/start", json=secret).json()["seed"]
        given = secret | {"password": PASSWORD, "code": pyotp.TOTP(seed).now()}
        codes = iter(http.post("/v1/enrolment", json=given).json()["recovery_codes"])
    monkeypatch.setattr(
        registry_keys.typer,
        "prompt",
        lambda text, **_more: PASSWORD if "assword" in text else next(codes),
    )
    key = str(tmp_path / "kim.key")
    at = ["--register", address, "--name", "kim", "--authority", ca, "--json"]
    added = CliRunner().invoke(registry_keys.key_app, ["add", key, *at])
    assert added.exit_code == 0, added.output
    assert Path(key).stat().st_mode & 0o777 == 0o600
    assert json.loads(added.output)["id"] == Signer.load(Path(key)).keyid.hex
    done = CliRunner().invoke(registry_keys.key_app, ["revoke", key, *at])
    assert done.exit_code == 0 and json.loads(done.output)["revoked"] is True
    again = CliRunner().invoke(registry_keys.key_app, ["add", key, *at])
    assert isinstance(again.exception, KeyClaimRefusedError), again.output


def test_head_over_the_wire_has_the_length_of_get_and_no_content(home: Path, address: str) -> None:
    with client(home, address) as http:
        for path in ("/v1/health", "/register", "/v1/nothing"):
            head, got = http.head(path), http.get(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-length"] == got.headers["content-length"] != "0"
        assert http.get("/v1/health").json()["status"] == "ok", "the connection is not out of step"


@pytest.mark.slow
def test_a_request_under_way_is_finished_when_the_service_stops(tmp_path: Path) -> None:
    home = make_home(tmp_path / "C")
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        address = re.search(r"https://\S+:\d+", process.stdout.readline())
        assert address is not None
        answers: list[int] = []
        connected = threading.Event()

        def slow() -> None:  # argon2id takes its time
            body = {"name": "nobody", "password": PASSWORD, "code": "000000"}
            with client(home, address.group()) as http:
                http.get("/v1/health")
                connected.set()
                answers.append(http.post("/v1/session", json=body).status_code)

        asking = threading.Thread(target=slow)
        asking.start()
        assert connected.wait(60)
        time.sleep(0.1)  # the first comparison hashes twice, 64 MiB each
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        asking.join(30)
        process.stdout.read()
    assert answers == [401]


def test_a_taken_port_is_a_coded_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(RegisterServeError):
        listening_socket("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(RegisterServeError):
        listening_socket("192.0.2.1", 0)


def test_an_address_is_host_and_port() -> None:
    assert _place("127.0.0.1:0") == ("127.0.0.1", 0)
    assert _place("[::1]:8480") == ("::1", 8480)
    with pytest.raises(InvalidValueError):
        _place("8480")


def test_a_centre_without_certificate_serves_nothing(tmp_path: Path) -> None:
    home = CentreHome.open(make_home(tmp_path / "C"))
    home.server_certificate.unlink()
    with pytest.raises(RegisterServeError):
        tls_context(home)


def test_the_accounts_key_is_made_once_and_missed_when_it_is_gone(tmp_path: Path) -> None:
    home = CentreHome.open(make_home(tmp_path / "C"))
    first = sealing_of(home)
    key = home.folder / "keys" / "accounts.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert sealing_of(home).digest("x", "y") == first.digest("x", "y")
    account(home.folder, "add", "feed", "--role", "DST", "--organisation", "H", "--program")
    key.chmod(0o644)
    with pytest.raises(AccountKeyError):
        sealing_of(home)
    key.unlink()
    with pytest.raises(AccountKeyError):
        accounts_in(home, origin=own_origin(home))


def test_no_secret_is_written_over_a_file_that_is_there(tmp_path: Path) -> None:
    home = make_home(tmp_path / "C")
    file = tmp_path / "there"
    file.write_text("mine")
    with pytest.raises(InvalidValueError):
        account(home, "add", "a", "--role", "HAC", "--organisation", "H", "--out", str(file))
    assert file.read_text() == "mine" and "a  " not in account(home, "list")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[oidc]\nissuer = 1",
        '[oidc]\nissuer = "http://x"\nclient_id = "a"\nclient_secret_file = "s"',
        '[oidc]\nissuer = "https://x"\nclient_id = "a"\nclient_secret_file = "none"',
        '[oidc]\nissuer = "https://x"\nclient_id = "a"\nclient_secret_file = "s"\nmore = 1',
        '[oidc]\nissuer = "https://x"\nclient_id = "a"\nclient_secret_file = "s"\nauthority = "n"',
        "issuer",
    ],
)
def test_a_providers_file_that_does_not_fit_is_refused(tmp_path: Path, content: str) -> None:
    home = CentreHome.open(make_home(tmp_path / "C"))
    assert provider_of(home) is None
    (home.folder / PROVIDER_FILE).write_text(content)
    (home.folder / "s").write_text("secret")
    (home.folder / "s").chmod(0o600)
    with pytest.raises(IdentitySettingError):
        provider_of(home)


def test_a_providers_file_is_read_with_its_secret_apart(tmp_path: Path) -> None:
    home = CentreHome.open(make_home(tmp_path / "C"))
    (home.folder / PROVIDER_FILE).write_text(
        '[oidc]\nissuer = "https://x"\nclient_id = "a"\nclient_secret_file = "s"\nacr = "mfa"\n'
        'authority = "pki/ca.crt"'
    )
    (home.folder / "s").write_text("hidden\n")
    (home.folder / "s").chmod(0o600)
    found = provider_of(home)
    assert found is not None
    assert (found.client_secret, found.acr) == ("hidden", "mfa") and "hidden" not in repr(found)
