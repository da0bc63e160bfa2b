"""Sign model weights with model-signing, and verify such a signature without it.

`model.sig` is what the OpenSSF's tool (github.com/sigstore/model-transparency, 1.1) makes with
a local key: a Sigstore bundle with a DSSE envelope, ECDSA P-256 over SHA-256, no entry in
any online log. Anyone can check it with that tool; `verify_weights` needs `cryptography`
only. That the key is the register's says the register's own Ed25519 key (`vouch_for`):

1. the register's key signed that this is its key for weights (`vouched_key`);
2. the bundle is small, of the known form, and names that key;
3. the signature fits the payload;
4. the payload is about exactly one file, in whole, and its SHA-256 is the model's.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.signed import NotCanonicalError
from federation.errors.witness import WeightsSignatureError
from federation.evidence.canonical import canonical, parse
from federation.evidence.dsse import PAYLOAD_TYPE, Envelope, pae, read_envelope
from federation.evidence.signing import Signer
from federation.evidence.statements import STATEMENT_TYPE
from federation.evidence.verification import PublicKey
from federation.storage import write_new
from federation.wording import Text

MAX_SIGNATURE_BYTES = 64 * 1024
KEY_PREDICATE = "urn:trifed:predicate:weights-key:v1"
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PREDICATE = "https://model_signing/signature/v1.0"
KEY_SUBJECT = "key/weights"
_HINT = re.compile(r"[0-9a-f]{64}")

_NO_LIBRARY = Text(
    en="the package model-signing is not installed here", zh="本機未安裝 model-signing 套件"
)
_NO_KEY = Text(en="the key for weights cannot be read", zh="無法讀取權重簽署金鑰")
_NOT_VOUCHED = Text(
    en="the register's key did not vouch for the key", zh="登錄系統的金鑰未對此金鑰背書"
)
_FORM = Text(en="its form is another", zh="格式不符")
_OTHER_KEY = Text(en="it names another key", zh="所指的金鑰不同")
_DOES_NOT_FIT = Text(en="the signature does not fit", zh="簽章不符")
_OTHER_FILE = Text(en="it is of another file", zh="屬於另一檔案")


def new_weights_key(path: Path) -> bytes:
    """Make a P-256 key, write it to `path` (0600, PEM) and its public half beside it (`.pub`).

    Returns the public half, PEM.

    Raises
    ------
    FileExistsError
        If a file is there already: a key is never replaced.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem = _pem_of(key.public_key())
    write_new(path, private)
    write_new(path.with_suffix(".pub"), pem, mode=0o644)
    return pem


def public_pem(path: Path) -> bytes:
    """Return the public PEM of the private key in a file of mode 0600.

    Raises
    ------
    WeightsSignatureError
        If it is no such key, or others may read it.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise WeightsSignatureError(why=_NO_KEY)
            key = serialization.load_pem_private_key(file.read(MAX_SIGNATURE_BYTES), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WeightsSignatureError(why=_NO_KEY) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise WeightsSignatureError(why=_NO_KEY)
    return _pem_of(key.public_key())


def sign_weights(model: Path, key: Path) -> bytes:
    """Return the signature of a model file, made by the package model-signing.

    Raises
    ------
    WeightsSignatureError
        If the package is not installed, or the key cannot be used.
    """
    try:
        from model_signing import signing
    except ImportError as error:
        raise WeightsSignatureError(why=_NO_LIBRARY) from error
    public_pem(key)
    target = model.with_name(f".{model.name}.{os.getpid()}.sig.part")
    try:
        config = signing.Config()  # type: ignore[no-untyped-call]
        config.use_elliptic_key_signer(private_key=key).sign(model, target)
        return target.read_bytes()
    finally:
        target.unlink(missing_ok=True)


def vouch_for(pem: bytes, signer: Signer) -> str:
    """Return the register's word that a key signs its weights, as a DSSE envelope."""
    digest = Sha256.of(pem)
    payload = canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": KEY_SUBJECT, "digest": {"sha256": digest.hex}}],
            "predicateType": KEY_PREDICATE,
            "predicate": {"pem": pem.decode()},
        }
    )
    return Envelope(payload, signer.keyid, signer.sign(pae(PAYLOAD_TYPE, payload))).as_json()


