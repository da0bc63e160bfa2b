"""The keys of the federation: how they are made, read and checked.

Every private key is born on the machine that uses it and never leaves it. TLS
keys are EC P-256; a node's Flower key is EC P-384 in OpenSSH form, which
`flower-supernode --auth-supernode-private-key` reads; evidence, node and data
officer sign with Ed25519. Public keys travel as PEM, the Flower one as OpenSSH.
"""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from federation.errors.enrolment import KeyFileUnsafeError, KeyRefusedError

TlsPrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
TlsPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_TLS_CURVES = (ec.SECP256R1, ec.SECP384R1)


def new_tls_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key for a certificate: EC P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def new_flower_key() -> ec.EllipticCurvePrivateKey:
    """Return a new Flower node key: EC P-384, as `ssh-keygen -t ecdsa -b 384`."""
    return ec.generate_private_key(ec.SECP384R1())


def new_signing_key() -> ed25519.Ed25519PrivateKey:
    """Return a new Ed25519 signing key."""
    return ed25519.Ed25519PrivateKey.generate()


def private_pem(key: TlsPrivateKey) -> bytes:
    """Return a private key as unencrypted PKCS #8 PEM; the file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def private_openssh(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key in OpenSSH's own form, the only one Flower reads."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )


def public_pem(key: TlsPublicKey) -> str:
    """Return a public key as SubjectPublicKeyInfo PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def public_openssh(key: ec.EllipticCurvePublicKey) -> str:
    """Return a public key as one OpenSSH line without a comment."""
    return key.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()


def load_tls_private_key(pem: bytes, *, file: str) -> TlsPrivateKey:
    """Return the key of a certificate from PEM; `file` names it in errors.

    Raises
    ------
    KeyFileUnsafeError
        If it is not a private key.
    KeyRefusedError
        If it is one of another kind.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileUnsafeError(file=file, why="not an unencrypted PEM private key") from error
    if not isinstance(key, TlsPrivateKey):
        raise KeyRefusedError(key=file, actual=type(key).__name__, allowed=_ALLOWED_TLS)
    check_tls_key(key.public_key())
    return key


def load_ec_private_key(pem: bytes, *, file: str) -> ec.EllipticCurvePrivateKey:
    """Return an EC key from PEM; raises as `load_tls_private_key`."""
    key = load_tls_private_key(pem, file=file)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyRefusedError(key=file, actual=type(key).__name__, allowed="EC P-256 or P-384")
    return key


_ALLOWED_TLS = "EC P-256, EC P-384 or Ed25519"


def check_tls_key(key: object) -> TlsPublicKey:
    """Return a public key if a certificate may be made for it.

    Raises
    ------
    KeyRefusedError
        Unless it is EC P-256, EC P-384 or Ed25519.
    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _TLS_CURVES):
        return key
    raise KeyRefusedError(key="TLS", actual=_describe(key), allowed=_ALLOWED_TLS)


def parse_flower_key(line: str) -> ec.EllipticCurvePublicKey:
    """Return the Flower public key of an OpenSSH line.

    Raises
    ------
    KeyRefusedError
        Unless it is one EC P-384 key.
    """
    try:
        key = serialization.load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusedError(key="Flower", actual="unreadable", allowed=_FLOWER) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise KeyRefusedError(key="Flower", actual=_describe(key), allowed=_FLOWER)
    return key


_FLOWER = "EC P-384 in OpenSSH form"


def flower_key_pem(line: str) -> bytes:
    """Return an OpenSSH Flower key as PEM, which SuperLink's RegisterNode wants.

    Raises
    ------
    KeyRefusedError
        Unless it is one EC P-384 key.
    """
    return public_pem(parse_flower_key(line)).encode()


def parse_signing_key(pem: str, *, key: str) -> ed25519.Ed25519PublicKey:
    """Return an Ed25519 public key from PEM; `key` says whose it is.

    Raises
    ------
    KeyRefusedError
        Unless it is one Ed25519 key.
    """
    try:
        parsed = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusedError(key=key, actual="unreadable", allowed="Ed25519") from error
    if not isinstance(parsed, ed25519.Ed25519PublicKey):
        raise KeyRefusedError(key=key, actual=_describe(parsed), allowed="Ed25519")
    return parsed


def sign(key: TlsPrivateKey, message: bytes) -> bytes:
    """Return a signature: ECDSA with SHA-256, or Ed25519."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def signature_holds(key: TlsPublicKey, signature: bytes, message: bytes) -> bool:
    """Return whether `signature` is by `key` over `message`."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _describe(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey")
