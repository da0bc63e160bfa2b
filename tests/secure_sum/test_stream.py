"""The masks as the documents say them, computed a second time from the RFCs."""

import hmac
import json
from hashlib import sha256

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from federation.secure_sum import Cells
from federation.secure_sum.masks import public_of, transcript_of
from tests.secure_sum.sites import NAMES, three

CELLS = Cells.counts(20, most=9)


def rotated(word: int, by: int) -> int:
    return ((word << by) | (word >> (32 - by))) & 0xFFFFFFFF


def quarter(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for into, add, xor, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[into] = (state[into] + state[add]) & 0xFFFFFFFF
        state[xor] = rotated(state[xor] ^ state[into], by)


def chacha20_block(key: bytes, counter: int, nonce: bytes) -> bytes:
    """RFC 8439, 2.3: one block of 64 bytes."""
    words = b"expand 32-byte k" + key + counter.to_bytes(4, "little") + nonce
    start = [int.from_bytes(words[at : at + 4], "little") for at in range(0, 64, 4)]
    state = list(start)
    for _ in range(10):
        for at in range(4):
            quarter(state, at, 4 + at, 8 + at, 12 + at)
        for at in range(4):
            quarter(state, at, 4 + (at + 1) % 4, 8 + (at + 2) % 4, 12 + (at + 3) % 4)
    mixed = ((one + other) & 0xFFFFFFFF for one, other in zip(state, start, strict=True))
    return b"".join(word.to_bytes(4, "little") for word in mixed)


def hkdf(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, 32 bytes."""
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")


def test_the_second_chacha20_is_that_of_the_rfc() -> None:
    """RFC 8439, 2.3.2."""
    key, nonce = bytes(range(32)), bytes.fromhex("000000090000004a00000000")
    block = chacha20_block(key, 1, nonce)
    assert block.hex().startswith(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
    )


def test_the_second_hkdf_is_that_of_the_rfc() -> None:
    """RFC 5869, A.1, the first 32 bytes."""
    info, salt = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), bytes(range(13))
    found = hkdf(b"\x0b" * 22, salt=salt, info=info)
    assert found.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def test_a_public_key_is_that_of_the_rfc() -> None:
    """RFC 7748, 6.1: Bob's key pair."""
    secret = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
    public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert public_of(bytes.fromhex(secret)).hex() == public


def test_a_masked_row_is_the_documented_one() -> None:
    """docs/secure-sums.md, "What is computed", step by step."""
    federation = three()
    a, b, c = NAMES[:3]
    row = np.arange(20) % 10
    roster = federation.roster
    said = {
        "purpose": "trifed secure sum v1",
        "session": {
            "study": "cxr-eval",
            "study_digest": str(roster.session.study_digest),
            "run": "cxr-eval.1",
            "round": 1,
        },
        "cells": {"length": 20, "low": 0, "high": 9, "about": None},
        "keys": [{"site": one.site, "key": one.key.hex()} for one in roster.keys],
    }
    transcript = sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode())
    expected = [*row.tolist(), 1]
    for other, sign in ((a, -1), (c, 1)):  # b comes after a and before c
        mine = X25519PrivateKey.from_private_bytes(federation.secret(b))
        shared = mine.exchange(
            X25519PublicKey.from_public_bytes(public_of(federation.secret(other)))
        )
        pair = json.dumps(
            {"pair": sorted([b, other]), "purpose": "trifed secure sum v1"}, separators=(",", ":")
        )
        key = hkdf(shared, salt=transcript.digest(), info=pair.encode())
        stream = b"".join(chacha20_block(key, at, bytes(12)) for at in range(3))
        for at in range(21):
            number = int.from_bytes(stream[8 * at : 8 * at + 8], "little")
            expected[at] = (expected[at] + sign * number) % 2**64

    found = federation.mask(b, row, CELLS)

    assert found.transcript.hex == transcript.hexdigest() == transcript_of(roster, CELLS).hex
    assert found.numbers.tolist() == expected
