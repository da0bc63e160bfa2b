"""`trifed study`: what AI-centre staff do. Write a study, check it, launch it, watch it."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from federation import settings
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

HELP = Text(en="Write, check, launch and read studies.", zh="撰寫、檢查、啟動與檢視研究。")
NEW = Text(en="Write a commented study file to start from.", zh="建立附註解的研究檔。")
VALIDATE = Text(en="Say everything that is wrong with a study file.", zh="列出研究檔的所有問題。")
SUBMIT = Text(en="Keep a study at the centre.", zh="將研究存入中心。")
LAUNCH = Text(
    en="Propose a study to its hospitals, train it, register the model.",
    zh="向醫院提案、訓練並登錄模型。",
)
SHOW = Text(en="Show a study with its runs and rounds.", zh="顯示研究、執行與各輪。")
LIST = Text(en="List the centre's studies.", zh="列出中心的研究。")
WRITTEN = Text(
    en="Wrote {file}. Edit it, then: trifed study validate {file}",
    zh="已寫入 {file}。編輯後執行:trifed study validate {file}",
)
VALID = Text(
    en="{file} is a valid study: {id}, {rounds} rounds at {sites} sites.",
    zh="{file} 為有效的研究:{id},{sites} 個站點共 {rounds} 輪。",
)
SUBMITTED = Text(
    en="{id} is kept as a draft. Next: trifed study launch {id}",
    zh="{id} 已存為草稿。下一步:trifed study launch {id}",
)
NO_STUDIES = Text(
    en="No studies yet. Next: trifed study new FILE", zh="尚無研究。下一步:trifed study new FILE"
)
LINE = Text(en="{id}  {state}  {title}", zh="{id}  {state}  {title}")
ROUND = Text(
    en="  {run} round {round}: {state} in {seconds} s{refused}",
    zh="  {run} 第 {round} 輪:{state},{seconds} 秒{refused}",
)
REFUSED = Text(en="; refused: {listed}", zh=";拒絕:{listed}")

app = typer.Typer(help=t(HELP), no_args_is_help=True)
Home = Annotated[
    Path,
    typer.Option(
        "--home",
        help=help_text("centre home", "中心的工作目錄"),
        default_factory=settings.centre_home,
    ),
]


@app.command(help=t(NEW))
def new(
    file: Path,
    study: Annotated[str, typer.Option("--id")] = "my-study",
    recipe: Annotated[str, typer.Option()] = "cxr-pneumonia",
    site: Annotated[
        list[str] | None, typer.Option(help=help_text("repeat for each site", "每個站點重複一次"))
    ] = None,
    json_: Json = False,
) -> None:
    """Write a study file."""
    from federation.domain.ids import SiteId, StudyId
    from federation.operations.study_file import new_study_file

    new_study_file(
        file,
        study=StudyId(study),
        recipe=recipe,
        sites=[SiteId(one) for one in site or ["north", "centre", "south"]],
        now=_now(),
    )
    emit({"file": file}) if json_ else say(WRITTEN, file=file)


@app.command(help=t(VALIDATE))
def validate(file: Path, json_: Json = False) -> None:
    """Check a study file."""
    from federation.operations.study_file import read_study_file
    from federation.wire.study import study_as_json

    found = read_study_file(file, now=_now())
    if json_:
        emit(study_as_json(found))
        return
    say(VALID, file=file, id=found.id, rounds=found.training.rounds, sites=len(found.sites))


@app.command(help=t(SUBMIT))
def submit(file: Path, home: Home, json_: Json = False) -> None:
    """Keep a study."""
    from federation.coordinator.home import CentreHome
    from federation.operations import launch as operations
    from federation.operations.study_file import read_study_file

    found = read_study_file(file, now=_now())
    operations.submit(CentreHome.open(home), found)
    emit({"id": found.id, "digest": found.digest}) if json_ else say(SUBMITTED, id=found.id)


@app.command(help=t(LAUNCH))
def launch(
    study: Annotated[
        str,
        typer.Argument(
            help=help_text("a study file, or the id of a kept study", "研究檔,或已存研究的 id")
        ),
    ],
    home: Home,
    json_: Json = False,
    events: Annotated[
        bool,
        typer.Option(
            help=help_text("one JSON line per event, for programs", "每個事件一行 JSON,供程式使用")
        ),
    ] = False,
    at_quorum: Annotated[
        bool,
        typer.Option(
            help=help_text(
                "start once the quorum approved; else wait for every site",
                "達到最低核准數即開始;否則等待所有站點",
            )
        ),
    ] = False,
) -> None:
    """Run a study to its registry entry; exit 0 only when it completed."""
    from federation.commands.running import launch_study

    result = launch_study(home, study, events=events, quiet=json_, at_quorum=at_quorum)
    if json_ or events:
        emit(result.as_json())
    sys.exit(0 if result.status == "completed" else 1)


@app.command("list", help=t(LIST))
def list_(home: Home, json_: Json = False) -> None:
    """List studies."""
    from federation.operations.launch import studies_as_json

    found = studies_as_json(home)
    if json_:
        emit(found)
        return
    if not found:
        say(NO_STUDIES)
    for one in found:
        say(LINE, id=one["id"], state=one["state"], title=one["title"])


@app.command(help=t(SHOW))
def show(study: str, home: Home, json_: Json = False) -> None:
    """Show one study."""
    from federation.domain.ids import StudyId
    from federation.operations.launch import study_as_stored

    found = study_as_stored(home, StudyId(study))
    if json_:
        emit(found)
        return
    say(LINE, id=found["id"], state=found["state"], title=found["title"])
    runs = found["runs"]
    assert isinstance(runs, list)
    for run in runs:
        for one in run["played"]:
            refused = ", ".join(f"{item['site']} {item['code']}" for item in one["refused"])
            say(
                ROUND,
                run=run["run"],
                round=one["round"],
                state=one["state"],
                seconds=one["seconds"],
                refused=t(REFUSED, listed=refused) if refused else "",
            )


def _now() -> datetime:
    return datetime.now(UTC)
