"""Signed checkpoints: Go's published note, and every way to bend one."""

import base64
from pathlib import Path

import pytest

from federation.errors import PlatformError
from federation.errors.core import InvalidValueError
from federation.errors.signed import CheckpointError
from federation.evidence.checkpoint import (
    Checkpoint,
    key_hash,
    sign_checkpoint,
    signature_line,
    verify_checkpoint,
)
from federation.evidence.signing import Signer, new_key
from federation.evidence.verification import PublicKey

ORIGIN = "trifed/0123"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_key(tmp_path / "evidence.key")


def a_checkpoint(size: int = 8) -> Checkpoint:
    return Checkpoint(ORIGIN, size, bytes(range(32)))


def test_key_hash_and_signature_are_those_of_the_published_note() -> None:
    # pkg.go.dev/golang.org/x/mod/sumdb/note, the example of the package
    verifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    signature = (
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg"
        "KvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    name, hashed, raw = verifier.split("+", 2)
    key = PublicKey.from_raw(base64.b64decode(raw)[1:])
    marked = base64.b64decode(signature)
    assert key_hash(name, key).hex() == hashed
    assert marked[:4].hex() == hashed
    key.verify(marked[4:], text.encode())


def test_a_checkpoint_is_three_lines_and_a_signature(signer: Signer) -> None:
    note = sign_checkpoint(a_checkpoint(), signer)
    lines = note.split("\n")
    assert lines[:2] == [ORIGIN, "8"]
    assert base64.b64decode(lines[2]) == bytes(range(32))
    assert lines[3] == "" and lines[4].startswith(f"— {ORIGIN} ") and lines[5:] == [""]


def test_a_checkpoint_comes_back_as_it_was(signer: Signer) -> None:
    note = sign_checkpoint(a_checkpoint(), signer)
    assert verify_checkpoint(note, origin=ORIGIN, key=signer.public_key) == a_checkpoint()


def test_a_witness_may_sign_below(signer: Signer, tmp_path: Path) -> None:
    witness = new_key(tmp_path / "witness.key")
    note = sign_checkpoint(a_checkpoint(), signer)
    note += signature_line(a_checkpoint().text, name="tainan-1", signer=witness)
    assert verify_checkpoint(note, origin=ORIGIN, key=signer.public_key) == a_checkpoint()
    with pytest.raises(CheckpointError):
        verify_checkpoint(note, origin=ORIGIN, key=witness.public_key)


def test_a_flip_of_any_byte_is_refused(signer: Signer) -> None:
    note = sign_checkpoint(a_checkpoint(), signer).encode()
    for place in range(len(note)):
        changed = bytearray(note)
        changed[place] ^= 1
        text = bytes(changed).decode("utf-8", errors="replace")
        with pytest.raises(PlatformError):
            verify_checkpoint(text, origin=ORIGIN, key=signer.public_key)


def signed(text: str, signer: Signer) -> str:
    return f"{text}\n{signature_line(text, name=ORIGIN, signer=signer)}"


@pytest.mark.parametrize(
    "text",
    [
        "other/log\n8\n" + base64.b64encode(bytes(32)).decode() + "\n",
        f"{ORIGIN}\n08\n" + base64.b64encode(bytes(32)).decode() + "\n",
        f"{ORIGIN}\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        f"{ORIGIN}\n8\n" + base64.b64encode(bytes(31)).decode() + "\n",
        f"{ORIGIN}\n8\nnot base64\n",
        f"{ORIGIN}\n8\n" + base64.b64encode(bytes(32)).decode() + "\nmore\n",
        f"{ORIGIN}\n8\n",
    ],
)
def test_a_correctly_signed_note_that_is_no_checkpoint_is_refused(
    text: str, signer: Signer
) -> None:
    with pytest.raises(CheckpointError):
        verify_checkpoint(signed(text, signer), origin=ORIGIN, key=signer.public_key)


@pytest.mark.parametrize("note", ["", "a\n\n", "a\n\nb\n", "x" * 20_000])
def test_what_is_no_signed_note_is_refused(note: str, signer: Signer) -> None:
    with pytest.raises(CheckpointError):
        verify_checkpoint(note, origin=ORIGIN, key=signer.public_key)


@pytest.mark.parametrize("origin", ["", "two words", "line\nfeed", "plus+sign"])
def test_a_log_is_not_called_what_a_note_cannot_say(origin: str) -> None:
    with pytest.raises(InvalidValueError):
        Checkpoint(origin, 0, bytes(32))
