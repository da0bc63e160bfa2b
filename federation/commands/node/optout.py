"""`trifed node optout|lineage`: people whose data must not be used, and what saw a person."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from federation.commands.node.homes import Home, data_of, now
from federation.commands.output import Json, emit, help_text, plain, read_file, say, t
from federation.domain.audit import AuditEvent, AuditKind
from federation.wording import Text

OPTOUT = Text(en="People whose data must not be used.", zh="不得使用其資料的民眾。")
IMPORT = Text(
    en="Take a list of those who opted out into the register.", zh="將退出名單納入登記冊。"
)
FETCH = Text(
    en="Fetch the list that optout.toml names, by HTTPS.",
    zh="以 HTTPS 取得 optout.toml 指定的名單。",
)
CHECK = Text(
    en="Say of each Patient ID of a file whether it is on the register.",
    zh="逐一說明檔案中的病歷號是否在登記冊上。",
)
REPORT = Text(
    en="Say how many opted out and whom the rest stands for, without names.",
    zh="顯示退出人數與其餘資料的代表性(不含姓名)。",
)
PURGE = Text(
    en="Delete the images, labels and prepared arrays of those who opted out.",
    zh="刪除退出者的影像、標籤與已備妥的陣列。",
)
TEMPLATE = Text(en="Print an optout.toml to begin with.", zh="印出 optout.toml 範本。")
LINEAGE = Text(
    en="Say which rounds and model versions saw a person. Stays in the hospital.",
    zh="說明哪些訓練輪次與模型版本用過某人資料。僅供院內。",
)

REGISTER = Text(
    en="Register version {number} ({version}): {listed} listed, {patients} with images here.",
    zh="登記冊第 {number} 版({version}):登記 {listed} 人,其中 {patients} 人在本院有影像。",
)
CONFIRMED = Text(en="Last confirmed by its source: {at}", zh="來源最近確認時間:{at}")
REMAINING = Text(
    en="Those who remain, as of {made} (PSI; below 0.1 little, above 0.25 much changed):",
    zh="其餘病人的代表性(截至 {made};PSI 低於 0.1 變化小,高於 0.25 變化大):",
)
VARIABLE = Text(en="  {name}: PSI {psi:.2f}; SMD {smd}", zh="  {name}:PSI {psi:.2f};SMD {smd}")
SUPPRESSED = Text(
    en="  {name}: suppressed, fewer than ten in a group",
    zh="  {name}:隱藏,組內少於十人",
)
TOO_FEW = Text(
    en="Who remains is not described: fewer than ten opted out or remain.",
    zh="不顯示代表性:退出或其餘人數少於十人。",
)
ROUND = Text(
    en="  {run} round {round}: the register had changed; no longer trained: {left}",
    zh="  {run} 第 {round} 輪:登記冊已變更;不再參與訓練:{left} 人",
)
PURGED = Text(
    en="Deleted: {images} images of {patients} people, {masks} masks, {prepared} prepared files.",
    zh="已刪除:{patients} 人的 {images} 張影像、{masks} 個遮罩、{prepared} 個備妥檔案。",
)
SURE = Text(
    en="Delete everything held here of those who opted out?", zh="確定刪除本院持有的退出者資料?"
)
ONE_OF = Text(
    en="Give either --patient-ids or --pseudonym.", zh="請擇一提供 --patient-ids 或 --pseudonym。"
)
NEVER_SEEN = Text(en="No round saw this person.", zh="沒有任何訓練輪次用過此人資料。")
SEEN = Text(
    en="  {run} round {round}  {at}  {state}  model {model}  version {version}",
    zh="  {run} 第 {round} 輪  {at}  {state}  模型 {model}  版本 {version}",
)
PERSON = Text(en="Entry {number}:", zh="第 {number} 筆:")
ANSWERS = {
    "yes": Text(en="yes", zh="已退出"),
    "no": Text(en="no", zh="未退出"),
    "unknown": Text(en="unknown", zh="無法辨識"),
}
NAMED = Text(en="{run} is written down as {version}.", zh="已記錄 {run} 為 {version}。")
VERSION = Text(
    en="Write down which model version a run became.", zh="記錄某次執行成為哪一個模型版本。"
)

ManyRemovals = Annotated[
    bool,
    typer.Option(
        "--many-removals",
        help=help_text(
            "allow a full list to take off more than a fifth", "允許完整名單移除超過五分之一"
        ),
    ),
]
PatientIds = Annotated[
    Path,
    typer.Option(
        help=help_text("one Patient ID a line; - for stdin", "每列一個病歷號;- 表示標準輸入")
    ),
]

optout_app = typer.Typer(help=t(OPTOUT), no_args_is_help=True)
app = typer.Typer()


@optout_app.command("import", help=t(IMPORT))
def optout_import(
    source: Path,
    home: Home,
    replace: Annotated[
        bool | None,
        typer.Option(
            "--replace/--add",
            help=help_text(
                "the list is the whole register, or only adds to it",
                "名單即為完整登記冊,或僅新增",
            ),
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option(help=help_text("auto, csv, fhir or signed", "auto、csv、fhir 或 signed"))
    ] = "auto",
    many_removals: ManyRemovals = False,
    json_: Json = False,
) -> None:
    """Take in a list."""
    from clients.data.people.lists import kind_named
    from clients.data.people.optout import import_optouts
    from clients.data.people.register import Mode

    mode = None if replace is None else Mode.REPLACE if replace else Mode.ADD
    found = import_optouts(
        data_of(home),
        source,
        kind=kind_named(kind),
        mode=mode,
        many_removals=many_removals,
        now=now(),
    )
    _imported(home, found, "file")
    _show(found, as_json=json_)


@optout_app.command("fetch", help=t(FETCH))
def optout_fetch(home: Home, many_removals: ManyRemovals = False, json_: Json = False) -> None:
    """Fetch the list."""
    from clients.data.people.optout import fetch_optouts

    found = fetch_optouts(data_of(home), many_removals=many_removals, now=now())
    _imported(home, found, "https")
    _show(found, as_json=json_)


@optout_app.command("check", help=t(CHECK))
def optout_check(home: Home, patient_ids: PatientIds = Path("-"), json_: Json = False) -> None:
    """Check Patient IDs; the answer names lines, never an ID."""
    from clients.data.people.optout import answers

    found = answers(data_of(home), lines_of(patient_ids), now=now())
    if json_:
        emit([{"line": number, "answer": answer} for number, answer in enumerate(found, 1)])
        return
    for number, answer in enumerate(found, 1):
        typer.echo(f"{number}\t{t(ANSWERS[answer])}")


@optout_app.command("report", help=t(REPORT))
def optout_report(home: Home, json_: Json = False) -> None:
    """Report on the register."""
    from clients.data.people.optout import optout_report as report

    _show(report(data_of(home), now=now()), as_json=json_)


@optout_app.command("purge", help=t(PURGE))
def optout_purge(
    home: Home,
    yes: Annotated[bool, typer.Option("--yes", help=help_text("do not ask", "不詢問"))] = False,
    json_: Json = False,
) -> None:
    """Delete what is held of those who opted out."""
    from clients.data.people.purge import purge

    if not yes:
        typer.confirm(t(SURE), abort=True)
    done = purge(data_of(home))
    record_deed(home, AuditKind.OPTOUT_PURGED, "data", actor="staff")
    emit(done) if json_ else say(PURGED, **plain(done))


@optout_app.command("template", help=t(TEMPLATE))
def optout_template() -> None:
    """Print a file to begin with."""
    from clients.data.people.rules import TEMPLATE as FILE

    typer.echo(FILE, nl=False)


@app.command(help=t(LINEAGE))
def lineage(
    home: Home,
    patient_ids: Annotated[
        Path | None,
        typer.Option(
            help=help_text("one Patient ID a line; - for stdin", "每列一個病歷號;- 表示標準輸入")
        ),
    ] = None,
    pseudonym: Annotated[
        str | None, typer.Option(help=help_text("as in a stored image", "如已儲存影像所載"))
    ] = None,
    json_: Json = False,
) -> None:
    """Say which rounds saw a person."""
    from clients.data.people.sightings import of_patient_ids, of_pseudonym

    if (patient_ids is None) == (pseudonym is None):
        raise typer.BadParameter(t(ONE_OF))
    data = data_of(home)
    if pseudonym is not None:
        found = [of_pseudonym(data, pseudonym)]
    else:
        assert patient_ids is not None
        found = of_patient_ids(data, lines_of(patient_ids))
    record_deed(home, AuditKind.LINEAGE_ASKED, "data", actor="staff")
    if json_:
        emit([{"entry": number, "rounds": one} for number, one in enumerate(found, 1)])
        return
    for number, one in enumerate(found, 1):
        say(PERSON, number=number)
        if not one:
            say(NEVER_SEEN)
        for seen in one:
            model, version = seen.model_in.removeprefix("sha256:")[:12], seen.version or "-"
            say(SEEN, **{**plain(seen), "model": model, "version": version})


@app.command("name-version", help=t(VERSION))
def name_version(run: str, version: str, home: Home) -> None:
    """Write down which model version a run became."""
    from clients.data.people.lineage import Lineage
    from federation.domain.ids import RunId

    Lineage(data_of(home)).name_version(run=RunId(run), version=version)
    say(NAMED, run=run, version=version)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file of Patient IDs, or of stdin."""
    from clients.data.people.lists import lines_of_text

    content = sys.stdin.buffer.read() if str(path) == "-" else read_file(path)
    return lines_of_text(content)


