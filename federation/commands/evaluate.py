"""`trifed evaluate`: evaluate registered versions at hospitals. Plan, run, show, enter results."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.acting import Acting, acts
from federation.commands.homes import AtCentre
from federation.commands.output import (
    AtQuorum,
    Detach,
    Events,
    Json,
    emit,
    help_text,
    say,
    t,
)
from federation.wording import Text

if TYPE_CHECKING:
    from federation.operations.evaluations.submitting import People

HELP = Text(
    en="Evaluate registered versions at hospitals: plan, run, show.",
    zh="於各院評估已登錄版本:規劃、執行、檢視。",
)
PLAN = Text(
    en="Write the plan of an evaluation from the register and the roster.",
    zh="依登錄系統與院所名冊產生評估計畫。",
)
RUN = Text(
    en="Plan the records, propose it to the hospitals, run it and follow it.",
    zh="登錄計畫紀錄、向醫院提案、執行並追蹤。",
)
SHOW = Text(
    en="Show what an evaluation came to; by study, run or entry.",
    zh="顯示評估結果;可依研究、執行或登錄編號。",
)
ENTER = Text(
    en="Enter results in the records whose plan was logged since.",
    zh="將結果填入已完成方案登錄的紀錄。",
)
WRITTEN = Text(
    en="Wrote {file}: {versions} versions, {sites} hospitals, protocol {protocol}. Read it, then: "
    "trifed evaluate run {file}",
    zh="已寫入 {file}:{versions} 個版本、{sites} 家醫院,方案 {protocol}。確認後執行:"
    "trifed evaluate run {file}",
)
PLANNED = Text(
    en="{count} records of {study} stand in the register as plans.",
    zh="{study} 的 {count} 筆計畫紀錄已存入登錄系統。",
)
NOBODY_LOGGED = Text(
    en="Nobody logged the plans (E1); once somebody of the validation centre did, whoever "
    "planned them enters the results: trifed evaluate enter {study} "
    "--person ... --organisation ...",
    zh="尚無人登錄方案(E1);驗證中心人員登錄後,由規劃者填入結果:trifed evaluate enter {study} "
    "--person ... --organisation ...",
)
FIGURES = Text(en="{count} figures in {folder}.", zh="{folder} 中共 {count} 張圖。")
RECORD = Text(en="{id}  {state}", zh="{id}  {state}")
NOT_A_CLAIM = Text(en="{given} is not ENTRY=AUROC", zh="{given} 並非「登錄編號=AUROC」")

HOUSE = "validation-centre"

app = typer.Typer(help=t(HELP), no_args_is_help=True)


@app.command(help=t(PLAN))
def plan(
    entries: Annotated[
        list[str],
        typer.Argument(metavar="ENTRY...", help=help_text("registered versions", "已登錄版本")),
    ],
    home: AtCentre,
    cohort: Annotated[str, typer.Option(help=help_text("data at each hospital", "各院使用的資料"))],
    out: Annotated[
        Path, typer.Option("--out", "-o", help=help_text("file to write", "要寫入的檔案"))
    ] = Path("plan.toml"),
    study: Annotated[
        str | None, typer.Option("--id", help=help_text("name of the study", "研究名稱"))
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(help=help_text("repeat for each; all enrolled if none", "每院一次;預設全部")),
    ] = None,
    quorum: Annotated[
        int, typer.Option(min=3, help=help_text("fewest hospitals", "最少院所數"))
    ] = 3,
    claim: Annotated[
        list[str] | None,
        typer.Option(help=help_text("ENTRY=AUROC that the maker claims", "製造者宣稱的 AUROC")),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help=help_text("operating point", "操作點門檻"))
    ] = 0.5,
    risk: Annotated[str, typer.Option(help=help_text("high, medium or low", "風險等級"))] = "high",
    json_: Json = False,
) -> None:
    """Write a plan."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import SiteId, StudyId
    from federation.operations.evaluations.plan_file import write_plan
    from federation.operations.evaluations.planning import Wanted, plan_study
    from federation.wire.evaluation_plan import protocol_digest

    now = datetime.now(UTC).replace(microsecond=0)
    wanted = Wanted(
        study=StudyId(study or f"evaluation-{now:%Y%m%d-%H%M}"),
        entries=entries,
        cohort=cohort,
        expires=now + timedelta(days=180),
        sites=[SiteId(one) for one in site or []],
        quorum=quorum,
        claims=dict(map(_claim, claim or [])),
        threshold=threshold,
        risk=risk,
    )
    found = plan_study(CentreHome.open(home), wanted)
    write_plan(out, found)
    assert found.evaluation is not None  # it was planned
    protocol = protocol_digest(found.evaluation)
    if json_:
        emit({"file": out, "study": found.id, "digest": found.digest, "protocol": protocol})
        return
    sizes = {"versions": len(entries), "sites": len(found.sites)}
    say(WRITTEN, file=out, protocol=str(protocol)[:19], **sizes)


