"""`trifed node outcomes`: this hospital's tables of outcomes; add, list, delete."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.homes import AtNode
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from clients.home import NodeHome
    from federation.domain.audit import AuditKind
    from federation.domain.study import Study

HELP = Text(
    en="Tables of outcomes kept here: add, list, delete.", zh="本院的結果資料表:加入、列出、刪除。"
)
ADD = Text(
    en="Check a table against a proposed study and keep it under pseudonyms.",
    zh="依提案研究檢查資料表,並以假名保存。",
)
LIST = Text(en="List the tables that are kept.", zh="列出已保存的資料表。")
DELETE = Text(
    en="Delete a table; studies that were approved over it find no lines afterwards.",
    zh="刪除資料表;以其核准的研究之後將無資料列。",
)
ADDED = Text(
    en="Kept {table}: {patients} patients, {digest}. Approve {study} after that, not before.",
    zh="已保存 {table}:{patients} 位病人,{digest}。請於此後再核准 {study}。",
)
ROW = Text(en="{table}  {patients} patients  {digest}", zh="{table}  {patients} 位病人  {digest}")
NONE = Text(en="None are kept.", zh="沒有已保存的資料表。")
DELETED = Text(en="Deleted {table}.", zh="已刪除 {table}。")
NOT_THERE = Text(en="There is no table {table}.", zh="沒有資料表 {table}。")

app = typer.Typer(help=t(HELP), no_args_is_help=True)


@app.command(help=t(ADD))
def add(
    file: Annotated[Path, typer.Argument(metavar="TABLE", help=help_text("CSV file", "CSV 檔"))],
    home: AtNode,
    study: Annotated[str, typer.Option(help=help_text("proposed study", "提案中的研究"))],
    json_: Json = False,
) -> None:
    """Add a table."""
    from clients.data.outcomes.reading import read_outcomes
    from clients.data.outcomes.store import add_table
    from clients.home import NodeHome
    from federation.domain.audit import AuditKind

    node = NodeHome.open(home)
    asked = _proposal(node, study)
    assert asked.outcomes is not None  # `_proposal` refuses others
    lines = read_outcomes(read_file(file), asked.outcomes)
    kept = add_table(node.data, asked.cohort, lines)
    _record(node, AuditKind.OUTCOMES_ADDED, kept.name, digest=str(kept.digest))
    if json_:
        emit({"table": kept.name, "patients": kept.rows, "digest": kept.digest, "study": study})
        return
    say(ADDED, table=kept.name, patients=kept.rows, digest=str(kept.digest)[:19], study=study)


@app.command("list", help=t(LIST))
def list_(home: AtNode, json_: Json = False) -> None:
    """List tables."""
    from clients.data.outcomes.store import tables
    from clients.home import NodeHome

    found = tables(NodeHome.open(home).data)
    if json_:
        emit([{"table": one.name, "patients": one.rows, "digest": one.digest} for one in found])
        return
    for one in found:
        say(ROW, table=one.name, patients=one.rows, digest=str(one.digest)[:19])
    if not found:
        say(NONE)


@app.command(help=t(DELETE))
def delete(table: str, home: AtNode, json_: Json = False) -> None:
    """Delete one table."""
    from clients.data.outcomes.store import delete_table
    from clients.home import NodeHome
    from federation.domain.audit import AuditKind

    node = NodeHome.open(home)
    was_there = delete_table(node.data, table)
    if was_there:
        _record(node, AuditKind.OUTCOMES_DELETED, table)
    if json_:
        emit({"table": table, "deleted": was_there})
        return
    say(DELETED if was_there else NOT_THERE, table=table)


def _proposal(node: "NodeHome", study: str) -> "Study":
    from clients.decide import desk_of
    from federation.domain.ids import StudyId
    from federation.errors.outcomes import OutcomeStepError

    found = desk_of(node).proposal(StudyId(study))
    if found.outcomes is None:
        why = Text(en="it asks for no table of outcomes", zh="此研究不需結果資料表")
        raise OutcomeStepError(study=found.id, why=why)
    return found


def _record(node: "NodeHome", kind: "AuditKind", table: str, **details: str) -> None:
    from clients import audit_log
    from federation.commands.running import actor
    from federation.domain.audit import AuditEvent

    audit_log.append(node.audit_log, AuditEvent(kind, actor(), table, datetime.now(UTC), details))
