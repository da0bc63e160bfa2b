"""Co-signatures: the published example's form, what a witness never signs, and what it keeps."""

import base64
import json
import multiprocessing
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as some

from federation.errors import PlatformError
from federation.errors.signed import CheckpointError, ProofError
from federation.errors.witness import (
    CosignatureRefusedError,
    TooFewWitnessesError,
    WitnessForkError,
    WitnessRollbackError,
)
from federation.evidence import merkle
from federation.evidence.checkpoint import Checkpoint, key_hash, sign_checkpoint, split_note
from federation.evidence.inclusion import Inclusion, origin_of
from federation.evidence.kept_notes import note_in
from federation.evidence.log_proof import LogProof, check_proof
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.evidence.witness import (
    COSIGNATURE,
    MAX_STEPS,
    Request,
    Witness,
    check_witnessed,
    cosign,
    cosigned,
    cosigners,
    with_cosignatures,
)
from federation.evidence.witness_book import FILE, WitnessBook

AT = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
PUBLISHED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv"
    "2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2"
    "oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def a_signer() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


class Log:
    """A log in memory, with its key."""

    def __init__(self, size: int = 0, *, fork_at: int = -1, signer: Signer | None = None) -> None:
        self.signer = signer or a_signer()
        texts = [b"other" if place == fork_at else b"%d" % place for place in range(size)]
        self.leaves = [merkle.leaf_hash(text) for text in texts]
        self.read = merkle.in_memory(self.leaves)

    @property
    def key(self) -> PublicKey:
        return self.signer.public_key

    def note(self, size: int) -> str:
        root = merkle.root_of(size, self.read)
        return sign_checkpoint(Checkpoint(origin_of(self.key), size, root), self.signer)

    def request(self, new: int, *, old: int = 0) -> Request:
        proof = merkle.consistency_proof(old, new, self.read) if old else ()
        return Request(old, proof, self.note(new))


@pytest.fixture(scope="module")
def log() -> Log:
    return Log(40)


@pytest.fixture
def witness() -> Signer:
    return a_signer()


@pytest.fixture
def book(tmp_path: Path) -> WitnessBook:
    found = WitnessBook(tmp_path / "w")
    found.begin()
    return found


def test_the_published_note_has_the_form_of_a_cosignature() -> None:
    # c2sp.org/tlog-cosignature, the example: eight bytes of time after the four of the key
    (_, (name, marked)) = split_note(PUBLISHED)[1]
    assert name == "witness.example.com/w1"
    assert len(marked) == 4 + 8 + 64
    assert int.from_bytes(marked[4:12], "big") == 1679315147


def test_the_signed_message_is_the_published_one(witness: Signer) -> None:
    text = split_note(PUBLISHED)[0]
    at = datetime.fromtimestamp(1679315147, UTC)
    line = cosign(text, witness="w", signer=witness, at=at)
    marked = base64.b64decode(line.split(" ")[2])
    message = (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    witness.public_key.verify(marked[12:], message)
    assert marked[:4] == key_hash("w", witness.public_key, kind=COSIGNATURE)


def test_a_request_is_the_published_body(log: Log) -> None:
    text = log.request(21, old=5).as_text()
    head, _, note = text.partition("\n\n")
    assert head.split("\n")[0] == "old 5"
    steps = [base64.b64decode(line) for line in head.split("\n")[1:]]
    assert tuple(steps) == merkle.consistency_proof(5, 21, log.read)
    assert note == log.note(21)
    assert Request.from_text(text) == log.request(21, old=5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "old 5",
        "old 05\n\nx",
        "old -1\n\nx",
        "new 5\n\nx",
        "old 5\nAAAA\n\nx",
        "old 5\nnot base64\n\nx",
        "old 5\n" + f"{base64.b64encode(bytes(32)).decode()}\n" * (MAX_STEPS + 1) + "\nx",
        "old 5\n\n" + "x" * 30_000,
    ],
)
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(CosignatureRefusedError):
        Request.from_text(text)


