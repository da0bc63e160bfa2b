"""The node's record: one chain, any number of writers, no silent edits."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients import audit_log
from federation.domain.audit import AuditEvent, AuditKind
from federation.errors.ledger import LedgerChainBrokenError


def an_event(subject: str) -> AuditEvent:
    return AuditEvent(
        AuditKind.UPDATE_RELEASED, "executor", subject, datetime(2026, 11, 21, tzinfo=UTC)
    )


def test_events_come_back_in_order(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    for number in range(3):
        audit_log.append(log, an_event(f"run/{number}"))

    assert [event["subject"] for event in audit_log.verify(log)] == ["run/0", "run/1", "run/2"]
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("victim", [0, 1])
def test_a_changed_line_is_found(tmp_path: Path, victim: int) -> None:
    log = tmp_path / "audit.log"
    for number in range(3):
        audit_log.append(log, an_event(f"run/{number}"))
    lines = log.read_bytes().splitlines(keepends=True)
    lines[victim] = lines[victim].replace(b"executor", b"nobody!!")
    log.write_bytes(b"".join(lines))

    with pytest.raises(LedgerChainBrokenError):
        audit_log.verify(log)


def test_a_missing_line_is_found(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    for number in range(3):
        audit_log.append(log, an_event(f"run/{number}"))
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[1:]))

    with pytest.raises(LedgerChainBrokenError):
        audit_log.verify(log)
