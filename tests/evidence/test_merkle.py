"""RFC 6962 logs: known roots, proofs of every place, and every way to break one."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from federation.errors.signed import LogRangeError, ProofError
from federation.evidence import merkle

ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
# The eight roots of the certificate-transparency reference tests over ENTRIES.
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def log_of(count: int) -> tuple[list[bytes], merkle.Read]:
    leaves = [merkle.leaf_hash(b"%d" % index) for index in range(count)]
    return leaves, merkle.in_memory(leaves)


def plain_root(entries: list[bytes]) -> bytes:
    """The definition of RFC 6962, 2.1, as it is written there."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    pair = plain_root(entries[:split]) + plain_root(entries[split:])
    return hashlib.sha256(b"\x01" + pair).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    read = merkle.in_memory([merkle.leaf_hash(entry) for entry in ENTRIES])
    assert merkle.root_of(size, read).hex() == ROOTS[size]


def test_root_agrees_with_the_definition_for_every_size_up_to_70() -> None:
    _, read = log_of(70)
    for size in range(71):
        entries = [b"%d" % index for index in range(size)]
        assert merkle.root_of(size, read) == plain_root(entries)


def test_every_entry_of_every_log_up_to_40_is_provable() -> None:
    leaves, read = log_of(40)
    for size in range(1, 41):
        root = merkle.root_of(size, read)
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, read)
            merkle.verify_inclusion(leaves[index], index=index, size=size, proof=proof, root=root)


def test_every_growth_of_a_log_up_to_40_is_provable() -> None:
    _, read = log_of(40)
    for new in range(1, 41):
        for old in range(1, new + 1):
            merkle.verify_consistency(
                old=old,
                old_root=merkle.root_of(old, read),
                new=new,
                new_root=merkle.root_of(new, read),
                proof=merkle.consistency_proof(old, new, read),
            )


def test_every_log_grew_from_the_empty_one() -> None:
    _, read = log_of(5)
    merkle.verify_consistency(
        old=0, old_root=merkle.EMPTY_ROOT, new=5, new_root=merkle.root_of(5, read), proof=()
    )
    with pytest.raises(ProofError):
        merkle.verify_consistency(
            old=0, old_root=bytes(32), new=5, new_root=merkle.root_of(5, read), proof=()
        )


@settings(max_examples=60, deadline=None)
@given(some.integers(1, 200), some.data())
def test_a_proof_with_one_changed_bit_or_one_step_more_or_less_is_refused(
    size: int, data: some.DataObject
) -> None:
    leaves, read = log_of(size)
    index = data.draw(some.integers(0, size - 1))
    proof = list(merkle.inclusion_proof(index, size, read))
    broken = [[*proof, bytes(32)]]
    if proof:
        step = data.draw(some.integers(0, len(proof) - 1))
        flipped = bytes([proof[step][0] ^ 1]) + proof[step][1:]
        broken += [proof[:-1], [*proof[:step], flipped, *proof[step + 1 :]]]
    for steps in broken:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(
                leaves[index],
                index=index,
                size=size,
                proof=steps,
                root=merkle.root_of(size, read),
            )


def test_a_proof_for_another_place_or_another_leaf_is_refused() -> None:
    leaves, read = log_of(11)
    root, proof = merkle.root_of(11, read), merkle.inclusion_proof(4, 11, read)
    for leaf, index, size in (
        (leaves[5], 4, 11),
        (leaves[4], 5, 11),
        (leaves[4], 11, 11),
        (leaves[4], -1, 11),
        (leaves[4], 4, 4),
    ):
        with pytest.raises(ProofError):
            merkle.verify_inclusion(leaf, index=index, size=size, proof=proof, root=root)


def test_a_forked_log_has_no_consistency_proof() -> None:
    leaves, read = log_of(20)
    forked = merkle.in_memory([*leaves[:6], merkle.leaf_hash(b"other"), *leaves[7:]])
    for proof in (merkle.consistency_proof(9, 20, read), merkle.consistency_proof(9, 20, forked)):
        with pytest.raises(ProofError):
            merkle.verify_consistency(
                old=9,
                old_root=merkle.root_of(9, read),
                new=20,
                new_root=merkle.root_of(20, forked),
                proof=proof,
            )


def test_a_log_that_was_rolled_back_is_refused() -> None:
    _, read = log_of(9)
    with pytest.raises(ProofError):
        merkle.verify_consistency(
            old=9,
            old_root=merkle.root_of(9, read),
            new=7,
            new_root=merkle.root_of(7, read),
            proof=(),
        )


def test_a_consistency_proof_with_a_step_more_or_less_is_refused() -> None:
    _, read = log_of(40)
    for old, new in ((3, 7), (4, 8), (8, 40), (33, 40)):
        proof = merkle.consistency_proof(old, new, read)
        for steps in ((*proof, bytes(32)), proof[:-1], ()):
            with pytest.raises(ProofError):
                merkle.verify_consistency(
                    old=old,
                    old_root=merkle.root_of(old, read),
                    new=new,
                    new_root=merkle.root_of(new, read),
                    proof=steps,
                )


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_no_proof_is_made_for_a_place_the_log_has_not(index: int) -> None:
    _, read = log_of(5)
    with pytest.raises(LogRangeError):
        merkle.inclusion_proof(index, 5, read)


@pytest.mark.parametrize("old", [0, 6])
def test_no_growth_is_proved_from_a_size_the_log_never_had(old: int) -> None:
    _, read = log_of(5)
    with pytest.raises(LogRangeError):
        merkle.consistency_proof(old, 5, read)


def test_a_proof_reads_few_nodes_of_a_large_log() -> None:
    size = 2**12 + 1234
    _, read = log_of(size)
    reads = []

    def counted(level: int, position: int) -> bytes:
        reads.append((level, position))
        return read(level, position)

    merkle.inclusion_proof(77, size, counted)
    assert len(reads) < 40


def test_a_frontier_has_every_root_and_completes_every_node() -> None:
    leaves, read = log_of(70)
    frontier = merkle.Frontier()
    assert frontier.root() == merkle.EMPTY_ROOT
    for size, leaf in enumerate(leaves, start=1):
        for node in frontier.add(leaf):
            assert node.hash == read(node.level, node.position)
        assert (frontier.size, frontier.root()) == (size, merkle.root_of(size, read))


def test_what_a_proof_reads_is_known_beforehand() -> None:
    _, read = log_of(37)
    for index in range(37):
        places = merkle.places_read(lambda known, index=index: proof_of(index, known))
        fetched = {place: read(*place) for place in places}
        found = proof_of(index, lambda *place, fetched=fetched: fetched[place])
        assert found == proof_of(index, read)
        assert len(places) == len(set(places)) < 12


def proof_of(index: int, read: merkle.Read) -> tuple[bytes, ...]:
    return merkle.inclusion_proof(index, 37, read)