def test_a_growing_log_is_signed_again_and_again(
    log: Log, witness: Signer, book: WitnessBook
) -> None:
    old = 0
    for new in (1, 7, 8, 8, 40):
        line = answer(book, log.request(new, old=old), log, witness)
        (one,) = cosigners(with_cosignatures(log.note(new), [line]), [known(witness)])
        assert (one.at, one.line) == (AT, line)
        old = new


def answer(book: WitnessBook, request: Request, log: Log, witness: Signer) -> str:
    return book.answer(request, log=log.key, witness="hualien-ai", signer=witness, at=AT)


def known(witness: Signer) -> Witness:
    return Witness("hualien-ai", witness.public_key)


def test_a_fork_is_refused_and_both_states_are_kept(
    log: Log, witness: Signer, book: WitnessBook, tmp_path: Path
) -> None:
    answer(book, log.request(20), log, witness)
    forked = Log(40, fork_at=3, signer=log.signer)
    for request in (forked.request(30, old=20), log.request(30, old=20)):
        request = replace(request, note=forked.note(30))
        with pytest.raises(WitnessForkError):
            answer(book, request, log, witness)
    kept = book.kept()[origin_of(log.key)]
    assert kept.note == log.note(20)
    assert [one.note for one in kept.refused] == [forked.note(30)]


def test_another_root_for_as_many_entries_is_a_fork(
    log: Log, witness: Signer, book: WitnessBook
) -> None:
    answer(book, log.request(20), log, witness)
    with pytest.raises(WitnessForkError):
        answer(book, Request(20, (), Log(20, fork_at=3, signer=log.signer).note(20)), log, witness)


def test_a_rollback_is_refused(log: Log, witness: Signer, book: WitnessBook) -> None:
    answer(book, log.request(20), log, witness)
    for request in (log.request(19), log.request(19, old=5)):
        with pytest.raises(WitnessRollbackError):
            answer(book, request, log, witness)
    assert book.kept()[origin_of(log.key)].note == log.note(20)


def test_a_proof_from_another_size_is_refused_with_the_size_that_was_signed(
    log: Log, witness: Signer, book: WitnessBook
) -> None:
    answer(book, log.request(20), log, witness)
    with pytest.raises(CosignatureRefusedError, match="signed 20"):
        answer(book, log.request(30, old=10), log, witness)
    with pytest.raises(CosignatureRefusedError):
        answer(book, log.request(30), log, witness)


def test_a_state_of_another_key_or_another_log_is_refused(
    log: Log, witness: Signer, book: WitnessBook
) -> None:
    stranger = Log(5)
    with pytest.raises(CosignatureRefusedError):
        answer(book, stranger.request(5), log, witness)
    named = sign_checkpoint(Checkpoint("trifed/other", 5, bytes(32)), log.signer)
    with pytest.raises(CosignatureRefusedError):
        answer(book, Request(0, (), named), log, witness)
    assert book.kept() == {}


def test_a_log_is_not_its_own_witness(log: Log, book: WitnessBook) -> None:
    with pytest.raises(CosignatureRefusedError):
        answer(book, log.request(5), log, log.signer)


def test_one_witness_keeps_the_states_of_several_logs(
    log: Log, witness: Signer, book: WitnessBook
) -> None:
    second = Log(9)
    answer(book, log.request(20), log, witness)
    answer(book, second.request(9), second, witness)
    answer(book, log.request(21, old=20), log, witness)
    assert {kept.note for kept in book.kept().values()} == {log.note(21), second.note(9)}


