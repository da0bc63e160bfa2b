"""`trifed reimbursement`: assessment, two provisional years, reassessment, listing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.acting import (
    STANDS,
    Acting,
    Reason,
    acts,
    say_kept,
    say_moved,
    say_next,
)
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.operations.reimbursement import PaymentShown

HELP = Text(
    en="Payment by health insurance: assessment, provisional years, listing.",
    zh="健保給付:科技評估、暫時支付、收載。",
)
OPEN = Text(en="Apply for payment of a version.", zh="為模型版本申請給付。")
SHOW = Text(
    en="Show where an application stands, its clock, and what each step needs.",
    zh="顯示申請現況、時程與各步驟所需的證據。",
)
MOVE = Text(en="Make a move, or sign for it.", zh="執行移轉或簽署。")
ASSESS = Text(en="Name the assessment's report (HTA).", zh="登錄科技評估報告(HTA)。")
REASSESS = Text(en="Name the reassessment's report (HTR).", zh="登錄再評估報告(HTR)。")
TERMS = Text(en="Write what is paid, from when until when.", zh="登錄支付項目、點數與起訖。")
EVIDENCE = Text(
    en="Name a reported study as evidence of quality, efficiency or staff-burden.",
    zh="列入已提出報告的研究,證明品質、效率或人力負擔。",
)
RESTRICT = Text(en="Write to what payment is restricted.", zh="登錄給付限縮的範圍。")

NEEDS = Text(en="  needs: {needs}", zh="  所需:{needs}")
CLOCK = Text(en="{at}: {why} ({move})", zh="{at}:{why}({move})")
BY_CLOCK = Text(en="the clock makes {move}", zh="時鐘執行 {move}")
REMINDER = Text(en="a reminder", zh="提醒")
SHOWN_BY = Text(en="{topic}: {studies}", zh="{topic}:{studies}")
NOBODY = Text(en="no reported study of this version yet", zh="此版本尚無已提出報告的研究")
COMPUTED_BY = Text(en="For the assessment, {part}: {studies}", zh="科技評估用,{part}:{studies}")
NOT_COMPUTED = Text(
    en="not computed yet (trifed impact analyse, cea)", zh="尚未計算(trifed impact analyse、cea)"
)

app = typer.Typer(help=t(HELP), no_args_is_help=True)

Payment = Annotated[
    str, typer.Argument(metavar="PAYMENT", help=help_text("application", "申請編號"))
]
Report = Annotated[Path, typer.Argument(metavar="REPORT", help=help_text("the file", "報告檔"))]
Day = Annotated[str, typer.Option(help=help_text("day, 2027-01-31", "日期,2027-01-31"))]
Reference = Annotated[str, typer.Option(help=help_text("where it can be read", "文件出處"))]


@app.command("open", help=t(OPEN))
@acts("HAO")
def open_(
    acting: Acting,
    payment: Payment,
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help=help_text("version", "模型版本"))],
    dossier: Annotated[str, typer.Option(help=help_text("licensed dossier", "已許可的文件"))],
    licence: Annotated[str, typer.Option(help=help_text("its licence", "許可證字號"))],
    indication_en: Annotated[str, typer.Option(help=help_text("in English", "適應症(英文)"))],
    indication_zh: Annotated[str, typer.Option(help=help_text("in Chinese", "適應症(中文)"))],
) -> None:
    """Write a new application."""
    from federation.operations import reimbursement as operations

    kept = operations.apply(
        acting.desk,
        payment,
        entry,
        dossier=dossier,
        licence=licence,
        indication=operations.Indication(indication_en, indication_zh),
        actor=acting.actor,
    )
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(SHOW))
def show(payment: Payment, home: AtCentre, json_: Json = False) -> None:
    """Show state, clock, evidence, and what each move lacks."""
    from federation.operations.impact import open_desk
    from federation.operations.reimbursement import show_payment

    shown = show_payment(open_desk(home), payment)
    emit(shown.as_json()) if json_ else _say(shown)


@app.command(help=t(MOVE))
@acts()
def move(
    acting: Acting,
    payment: Payment,
    number: Annotated[str, typer.Argument(metavar="MOVE", help=help_text("P1 to P7", "P1 至 P7"))],
    reason: Reason,
) -> None:
    """Make a move; with signatures missing, this one is kept."""
    from federation.operations.reimbursement import move_payment

    done = move_payment(acting.desk, payment, number, actor=acting.actor, reason=reason)
    say_moved(done, as_json=acting.as_json)


@app.command(help=t(ASSESS))
@acts("NHI-S")
def assess(
    acting: Acting,
    payment: Payment,
    report: Report,
    date: Day,
    reference: Reference,
) -> None:
    """Name the assessment's report."""
    from federation.operations import reimbursement as operations

    said = operations.Report(read_file(report), date, reference)
    kept = operations.note_assessment(acting.desk, payment, said, actor=acting.actor)
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(REASSESS))
@acts("NHI-S")
def reassess(
    acting: Acting,
    payment: Payment,
    report: Report,
    date: Day,
    reference: Reference,
) -> None:
    """Name the reassessment's report."""
    from federation.operations import reimbursement as operations

    said = operations.Report(read_file(report), date, reference)
    kept = operations.note_reassessment(acting.desk, payment, said, actor=acting.actor)
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(TERMS))
@acts("NHI-S")
def terms(
    acting: Acting,
    payment: Payment,
    code: Annotated[str, typer.Option(help=help_text("item", "支付項目"))],
    points: Annotated[int, typer.Option(min=0, help=help_text("points", "點數"))],
    start: Annotated[str, typer.Option(help="2027-01-01T00:00:00Z")],
    end: Annotated[str, typer.Option(help="2028-12-31T00:00:00Z")],
    monitoring: Annotated[str, typer.Option(help=help_text("data register", "資料登錄"))],
    bundled: Annotated[bool, typer.Option(help=help_text("within another", "包裹支付"))] = False,
) -> None:
    """Write what is paid; more than two years is refused."""
    from federation.operations import reimbursement as operations

    said = operations.Terms(code, points, bundled, start, end, monitoring)
    kept = operations.set_terms(acting.desk, payment, said, actor=acting.actor)
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(EVIDENCE))
@acts("NHI-S")
def evidence(
    acting: Acting,
    payment: Payment,
    topic: Annotated[str, typer.Argument(help="quality, efficiency, staff-burden")],
    study: Annotated[str, typer.Argument(metavar="STUDY", help=help_text("study", "研究編號"))],
) -> None:
    """Name a study; one of another version, or not reported, is refused."""
    from federation.operations import reimbursement as operations

    kept = operations.add_evidence(acting.desk, payment, topic, study, actor=acting.actor)
    say_kept(kept, as_json=acting.as_json)


