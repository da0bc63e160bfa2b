"""Mutual TLS between node and centre, and what its failures mean in words.

`server_context` and `client_context` are the only TLS settings of the platform:
TLS 1.2 or newer, both certificates required, one trusted root. When a
handshake fails, OpenSSL, BoringSSL (inside gRPC) and the alert of the other
side each name the reason their own way; `explain_handshake_failure` turns any of
them into the coded error that says whose certificate is wrong.

In TLS 1.3 a client learns that its certificate was refused only when it first
reads, so explain errors of the first read too.
"""

import ssl
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from federation.errors.base import PlatformError
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
    TlsVersionError,
)


class Side(Enum):
    """Which end of the connection is speaking."""

    NODE = "node"
    CENTRE = "centre"


class _Fault(Enum):
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    FOREIGN = "foreign"
    REVOKED = "revoked"
    MISSING = "missing"
    UNFIT = "unfit"
    NAME = "name"


_ALERTS = (
    ("alert certificate expired", _Fault.EXPIRED),
    ("alert unknown ca", _Fault.FOREIGN),
    ("alert decrypt error", _Fault.FOREIGN),
    ("alert certificate unknown", _Fault.FOREIGN),
    ("alert certificate revoked", _Fault.REVOKED),
    ("alert certificate required", _Fault.MISSING),
    ("alert bad certificate", _Fault.UNFIT),
    ("alert unsupported certificate", _Fault.UNFIT),
    ("alert access denied", _Fault.UNFIT),
)
"""What the other side said of our certificate (RFC 8446, 6.2)."""

_FINDINGS = (
    ("certificate has expired", _Fault.EXPIRED),
    ("certificate is not yet valid", _Fault.NOT_YET_VALID),
    ("hostname mismatch", _Fault.NAME),
    ("ip address mismatch", _Fault.NAME),
    ("hostname verification check failed", _Fault.NAME),
    ("not in peer certificate", _Fault.NAME),
    ("doesn't match", _Fault.NAME),
    ("self signed certificate", _Fault.FOREIGN),
    ("self-signed certificate", _Fault.FOREIGN),
    ("unable to get local issuer", _Fault.FOREIGN),
    ("unable to get issuer", _Fault.FOREIGN),
    ("unable to verify the first", _Fault.FOREIGN),
    ("certificate signature failure", _Fault.FOREIGN),
    ("certificate not trusted", _Fault.FOREIGN),
    ("authority and subject key identifier mismatch", _Fault.FOREIGN),
    ("issuer mismatch", _Fault.FOREIGN),
    ("unsupported certificate purpose", _Fault.UNFIT),
    ("unsuitable certificate purpose", _Fault.UNFIT),
    ("did not return a certificate", _Fault.MISSING),
    ("certificate revoked", _Fault.REVOKED),
    ("certificate verify failed", _Fault.UNFIT),
)
"""What we found wrong with the other side's certificate."""

_VERSIONS = (
    "protocol version",
    "wrong version number",
    "unsupported protocol",
    "no protocols available",
    "version too low",
    "http request",
    "no application protocol",
    "no shared cipher",
    "handshake failure",
)


def server_context(
    *, certificate: Path, key: Path, authority: Path, alpn: Sequence[str]
) -> ssl.SSLContext:
    """Return the centre's TLS settings: only clients certified by `authority` get in.

    Sessions are never resumed, so each connection is checked anew. Raises
    `OSError` or `ssl.SSLError` when a file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return _configured(context, certificate=certificate, key=key, authority=authority, alpn=alpn)


def client_context(
    *, certificate: Path, key: Path, authority: Path, alpn: Sequence[str]
) -> ssl.SSLContext:
    """Return a node's TLS settings: only `authority` is trusted, the host name is checked.

    Raises `OSError` or `ssl.SSLError` when a file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _configured(context, certificate=certificate, key=key, authority=authority, alpn=alpn)


def _configured(
    context: ssl.SSLContext, *, certificate: Path, key: Path, authority: Path, alpn: Sequence[str]
) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_verify_locations(cafile=authority)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(list(alpn))
    return context


def explain_handshake_failure(
    failure: BaseException | str, *, seen_by: Side, node: str, centre: str
) -> PlatformError:
    """Return the coded error for a failed handshake, to be raised `from` the failure.

    Parameters
    ----------
    failure
        The exception of the handshake or of the first read, or its text.
    seen_by
        The end that saw it: an alert speaks of its own certificate, a finding of
        the other's.
    node, centre
        Names for the message: the site (at the centre, the peer's address) and
        the centre's address.
    """
    text = _normalised(failure)
    names = {"node": node, "centre": centre}
    alert = _first(text, _ALERTS)
    if alert is not None:
        return _fault(alert, about=seen_by, why=_reason(failure), names=names)
    if any(phrase in text for phrase in _VERSIONS):
        return TlsVersionError(**names, why=_reason(failure))
    finding = _first(text, _FINDINGS)
    if finding is not None:
        other = Side.CENTRE if seen_by is Side.NODE else Side.NODE
        return _fault(finding, about=other, why=_reason(failure), names=names)
    return HandshakeFailedError(**names, why=_reason(failure))


def _normalised(failure: BaseException | str) -> str:
    if isinstance(failure, str):
        return failure.lower().replace("_", " ")
    parts = (str(failure), getattr(failure, "reason", ""), getattr(failure, "verify_message", ""))
    return " ".join(str(part) for part in parts).lower().replace("_", " ")


def _reason(failure: BaseException | str) -> str:
    if isinstance(failure, ssl.SSLCertVerificationError):
        return str(failure.verify_message)
    if isinstance(failure, ssl.SSLError) and failure.reason:
        return failure.reason.lower().replace("_", " ")
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return (str(failure).splitlines() or [""])[0][:200] or type(failure).__name__


def _first(text: str, table: tuple[tuple[str, _Fault], ...]) -> _Fault | None:
    return next((fault for phrase, fault in table if phrase in text), None)


def _fault(fault: _Fault, *, about: Side, why: str, names: dict[str, str]) -> PlatformError:
    build = _node_fault if about is Side.NODE else _centre_fault
    return build(fault, why=why, node=names["node"], centre=names["centre"])


def _node_fault(fault: _Fault, *, why: str, node: str, centre: str) -> PlatformError:
    match fault:
        case _Fault.EXPIRED:
            return NodeCertificateExpiredError(node=node, when="")
        case _Fault.NOT_YET_VALID:
            return NodeCertificateNotYetValidError(node=node, when="")
        case _Fault.FOREIGN:
            return ForeignNodeCertificateError(node=node, centre=centre)
        case _Fault.REVOKED:
            return NodeCertificateRevokedError(node=node, when="")
        case _Fault.MISSING:
            return NodeCertificateMissingError(node=node, centre=centre)
    return NodeCertificateUnfitError(node=node, why=why)


def _centre_fault(fault: _Fault, *, why: str, node: str, centre: str) -> PlatformError:
    match fault:
        case _Fault.EXPIRED:
            return CentreCertificateExpiredError(centre=centre, when="")
        case _Fault.NOT_YET_VALID:
            return CentreCertificateNotYetValidError(centre=centre, when="")
        case _Fault.FOREIGN:
            return ForeignCentreCertificateError(node=node, centre=centre)
        case _Fault.NAME:
            return CentreNameMismatchError(centre=centre)
    return CentreCertificateUnfitError(centre=centre, why=why)
