"""Invite, request, sign, join, revoke: the way of a site and every no on it."""

import errno
import json
import multiprocessing
import sqlite3
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_ssh_private_key,
    load_ssh_public_key,
)

from clients.enrolment import init_node, join_node, node_warnings
from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.domain.site import SiteState
from federation.errors.base import PlatformError
from federation.errors.core import (
    HomeMissingError,
    InvalidValueError,
    TransitionRefusedError,
    UnreadableRecordError,
)
from federation.errors.enrolment import (
    DocumentUnreadableError,
    ForeignKitError,
    ForeignNodeCertificateError,
    HomeExistsError,
    InvitationExpiredError,
    InvitationUnknownError,
    InvitationUsedError,
    KeyAlreadyEnrolledError,
    KeyFileUnsafeError,
    KeyRefusedError,
    KitKeyMismatchError,
    NodeCertificateExpiredError,
    NodeCertificateNotYetValidError,
    NodeCertificateRevokedError,
    NotJoinedError,
    RequestTamperedError,
    SiteExistsError,
    SiteUnknownError,
    WrongSiteError,
)
from federation.errors.machine import DiskFullError
from federation.operations.enrolment import (
    centre_status,
    flower_public_keys,
    init_centre,
    renew_kit,
    renew_server_certificate,
    revoke_site,
    sign_request,
)
from federation.pki.authority import new_csr, read_certificate, site_of
from federation.pki.documents import LIMIT_BYTES
from federation.pki.keys import flower_key_pem, new_signing_key, private_pem, public_openssh
from federation.pki.kit import Kit
from federation.pki.requests import EnrolmentRequest, Invitation
from tests.pki.builders import (
    NOW,
    TAINAN,
    YEARS,
    a_centre,
    a_node,
    an_enrolled_node,
    an_invitation,
    changed,
    request_of,
)

TAIPEI = SiteId("taipei-2")


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "centre")


@pytest.fixture
def node(tmp_path: Path, centre: CentreHome) -> NodeHome:
    return a_node(tmp_path / "node", centre)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_enrolled_site_has_its_certificate_and_all_its_keys_in_the_roster(
    centre: CentreHome, node: NodeHome
) -> None:
    join_node(node, sign_request(centre, request_of(node), now=NOW), now=NOW)
    entry = centre.roster().entry(TAINAN)
    assert entry.state is SiteState.ENROLLED
    assert entry.certificate == node.certificate()
    assert site_of(node.certificate()) == TAINAN
    assert entry.node_key == node.node_public_key.read_text()
    assert entry.officer_key == node.officer_public_key.read_text()
    assert node.centre_evidence_key.read_text() == centre.evidence_public_key.read_text()


def test_the_flower_key_is_enrolled_by_the_same_act_and_leaves_with_the_revocation(
    centre: CentreHome, node: NodeHome
) -> None:
    assert flower_public_keys(centre) == {}
    sign_request(centre, request_of(node), now=NOW)
    assert flower_public_keys(centre) == {TAINAN: node.flower_public_key.read_text().strip()}
    revoke_site(centre, site=TAINAN, reason="key lost", now=NOW)
    assert flower_public_keys(centre) == {}


