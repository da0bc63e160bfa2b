"""Parts of a bundle that only some have: weights with their signature, dates of the log.

Called by `federation.evidence.bundle` in its order of steps.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from federation.domain.ids import Sha256
from federation.evidence.archive import Archive
from federation.evidence.checking import Checks, must, refused
from federation.evidence.figures import Said, judged
from federation.evidence.members import MODEL, MODEL_SIGNATURE, WEIGHTS_KEY, dated_name
from federation.evidence.model_version import Record
from federation.evidence.pinning import Expected
from federation.evidence.reasons import Reason
from federation.evidence.revisions import verify_said
from federation.evidence.tensors import weights_digest
from federation.evidence.trail import verify_event
from federation.evidence.verification import PublicKey
from federation.evidence.weights import KEY_PREDICATE, KEY_SUBJECT, signed_file


def dates(archive: Archive, checks: Checks, root: PublicKey) -> Iterator[tuple[int, datetime]]:
    """Yield the last place that the log had at a time, as events of the audit trail say."""
    number = 1
    while (name := dated_name(number)) in archive.names:
        content = archive.read(name)
        with checks.of(name, Reason.SIGNATURE):
            found = verify_event(content, key=root)
        yield found.size - 1, found.at
        number += 1


def check_weights(
    archive: Archive,
    checks: Checks,
    expected: Expected,
    root: PublicKey,
    record: Record,
    said: Sequence[Said],
) -> None:
    """Return if the weights, their signature and those of the reader are the record's.

    Each is checked where it is there.

    Raises
    ------
    BundleItemError
        Naming the first that is not.
    """
    if MODEL in archive.names:
        with checks.of(MODEL, Reason.NOT_NAMED):
            found = (archive.digest(MODEL), archive.size(MODEL))
            if found != (record.model.sha256, record.model.size_bytes):
                raise refused(MODEL, Reason.NOT_NAMED)
        with checks.of(MODEL, Reason.FIGURE):
            last = judged(record, said)
            if last and last != {weights_digest(archive, MODEL)}:
                raise refused(MODEL, Reason.FIGURE)
    if MODEL_SIGNATURE in archive.names or WEIGHTS_KEY in archive.names:
        _check_signature(archive, checks, root, record)
    if expected.model is not None:
        with checks.of("--model", Reason.NOT_NAMED):
            if expected.model != record.model.sha256:
                raise refused("--model", Reason.NOT_NAMED)


def _check_signature(archive: Archive, checks: Checks, root: PublicKey, record: Record) -> None:
    """The register's key vouches for the key that signed the file that the record names."""
    content = archive.read(WEIGHTS_KEY)
    with checks.of(WEIGHTS_KEY, Reason.SIGNATURE):
        predicate, subjects = verify_said(content, key=root, uri=KEY_PREDICATE)
        pem = predicate["pem"].encode()
        if dict(subjects) != {KEY_SUBJECT: Sha256.of(pem)}:
            raise refused(WEIGHTS_KEY, Reason.SIGNATURE)
    content = archive.read(MODEL_SIGNATURE)
    with checks.of(MODEL_SIGNATURE, Reason.SIGNATURE):
        digest = signed_file(content, pem=pem)
    must(f"sha256:{digest}" == record.model.sha256, MODEL_SIGNATURE, Reason.NOT_NAMED)