def vouched_key(envelope: str | bytes, *, register: PublicKey) -> bytes:
    """Return the public PEM that the register's key vouched for.

    Raises
    ------
    WeightsSignatureError
        If it did not.
    """
    try:
        read = read_envelope(envelope)
        if read.keyid != register.keyid:
            raise WeightsSignatureError(why=_NOT_VOUCHED)
        register.verify(read.signature, pae(PAYLOAD_TYPE, read.payload))
        said = parse(read.payload)
    except WeightsSignatureError:
        raise
    except PlatformError as error:
        raise WeightsSignatureError(why=_NOT_VOUCHED) from error
    match said:
        case {
            "subject": [{"name": str(name), "digest": {"sha256": str(digest)}}],
            "predicateType": str(kind),
            "predicate": {"pem": str(pem)},
        } if (name, kind) == (KEY_SUBJECT, KEY_PREDICATE) and digest == Sha256.of(pem.encode()).hex:
            return pem.encode()
    raise WeightsSignatureError(why=_NOT_VOUCHED)


def key_hint(signature: bytes) -> str:
    """Return which key a signature names: SHA-256 over its public PEM, hexadecimal; unverified.

    Raises
    ------
    WeightsSignatureError
        If it is no signature of a local key.
    """
    match _json(signature):
        case {"mediaType": str(kind), "verificationMaterial": {"publicKey": {"hint": str(hint)}}}:
            if kind == _MEDIA_TYPE and _HINT.fullmatch(hint):
                return hint
    raise WeightsSignatureError(why=_FORM)


def verify_weights(signature: bytes, *, sha256: Sha256, pem: bytes) -> None:
    """Return if `signature` is the key's over the one file with that digest.

    Parameters
    ----------
    signature
        The content of `model.sig`.
    sha256
        The content id of the model file, computed by the caller.
    pem
        The public key, already trusted.

    Raises
    ------
    WeightsSignatureError
        By the first of the module's steps 2 to 4 that fails.
    """
    if not hmac.compare_digest(signed_file(signature, pem=pem), sha256.hex):
        raise WeightsSignatureError(why=_OTHER_FILE)


def signed_file(signature: bytes, *, pem: bytes) -> str:
    """Return the SHA-256, hexadecimal, of the one file that a key signed.

    Raises
    ------
    WeightsSignatureError
        By step 2, step 3, or the form that step 4 asks for.
    """
    if key_hint(signature) != hashlib.sha256(pem).hexdigest():
        raise WeightsSignatureError(why=_OTHER_KEY)
    payload, signed = _envelope_of(signature)
    try:
        _public_key(pem).verify(signed, pae(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise WeightsSignatureError(why=_DOES_NOT_FIT) from error
    return _file_digest(payload)


def _envelope_of(signature: bytes) -> tuple[bytes, bytes]:
    match _json(signature):
        case {
            "dsseEnvelope": {
                "payload": str(payload),
                "payloadType": str(kind),
                "signatures": [{"sig": str(signed)}],
            }
        } if kind == PAYLOAD_TYPE:
            return _decoded(payload), _decoded(signed)
    raise WeightsSignatureError(why=_FORM)


def _file_digest(payload: bytes) -> str:
    """Return the SHA-256 of the one file that a payload is about, hexadecimal."""
    match _json(payload):
        case {
            "_type": str(form),
            "subject": [{"digest": {"sha256": str(total)}}],
            "predicateType": str(kind),
            "predicate": {
                "serialization": {"method": "files", "hash_type": "sha256"},
                "resources": [{"algorithm": "sha256", "digest": str(digest), "name": "."}],
            },
        } if (form, kind) == (STATEMENT_TYPE, _PREDICATE) and total == _total(digest):
            return digest
    raise WeightsSignatureError(why=_FORM)


def _total(digest: str) -> str:
    """Return the digest over the digests of all files, here one."""
    try:
        return hashlib.sha256(bytes.fromhex(digest)).hexdigest()
    except ValueError as error:
        raise WeightsSignatureError(why=_FORM) from error


def _json(content: bytes) -> object:
    if len(content) > MAX_SIGNATURE_BYTES:
        raise WeightsSignatureError(why=_FORM)
    try:
        return parse(content)
    except NotCanonicalError as error:
        raise WeightsSignatureError(why=_FORM) from error


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WeightsSignatureError(why=_FORM) from error


def _public_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WeightsSignatureError(why=_NO_KEY) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise WeightsSignatureError(why=_NO_KEY)
    return key


def _pem_of(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
