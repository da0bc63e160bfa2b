"""Find the node that a command is about."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from federation.commands.homes import AtNode

if TYPE_CHECKING:
    from clients.approvals import Desk
    from clients.home import NodeHome
    from federation.domain.audit import AuditKind

Home = AtNode


def data_of(home: Path) -> Path:
    """Return the data folder of a home; a plain folder works too, to try an intake."""
    from clients.home import MARKER, NodeHome

    return NodeHome.open(home).data if (home / MARKER).exists() else home / "data"


def record_intake(home: Path, new: int) -> None:
    """Write into the audit log how many images were admitted."""
    from clients import audit_log
    from clients.home import MARKER, NodeHome
    from federation.domain.audit import AuditEvent, AuditKind

    if (home / MARKER).exists():
        details = {"new": str(new)}
        event = AuditEvent(AuditKind.DATA_INGESTED, "staff", "data", now(), details)
        audit_log.append(NodeHome.open(home).audit_log, event)


def record(home: Path, kind: "AuditKind", subject: str) -> None:
    """Write what the data officer did into the node's audit log."""
    from clients import audit_log
    from clients.home import NodeHome
    from federation.domain.audit import AuditEvent

    event = AuditEvent(kind, "data officer", subject, now())
    audit_log.append(NodeHome.open(home).audit_log, event)


def open_node(home: Path) -> "tuple[NodeHome, Desk]":
    """Return the node and the desk of its proposals."""
    from clients.approvals import Desk
    from clients.home import NodeHome

    node = NodeHome.open(home)
    return node, Desk(node.proposals, node.decisions, node.settings().site)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)
