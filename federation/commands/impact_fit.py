"""`trifed impact fit`: outcomes of patients at hospitals, fitted by masked sums.

plan, (at the hospitals) node outcomes add, node approve, run, show, name.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation import settings
from federation.commands.acting import House, Person
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
    from federation.coordinator.home import CentreHome

HELP = Text(
    en="Fit outcomes over hospitals by masked sums: plan, run, show.",
    zh="以遮罩加總配適各院結果資料:規劃、執行、檢視。",
)
PLAN = Text(en="Write the plan of an outcome study.", zh="產生結果研究的計畫檔。")
RUN = Text(en="Propose it to the hospitals, run it and follow it.", zh="向醫院提案、執行並追蹤。")
SHOW = Text(en="Show what an outcome study came to; by study or run.", zh="顯示結果研究的結果。")
NAME = Text(
    en="Name a finished result in the record of the impact study that its plan names.",
    zh="將已完成的結果寫入計畫所列影響性研究的紀錄。",
)
WRITTEN = Text(
    en="Wrote {file}, with examples. Edit its variables and analyses, then: "
    "trifed impact fit run {file}",
    zh="已寫入 {file}(含範例)。請修改變數與分析後執行:trifed impact fit run {file}",
)
PROPOSED = Text(
    en="{study} is proposed, protocol {protocol}. Hospitals add their tables (trifed node outcomes "
    "add) and then approve.",
    zh="已提出 {study},方案 {protocol}。各院加入資料表(trifed node outcomes add)後再核准。",
)
NAMED = Text(en="{study} names the result {digest}.", zh="{study} 已列入結果 {digest}。")
NOT_NAMED = Text(en="Its plan names no impact study.", zh="計畫未指定影響性研究。")

app = typer.Typer(help=t(HELP), no_args_is_help=True)

Asked = Annotated[
    str, typer.Argument(metavar="STUDY|RUN", help=help_text("study or run", "研究或執行"))
]


@app.command(help=t(PLAN))
def plan(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help=help_text("name of the tables", "資料表名稱"))
    ],
    home: AtCentre,
    out: Annotated[
        Path, typer.Option("--out", "-o", help=help_text("file to write", "要寫入的檔案"))
    ] = Path("fit.toml"),
    name: Annotated[
        str | None, typer.Option("--id", help=help_text("name of this study", "本研究名稱"))
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(help=help_text("repeat for each; all enrolled if none", "每院一次;預設全部")),
    ] = None,
    quorum: Annotated[
        int, typer.Option(min=3, help=help_text("fewest hospitals", "最少院所數"))
    ] = 3,
    study: Annotated[
        str | None,
        typer.Option(help=help_text("impact study that it belongs to", "所屬影響性研究")),
    ] = None,
    json_: Json = False,
) -> None:
    """Write a plan."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import SiteId, StudyId
    from federation.operations.outcomes.plan_file import write_plan
    from federation.operations.outcomes.planning import Wanted, plan_study

    now = datetime.now(UTC).replace(microsecond=0)
    wanted = Wanted(
        study=StudyId(name or f"outcomes-{now:%Y%m%d-%H%M}"),
        table=table,
        expires=now + timedelta(days=180),
        sites=[SiteId(one) for one in site or []],
        quorum=quorum,
        impact_study=study,
    )
    found = plan_study(CentreHome.open(home), wanted)
    write_plan(out, found)
    if json_:
        emit({"file": out, "study": found.id, "digest": found.digest})
        return
    say(WRITTEN, file=out)


@app.command(help=t(RUN))
def run(
    file: Annotated[Path, typer.Argument(metavar="PLAN", help=help_text("plan", "計畫檔"))],
    home: AtCentre,
    person: Annotated[
        str | None,
        typer.Option(help=help_text("who names it in its study", "將結果寫入研究者")),
    ] = None,
    organisation: House = "impact-centre",
    at_quorum: AtQuorum = False,
    detach: Detach = False,
    events: Events = False,
    json_: Json = False,
) -> None:
    """Submit and launch an outcome study; exit 0 only when it completed."""
    from federation.commands import running
    from federation.coordinator.home import CentreHome
    from federation.operations.outcomes.plan_file import read_plan
    from federation.operations.outcomes.submitting import submit_plan
    from federation.operations.store.queue import Asked
    from federation.wire.study import protocol_of

    centre = CentreHome.open(home)
    found = read_plan(file, now=datetime.now(UTC))
    submit_plan(centre, found)
    is_new = running.put_into_queue(centre, found.id, Asked(at_quorum=at_quorum))
    protocol = str(protocol_of(found))
    if detach and json_:
        emit({"id": found.id, "new": is_new, "protocol": protocol})
        return
    if not json_:
        say(PROPOSED, study=found.id, protocol=protocol[:19])
    if detach:
        return
    try:
        running.follow(centre, found.id, running.show_of(events=events, json_=json_))
    except SystemExit as ended:
        if ended.code == 0 and person is not None:
            _name(centre, str(found.id), person, organisation)
        raise


@app.command(help=t(SHOW))
def show(asked: Asked, home: AtCentre, json_: Json = False) -> None:
    """Show a result."""
    from federation.coordinator.home import CentreHome
    from federation.operations.outcomes import running, showing

    said, document = running.shown(CentreHome.open(home), asked)
    if json_:
        emit({**said, "result": document})
        return
    for line in showing.words_of(said, document, settings.language()):
        typer.echo(line)


@app.command(help=t(NAME))
def name(
    asked: Asked,
    home: AtCentre,
    person: Person,
    organisation: House = "impact-centre",
    json_: Json = False,
) -> None:
    """Name a result in its impact study."""
    from federation.coordinator.home import CentreHome

    study, digest = _name(CentreHome.open(home), asked, person, organisation)
    if json_:
        emit({"impact_study": study, "document": digest})
        return
    say(NOT_NAMED) if study is None else say(NAMED, study=study, digest=digest[:19])


def _name(
    centre: "CentreHome", asked: str, person: str, organisation: str
) -> tuple[str | None, str]:
    from federation.domain.ids import Sha256
    from federation.operations.embedded_registry import Actor
    from federation.operations.outcomes.running import shown
    from federation.operations.outcomes.submitting import name_in_study

    said: dict[str, Any]
    said, document = shown(centre, asked)
    digest = Sha256(said["document"])
    actor = Actor(person, organisation, "IMP-P")
    return name_in_study(centre, document, digest, actor), str(digest)