def test_the_flower_key_file_is_the_one_form_a_supernode_reads(node: NodeHome) -> None:
    key = load_ssh_private_key(node.flower_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    line = node.flower_public_key.read_bytes()
    assert load_ssh_public_key(line) == key.public_key()
    assert flower_key_pem(line.decode()).startswith(b"-----BEGIN PUBLIC KEY-----")


def test_every_step_leaves_an_audit_event(centre: CentreHome, node: NodeHome) -> None:
    sign_request(centre, request_of(node), now=NOW)
    renew_kit(centre, site=TAINAN, now=NOW)
    renew_server_certificate(centre, now=NOW)
    revoke_site(centre, site=TAINAN, reason="left", now=NOW)
    assert [event["kind"] for event in centre.roster().events()] == [
        "centre-created",
        "site-invited",
        "site-enrolled",
        "site-renewed",
        "server-renewed",
        "site-revoked",
    ]


def test_private_keys_and_the_roster_are_0600_and_folders_0700(
    centre: CentreHome, node: NodeHome
) -> None:
    public = {".crt", ".pub"}
    for home in (centre.folder, node.folder):
        for path in [home, *home.rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            if path.is_dir():
                assert mode == 0o700, path
            elif path.suffix not in public and path.name != "request.json":
                assert mode == 0o600, path


def test_a_key_that_others_can_read_is_refused(centre: CentreHome, node: NodeHome) -> None:
    centre.authority_key.chmod(0o640)
    with pytest.raises(KeyFileUnsafeError):
        sign_request(centre, request_of(node), now=NOW)
    node.tls_key.chmod(0o604)
    with pytest.raises(KeyFileUnsafeError):
        node.load_tls_key()


def test_no_secret_of_the_node_or_token_travels_in_request_or_kit(
    tmp_path: Path, centre: CentreHome
) -> None:
    invitation = an_invitation(centre)
    node = init_node(tmp_path / "node", invitation=invitation, now=NOW)
    kit = sign_request(centre, request_of(node), now=NOW).to_bytes()
    assert b"PRIVATE" not in node.request_file.read_bytes() + kit
    everything = b"".join([*files_of(node.folder).values(), *files_of(centre.folder).values(), kit])
    assert invitation.token.encode() not in everything


def test_init_overwrites_nothing(tmp_path: Path, centre: CentreHome, node: NodeHome) -> None:
    before = files_of(tmp_path)
    with pytest.raises(HomeExistsError):
        a_centre(centre.folder)
    with pytest.raises(HomeExistsError):
        init_node(node.folder, invitation=an_invitation(centre, site=TAIPEI), now=NOW)
    after = files_of(tmp_path)
    assert {p: c for p, c in after.items() if "roster" not in p} == {
        p: c for p, c in before.items() if "roster" not in p
    }


def test_init_does_not_cover_files_of_the_hospital(tmp_path: Path, centre: CentreHome) -> None:
    folder = tmp_path / "used"
    (folder / "data").mkdir(parents=True)
    with pytest.raises(HomeExistsError, match="data"):
        a_node(folder, centre)
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_a_file_where_the_home_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeExistsError):
        a_centre(tmp_path / "file")


def test_a_failing_init_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("federation.operations.enrolment._write_evidence_key", full)
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (tmp_path / "new", empty):
        with pytest.raises(OSError, match="No space"):
            a_centre(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_a_full_disk_is_named_and_the_old_file_stays(
    node: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = files_of(node.folder)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError):
        node.write_settings(replace(node.settings(), name="new"))
    assert files_of(node.folder) == before


def test_a_full_disk_under_the_roster_is_named(
    centre: CentreHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(database: sqlite3.Connection, *_: object) -> None:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count={pages}")
        database.execute("CREATE TABLE big AS SELECT randomblob(100000)")

    monkeypatch.setattr("federation.pki.roster._record", full)
    with pytest.raises(DiskFullError):
        an_invitation(centre)
    assert centre.roster().entries() == ()


def test_a_folder_that_is_no_home_is_named(tmp_path: Path) -> None:
    with pytest.raises(HomeMissingError, match="trifed centre init"):
        CentreHome.open(tmp_path)
    with pytest.raises(HomeMissingError, match="trifed node init"):
        NodeHome.open(tmp_path)


def test_settings_come_back_as_written(centre: CentreHome, node: NodeHome) -> None:
    odd = replace(node.settings(), name='Q"\\醫院')
    node.write_settings(odd)
    assert node.settings() == odd
    assert centre.settings().created == NOW
    node.settings_file.write_text("site = 3")
    with pytest.raises(UnreadableRecordError):
        node.settings()


@pytest.mark.parametrize("address", ["", "host", "host:0", "host:65536", ":1", "a b:1", "::1:80"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(InvalidValueError):
        init_centre(tmp_path / "c", name="c", address=address, now=NOW)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("host", ["under_score", "-a", "a..b", "x" * 64, "é"])
def test_a_host_name_that_is_none_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidValueError):
        init_centre(tmp_path / "c", name="c", address="a:1", host_names=[host], now=NOW)


def test_the_server_certificate_names_what_was_asked(tmp_path: Path) -> None:
    home = init_centre(
        tmp_path / "c",
        name="c",
        address="[2001:db8::1]:8443",
        host_names=["Centre.Example", "192.0.2.7"],
        loopback=False,
        now=NOW,
    )
    names = read_certificate(home.server_certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["centre.example"]
    addresses = names.value.get_values_for_type(x509.IPAddress)
    assert [str(a) for a in addresses] == ["2001:db8::1", "192.0.2.7"]


# --- invitations


def test_an_expired_invitation_makes_no_home(tmp_path: Path, centre: CentreHome) -> None:
    invitation = an_invitation(centre)
    with pytest.raises(InvitationExpiredError):
        init_node(tmp_path / "node", invitation=invitation, now=NOW + timedelta(days=15))
    assert not (tmp_path / "node").exists()


def test_an_expired_invitation_is_not_signed(centre: CentreHome, node: NodeHome) -> None:
    with pytest.raises(InvitationExpiredError):
        sign_request(centre, request_of(node), now=NOW + timedelta(days=15))
    assert centre.roster().entry(TAINAN).state is SiteState.INVITED


def test_an_invitation_enrols_once(tmp_path: Path, centre: CentreHome) -> None:
    invitation = an_invitation(centre)
    first = init_node(tmp_path / "first", invitation=invitation, now=NOW)
    second = init_node(tmp_path / "second", invitation=invitation, now=NOW)
    sign_request(centre, request_of(first), now=NOW)
    for again in (first, second):
        with pytest.raises(InvitationUsedError):
            sign_request(centre, request_of(again), now=NOW)
    assert centre.roster().entry(TAINAN).flower_key == first.flower_public_key.read_text().strip()


def test_a_new_invitation_replaces_the_former(centre: CentreHome, node: NodeHome) -> None:
    an_invitation(centre)
    with pytest.raises(InvitationUnknownError):
        sign_request(centre, request_of(node), now=NOW)


def test_an_enrolled_or_revoked_name_is_not_given_out_again(
    tmp_path: Path, centre: CentreHome
) -> None:
    an_enrolled_node(tmp_path / "node", centre)
    with pytest.raises(SiteExistsError, match="enrolled"):
        an_invitation(centre)
    revoke_site(centre, site=TAINAN, reason="left", now=NOW)
    with pytest.raises(SiteExistsError, match="revoked"):
        an_invitation(centre)


def test_a_revoked_invitation_is_not_signed(centre: CentreHome, node: NodeHome) -> None:
    revoke_site(centre, site=TAINAN, reason="stolen", now=NOW)
    with pytest.raises(NodeCertificateRevokedError):
        sign_request(centre, request_of(node), now=NOW)


def test_an_invitation_with_another_root_than_its_fingerprint_is_refused(
    tmp_path: Path, centre: CentreHome
) -> None:
    other = a_centre(tmp_path / "other")
    raw = an_invitation(centre).to_bytes()
    with pytest.raises(ForeignKitError):
        Invitation.from_bytes(changed(raw, authority=other.authority_certificate.read_text()))


def test_an_invitation_comes_back_as_written(centre: CentreHome) -> None:
    invitation = an_invitation(centre)
    assert Invitation.from_bytes(invitation.to_bytes()) == invitation


@pytest.mark.parametrize(
    "values",
    [
        {"site": "../x"},
        {"address": "nowhere"},
        {"token": "c2hvcnQ="},
        {"token": "***"},
        {"expires": "tomorrow"},
        {"expires": "2026-01-01T00:00:00"},
        {"name": "a\nb"},
        {"name": 3},
        {"name": "\ud800"},
        {"extra": "x"},
        {"document": "trifed/kit/v1"},
        {"authority": "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"},
    ],
)
def test_a_malformed_invitation_is_refused(centre: CentreHome, values: dict[str, object]) -> None:
    raw = json.loads(an_invitation(centre).to_bytes())
    with pytest.raises(DocumentUnreadableError):
        Invitation.from_bytes(json.dumps({**raw, **values}).encode())


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"\xff", b'{"a":1,"a":1}', b"[" * 60000, b" " * (LIMIT_BYTES + 1)]
)
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    for kind in (Invitation, EnrolmentRequest, Kit):
        with pytest.raises(DocumentUnreadableError):
            kind.from_bytes(raw)


# --- requests


@pytest.mark.parametrize("field", ["name", "software", "proof"])
def test_a_request_changed_by_one_letter_is_refused(
    centre: CentreHome, node: NodeHome, field: str
) -> None:
    request = request_of(node)
    letter = "B" if getattr(request, field)[0] != "B" else "C"
    wrong = replace(request, **{field: letter + getattr(request, field)[1:]})
    with pytest.raises((RequestTamperedError, InvitationUnknownError)):
        sign_request(centre, wrong, now=NOW)
    assert centre.roster().entry(TAINAN).state is SiteState.INVITED


@pytest.mark.parametrize(
    "field",
    [
        *("csr", "flower_key", "node_key", "officer_key"),
        *("signed_by_tls", "signed_by_flower", "signed_by_node", "signed_by_officer"),
    ],
)
def test_a_key_or_signature_of_another_node_is_refused(
    tmp_path: Path, centre: CentreHome, node: NodeHome, field: str
) -> None:
    other = a_centre(tmp_path / "other")
    foreign = request_of(a_node(tmp_path / "foreign", other))
    with pytest.raises(RequestTamperedError):
        sign_request(centre, replace(request_of(node), **{field: getattr(foreign, field)}), now=NOW)


def test_a_request_without_the_invitation_is_refused(
    tmp_path: Path, centre: CentreHome, node: NodeHome
) -> None:
    other = a_centre(tmp_path / "other")
    with pytest.raises(InvitationUnknownError):
        sign_request(centre, request_of(a_node(tmp_path / "foreign", other)), now=NOW)


def test_a_certificate_request_with_one_byte_changed_is_refused(
    centre: CentreHome, node: NodeHome
) -> None:
    csr = x509.load_pem_x509_csr(request_of(node).csr.encode())
    der = bytearray(csr.public_bytes(Encoding.DER))
    der[der.index(b"tainan-1")] ^= 1  # in the subject, which only the signature covers
    pem = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(RequestTamperedError, match="certificate request"):
        sign_request(centre, replace(request_of(node), csr=pem), now=NOW)


def test_a_certificate_request_for_another_site_is_refused(
    tmp_path: Path, centre: CentreHome, node: NodeHome
) -> None:
    other = a_node(tmp_path / "other", centre, site=TAIPEI)
    with pytest.raises(WrongSiteError):
        sign_request(centre, replace(request_of(node), csr=request_of(other).csr), now=NOW)


def test_an_rsa_key_is_refused(centre: CentreHome, node: NodeHome) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    csr = new_csr(key, site=TAINAN)  # type: ignore[arg-type]
    pem = csr.public_bytes(Encoding.PEM).decode()
    with pytest.raises(KeyRefusedError, match="RSA"):
        sign_request(centre, replace(request_of(node), csr=pem), now=NOW)


def test_an_ed25519_tls_key_is_accepted(
    tmp_path: Path, centre: CentreHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.enrolment.new_tls_key", new_signing_key)
    node = an_enrolled_node(tmp_path / "ed25519", centre, site=TAIPEI)
    assert site_of(node.certificate()) == TAIPEI


def test_a_flower_key_on_another_curve_is_refused(centre: CentreHome, node: NodeHome) -> None:
    line = public_openssh(ec.generate_private_key(ec.SECP256R1()).public_key())
    for wrong in (line, "ssh-rsa x", node.node_public_key.read_text()):
        with pytest.raises(KeyRefusedError):
            sign_request(centre, replace(request_of(node), flower_key=wrong), now=NOW)


def test_a_site_that_was_never_invited_is_refused(centre: CentreHome, tmp_path: Path) -> None:
    other = a_centre(tmp_path / "other")
    with pytest.raises(SiteUnknownError):
        sign_request(centre, request_of(a_node(tmp_path / "n", other)), now=NOW)


def test_a_key_of_one_site_does_not_come_back_with_another(
    tmp_path: Path, centre: CentreHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = an_enrolled_node(tmp_path / "first", centre)
    flower = load_ssh_private_key(first.flower_key.read_bytes(), None)
    monkeypatch.setattr("clients.enrolment.new_flower_key", lambda: flower)
    second = a_node(tmp_path / "second", centre, site=TAIPEI)
    with pytest.raises(KeyAlreadyEnrolledError, match="Flower"):
        sign_request(centre, request_of(second), now=NOW)
    assert centre.roster().entry(TAIPEI).state is SiteState.INVITED


# --- kits


def test_a_kit_comes_back_as_written(centre: CentreHome, node: NodeHome) -> None:
    kit = sign_request(centre, request_of(node), now=NOW)
    assert Kit.from_bytes(kit.to_bytes()) == kit


@pytest.mark.parametrize("field", ["address", "centre", "evidence_key"])
def test_a_courier_can_change_nothing_in_a_kit(
    tmp_path: Path, centre: CentreHome, node: NodeHome, field: str
) -> None:
    raw = sign_request(centre, request_of(node), now=NOW).to_bytes()
    others = {
        "address": "evil.example:1",
        "centre": "x",
        "evidence_key": node.node_public_key.read_text(),
    }
    with pytest.raises(RequestTamperedError):
        join_node(node, Kit.from_bytes(changed(raw, **{field: others[field]})), now=NOW)
    assert not node.has_joined


def test_a_kit_of_another_centre_is_refused(
    tmp_path: Path, centre: CentreHome, node: NodeHome
) -> None:
    other = a_centre(tmp_path / "other")
    foreign = a_node(tmp_path / "foreign", other)
    with pytest.raises(ForeignKitError):
        join_node(node, sign_request(other, request_of(foreign), now=NOW), now=NOW)


def test_a_kit_with_a_certificate_of_another_centre_is_refused(
    tmp_path: Path, centre: CentreHome, node: NodeHome
) -> None:
    other = a_centre(tmp_path / "other")
    foreign = sign_request(other, request_of(a_node(tmp_path / "foreign", other)), now=NOW)
    kit = sign_request(centre, request_of(node), now=NOW)
    mixed = replace(kit, certificate=foreign.certificate).signed_by(centre.authority())
    with pytest.raises(ForeignNodeCertificateError):
        join_node(node, mixed, now=NOW)


def test_a_kit_for_another_site_is_refused(
    tmp_path: Path, centre: CentreHome, node: NodeHome
) -> None:
    other = a_node(tmp_path / "other", centre, site=TAIPEI)
    kit = sign_request(centre, request_of(other), now=NOW)
    with pytest.raises(WrongSiteError):
        join_node(node, kit, now=NOW)
    with pytest.raises(WrongSiteError):
        join_node(node, replace(kit, site=TAINAN).signed_by(centre.authority()), now=NOW)


def test_a_kit_for_another_key_is_refused(tmp_path: Path, centre: CentreHome) -> None:
    invitation = an_invitation(centre)
    first = init_node(tmp_path / "first", invitation=invitation, now=NOW)
    second = init_node(tmp_path / "second", invitation=invitation, now=NOW)
    with pytest.raises(KitKeyMismatchError):
        join_node(second, sign_request(centre, request_of(first), now=NOW), now=NOW)


def test_a_kit_is_only_taken_in_while_its_certificate_is_valid(
    centre: CentreHome, node: NodeHome
) -> None:
    kit = sign_request(centre, request_of(node), now=NOW)
    with pytest.raises(NodeCertificateExpiredError):
        join_node(node, kit, now=NOW + YEARS)
    with pytest.raises(NodeCertificateNotYetValidError):
        join_node(node, kit, now=NOW - timedelta(hours=1))
    with pytest.raises(NotJoinedError):
        node.certificate()


def test_a_renewed_kit_has_new_dates_for_the_same_key(tmp_path: Path, centre: CentreHome) -> None:
    node = an_enrolled_node(tmp_path / "node", centre)
    later = NOW + timedelta(days=380)
    assert [warning.days for warning in node_warnings(node, now=later)] == [17]
    join_node(node, renew_kit(centre, site=TAINAN, now=later), now=later)
    assert node_warnings(node, now=later) == ()


def test_only_an_enrolled_site_is_renewed(centre: CentreHome, node: NodeHome) -> None:
    with pytest.raises(NotJoinedError):
        renew_kit(centre, site=TAINAN, now=NOW)
    sign_request(centre, request_of(node), now=NOW)
    revoke_site(centre, site=TAINAN, reason="left", now=NOW)
    with pytest.raises(NodeCertificateRevokedError):
        renew_kit(centre, site=TAINAN, now=NOW)


def test_a_node_follows_its_centre_to_a_new_address(tmp_path: Path, centre: CentreHome) -> None:
    node = an_enrolled_node(tmp_path / "node", centre)
    centre.write_settings(replace(centre.settings(), address="new.example:9443"))
    join_node(node, renew_kit(centre, site=TAINAN, now=NOW), now=NOW)
    assert node.settings().address == "new.example:9443"


# --- the roster as a whole


def test_a_site_is_revoked_once_and_for_ever(centre: CentreHome, node: NodeHome) -> None:
    revoke_site(centre, site=TAINAN, reason="left", now=NOW)
    with pytest.raises(TransitionRefusedError):
        revoke_site(centre, site=TAINAN, reason="again", now=NOW)
    with pytest.raises(SiteUnknownError):
        revoke_site(centre, site=TAIPEI, reason="who", now=NOW)
    assert centre.roster().entry(TAINAN).reason == "left"


def test_status_warns_of_certificates_of_the_last_30_days(
    tmp_path: Path, centre: CentreHome
) -> None:
    an_enrolled_node(tmp_path / "node", centre)
    assert centre_status(centre, now=NOW).warnings == ()
    later = centre_status(centre, now=NOW + timedelta(days=370))
    assert [warning.holder for warning in later.warnings] == ["國家執行中心 (server)", TAINAN]
    assert all(warning.date in warning.say() for warning in later.warnings)
    assert (later.server_days, later.sites[0].state) == (27, SiteState.ENROLLED)
    renew_server_certificate(centre, now=NOW + timedelta(days=370))
    assert centre_status(centre, now=NOW + timedelta(days=370)).server_days == 397


def test_a_failed_write_leaves_no_event_and_no_change(
    centre: CentreHome, node: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = centre.roster().events()
    monkeypatch.setattr("federation.pki.roster._record", broken)
    with pytest.raises(OSError, match="No space"):
        sign_request(centre, request_of(node), now=NOW)
    assert centre.roster().events() == before
    assert centre.roster().entry(TAINAN).state is SiteState.INVITED


def test_a_roster_that_is_no_database_is_named(centre: CentreHome) -> None:
    centre.roster_file.write_bytes(b"not a database at all, but long enough to be read as one")
    with pytest.raises(UnreadableRecordError, match="roster"):
        centre.roster().entries()
    centre.roster_file.unlink()
    with pytest.raises(UnreadableRecordError, match="roster"):
        centre.roster().entries()


def test_a_root_key_of_another_centre_is_refused(tmp_path: Path, centre: CentreHome) -> None:
    other = a_centre(tmp_path / "other")
    centre.authority_key.write_bytes(private_pem(other.authority().key))
    with pytest.raises(KeyFileUnsafeError):
        centre.authority()


def _sign(arguments: tuple[Path, Path]) -> str:
    centre, request = arguments
    try:
        sign_request(
            CentreHome.open(centre), EnrolmentRequest.from_bytes(request.read_bytes()), now=NOW
        )
    except PlatformError as error:
        return error.code
    return "enrolled"


def test_of_two_processes_with_one_invitation_one_enrols(
    tmp_path: Path, centre: CentreHome
) -> None:
    invitation = an_invitation(centre)
    homes = [
        init_node(tmp_path / name, invitation=invitation, now=NOW) for name in ("first", "second")
    ]
    other = a_node(tmp_path / "third", centre, site=TAIPEI)
    work = [(centre.folder, home.request_file) for home in (*homes, other)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.map(_sign, work, chunksize=1)
        pool.close()
        pool.join()
    assert sorted(results[:2]) == ["TF204", "enrolled"]
    assert results[2] == "enrolled"
    assert len(flower_public_keys(centre)) == 2


def _found(folder: Path) -> str:
    try:
        return a_centre(folder).settings().name
    except PlatformError as error:
        return error.code


def test_of_two_processes_that_found_one_centre_one_does(tmp_path: Path) -> None:
    folder = tmp_path / "same"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.map(_found, [folder, folder], chunksize=1)
        pool.close()
        pool.join()
    assert sorted(results) == ["TF201", "國家執行中心"]
    assert CentreHome.open(folder).authority().certificate == CentreHome.open(folder).root()
