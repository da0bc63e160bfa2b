"""`trifed study`: what AI-centre staff do. Write, check, launch, watch and stop studies."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands import replay
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
    from federation.domain.ids import StudyId
    from federation.operations.queueing import Queueing
    from federation.operations.store.queue import Entry

HELP = Text(en="Write, check, launch and read studies.", zh="撰寫、檢查、啟動與檢視研究。")
NEW = Text(en="Write a commented study file to start from.", zh="建立附註解的研究檔。")
VALIDATE = Text(en="Say everything that is wrong with a study file.", zh="列出研究檔的所有問題。")
SUBMIT = Text(en="Keep a study at the centre.", zh="將研究存入中心。")
LAUNCH = Text(
    en="Queue a study: propose it to its hospitals, train it, register the model.",
    zh="將研究排入佇列:向醫院提案、訓練並登錄模型。",
)
WATCH = Text(
    en="Follow a launched study; one that has ended shows its result.",
    zh="追蹤已啟動的研究;已結束者顯示結果。",
)
PAUSE = Text(
    en="End the round in flight, then wait until `resume`.",
    zh="完成進行中的一輪後暫停,直到 `resume`。",
)
RESUME = Text(en="Let a paused study go on.", zh="讓暫停的研究繼續。")
STOP = Text(en="End a study after the round in flight, or at once.", zh="於本輪後或立即結束研究。")
READMIT = Text(
    en="Bring back a site that was paused after three failed rounds.",
    zh="讓連續三輪失敗而暫停的站點回來。",
)
QUEUE = Text(en="Show the launched studies and what they wait for.", zh="顯示佇列與等待原因。")
QUEUED = Text(
    en="{id} is in the queue. Follow it: trifed study watch {id}",
    zh="{id} 已排入佇列。追蹤進度:trifed study watch {id}",
)
PAUSING = Text(
    en="{id} ends its round and pauses. Go on with: trifed study resume {id}",
    zh="{id} 將完成本輪後暫停。繼續:trifed study resume {id}",
)
RESUMED = Text(en="{id} goes on.", zh="{id} 繼續執行。")
STOPPING = Text(en="{id} ends after its round in flight.", zh="{id} 將於進行中的一輪後結束。")
STOPPING_NOW = Text(
    en="{id} ends now; its round in flight is given up.", zh="{id} 立即結束;放棄進行中的一輪。"
)
READMITTED = Text(
    en="{site} takes part in {run} again from the next round.",
    zh="{site} 自下一輪起重新參與 {run}。",
)
NOTHING_QUEUED = Text(
    en="The queue is empty. Next: trifed study launch ID",
    zh="佇列是空的。下一步:trifed study launch ID",
)
NO_TIME = Text(
    en="{given} is not a time like 22:00 or 2026-12-01T22:00",
    zh="{given} 不是如 22:00 或 2026-12-01T22:00 的時間",
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
Home = AtCentre
Reason = Annotated[str, typer.Option(help=help_text("kept in the audit trail", "記錄於稽核軌跡"))]


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
    events: Events = False,
    at_quorum: AtQuorum = False,
    priority: Annotated[
        int,
        typer.Option(min=0, max=9, help=help_text("9 goes first, 5 is usual", "9 最優先,預設 5")),
    ] = 5,
    at: Annotated[
        str | None,
        typer.Option(
            help=help_text(
                "not before: 22:00 or 2026-12-01T22:00", "不早於:22:00 或 2026-12-01T22:00"
            )
        ),
    ] = None,
    detach: Detach = False,
) -> None:
    """Put a study into the queue and follow it; exit 0 only when it completed."""
    from federation.commands import running
    from federation.coordinator.home import CentreHome
    from federation.operations.store.queue import Asked

    not_before = None if at is None else _moment(at)
    centre = CentreHome.open(home)
    name = running.kept_study(centre, study)
    asked = Asked(priority=priority, not_before=not_before, at_quorum=at_quorum)
    is_new = running.put_into_queue(centre, name, asked)
    if detach:
        emit({"id": name, "new": is_new}) if json_ else say(QUEUED, id=name)
        return
    if not is_new:
        running.say_already(name)
    running.follow(centre, name, running.show_of(events=events, json_=json_))


@app.command(help=t(WATCH))
def watch(study: str, home: Home, json_: Json = False, events: Events = False) -> None:
    """Follow a launched study; exit 0 only when it completed."""
    from federation.commands import running
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import StudyId

    show = running.show_of(events=events, json_=json_)
    running.watch_study(CentreHome.open(home), StudyId(study), show)


@app.command(help=t(PAUSE))
def pause(study: str, home: Home, reason: Reason = "", json_: Json = False) -> None:
    """Pause a study."""
    with _queue(home) as queue:
        entry = queue.pause(_id(study), reason=reason)
    emit(_wished(entry)) if json_ else say(PAUSING, id=study)


@app.command(help=t(RESUME))
def resume(study: str, home: Home, json_: Json = False) -> None:
    """Resume a study."""
    with _queue(home) as queue:
        entry = queue.resume(_id(study))
    emit(_wished(entry)) if json_ else say(RESUMED, id=study)


@app.command(help=t(STOP))
def stop(
    study: str,
    home: Home,
    now: Annotated[
        bool,
        typer.Option("--now", help=help_text("give up the round in flight", "放棄進行中的一輪")),
    ] = False,
    reason: Reason = "",
    json_: Json = False,
) -> None:
    """Stop a study."""
    with _queue(home) as queue:
        entry = queue.stop(_id(study), now=now, reason=reason)
    emit(_wished(entry)) if json_ else say(STOPPING_NOW if now else STOPPING, id=study)


@app.command(help=t(READMIT))
def readmit(study: str, site: str, home: Home, json_: Json = False) -> None:
    """Bring a site back."""
    from federation.domain.ids import SiteId

    with _queue(home) as queue:
        run = queue.readmit(_id(study), SiteId(site))
    emit({"run": run, "site": site}) if json_ else say(READMITTED, site=site, run=run)


@app.command(help=t(QUEUE))
def queue(home: Home, json_: Json = False) -> None:
    """Show the queue."""
    from federation.commands.queue_table import as_json, show_table
    from federation.domain.queue import QueueState

    with _queue(home) as found:
        standings = found.standings()
    live = [one for one in standings if one.entry and one.entry.state is not QueueState.ENDED]
    if json_:
        emit([as_json(one) for one in live])
    else:
        show_table(live) if live else say(NOTHING_QUEUED)


@app.command("list", help=t(LIST))
def list_(home: Home, json_: Json = False) -> None:
    """List studies."""
    from federation.commands.queue_table import as_json, show_table
    from federation.operations.launch import studies_as_json

    with _queue(home) as found:
        standings = found.standings()
    if json_:
        records = {one["id"]: one for one in studies_as_json(home)}
        emit([{**records.get(one.study, {}), **as_json(one)} for one in standings])
    else:
        show_table(standings) if standings else say(NO_STUDIES)


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


def _queue(home: Path) -> "Queueing":
    from federation.commands.running import actor
    from federation.coordinator.home import CentreHome
    from federation.operations.queueing import Queueing

    return Queueing(CentreHome.open(home), actor=actor())


def _id(study: str) -> "StudyId":
    from federation.domain.ids import StudyId

    return StudyId(study)


def _wished(entry: "Entry") -> dict[str, object]:
    return {"id": entry.study, "state": entry.state.value, "wish": entry.wish.value}


def _moment(text: str) -> datetime:
    """Return the next such time of day, or the moment that is written; local without a zone."""
    try:
        found = datetime.fromisoformat(text).astimezone()
    except ValueError:
        found = _next(text)
    return found.astimezone(UTC)


def _next(clock: str) -> datetime:
    try:
        wanted = time.fromisoformat(clock)
    except ValueError as error:
        raise typer.BadParameter(t(NO_TIME, given=clock)) from error
    now = datetime.now().astimezone()
    today = datetime.combine(now.date(), wanted).astimezone()
    return today if today > now else today + timedelta(days=1)


def _now() -> datetime:
    return datetime.now(UTC)


app.command("replay", help=t(replay.REPLAY_RUN))(replay.replay_run)
app.command("checkpoint", help=t(replay.CHECKPOINT))(replay.checkpoint)