def test_what_was_signed_lies_in_a_private_file_before_the_signature_leaves(
    log: Log, witness: Signer, book: WitnessBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("federation.evidence.witness_book.write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        answer(book, log.request(20), log, witness)
    monkeypatch.undo()
    answer(book, log.request(20), log, witness)
    assert stat.S_IMODE((tmp_path / "w" / FILE).stat().st_mode) == 0o600


def test_a_witness_without_its_file_signs_nothing(
    log: Log, witness: Signer, tmp_path: Path
) -> None:
    with pytest.raises(CosignatureRefusedError, match="missing"):
        answer(WitnessBook(tmp_path / "new"), log.request(5), log, witness)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format":"other","logs":{}}', b"x" * (2 << 20), b"\xff"]
)
def test_a_damaged_file_signs_nothing(
    content: bytes, log: Log, witness: Signer, book: WitnessBook, tmp_path: Path
) -> None:
    (tmp_path / "w" / FILE).write_bytes(content)
    with pytest.raises(CosignatureRefusedError, match="damaged"):
        answer(book, log.request(5), log, witness)
    book.begin()
    assert (tmp_path / "w" / FILE).read_bytes() == content


def _sign_in_another_process(folder: str, text: str, keys: tuple[bytes, bytes], new: int) -> bool:
    log = Log(40, signer=Signer(Ed25519PrivateKey.from_private_bytes(keys[0])))
    witness = Signer(Ed25519PrivateKey.from_private_bytes(keys[1]))
    try:
        answer(WitnessBook(Path(folder)), Request.from_text(text), log, witness)
    except PlatformError:
        return False
    return True


def test_of_runs_at_once_none_signs_behind_the_others_back(
    book: WitnessBook, tmp_path: Path
) -> None:
    raw = [Ed25519PrivateKey.generate().private_bytes_raw() for _ in range(2)]
    log = Log(40, signer=Signer(Ed25519PrivateKey.from_private_bytes(raw[0])))
    witness = Signer(Ed25519PrivateKey.from_private_bytes(raw[1]))
    answer(book, log.request(5), log, witness)
    asked = [
        (str(tmp_path / "w"), log.request(new, old=5).as_text(), (raw[0], raw[1]), new)
        for new in (6, 12, 20, 33)
    ]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        signed = pool.starmap(_sign_in_another_process, asked)
    assert signed.count(True) == 1  # the first to come; the others' proofs then start elsewhere


def test_a_flip_of_any_byte_of_a_cosigned_note_is_noticed(log: Log, witness: Signer) -> None:
    line = cosigned(
        log.request(20), log=log.key, kept=None, witness="hualien-ai", signer=witness, at=AT
    )
    note = with_cosignatures(log.note(20), [line])
    proof = LogProof("3", prove(log, 3, 20), note)
    check_proof(proof, log=log.key, witnesses=[known(witness)], needed=1)
    for place in range(len(note.encode())):
        changed = bytearray(note.encode())
        changed[place] ^= 1
        broken = replace(proof, checkpoint=bytes(changed).decode("utf-8", errors="replace"))
        with pytest.raises(PlatformError):
            check_proof(broken, log=log.key, witnesses=[known(witness)], needed=1)


def prove(log: Log, index: int, size: int) -> Inclusion:
    path = merkle.inclusion_proof(index, size, log.read)
    return Inclusion(index, size, log.leaves[index], path)


def test_a_reader_names_the_witnesses_and_how_many_are_enough(log: Log) -> None:
    signers = {name: a_signer() for name in ("tainan-1", "taipei-2", "hualien-3")}
    witnesses = [Witness(name, signer.public_key) for name, signer in signers.items()]
    text = split_note(log.note(20))[0]
    lines = [
        cosign(text, witness=name, signer=signers[name], at=AT) for name in ("tainan-1", "taipei-2")
    ]
    note = with_cosignatures(log.note(20), lines)
    found = check_witnessed(note, witnesses, needed=2)
    assert [one.witness.name for one in found] == ["tainan-1", "taipei-2"]
    with pytest.raises(TooFewWitnessesError, match="2 of the named"):
        check_witnessed(note, witnesses, needed=3)


def test_lines_of_strangers_count_for_nothing(log: Log, witness: Signer) -> None:
    text = split_note(log.note(20))[0]
    stranger = cosign(text, witness="hualien-ai", signer=a_signer(), at=AT)
    note = with_cosignatures(log.note(20), [stranger])
    assert cosigners(note, [known(witness)]) == []
    with pytest.raises(TooFewWitnessesError):
        check_witnessed(note, [known(witness)], needed=1)


def test_one_key_under_two_names_counts_once(log: Log, witness: Signer) -> None:
    text = split_note(log.note(20))[0]
    lines = [cosign(text, witness=name, signer=witness, at=AT) for name in ("one", "two")]
    both = [Witness(name, witness.public_key) for name in ("one", "two")]
    with pytest.raises(TooFewWitnessesError):
        check_witnessed(with_cosignatures(log.note(20), lines), both, needed=2)


def test_a_cosignature_of_another_state_does_not_fit(log: Log, witness: Signer) -> None:
    line = cosign(split_note(log.note(19))[0], witness="hualien-ai", signer=witness, at=AT)
    with pytest.raises(CosignatureRefusedError):
        cosigners(with_cosignatures(log.note(20), [line]), [known(witness)])


def test_a_log_signature_is_no_cosignature(log: Log, witness: Signer) -> None:
    from federation.evidence.checkpoint import signature_line

    text = split_note(log.note(20))[0]
    line = signature_line(text, name="hualien-ai", signer=witness)
    assert cosigners(with_cosignatures(log.note(20), [line]), [known(witness)]) == []


def test_a_time_can_not_be_changed(log: Log, witness: Signer) -> None:
    line = cosign(split_note(log.note(20))[0], witness="hualien-ai", signer=witness, at=AT)
    marked = bytearray(base64.b64decode(line.split(" ")[2]))
    marked[11] ^= 1
    moved = f"— hualien-ai {base64.b64encode(marked).decode()}\n"
    with pytest.raises(CosignatureRefusedError):
        cosigners(with_cosignatures(log.note(20), [moved]), [known(witness)])


@pytest.mark.parametrize("name", ["", "two words", "plus+sign", "line\nfeed", "x" * 101, "見證"])
def test_a_witness_is_not_called_what_a_note_cannot_say(name: str) -> None:
    with pytest.raises(CosignatureRefusedError):
        Witness(name, a_signer().public_key)


@settings(max_examples=60, deadline=None)
@given(some.lists(some.integers(1, 40), min_size=1, max_size=8), some.booleans())
def test_whatever_is_asked_in_whatever_order_only_one_growing_log_is_signed(
    sizes: list[int], is_forked: bool
) -> None:
    log = Log(40)
    other = Log(40, fork_at=0, signer=log.signer)
    signer, kept, signed, origin = a_signer(), None, [], log
    for number, new in enumerate(sizes):
        source = other if is_forked and number % 2 else log
        old = signed[-1] if signed else 0
        request = source.request(new, old=min(old, new))
        try:
            cosigned(request, log=log.key, kept=kept, witness="w", signer=signer, at=AT)
        except PlatformError:
            continue
        assert not signed or (source is origin and new >= signed[-1])
        origin, kept = source, request.note
        signed.append(new)
    assert signed == sorted(signed)


def test_a_kept_state_is_read_from_every_file_that_keeps_one(
    log: Log, witness: Signer, book: WitnessBook, tmp_path: Path
) -> None:
    answer(book, log.request(20), log, witness)
    origin, note = origin_of(log.key), log.note(20)
    heads = json.dumps({"note": note, "at": "", "holds": True}).encode()
    for content in (note.encode(), (tmp_path / "w" / FILE).read_bytes(), heads):
        assert note_in(content, origin=origin) == note
    empty = json.dumps({"note": ""}).encode()
    for content in (b"{", b"\xff", empty, b"x" * (2 << 20)):
        with pytest.raises(CheckpointError):
            note_in(content, origin=origin)
    with pytest.raises(CheckpointError):
        note_in((tmp_path / "w" / FILE).read_bytes(), origin="trifed/other")


CHANGES: dict[str, Callable[[LogProof, Log], LogProof]] = {
    "another entry": lambda proof, log: replace(proof, envelope="4"),
    "another place": lambda proof, log: replace(proof, inclusion=prove(log, 4, 20)),
    "another state": lambda proof, log: replace(proof, checkpoint=log.note(21)),
    "an older state": lambda proof, log: replace(proof, inclusion=prove(log, 3, 19)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_proof_of_something_else_is_refused(what: str, log: Log) -> None:
    good = LogProof("3", prove(log, 3, 20), log.note(20))
    assert check_proof(LogProof.from_bytes(good.as_bytes()), log=log.key).index == 3
    with pytest.raises(ProofError):
        check_proof(CHANGES[what](good, log), log=log.key)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format":"trifed.log-proof/1"}'])
def test_what_is_no_proof_is_refused(content: bytes) -> None:
    with pytest.raises(ProofError):
        LogProof.from_bytes(content)
