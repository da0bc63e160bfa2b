"""Decide whether a signed statement may be believed: verified value or coded error.

`verify_envelope`, in order:
1. the envelope is at most 1 MiB and in its one canonical spelling;
2. its key is one of `trusted`;
3. the signature fits the payload under that key;
4. only then is the payload read; it is one canonical in-toto statement;
5. its predicate type is the one expected.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from federation.domain.ids import Sha256
from federation.errors.signed import (
    BadSignatureError,
    KeyFileError,
    MalformedEnvelopeError,
    NotCanonicalError,
    UnknownSignerError,
    WrongPredicateError,
)
from federation.evidence.dsse import PAYLOAD_TYPE, pae, read_envelope
from federation.evidence.statements import PredicateType, Statement

_MAX_KEY_BYTES = 16_384


class PublicKey:
    """An Ed25519 public key and its id, SHA-256 over the SubjectPublicKeyInfo (DER)."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.keyid = Sha256.of(
            key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    @classmethod
    def from_pem(cls, content: bytes, *, name: str = "public key") -> "PublicKey":
        """Return the key in a PEM SubjectPublicKeyInfo; `name` is for the error.

        Raises
        ------
        KeyFileError
            If it is not an Ed25519 public key.
        """
        try:
            key = serialization.load_pem_public_key(content)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(name=name, why="not a PEM public key") from error
        if not isinstance(key, Ed25519PublicKey):
            raise KeyFileError(name=name, why="not an Ed25519 key")
        return cls(key)

    @classmethod
    def from_raw(cls, content: bytes) -> "PublicKey":
        """Return the key of 32 raw bytes (RFC 8032).

        Raises
        ------
        KeyFileError
            If it is not 32 bytes.
        """
        try:
            return cls(Ed25519PublicKey.from_public_bytes(content))
        except ValueError as error:
            raise KeyFileError(name="public key", why="not 32 bytes") from error

    @classmethod
    def load(cls, path: Path) -> "PublicKey":
        """Return the key in a PEM file.

        Raises
        ------
        KeyFileError
            If it is missing or not an Ed25519 public key.
        """
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_KEY_BYTES)
        except OSError as error:
            raise KeyFileError(name=path.name, why=error.strerror or "unreadable") from error
        return cls.from_pem(content, name=path.name)

    @property
    def raw(self) -> bytes:
        """Return the 32 raw bytes (RFC 8032)."""
        return self._key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    @property
    def pem(self) -> bytes:
        """Return the key as PEM SubjectPublicKeyInfo."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return if `signature` is this key's over `message`.

        Raises
        ------
        BadSignatureError
            If it is not.
        """
        try:
            self._key.verify(signature, message)
        except InvalidSignature as error:
            raise BadSignatureError(keyid=self.keyid) from error

    def __repr__(self) -> str:
        """Return the key id."""
        return f"PublicKey({self.keyid})"


Trusted = Mapping[Sha256, PublicKey]


def trusted_keys(keys: Iterable[PublicKey]) -> dict[Sha256, PublicKey]:
    """Return the keys by their ids, as `verify_envelope` wants them."""
    return {key.keyid: key for key in keys}


def verify_envelope(
    envelope_json: str | bytes, *, trusted: Trusted, expected: PredicateType
) -> Statement:
    """Return the statement in a DSSE envelope that a trusted key signed.

    Raises
    ------
    StatementTooLargeError, MalformedEnvelopeError, UnknownSignerError,
    BadSignatureError, WrongPredicateError
        By the first of the module's five steps that fails.
    """
    return verify_signed(envelope_json, trusted=trusted, expected=expected)[0]


def verify_signed(
    envelope_json: str | bytes, *, trusted: Trusted, expected: PredicateType
) -> tuple[Statement, PublicKey]:
    """Return what `verify_envelope` returns, and the key that signed it."""
    envelope = read_envelope(envelope_json)
    key = trusted.get(envelope.keyid)
    if key is None:
        raise UnknownSignerError(keyid=envelope.keyid)
    key.verify(envelope.signature, pae(PAYLOAD_TYPE, envelope.payload))
    try:
        statement = Statement.from_bytes(envelope.payload)
    except NotCanonicalError as error:
        raise MalformedEnvelopeError(why=error.say_what()) from error
    if statement.predicate_type is not expected:
        raise WrongPredicateError(actual=statement.predicate_type.short, expected=expected.short)
    return statement, key
