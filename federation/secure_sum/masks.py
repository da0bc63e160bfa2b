"""The numbers that two sites share: X25519, then HKDF-SHA256, then ChaCha20, modulo 2^64.

Both sites of a pair compute the same stream; the one whose name comes first adds it,
the other subtracts it. Everything that the sites must agree on is in the transcript,
which salts the derivation: a site that was shown another list of sites, other keys,
another session or other cells has streams that cancel with nobody's.

Source: K. Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine
Learning, CCS 2017, section 4.0.1 (masking with one-time pads, no drop-outs).
RFC 7748 (X25519), RFC 5869 (HKDF), RFC 8439 (ChaCha20).
"""

from collections.abc import Iterable

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.domain.ids import Sha256, SiteId
from federation.errors.secure_sum import SumKeyRefusedError
from federation.evidence.canonical import canonical, digest_of
from federation.secure_sum.port import Cells, Ring, Roster, SignedKey
from federation.wording import Text

PURPOSE = "trifed secure sum v1"
NONCE = bytes(16)
"""Always the same: every key makes one stream only."""

_CELL_BYTES = 8
WEAK = Text(en="its point is of small order", zh="其曲線點的階過小")


def new_secret() -> bytes:
    """Return a fresh X25519 private key, 32 bytes from the operating system."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_of(secret: bytes) -> bytes:
    """Return the public half of a private key, 32 bytes."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def transcript_of(roster: Roster, cells: Cells) -> Sha256:
    """Return the content id of all that the sites of a sum must agree on."""
    return digest_of(
        {
            "purpose": PURPOSE,
            "session": roster.session.as_json(),
            "cells": cells.as_json(),
            "keys": [{"site": str(one.site), "key": one.key.hex()} for one in roster.keys],
        }
    )


def add_masks(
    total: Ring, *, site: SiteId, secret: bytes, others: Iterable[SignedKey], transcript: Sha256
) -> None:
    """Add to `total`, in place, the masks that a site shares with each of the others.

    Raises
    ------
    SumKeyRefusedError
        If another's key is a point of small order, with which nothing stays secret.
    """
    for other in others:
        stream = _stream(_pair_key(site, secret, other, transcript), total.size)
        if site < other.site:
            total += stream
        else:
            total -= stream


def _pair_key(site: SiteId, secret: bytes, other: SignedKey, transcript: Sha256) -> bytes:
    """Return the 32 bytes that the two sites share in this sum."""
    try:
        shared = X25519PrivateKey.from_private_bytes(secret).exchange(
            X25519PublicKey.from_public_bytes(other.key)
        )
    except ValueError as error:
        raise SumKeyRefusedError(site=other.site, why=WEAK) from error
    pair = canonical({"purpose": PURPOSE, "pair": sorted((str(site), str(other.site)))})
    salt = bytes.fromhex(transcript.hex)
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=pair).derive(shared)


def _stream(key: bytes, length: int) -> Ring:
    """Return `length` numbers, uniform modulo 2^64 for whoever lacks the key."""
    cipher = Cipher(algorithms.ChaCha20(key, NONCE), mode=None).encryptor()
    stream = np.frombuffer(cipher.update(bytes(length * _CELL_BYTES)), dtype="<u8")
    return stream.astype(np.uint64, copy=False)
