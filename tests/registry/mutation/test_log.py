"""A log that was cut back, forked or rewritten is named, and one that others must have seen."""

from pathlib import Path

import pytest

from federation.domain.ids import Sha256
from federation.evidence.canonical import canonical
from federation.evidence.checkpoint import Checkpoint, sign_checkpoint
from federation.evidence.growth import Growth
from federation.evidence.inclusion import origin_of
from federation.evidence.members import (
    CHECKPOINT,
    GROWTH,
    REGISTERED,
)
from federation.evidence.pinning import Expected
from federation.evidence.witness import Witness, cosign
from registry.evidence.service import prove_growth
from tests.registry.builders import (
    NOW,
    Centre,
    candidate_of_study,
    make_centre,
)
from tests.registry.bundles import (
    Members,
    a_bundle,
    forged,
    members_of,
    rebuilt,
    resigned,
    verdict,
)
from tests.registry.record_builders import new_signer


def test_a_log_cut_back_below_the_record_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    origin = origin_of(centre.signer.public_key)
    short = sign_checkpoint(Checkpoint(origin, 3, bytes(32)), centre.signer)
    changes = {CHECKPOINT: short.encode(), GROWTH: canonical(Growth(short).as_json())}
    assert forged(tmp_path, centre, members, changes) == GROWTH


def test_a_forked_log_is_named(tmp_path: Path, centre: Centre, members: Members) -> None:
    origin = origin_of(centre.signer.public_key)
    note = sign_checkpoint(Checkpoint(origin, 50, Sha256.of(b"x").encode()[:32]), centre.signer)
    changes = {CHECKPOINT: note.encode(), GROWTH: canonical(Growth(note).as_json())}
    assert forged(tmp_path, centre, members, changes) == GROWTH
    changes |= {REGISTERED: note.encode()}
    assert forged(tmp_path, centre, members, changes) == "log/inclusion/record.json"


def test_a_checkpoint_that_the_reader_kept_must_belong_to_the_log(
    tmp_path: Path, centre: Centre
) -> None:
    home = make_centre(tmp_path / "own")
    home.registrar.register(candidate_of_study(home, "ct-1"), actor="centre")
    with home.registrar.store.reading() as transaction:
        before = transaction.log.latest_checkpoint()
    path = a_bundle(home, tmp_path)
    same = members_of(path)[CHECKPOINT]
    home.registrar.register(candidate_of_study(home, "ct-2"), actor="centre")
    with home.registrar.store.reading() as transaction:
        after, size = transaction.log.latest_checkpoint(), transaction.log.size()
        steps = {old: prove_growth(transaction.log, old=old, new=size) for old in range(1, size)}
        found = {old: prove_growth(transaction.log, old=old, new=size - 1) for old in (1,)}
    assert before and after
    assert verdict(path, Expected(checkpoint=same)).verified
    assert verdict(path, Expected(checkpoint=before.encode())).verified
    grown = Growth(after, steps)
    assert verdict(path, Expected(checkpoint=grown.as_bytes())).verified
    refused = verdict(path, Expected(checkpoint=after.encode()))
    assert refused.what == "nothing proves it to be the log of your checkpoint"
    wrong = Growth(after, dict.fromkeys(steps, found[1]))
    forked = verdict(path, Expected(checkpoint=wrong.as_bytes()))
    assert forked.what == "the log does not contain what it contained before"


def test_a_log_rewritten_since_the_readers_checkpoint_is_named(
    tmp_path: Path, bundle: Path, centre: Centre, members: Members
) -> None:
    """The same key signed another log of the same length, or of a length kept before."""
    size = int(members[CHECKPOINT].split(b"\n")[1])
    origin = origin_of(centre.signer.public_key)
    for kept, why in (
        (size, "the log does not contain what it contained before"),
        (size + 9, "nothing proves it to be the log of your checkpoint"),
    ):
        other = sign_checkpoint(Checkpoint(origin, kept, bytes(32)), centre.signer)
        found = verdict(bundle, Expected(checkpoint=other.encode()))
        assert (found.item, found.what) == (CHECKPOINT, why)


@pytest.mark.parametrize("content", [b"", b"{}", b"{", b"\xff", b"no note", b"[" * 5000])
def test_a_kept_file_that_is_no_checkpoint_proves_nothing(bundle: Path, content: bytes) -> None:
    assert verdict(bundle, Expected(checkpoint=content)).item == CHECKPOINT


def test_a_witness_that_the_reader_names_must_have_co_signed(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    signer = new_signer()
    witness = Witness("hualien-ai", signer.public_key)
    text = members[CHECKPOINT].decode().partition("\n\n")[0] + "\n"
    note = members[CHECKPOINT].decode() + cosign(text, witness="hualien-ai", signer=signer, at=NOW)
    growth = Growth(note).as_json()
    signed = resigned(
        members | {CHECKPOINT: note.encode(), GROWTH: canonical(growth)}, centre.signer
    )
    path = rebuilt(tmp_path / "cosigned.zip", signed)
    assert verdict(path, Expected(witnesses=(witness,))).verified
    other = Witness("hualien-ai", new_signer().public_key)
    for missing in (other, Witness("taipei-ai", signer.public_key)):
        found = verdict(path, Expected(witnesses=(witness, missing)))
        assert (found.item, found.what) == (
            CHECKPOINT,
            "a witness that you named did not co-sign it",
        )
