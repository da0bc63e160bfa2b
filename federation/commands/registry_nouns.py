"""`trifed registry record`: records of any noun in a centre's home, from the command line.

`record_app` is the group. Whoever has the home's key may name any author here, as with
`trifed registry card submit`: it is the registrar's own tool; people elsewhere use the API,
which knows who they are.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from registry.exports.shape import ExportRequest
    from registry.records.service import Records
    from registry.roles import Author

HELP = Text(
    en="Records of everyday governance: applications, deployments, incidents and all others.",
    zh="日常治理紀錄:申請、部署、事件等。",
)
NOUNS = Text(en="List the kinds of records.", zh="列出紀錄種類。")
LIST = Text(en="List records of a kind, last changed first.", zh="列出某類紀錄,最近變更者在前。")
SHOW = Text(en="Show one record and what may follow.", zh="顯示一筆紀錄與後續可行的移轉。")
PUT = Text(en="Write a record from a JSON file.", zh="以 JSON 檔寫入紀錄。")
MOVE = Text(en="Make a move, or sign for it.", zh="執行移轉或簽署。")
ROW = Text(en="{id}  {state}  revision {revision}, {at}", zh="{id}  {state}  第 {revision} 版,{at}")
NONE = Text(en="There are none.", zh="沒有紀錄。")
SHOWN = Text(
    en="{noun} {id}: {state}, revision {revision}, log entry {place}, {at}",
    zh="{noun} {id}:{state},第 {revision} 版,紀錄位置 {place},{at}",
)
MAY_FOLLOW = Text(
    en="{move} -> {state}: {roles} ({signatures} signatures)",
    zh="{move} -> {state}:{roles}(需 {signatures} 人簽署)",
)
KEPT = Text(
    en="{noun} {id} is kept as revision {revision} ({state}); the log has it at {place}.",
    zh="{noun} {id} 已存為第 {revision} 版({state});紀錄位置 {place}。",
)
WAITS = Text(en="Signed. Still missing: somebody of {roles}.", zh="已簽署。尚缺:{roles}。")

DUE = Text(
    en="List what is due: reminders for people, and what the clock will do.",
    zh="列出到期事項:待辦提醒與時鐘將執行的移轉。",
)
DUE_ROW = Text(
    en="{record}: {reason}, since {since}{move}", zh="{record}:{reason},自 {since} 起{move}"
)
BY_CLOCK = Text(en=" (the clock will: {move})", zh="(時鐘將執行:{move})")
SCAN = Text(
    en="Look through a file that is to leave, and write what was found as a record to put.",
    zh="掃描擬攜出的檔案,並將結果寫成可登錄的紀錄。",
)
ANOTHER_FILE = Text(
    en="Careful: this is not the file that request {id} names.",
    zh="注意:這不是申請 {id} 所列的檔案。",
)
FOUND = Text(en="Found: {listed}. It may not leave as it is.", zh="發現:{listed}。不得攜出。")
CLEAN = Text(en="Nothing was found.", zh="未發現異常。")
SCANNED = Text(
    en="The record is in {path}. For a model, add the result of its memorisation test.",
    zh="紀錄位於 {path}。若為模型,請補上記憶測試結果。",
)

record_app = typer.Typer(help=t(HELP), no_args_is_help=True)

NounName = Annotated[str, typer.Argument(metavar="NOUN", help=help_text("kind", "紀錄種類"))]
Name = Annotated[str, typer.Argument(metavar="ID", help=help_text("record", "紀錄編號"))]
Person = Annotated[str, typer.Option(help=help_text("who acts", "執行人"))]
House = Annotated[str, typer.Option(help=help_text("of which house", "所屬機構"))]
InRole = Annotated[str, typer.Option(help=help_text("in which role", "角色"))]
OfCentre = Annotated[
    str | None,
    typer.Option(help=help_text("responsible-ai, validation or impact", "所屬中心")),
]
Seen = Annotated[
    int, typer.Option(help=help_text("the revision you saw; 0: new", "您看到的版次;0:新紀錄"))
]
Reason = Annotated[str, typer.Option(help=help_text("why", "理由"))]


@record_app.command(help=t(NOUNS))
def nouns(json_: Json = False) -> None:
    """List the kinds of records with their moves."""
    from registry.nouns import ALL_NOUNS

    found = {noun.name: list(noun.moves.numbers) for noun in ALL_NOUNS}
    if json_:
        emit(found)
        return
    for name, moves in found.items():
        typer.echo(f"{name}: {', '.join(moves)}")


@record_app.command("list", help=t(LIST))
def list_(
    noun: NounName,
    home: AtCentre,
    state: Annotated[str | None, typer.Option(help=help_text("in this state", "狀態"))] = None,
    text: Annotated[str, typer.Option(help=help_text("words to find", "搜尋文字"))] = "",
    before: Annotated[int | None, typer.Option(help=help_text("next page", "下一頁"))] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    json_: Json = False,
) -> None:
    """List records."""
    from registry.nouns import noun_named
    from registry.records.ports import Query
    from registry.records.routes import as_json

    query = Query(noun_named(noun).name, state=state, text=text, before=before, limit=limit)
    page = _records(home).find(query)
    if json_:
        emit({"items": [as_json(one) for one in page.items], "next": page.next})
        return
    for one in page.items:
        say(ROW, id=one.id, state=one.state, revision=one.revision, at=one.at)
    if not page.items:
        say(NONE)


@record_app.command(help=t(SHOW))
def show(noun: NounName, id: Name, home: AtCentre, json_: Json = False) -> None:
    """Show a record with the moves that its state allows."""
    from registry.nouns import noun_named
    from registry.records.routes import as_json

    kind = noun_named(noun)
    record = _records(home).get(kind.name, id)
    following = list(kind.moves.of(kind.moves.states(record.state)))
    if json_:
        emit(as_json(record) | {"moves": [move.number for move in following]})
        return
    say(
        SHOWN,
        noun=record.noun,
        id=record.id,
        state=record.state,
        revision=record.revision,
        place=record.log_index,
        at=record.at,
    )
    for move in following:
        roles = " + ".join("/".join(sorted(one.value for one in s.roles)) for s in move.seats)
        after = move.after.value
        say(MAY_FOLLOW, move=move.number, state=after, roles=roles, signatures=move.signatures)


@record_app.command(help=t(PUT))
def put(
    noun: NounName,
    id: Name,
    file: Annotated[Path, typer.Argument(help=help_text("JSON file", "JSON 檔"))],
    home: AtCentre,
    person: Person,
    organisation: House,
    role: InRole,
    centre: OfCentre = None,
    revision: Seen = 0,
    reason: Reason = "",
    supersedes: Annotated[
        str | None, typer.Option(help=help_text("record it replaces", "被取代的紀錄"))
    ] = None,
    json_: Json = False,
) -> None:
    """Write a record, signed, logged and audited."""
    from registry.nouns import noun_named
    from registry.records.routes import as_json

    kind = noun_named(noun)
    kept = _records(home).put(
        kind,
        id,
        kind.read(_content(file, kind.name)),
        author=_author(person, role, organisation, centre),
        revision=revision,
        reason=reason,
        supersedes=supersedes,
    )
    if json_:
        emit(as_json(kept))
        return
    say(
        KEPT,
        noun=kept.noun,
        id=kept.id,
        revision=kept.revision,
        state=kept.state,
        place=kept.log_index,
    )


@record_app.command(help=t(MOVE))
def move(
    noun: NounName,
    id: Name,
    number: Annotated[str, typer.Argument(metavar="MOVE", help=help_text("move", "移轉"))],
    home: AtCentre,
    person: Person,
    organisation: House,
    role: InRole,
    revision: Seen,
    reason: Reason,
    centre: OfCentre = None,
    json_: Json = False,
) -> None:
    """Make a move; with signatures missing, this one is kept."""
    from registry.nouns import noun_named
    from registry.records.routes import as_json

    done = _records(home).move(
        noun_named(noun),
        id,
        number,
        author=_author(person, role, organisation, centre),
        revision=revision,
        reason=reason,
    )
    missing = [sorted(one.value for one in seat) for seat in done.missing]
    kept = done.record
    if json_:
        emit({"record": as_json(kept), "missing": missing})
    elif missing:
        say(WAITS, roles="; ".join("/".join(seat) for seat in missing))
    else:
        say(
            KEPT,
            noun=kept.noun,
            id=kept.id,
            revision=kept.revision,
            state=kept.state,
            place=kept.log_index,
        )


@record_app.command(help=t(DUE))
def due(
    home: AtCentre,
    at: Annotated[
        datetime | None, typer.Option(help=help_text("at this time (UTC)", "於此時刻(UTC)"))
    ] = None,
    json_: Json = False,
) -> None:
    """List what is due now, or at a time; nothing is done."""
    from registry.applications.working_days import calendar_in
    from registry.nouns import noun_rules
    from registry.timers.service import find_due

    now = at.replace(tzinfo=UTC) if at is not None else datetime.now(UTC)
    found = find_due(_records(home), noun_rules(calendar_in(home)), now=now)
    lines = [
        {
            "record": one.name,
            "reason": t(one.rule.reason),
            "since": one.since.isoformat(),
            "move": one.rule.move,
        }
        for one in found
    ]
    if json_:
        emit(lines)
        return
    for line in lines:
        move = line["move"]
        say(DUE_ROW, **line | {"move": t(BY_CLOCK, move=move) if move else ""})
    if not lines:
        say(NONE)


@record_app.command(help=t(SCAN))
def scan(
    request: Annotated[str, typer.Argument(metavar="ID", help=help_text("request", "申請編號"))],
    file: Annotated[Path, typer.Argument(help=help_text("the file to leave", "擬攜出的檔案"))],
    out: Annotated[Path, typer.Option(help=help_text("folder to write into", "輸出資料夾"))],
    home: AtCentre,
    json_: Json = False,
) -> None:
    """Write the scan of a file as a record to put, and the report that it names."""
    from federation.domain.ids import Sha256
    from federation.evidence.canonical import canonical
    from registry.exports.scanning import as_results, digest_of, look_through, report

    asked = _request(_records(home), request)
    sha256 = digest_of(file)
    findings = look_through(file, asked.kind)
    content = report(findings, sha256)
    digest = Sha256.of(content)
    body = {
        "request": request,
        "sha256": sha256,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "results": [
            one.as_json() for one in as_results(findings, asked.kind, report_digest=digest)
        ],
    }
    written = _write(out, {"scan.json": canonical(body), "report.json": content})
    rules = sorted({f"{one.check.value}: {one.rule}" for one in findings})
    if json_:
        emit({"files": written, "found": rules, "same_file": sha256 == asked.sha256})
        return
    if sha256 != asked.sha256:
        say(ANOTHER_FILE, id=request)
    say(FOUND, listed="; ".join(rules)) if rules else say(CLEAN)
    say(SCANNED, path=out / "scan.json")


def _records(home: Path) -> "Records":
    from federation.coordinator.home import CentreHome
    from federation.operations.embedded_registry import registrar
    from registry.records.service import Records

    keeper = registrar(CentreHome.open(home))
    return Records(keeper.store, keeper.signer, lambda: datetime.now(UTC))


def _request(records: "Records", id: str) -> "ExportRequest":
    from registry.exports import NOUN

    return NOUN.of(records.get(NOUN.name, id))


def _write(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Write new files into a folder; none that is there is changed."""
    from federation.errors.exchange import ExportNotWrittenError

    written = [folder / name for name in files]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in zip(written, files.values(), strict=True):
            with path.open("xb") as opened:
                opened.write(content)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ExportNotWrittenError(file=folder.name, why=why) from error
    return written


def _author(person: str, role: str, organisation: str, centre: str | None) -> "Author":
    from federation.errors.core import InvalidValueError
    from registry.roles import Author, Centre, role_named

    known = {one.value: one for one in Centre}
    if centre is not None and centre not in known:
        raise InvalidValueError(field="centre", actual=repr(centre[:20]), expected=", ".join(known))
    return Author(person, role_named(role), organisation, known[centre] if centre else None)


def _content(file: Path, noun: str) -> bytes:
    from federation.errors.core import FileMissingError
    from federation.errors.moves import RecordShapeError
    from registry.records.shapes import MAX_BODY_BYTES

    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BODY_BYTES + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileMissingError(file=file.name, why=why) from error
    if len(content) > MAX_BODY_BYTES:
        raise RecordShapeError(noun=noun, problems=f"more than {MAX_BODY_BYTES} bytes")
    return content
