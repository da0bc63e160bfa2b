"""`trifed dossier`: what shows a version to an authority, what is missing, who decided.

open, file and confirm documents, attach, status, bundle, decide complete, decide sign,
submit, licence, decide license. `change` says what a change of a licensed version needs.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.acting import (
    Acting,
    Reason,
    ReportFile,
    acts,
    say_kept,
    say_moved,
    write_report,
)
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from registry.certification.completeness import Completeness, Finding

HELP = Text(
    en="Dossiers: requirements, evidence, what is missing, decisions, bundle.",
    zh="查驗登記文件:要求、證據、缺漏、決定與證據包。",
)
OPEN = Text(en="Open a version's dossier for an authority.", zh="為模型版本開立查驗登記文件。")
STATUS = Text(
    en="Say which requirements are met, and what to do about the others.",
    zh="列出已符合與尚缺的要求,以及後續處理方式。",
)
REPORT = Text(en="Write how it stands as a page or PDF.", zh="將現況寫成網頁或 PDF。")
ATTACH = Text(
    en="Name a record as evidence; without one, everything that counts now.",
    zh="列入一筆紀錄為證據;未指定時列入目前所有可採計者。",
)
DECIDE = Text(
    en="Decide: complete, sign, submit, ask, answer, license, refuse or reopen.",
    zh="決定:complete、sign、submit、ask、answer、license、refuse、reopen。",
)
BUNDLE = Text(
    en="Write the evidence bundle and name it in the dossier.", zh="匯出證據包並載明於文件。"
)
FILE = Text(en="Put a document into the register by its digest.", zh="以摘要登錄一份文件。")
CONFIRM = Text(en="Confirm a document that somebody else filed.", zh="確認他人登錄的文件。")
SUBMISSION = Text(en="Note when and under what number it was handed in.", zh="登錄送件日期與文號。")
LICENCE = Text(en="Note the licence that was given.", zh="登錄所核發的許可證。")
CHANGE = Text(
    en="Say what a change of a licensed version needs.", zh="判定已許可版本的變更應如何辦理。"
)

MET = Text(
    en="{met} of {applicable} requirements that apply are met ({pack} {version}).",
    zh="適用的 {applicable} 項要求已符合 {met} 項({pack} {version})。",
)
COMPLETE = Text(en="Everything that must be shown is shown.", zh="所有必要項目皆已符合。")
OPEN_MUSTS = Text(
    en="{count} requirements that must be met are open.", zh="尚有 {count} 項必要要求未符合。"
)
FINDING = Text(en="{id} {asked}: {status}", zh="{id} {asked}:{status}")
GAP = Text(en="    {why}. {next_step}", zh="    {why}。{next_step}")
NOTE = Text(en="Note: {note}", zh="說明:{note}")
STATUSES = {
    "met": Text(en="met", zh="已符合"),
    "not-applicable": Text(en="does not apply", zh="不適用"),
    "not-as-recorded": Text(en="not as recorded", zh="與紀錄不符"),
    "other-version": Text(en="of another version", zh="屬於其他版本"),
    "expired": Text(en="expired", zh="已逾期"),
    "not-in-force": Text(en="not in force", zh="尚未生效"),
    "missing": Text(en="missing", zh="缺少"),
}
ATTACHED = Text(en="{item} answers {requirements}.", zh="{item} 可證明 {requirements}。")
NOTHING = Text(
    en="Nothing of this version counts yet; `trifed dossier status {dossier}` says what to do.",
    zh="此版本目前沒有可採計的證據;請執行 `trifed dossier status {dossier}`。",
)
BUNDLED = Text(
    en="Wrote {path} ({digest}). Anyone can check it: trifed evidence verify {path}",
    zh="已寫入 {path}({digest})。任何人可驗證:trifed evidence verify {path}",
)
BECAUSE = Text(en="Because of: {parts}", zh="原因:{parts}")

app = typer.Typer(help=t(HELP), no_args_is_help=True)

Dossier = Annotated[str, typer.Argument(metavar="DOSSIER", help=help_text("dossier", "文件編號"))]
DocumentId = Annotated[
    str, typer.Argument(metavar="DOCUMENT", help=help_text("document", "文件編號"))
]
Day = Annotated[str, typer.Option(help=help_text("day, 2027-01-31", "日期,2027-01-31"))]


@app.command("open", help=t(OPEN))
@acts("HAO")
def open_(
    acting: Acting,
    dossier: Dossier,
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help=help_text("version", "模型版本"))],
    task: Annotated[str, typer.Option(help=help_text("CADe, CADx, CADt, ...", "功能類別"))],
    device_id: Annotated[str, typer.Option(help=help_text("device", "產品識別"))],
    target: Annotated[str, typer.Option(help="TFDA, FDA, EU")] = "TFDA",
    pack: Annotated[
        str | None, typer.Option(help=help_text("NAME@EDITION", "規則包名稱@版本"))
    ] = None,
    probability: Annotated[
        bool, typer.Option(help=help_text("shows a probability", "顯示機率"))
    ] = False,
    heat_map: Annotated[bool, typer.Option(help=help_text("shows a heat map", "顯示熱圖"))] = False,
    change_plan: Annotated[
        bool, typer.Option(help=help_text("has a change plan", "有變更控制計畫"))
    ] = False,
    licensed_before: Annotated[
        bool, typer.Option(help=help_text("was licensed before", "曾取得許可"))
    ] = False,
    real_world_data: Annotated[
        bool, typer.Option(help=help_text("uses real-world data", "使用真實世界資料"))
    ] = False,
) -> None:
    """Open a dossier."""
    from federation.operations.dossier import Device, open_dossier

    device = Device(task, probability, heat_map, change_plan, licensed_before, real_world_data)
    name, _, edition = (pack or "").partition("@")
    kept = open_dossier(
        acting.desk,
        dossier,
        entry,
        device=device,
        device_id=device_id,
        actor=acting.actor,
        target=target,
        pack=(name, edition) if pack else None,
    )
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(STATUS))
def status(
    dossier: Dossier,
    home: AtCentre,
    everything: Annotated[
        bool, typer.Option("--all", help=help_text("also what is met", "包含已符合者"))
    ] = False,
    json_: Json = False,
) -> None:
    """Say what is missing, in words; exit 0 says that it was computed, not that it is complete."""
    from federation.operations import dossier as operations
    from federation.operations.impact import open_desk

    found = operations.status(open_desk(home), dossier)
    if json_:
        emit({"dossier": dossier, **found.as_json()})
        return
    _say_status(found, everything=everything)


@app.command(help=t(REPORT))
def report(dossier: Dossier, out: ReportFile, home: AtCentre, json_: Json = False) -> None:
    """Write how a dossier stands as a page."""
    from federation.operations import dossier as operations
    from federation.operations.impact import open_desk

    write_report(partial(operations.report_of, open_desk(home), dossier), out, as_json=json_)


@app.command(help=t(ATTACH))
@acts("HAO")
def attach(
    acting: Acting,
    dossier: Dossier,
    noun: Annotated[
        str | None, typer.Argument(metavar="NOUN", help=help_text("kind", "紀錄種類"))
    ] = None,
    record: Annotated[
        str | None, typer.Argument(metavar="ID", help=help_text("record", "紀錄編號"))
    ] = None,
    requirement: Annotated[
        str | None, typer.Option(help=help_text("only for this one", "僅用於此要求"))
    ] = None,
    valid_until: Annotated[
        str | None, typer.Option(help=help_text("its last day", "有效期限"))
    ] = None,
) -> None:
    """Name evidence; what does not count is refused with the reason."""
    from federation.errors.core import InvalidValueError
    from federation.operations import dossier as operations

    if (noun is None) != (record is None):
        raise InvalidValueError(field="ID", actual="missing", expected="NOUN and ID, or neither")
    if noun is None or record is None:
        found = operations.attach_all(acting.desk, dossier, actor=acting.actor)
    else:
        found = operations.attach(
            acting.desk,
            dossier,
            noun,
            record,
            actor=acting.actor,
            requirement=requirement,
            valid_until=valid_until,
        )
    if acting.as_json:
        emit(found.as_json())
        return
    for item, answers in found.items.items():
        say(ATTACHED, item=item, requirements=", ".join(answers))
    if not found.items:
        say(NOTHING, dossier=dossier)


@app.command(help=t(DECIDE))
@acts()
def decide(
    acting: Acting,
    dossier: Dossier,
    decision: Annotated[str, typer.Argument(metavar="DECISION", help=t(DECIDE))],
    reason: Reason,
) -> None:
    """Decide on a dossier; everything that holds it back is named."""
    from federation.errors.core import InvalidValueError
    from federation.operations import dossier as operations

    known = {one.value: one for one in operations.Decision}
    if decision not in known:
        raise InvalidValueError(
            field="decision", actual=repr(decision[:20]), expected=", ".join(known)
        )
    done = operations.decide(
        acting.desk,
        dossier,
        known[decision],
        actor=acting.actor,
        reason=reason,
    )
    say_moved(done, as_json=acting.as_json)


@app.command(help=t(BUNDLE))
@acts("HAO")
def bundle(
    acting: Acting,
    dossier: Dossier,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=help_text("file to write", "輸出檔案"))
    ] = None,
) -> None:
    """Write the bundle that goes to the authority."""
    from federation.operations import dossier as operations

    path = out or Path(f"{dossier}.zip")
    done = operations.bundle(acting.desk, dossier, path, actor=acting.actor)
    if acting.as_json:
        say_kept(done.record, as_json=True, bundle=done.path, digest=done.digest)
        return
    say(BUNDLED, path=done.path, digest=done.digest)


@app.command(help=t(FILE))
@acts("HAO")
def file(
    acting: Acting,
    document: DocumentId,
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help=help_text("version", "模型版本"))],
    path: Annotated[Path, typer.Argument(metavar="FILE", help=help_text("the file", "檔案"))],
    kind: Annotated[str, typer.Option(help=help_text("what it is", "文件種類"))],
    title_en: Annotated[str, typer.Option(help=help_text("title in English", "英文名稱"))],
    title_zh: Annotated[str, typer.Option(help=help_text("title in Chinese", "中文名稱"))],
    issuer: Annotated[str, typer.Option(help=help_text("issuer", "核發單位"))],
    issued: Day,
    valid_until: Annotated[
        str | None, typer.Option(help=help_text("its last day", "有效期限"))
    ] = None,
    standard: Annotated[str | None, typer.Option(help=help_text("standard", "標準"))] = None,
) -> None:
    """Put a document into the register; its content stays where it is."""
    from federation.operations import dossier as operations

    said = operations.Document(kind, title_en, title_zh, issuer, issued, valid_until, standard)
    kept = operations.file_document(
        acting.desk,
        document,
        entry,
        read_file(path),
        said,
        actor=acting.actor,
    )
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(CONFIRM))
@acts("VAL-E")
def confirm(
    acting: Acting,
    document: DocumentId,
    reason: Reason,
) -> None:
    """Confirm a document."""
    from federation.operations import dossier as operations

    done = operations.confirm_document(acting.desk, document, actor=acting.actor, reason=reason)
    say_moved(done, as_json=acting.as_json)


@app.command(help=t(SUBMISSION))
@acts("HAO")
def submission(
    acting: Acting,
    dossier: Dossier,
    date: Day,
    number: Annotated[str, typer.Option(help=help_text("number", "文號"))],
    result: Annotated[
        str, typer.Option(help="pending, deficiency, answered, licensed, refused")
    ] = "pending",
) -> None:
    """Note a submission; `decide submit` or `decide answer` makes the move."""
    from federation.operations import dossier as operations

    kept = operations.note_submission(
        acting.desk,
        dossier,
        date=date,
        number=number,
        result=result,
        actor=acting.actor,
    )
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(LICENCE))
@acts("HAO")
def licence(
    acting: Acting,
    dossier: Dossier,
    number: Annotated[str, typer.Option(help=help_text("number", "許可證字號"))],
    issued: Day,
    expires: Day,
) -> None:
    """Note the licence; `decide license` makes the move."""
    from federation.operations import dossier as operations

    kept = operations.note_licence(
        acting.desk,
        dossier,
        number=number,
        issued=issued,
        expires=expires,
        actor=acting.actor,
    )
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(CHANGE))
def change(
    home: AtCentre,
    part: Annotated[
        list[str] | None,
        typer.Option(help=help_text("what it touches, repeated", "變更部分,可重複")),
    ] = None,
    fix: Annotated[
        str | None,
        typer.Option(
            help=help_text(
                "only a bug, user-interface or system", "僅修正 bug、user-interface 或 system"
            )
        ),
    ] = None,
    plan: Annotated[
        str | None, typer.Option(help=help_text("approved change plan", "經核可的變更控制計畫"))
    ] = None,
    entry: Annotated[
        str | None, typer.Option(help=help_text("the version that is changed", "所變更的版本"))
    ] = None,
    json_: Json = False,
) -> None:
    """Classify a change (TFDA's guide to change control plans)."""
    from federation.operations import dossier as operations
    from federation.operations.impact import open_desk

    desk = open_desk(home)
    found = operations.classify_change(desk, part or [], fix=fix, plan=plan, entry=entry)
    if json_:
        emit(found.as_json())
        return
    say(found.route.title)
    parts = sorted(one.value for one in found.never_planned | found.not_in_plan)
    if parts:
        say(BECAUSE, parts=", ".join(parts))


def _say_status(found: "Completeness", *, everything: bool) -> None:
    told = found.as_json()
    pack = found.pack
    say(MET, met=told["met"], applicable=told["applicable"], pack=pack.id, version=pack.version)
    say(COMPLETE) if found.is_complete else say(OPEN_MUSTS, count=len(found.open_musts))
    for one in found.findings:
        if one.gaps or everything:
            _say_finding(one)
    say(NOTE, note=t(Text(en=pack.note.en, zh=pack.note.zh)))


def _say_finding(one: "Finding") -> None:
    asked = t(Text(en=one.requirement.text.en, zh=one.requirement.text.zh))
    say(FINDING, id=one.requirement.id, asked=asked, status=t(STATUSES[one.status.value]))
    for gap in one.gaps:
        say(GAP, why=t(gap.why), next_step=t(gap.next_step))