@app.command(help=t(RUN))
def run(
    file: Annotated[Path, typer.Argument(metavar="PLAN", help=help_text("plan", "計畫檔"))],
    home: AtCentre,
    person: Annotated[
        str | None, typer.Option(help=help_text("who writes the records", "紀錄撰寫人"))
    ] = None,
    organisation: Annotated[
        str, typer.Option(help=help_text("of which house", "所屬機構"))
    ] = HOUSE,
    approver: Annotated[
        str | None,
        typer.Option(help=help_text("who of the validation centre logs the plan", "登錄方案者")),
    ] = None,
    approver_organisation: Annotated[
        str, typer.Option(help=help_text("another house than the writer's", "須異於撰寫人之機構"))
    ] = "validation-board",
    at_quorum: AtQuorum = False,
    detach: Detach = False,
    events: Events = False,
    json_: Json = False,
) -> None:
    """Submit and launch an evaluation; exit 0 only when it completed."""
    from federation.commands import running
    from federation.coordinator.home import CentreHome
    from federation.operations.evaluations.plan_file import read_plan
    from federation.operations.evaluations.submitting import submit_plan
    from federation.operations.store.queue import Asked

    centre = CentreHome.open(home)
    study = read_plan(file, now=datetime.now(UTC))
    people = _people(person or running.actor(), organisation, approver, approver_organisation)
    ids = submit_plan(centre, study, people)
    is_new = running.put_into_queue(centre, study.id, Asked(at_quorum=at_quorum))
    if detach and json_:
        emit({"id": study.id, "new": is_new, "records": ids})
        return
    if not json_:
        say(PLANNED, count=len(ids), study=study.id)
        if approver is None:
            say(NOBODY_LOGGED, study=study.id)
    if not detach:
        running.follow(centre, study.id, running.show_of(events=events, json_=json_))


@app.command(help=t(SHOW))
def show(
    asked: Annotated[
        str,
        typer.Argument(
            metavar="RUN|ENTRY", help=help_text("study, run or entry", "研究、執行或登錄編號")
        ),
    ],
    home: AtCentre,
    figures: Annotated[
        Path | None, typer.Option(help=help_text("folder for SVG files", "SVG 檔的資料夾"))
    ] = None,
    json_: Json = False,
) -> None:
    """Show an evaluation."""
    from federation.coordinator.home import CentreHome
    from federation.operations.evaluations import showing

    shown = showing.show_evaluation(CentreHome.open(home), asked)
    drawn = showing.write_figures(shown, figures) if figures is not None else []
    if json_:
        emit({**shown.as_json(), "drawn": [str(path) for path in drawn]})
        return
    for line in showing.words_of(shown, settings.language()):
        typer.echo(line)
    if figures is not None:
        say(FIGURES, count=len(drawn), folder=figures)


@app.command(help=t(ENTER))
@acts("VAL-E")
def enter(acting: Acting, study: str) -> None:
    """Enter results later, as whoever planned the records."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import StudyId
    from federation.operations.evaluations.running import enter_later

    found = enter_later(CentreHome.open(acting.home), StudyId(study), by=acting.actor)
    if acting.as_json:
        emit(found.as_json())
        return
    for id, state in found.records.items():
        say(RECORD, id=id, state=state)


def _people(
    person: str, organisation: str, approver: str | None, approver_organisation: str
) -> "People":
    from federation.operations.embedded_registry import Actor
    from federation.operations.evaluations.submitting import People

    writer = Actor(person, organisation, "VAL-E")
    if approver is None:
        return People(writer)
    return People(writer, Actor(approver, approver_organisation, "VAL-A"))


def _claim(given: str) -> tuple[str, float]:
    entry, _, value = given.partition("=")
    try:
        return entry, float(value)
    except ValueError as error:
        raise typer.BadParameter(t(NOT_A_CLAIM, given=given)) from error
