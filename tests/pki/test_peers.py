"""Who a certificate stands for, and what a failed handshake is called on both sides."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.errors.enrolment import (
    CentreCertificateExpiredError,
    CentreCertificateNotYetValidError,
    CentreCertificateUnfitError,
    CentreNameMismatchError,
    ForeignCentreCertificateError,
    ForeignNodeCertificateError,
    HandshakeFailedError,
    NodeCertificateExpiredError,
    NodeCertificateMissingError,
    NodeCertificateNotYetValidError,
    NodeCertificateRevokedError,
    NodeCertificateUnfitError,
    NodeCertificateUnknownError,
    TlsVersionError,
    WrongSiteError,
)
from federation.operations.enrolment import renew_kit, renew_server_certificate, revoke_site
from federation.pki.authority import certificate_pem, read_certificate, serial_text
from federation.pki.handshakes import Side, explain_handshake_failure
from federation.pki.keys import new_tls_key
from federation.pki.roster import PeerIdentity
from tests.pki.builders import (
    ADDRESS,
    ALPN,
    NOW,
    TAINAN,
    YEARS,
    Outcome,
    a_centre,
    an_enrolled_node,
    client_side,
    server_side,
    shake_hands,
)

DAY = timedelta(days=1)


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "centre")


@pytest.fixture
def node(tmp_path: Path, centre: CentreHome) -> NodeHome:
    return an_enrolled_node(tmp_path / "node", centre)


def der(node: NodeHome) -> bytes:
    return node.certificate().public_bytes(Encoding.DER)


def test_an_enrolled_certificate_is_its_site(centre: CentreHome, node: NodeHome) -> None:
    expected = PeerIdentity(TAINAN, serial_text(node.certificate()))
    assert centre.roster().peer_of(der(node), now=NOW) == expected


def test_the_former_certificate_stays_good_after_a_renewal(
    centre: CentreHome, node: NodeHome
) -> None:
    renew_kit(centre, site=TAINAN, now=NOW)
    assert centre.roster().peer_of(der(node), now=NOW).site == TAINAN


def test_a_revoked_site_is_nobody(centre: CentreHome, node: NodeHome) -> None:
    revoke_site(centre, site=TAINAN, reason="key lost", now=NOW)
    with pytest.raises(NodeCertificateRevokedError, match=TAINAN) as caught:
        centre.roster().peer_of(der(node), now=NOW)
    assert "key lost" not in caught.value.say()


def test_an_expired_certificate_is_nobody(centre: CentreHome, node: NodeHome) -> None:
    with pytest.raises(NodeCertificateExpiredError, match=TAINAN):
        centre.roster().peer_of(der(node), now=NOW + YEARS)


def test_a_certificate_of_tomorrow_is_nobody(centre: CentreHome, node: NodeHome) -> None:
    with pytest.raises(NodeCertificateNotYetValidError):
        centre.roster().peer_of(der(node), now=NOW - DAY)


def test_a_certificate_of_another_centre_is_nobody(
    tmp_path: Path, centre: CentreHome, node: NodeHome
) -> None:
    other = an_enrolled_node(tmp_path / "foreign", a_centre(tmp_path / "other"))
    with pytest.raises(ForeignNodeCertificateError):
        centre.roster().peer_of(der(other), now=NOW)


def test_a_certificate_the_roster_does_not_know_is_nobody(centre: CentreHome) -> None:
    key = new_tls_key().public_key()
    made = centre.authority().issue_node(key, site=TAINAN, now=NOW)
    with pytest.raises(NodeCertificateUnknownError):
        centre.roster().peer_of(made.public_bytes(Encoding.DER), now=NOW)


def test_a_known_serial_under_another_site_is_nobody(
    centre: CentreHome, node: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial = node.certificate().serial_number
    monkeypatch.setattr("cryptography.x509.random_serial_number", lambda: serial)
    key = new_tls_key().public_key()
    made = centre.authority().issue_node(key, site=SiteId("taipei-2"), now=NOW)
    with pytest.raises(WrongSiteError):
        centre.roster().peer_of(made.public_bytes(Encoding.DER), now=NOW)


def test_a_server_certificate_is_no_node(centre: CentreHome) -> None:
    server = read_certificate(centre.server_certificate).public_bytes(Encoding.DER)
    with pytest.raises(NodeCertificateUnfitError):
        centre.roster().peer_of(server, now=NOW)


def test_bytes_that_are_no_certificate_are_nobody(centre: CentreHome) -> None:
    with pytest.raises(NodeCertificateUnfitError):
        centre.roster().peer_of(b"\x30\x00", now=NOW)


# --- real handshakes


def at_node(outcome: Outcome) -> type[Exception]:
    assert outcome.at_node is not None
    return type(
        explain_handshake_failure(outcome.at_node, seen_by=Side.NODE, node=TAINAN, centre=ADDRESS)
    )


def at_centre(outcome: Outcome) -> type[Exception]:
    assert outcome.at_centre is not None
    return type(
        explain_handshake_failure(
            outcome.at_centre, seen_by=Side.CENTRE, node="127.0.0.1:5", centre=ADDRESS
        )
    )


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def client(request: pytest.FixtureRequest) -> Callable[[NodeHome], ssl.SSLContext]:
    def make(home: NodeHome) -> ssl.SSLContext:
        context = client_side(home)
        context.maximum_version = request.param
        return context

    return make


Client = Callable[[NodeHome], ssl.SSLContext]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_enrolled_node_gets_in_and_is_known(
    centre: CentreHome, node: NodeHome, client: Client, host: str
) -> None:
    outcome = shake_hands(server_side(centre), client(node), host=host)
    assert (outcome.at_node, outcome.at_centre) == (None, None)
    assert outcome.certificate is not None
    assert centre.roster().peer_of(outcome.certificate, now=NOW).site == TAINAN


def test_a_foreign_node_is_named_on_both_sides(
    tmp_path: Path, centre: CentreHome, client: Client
) -> None:
    foreign = an_enrolled_node(tmp_path / "foreign", a_centre(tmp_path / "other"))
    foreign.authority_certificate.write_bytes(centre.authority_certificate.read_bytes())
    outcome = shake_hands(server_side(centre), client(foreign))
    assert at_node(outcome) is ForeignNodeCertificateError
    assert at_centre(outcome) is ForeignNodeCertificateError


def test_an_expired_node_is_named_on_both_sides(tmp_path: Path, client: Client) -> None:
    centre = a_centre(tmp_path / "centre", now=NOW - YEARS)
    node = an_enrolled_node(tmp_path / "node", centre, now=NOW - YEARS)
    renew_server_certificate(centre, now=NOW)
    outcome = shake_hands(server_side(centre), client(node))
    assert at_node(outcome) is NodeCertificateExpiredError
    assert at_centre(outcome) is NodeCertificateExpiredError


def test_a_node_of_tomorrow_is_named_at_the_centre(
    centre: CentreHome, node: NodeHome, client: Client
) -> None:
    key = node.load_tls_key().public_key()
    made = centre.authority().issue_node(key, site=TAINAN, now=NOW + DAY)
    node.tls_certificate.write_text(certificate_pem(made))
    outcome = shake_hands(server_side(centre), client(node))
    assert at_node(outcome) is NodeCertificateUnfitError  # OpenSSL sends "bad certificate"
    assert at_centre(outcome) is NodeCertificateNotYetValidError


def test_a_client_without_certificate_is_named_on_both_sides(centre: CentreHome) -> None:
    context = ssl.create_default_context(cafile=str(centre.authority_certificate))
    outcome = shake_hands(server_side(centre), context)
    assert at_node(outcome) is NodeCertificateMissingError
    assert at_centre(outcome) is NodeCertificateMissingError


def test_a_server_certificate_does_not_let_a_node_in(
    centre: CentreHome, node: NodeHome, client: Client
) -> None:
    node.tls_certificate.write_bytes(centre.server_certificate.read_bytes())
    node.tls_key.write_bytes(centre.server_key.read_bytes())
    outcome = shake_hands(server_side(centre), client(node))
    assert at_node(outcome) is NodeCertificateUnfitError
    assert at_centre(outcome) is NodeCertificateUnfitError


def test_a_foreign_centre_is_named_on_both_sides(
    tmp_path: Path, node: NodeHome, client: Client
) -> None:
    outcome = shake_hands(server_side(a_centre(tmp_path / "other")), client(node))
    assert at_node(outcome) is ForeignCentreCertificateError
    assert at_centre(outcome) is ForeignCentreCertificateError


def test_an_expired_centre_is_named_on_both_sides(tmp_path: Path, client: Client) -> None:
    centre = a_centre(tmp_path / "centre", now=NOW - YEARS)
    node = an_enrolled_node(tmp_path / "node", centre, now=NOW)
    outcome = shake_hands(server_side(centre), client(node))
    assert at_node(outcome) is CentreCertificateExpiredError
    assert at_centre(outcome) is CentreCertificateExpiredError


def test_a_centre_of_tomorrow_is_named_at_the_node(
    centre: CentreHome, node: NodeHome, client: Client
) -> None:
    renew_server_certificate(centre, now=NOW + DAY)
    outcome = shake_hands(server_side(centre), client(node))
    assert at_node(outcome) is CentreCertificateNotYetValidError
    assert at_centre(outcome) is CentreCertificateUnfitError


def test_a_node_that_poses_as_the_centre_is_found_out(
    centre: CentreHome, node: NodeHome, client: Client
) -> None:
    server = server_side(centre)
    server.load_cert_chain(node.tls_certificate, node.tls_key)
    assert at_node(shake_hands(server, client(node))) is CentreCertificateUnfitError


@pytest.mark.parametrize("host", ["elsewhere.example", "192.0.2.1"])
def test_a_host_the_centre_does_not_name_is_found_out(
    centre: CentreHome, node: NodeHome, client: Client, host: str
) -> None:
    outcome = shake_hands(server_side(centre), client(node), host=host)
    assert at_node(outcome) is CentreNameMismatchError


def test_plain_http_is_called_no_tls(centre: CentreHome) -> None:
    assert at_centre(shake_hands(server_side(centre), None)) is TlsVersionError


def test_tls_older_than_1_2_is_refused(centre: CentreHome, node: NodeHome) -> None:
    contexts = (server_side(centre), client_side(node))
    assert all(context.minimum_version == ssl.TLSVersion.TLSv1_2 for context in contexts)


def test_the_application_protocol_is_agreed(centre: CentreHome, node: NodeHome) -> None:
    left, right = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side(centre).wrap_bio(left, right, server_side=True)
    client = client_side(node).wrap_bio(right, left, server_hostname="localhost")
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert server.selected_alpn_protocol() == ALPN[0] == client.selected_alpn_protocol()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Ssl handshake failed: SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"
            "CERTIFICATE_VERIFY_FAILED: self signed certificate in certificate chain",
            ForeignCentreCertificateError,
        ),
        ("SSL_ERROR_SSL: ...TLSV1_ALERT_UNKNOWN_CA", ForeignNodeCertificateError),
        ("...SSLV3_ALERT_CERTIFICATE_EXPIRED", NodeCertificateExpiredError),
        ("...TLSV1_ALERT_CERTIFICATE_REQUIRED", NodeCertificateMissingError),
        ("...SSLV3_ALERT_CERTIFICATE_REVOKED", NodeCertificateRevokedError),
        ("CERTIFICATE_VERIFY_FAILED: certificate has expired", CentreCertificateExpiredError),
        ("Peer name a.example is not in peer certificate", CentreNameMismatchError),
        ("WRONG_VERSION_NUMBER", TlsVersionError),
        ("NO_APPLICATION_PROTOCOL", TlsVersionError),
        ("recvmsg:Connection reset by peer", HandshakeFailedError),
    ],
)
def test_the_words_of_grpc_are_understood_too(text: str, expected: type[Exception]) -> None:
    error = explain_handshake_failure(text, seen_by=Side.NODE, node=TAINAN, centre=ADDRESS)
    assert type(error) is expected


def test_a_failure_that_names_no_certificate_says_what_the_system_said() -> None:
    failure = ConnectionResetError(104, "Connection reset by peer")
    error = explain_handshake_failure(failure, seen_by=Side.NODE, node=TAINAN, centre=ADDRESS)
    assert isinstance(error, HandshakeFailedError)
    assert "Connection reset by peer" in error.say()
