"""The handler answers nothing on a book or log that was put back from an older copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clients.client_app import HospitalHandler
from clients.gate import digest_of_array
from clients.heads import heads_in_reply, take_heads
from clients.home import NodeHome
from clients.replies import KeptReplies
from federation.domain.audit import AuditKind
from federation.errors import PlatformError
from federation.errors.ledger import (
    AuditLogRolledBackError,
    LedgerChainBrokenError,
    LedgerDamagedError,
    LedgerRolledBackError,
)
from federation.evidence.dsse import read_envelope
from federation.evidence.statements import Statement
from federation.evidence.verification import PublicKey
from federation.wire.messages import Reply, Task
from tests.node.handling import a_home, a_task, details, hold, states
from tests.training.arrays import a_cohort


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeHome:
    """Return a hospital with forty patients that approved the study."""
    hold(monkeypatch, a_cohort(patients=40, images_each=1, side=64))
    return a_home(tmp_path)


def answer(home: NodeHome, task: Task) -> Reply:
    """Answer as the node does; the centre accepts it and gives its heads back."""
    reply = HospitalHandler(home)(task)
    take_heads(home, reply.signature.encode())
    return reply


def copy(home: NodeHome) -> None:
    for path in (home.ledger, home.audit_log):
        shutil.copy(path, path.with_suffix(".old"))


def put_the_old_book_back(home: NodeHome) -> None:
    home.ledger.with_suffix(".old").replace(home.ledger)


def put_the_old_log_back(home: NodeHome) -> None:
    home.audit_log.with_suffix(".old").replace(home.audit_log)


def cut_the_book(home: NodeHome) -> None:
    home.ledger.write_bytes(home.ledger.read_bytes()[:-4096])


def lose_the_book(home: NodeHome) -> None:
    home.ledger.unlink()


def test_every_reply_carries_the_heads_signed_and_they_only_grow(home: NodeHome) -> None:
    key = PublicKey.load(home.node_public_key)
    signed = [answer(home, a_task(round=number)).signature for number in (1, 2)]

    first, second = (heads_in_reply(one, site=home.settings().site, key=key) for one in signed)
    assert first.audit.lines < second.audit.lines
    assert first.ledger.entries < second.ledger.entries


@pytest.mark.parametrize(
    ("change", "refusals"),
    [
        (put_the_old_book_back, (LedgerRolledBackError,)),
        (put_the_old_log_back, (AuditLogRolledBackError,)),
        (lose_the_book, (LedgerRolledBackError,)),
        (cut_the_book, (LedgerDamagedError, LedgerChainBrokenError)),
    ],
)
def test_an_older_book_or_log_trains_nobody(
    home: NodeHome,
    change: Callable[[NodeHome], None],
    refusals: tuple[type[PlatformError], ...],
) -> None:
    answer(home, a_task())
    copy(home)
    answer(home, a_task(round=2, run=a_task().run))
    change(home)
    asked = a_task(run=type(a_task().run)("cxr-2026.2"))

    with pytest.raises(refusals) as refused:
        HospitalHandler(home)(asked)

    assert not KeptReplies(home.replies).has_answered(asked)
    assert details(home, AuditKind.UPDATE_WITHHELD)[-1]["code"] == refused.value.code


def test_a_reply_is_signed_over_what_left_and_not_over_what_was_trained(home: NodeHome) -> None:
    reply = answer(home, a_task())

    assert reply.update is not None
    said = Statement.from_bytes(read_envelope(reply.signature).payload)
    assert digest_of_array(reply.update) in {one.digest for one in said.subjects}
    assert len(states(home)) == 3