@app.command(help=t(RESTRICT))
@acts("NHI-S")
def restrict(
    acting: Acting,
    payment: Payment,
    to_en: Annotated[str, typer.Option(help=help_text("in English", "範圍(英文)"))],
    to_zh: Annotated[str, typer.Option(help=help_text("in Chinese", "範圍(中文)"))],
) -> None:
    """Write a restriction; P5 makes the move."""
    from federation.operations import reimbursement as operations

    to = operations.Indication(to_en, to_zh)
    kept = operations.restrict(acting.desk, payment, to, actor=acting.actor)
    say_kept(kept, as_json=acting.as_json)


def _say(shown: "PaymentShown") -> None:
    from federation.operations.reimbursement import NEEDED, PARTS, TOPICS
    from registry.timers.clocks import TAIPEI

    record = shown.record
    place = {"revision": record.revision, "place": record.log_index, "at": record.at}
    say(STANDS, id=record.id, state=record.state, **place)
    for at, number, why in shown.due:
        what = t(BY_CLOCK, move=number) if number else t(REMINDER)
        say(CLOCK, at=at.astimezone(TAIPEI).date().isoformat(), why=t(why), move=what)
    for topic, studies in shown.topics.items():
        say(SHOWN_BY, topic=t(TOPICS[topic]), studies=", ".join(studies) or t(NOBODY))
    for part, studies in shown.parts.items():
        say(COMPUTED_BY, part=t(PARTS[part]), studies=", ".join(studies) or t(NOT_COMPUTED))
    for one in shown.following:
        say_next(one)
        say(NEEDS, needs=t(NEEDED[one.number]))
