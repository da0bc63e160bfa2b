"""The verifier that lies in bundles says what ours says, though it shares no line with it."""

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import federation.evidence.standalone as standalone
from federation.errors import PlatformError
from federation.errors.signed import ProofError
from federation.evidence import merkle
from federation.evidence.canonical import canonical, parse
from federation.evidence.keyring import SIGNER_OF
from federation.evidence.reasons import Reason
from federation.evidence.statements import PredicateType

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=400)
def test_both_spell_a_json_value_in_the_same_bytes(value: object) -> None:
    try:
        expected = canonical(value)
    except PlatformError:
        return
    assert standalone.canonical(parse(expected)) == expected


@pytest.mark.parametrize(
    ("bits", "spelled"),
    [
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"),
        (0x44B52D02C7E14AF6, "1e+23"),
        (0x444B1AE4D6E2EF50, "1e+21"),
        (0x3EB0C6F7A0B5ED8D, "0.000001"),
        (0x3EB0C6F7A0B5ED8C, "9.999999999999997e-7"),
        (0x41B3DE4355555555, "333333333.3333333"),
        (0xBECBF647612F3696, "-0.0000033333333333333333"),
    ],
)
def test_numbers_are_spelled_as_in_the_vectors_of_rfc_8785(bits: int, spelled: str) -> None:
    """RFC 8785, appendix B."""
    (value,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    assert standalone.canonical(value).decode() == spelled


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        str(2**53),
        "9007199254740993.0",
        "[" * 70 + "]" * 70,
        "[" * 100_000,
        "\ufeff{}",
        "{",
        "",
    ],
)
def test_what_one_does_not_read_the_other_does_not_read(text: str) -> None:
    with pytest.raises(PlatformError):
        parse(text.encode())
    with pytest.raises((ValueError, RecursionError)):
        standalone.parse(text.encode())


def hexed(path: tuple[bytes, ...]) -> list[str]:
    return [step.hex() for step in path]


def test_both_follow_every_proof_of_every_log_up_to_33_entries() -> None:
    envelopes = [str(number).encode() for number in range(33)]
    read = merkle.in_memory([merkle.leaf_hash(envelope) for envelope in envelopes])
    for size in range(1, 34):
        root = merkle.root_of(size, read)
        for index in range(size):
            path = merkle.inclusion_proof(index, size, read)
            leaf = merkle.leaf_hash(envelopes[index])
            proof = {"index": index, "size": size, "leaf": leaf.hex(), "path": hexed(path)}
            assert standalone.included(proof, envelopes[index], size, root) == index
        for old in range(1, size + 1):
            steps = hexed(merkle.consistency_proof(old, size, read))
            standalone.grown((old, merkle.root_of(old, read)), (size, root), steps)


@given(
    size=st.integers(1, 40),
    old=st.integers(0, 40),
    change=st.sampled_from(["step", "root", "drop", "add", "index", "old"]),
    place=st.integers(0, 40),
)
@settings(max_examples=300)
def test_both_refuse_the_same_broken_proofs(size: int, old: int, change: str, place: int) -> None:
    read = merkle.in_memory([merkle.leaf_hash(bytes([number])) for number in range(size)])
    old = min(old, size) or 1
    path = list(merkle.consistency_proof(old, size, read))
    roots = [merkle.root_of(old, read), merkle.root_of(size, read)]
    if change == "step" and path:
        path[place % len(path)] = bytes(32)
    elif change == "root":
        roots[place % 2] = bytes(32)
    elif change == "drop" and path:
        path.pop(place % len(path))
    elif change == "add":
        path.insert(place % (len(path) + 1), bytes(32))
    elif change == "old":
        old = max(1, old - 1)
    ours = theirs = True
    try:
        merkle.verify_consistency(
            old=old, old_root=roots[0], new=size, new_root=roots[1], proof=path
        )
    except ProofError:
        ours = False
    try:
        standalone.grown((old, roots[0]), (size, roots[1]), hexed(tuple(path)))
    except ValueError:
        theirs = False
    if old < size:  # of equal sizes the reader compares roots and asks for no proof
        assert ours is theirs


def test_both_say_the_same_words() -> None:
    ours = {
        reason.name.lower().replace("_", "-"): (reason.value.en, reason.value.zh)
        for reason in Reason
    }
    assert ours == standalone.WORDS


def test_both_know_the_same_signers() -> None:
    written_by_the_register = {PredicateType.MODEL_VERSION, PredicateType.BUNDLE}
    ours = {
        kind.short: role.value
        for kind, role in SIGNER_OF.items()
        if kind not in written_by_the_register
    }
    assert ours == standalone.SIGNERS


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_its_spelling(value: float) -> None:
    if math.isfinite(value) and not 2**53 - 1 < abs(value) < 1e21:
        assert json.loads(standalone.canonical(value)) == value
