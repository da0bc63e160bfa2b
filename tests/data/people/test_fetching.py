"""The list by HTTPS, from a real server with a certificate of its own authority."""

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clients.data.people.optout import answers, fetch_optouts, load_optouts
from federation.errors.people import (
    OptOutFetchError,
    OptOutRulesError,
    OptOutSourceError,
    OptOutStaleError,
)
from tests.data.people.conftest import NOW

HOUR = dt.timedelta(hours=1)


@dataclass
class Server:
    port: int
    folder: Path
    body: bytes = b"A1\nB2\n"
    status: int = 200
    asked: list[dict[str, str]] = field(default_factory=list)

    def write_rules(self, *more: str) -> None:
        (self.folder / "token").touch(0o600)
        (self.folder / "token").write_text("secret-token\n")
        lines = ["[source]", f'url = "https://127.0.0.1:{self.port}/list"', *more]
        lines += ['ca_file = "ca.crt"', 'token_file = "token"', "timeout_s = 2.0"]
        (self.folder / "optout.toml").write_text("\n".join(lines))


def a_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "opt-out")])
    today = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - HOUR)
        .not_valid_after(today + HOUR)
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(certificate.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(secret + certificate.public_bytes(pem))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    a_certificate(tmp_path)
    state = Server(0, tmp_path)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(dict(self.headers))
            same = self.headers["If-None-Match"] == '"1"' and state.status == 200
            self.send_response(304 if same else state.status)
            self.send_header("ETag", '"1"')
            self.send_header("Location", "https://127.0.0.1/elsewhere")
            self.send_header("Content-Length", "0" if same else str(len(state.body)))
            self.end_headers()
            if not same:
                self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        web.socket = context.wrap_socket(web.socket, server_side=True)
        web.handle_error = lambda *_: None  # type: ignore[method-assign]
        state.port = web.server_address[1]
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield state
        web.shutdown()
        thread.join()


def test_a_list_is_fetched_once_and_then_only_asked_after(server: Server) -> None:
    server.write_rules()
    data = server.folder / "data"
    first = fetch_optouts(data, now=NOW)
    again = fetch_optouts(data, now=NOW + HOUR)
    assert (first["number"], again["number"]) == (1, 1)
    assert again["confirmed"] == (NOW + HOUR).isoformat()
    assert server.asked[0]["Authorization"] == "Bearer secret-token"
    assert server.asked[1]["If-None-Match"] == '"1"'
    assert answers(data, ["A1", "C3"], now=NOW) == ["yes", "no"]


@pytest.mark.parametrize(("status", "body"), [(500, b""), (302, b""), (401, b""), (206, b"A1\n")])
def test_a_failure_keeps_the_last_good_version_and_says_so(
    server: Server, status: int, body: bytes
) -> None:
    server.write_rules()
    data = server.folder / "data"
    fetch_optouts(data, now=NOW)
    server.status, server.body = status, body
    with pytest.raises(OptOutFetchError, match="last good version stays"):
        fetch_optouts(data, now=NOW)
    assert len(load_optouts(data, now=NOW).patients) == 2


def test_a_register_that_is_not_confirmed_in_time_stops_the_work(server: Server) -> None:
    server.write_rules("max_age_hours = 24")
    data = server.folder / "data"
    with pytest.raises(OptOutStaleError):
        load_optouts(data, now=NOW)
    fetch_optouts(data, now=NOW)
    assert load_optouts(data, now=NOW + 23 * HOUR).number == 1
    with pytest.raises(OptOutStaleError, match="24 hours"):
        load_optouts(data, now=NOW + 25 * HOUR)


def test_too_large_a_list_is_not_read_to_its_end(server: Server) -> None:
    server.write_rules("largest_mb = 1")
    server.body = b"A1\n" * 700_000
    with pytest.raises(OptOutFetchError, match="1 MB"):
        fetch_optouts(server.folder / "data", now=NOW)


def test_a_server_of_another_authority_is_not_believed(server: Server) -> None:
    server.write_rules()
    other = server.folder / "other"
    other.mkdir()
    a_certificate(other)
    (other / "ca.crt").replace(server.folder / "ca.crt")
    with pytest.raises(OptOutFetchError, match="ConnectError"):
        fetch_optouts(server.folder / "data", now=NOW)
    assert server.asked == []


def test_a_token_others_can_read_is_not_sent(server: Server) -> None:
    server.write_rules()
    (server.folder / "token").chmod(0o644)
    with pytest.raises(OptOutRulesError, match="mode"):
        fetch_optouts(server.folder / "data", now=NOW)
    assert server.asked == []


def test_where_issuers_are_named_an_unsigned_list_is_refused(server: Server) -> None:
    from federation.evidence.signing import new_key

    new_key(server.folder / "issuer.key")
    server.write_rules()
    with (server.folder / "optout.toml").open("a") as rules:
        rules.write('\n[[issuer]]\nname = "M"\npublic_key = "issuer.pub"\n')
    with pytest.raises(OptOutFetchError, match="not signed"):
        fetch_optouts(server.folder / "data", now=NOW)


def test_half_a_list_is_not_taken_in(server: Server) -> None:
    server.write_rules('kind = "fhir"')
    server.body = b'{"resourceType": "Bundle", "entry": ['
    with pytest.raises(OptOutSourceError):
        fetch_optouts(server.folder / "data", now=NOW)
    assert load_optouts(server.folder / "data", now=NOW).number == 0
