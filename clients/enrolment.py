"""The hospital's half of enrolment: make a home and a request, take in the kit.

The centre's half is `federation.operations.enrolment`. All keys are born here.
The invitation's token is used for one proof and not kept; what remains in the
home is the centre's root certificate, which every later connection must show.
"""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from clients.home import FOLDERS, MARKER, NodeHome, NodeSettings
from federation.homes import FOLDER, PUBLIC, check_display_name, new_home
from federation.pki.authority import certificate_pem
from federation.pki.expiry import ExpiryWarning, expiry_warnings
from federation.pki.keys import (
    new_flower_key,
    new_signing_key,
    new_tls_key,
    private_openssh,
    private_pem,
    public_openssh,
    public_pem,
)
from federation.pki.kit import Kit, verify_kit
from federation.pki.requests import Invitation, NodeKeys, new_request
from federation.provenance import software_version
from federation.storage import write_atomic


def init_node(
    folder: Path, *, invitation: Invitation, now: datetime, name: str | None = None
) -> NodeHome:
    """Make a node's home in `folder` from an invitation, with request.json to send back.

    `name` is what people call the hospital; the invitation's when left out. When
    anything fails, `folder` is as it was before.

    Raises
    ------
    InvitationExpiredError
        If the invitation is over.
    InvalidValueError
        If the display name is not one.
    HomeExistsError
        If the folder holds a home or parts of one.
    """
    invitation.check_not_expired(now=now)
    display = check_display_name(name or invitation.name, field="site name")
    with new_home(folder, marker=MARKER) as staging:
        home = NodeHome(staging)
        for part in FOLDERS:
            (staging / part).mkdir(mode=FOLDER)
        keys = _new_keys()
        _write_keys(home, keys)
        request = new_request(invitation, keys, name=display, software=software_version())
        write_atomic(home.request_file, request.to_bytes(), mode=PUBLIC)
        root = certificate_pem(invitation.authority).encode()
        write_atomic(home.authority_certificate, root, mode=PUBLIC)
        home.write_settings(
            NodeSettings(invitation.site, display, invitation.centre, invitation.address)
        )
    return NodeHome.open(folder)


def join_node(home: NodeHome, kit: Kit, *, now: datetime) -> None:
    """Take in the centre's kit; also the renewed one of a node that has joined before.

    Raises
    ------
    WrongSiteError, ForeignKitError, RequestTamperedError, KitKeyMismatchError
    ForeignNodeCertificateError, NodeCertificateExpiredError
    NodeCertificateNotYetValidError
        As `verify_kit`; the home is untouched then.
    """
    settings = home.settings()
    verified = verify_kit(
        kit,
        site=settings.site,
        authority=home.root(),
        key=home.load_tls_key().public_key(),
        now=now,
    )
    write_atomic(home.centre_evidence_key, verified.evidence_key.encode(), mode=PUBLIC)
    told = replace(settings, centre=verified.centre, address=verified.address)
    if told != settings:
        home.write_settings(told)
    certificate = certificate_pem(verified.certificate).encode()
    write_atomic(home.tls_certificate, certificate, mode=PUBLIC)


def node_warnings(home: NodeHome, *, now: datetime) -> tuple[ExpiryWarning, ...]:
    """Return a warning for each certificate of the node that ends within 30 days.

    Raises
    ------
    NotJoinedError
        If the node has no certificate yet.
    """
    settings = home.settings()
    watched = {str(settings.site): home.certificate(), f"{settings.centre} (root)": home.root()}
    return expiry_warnings(watched, now=now)


def _new_keys() -> NodeKeys:
    return NodeKeys(
        tls=new_tls_key(),
        flower=new_flower_key(),
        node=new_signing_key(),
        officer=new_signing_key(),
    )


def _write_keys(home: NodeHome, keys: NodeKeys) -> None:
    write_atomic(home.tls_key, private_pem(keys.tls))
    write_atomic(home.flower_key, private_openssh(keys.flower))
    line = public_openssh(keys.flower.public_key()) + "\n"
    write_atomic(home.flower_public_key, line.encode(), mode=PUBLIC)
    for key, private, public in (
        (keys.node, home.node_key, home.node_public_key),
        (keys.officer, home.officer_key, home.officer_public_key),
    ):
        write_atomic(private, private_pem(key))
        write_atomic(public, public_pem(key.public_key()).encode(), mode=PUBLIC)