def record_deed(home: Path, kind: AuditKind, subject: str, *, actor: str, **details: str) -> None:
    """Write a deed into the node's audit log; a plain folder to try things in has none."""
    from clients import audit_log
    from clients.home import MARKER, NodeHome

    if (home / MARKER).exists():
        event = AuditEvent(kind, actor, subject, now(), details)
        audit_log.append(NodeHome.open(home).audit_log, event)


def _imported(home: Path, found: dict[str, Any], origin: str) -> None:
    version = str(found["version"])
    number = str(found["number"])
    record_deed(
        home, AuditKind.OPTOUT_IMPORTED, version, actor="staff", number=number, origin=origin
    )


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(found)
        return
    version = found["version"].removeprefix("sha256:")[:12]
    patients = found["patients_in_catalogue"]
    say(REGISTER, **{**found, "version": version, "patients": patients})
    if found["confirmed"]:
        say(CONFIRMED, at=found["confirmed"])
    remaining = found["representativeness"]
    if remaining["variables"] is None:
        say(TOO_FEW)
    else:
        say(REMAINING, made=remaining["made"])
        for name, shift in remaining["variables"].items():
            _show_variable(name, shift)
    for one in found["rounds"]:
        if one["register_changed"]:
            say(ROUND, **{**one, "left": one["no_longer_trained"]})


def _show_variable(name: str, shift: dict[str, Any] | None) -> None:
    if shift is None:
        say(SUPPRESSED, name=name)
        return
    smd = ", ".join(f"{category} {value:+.2f}" for category, value in shift["smd"].items())
    say(VARIABLE, name=name, psi=shift["psi"], smd=smd)
