"""`trifed node watch|receive|fetch|sources`: how images arrive."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation import settings
from federation.commands.node.homes import Home, data_of, record_intake
from federation.commands.output import Json, emit, help_text, say, t
from federation.errors.base import PlatformError
from federation.wording import Text

if TYPE_CHECKING:
    from clients.data.intake.ingest import IngestReport
    from clients.data.ways_in.drain import Drainer
    from clients.data.ways_in.fetch import Fetched
    from clients.data.ways_in.inbox import Drained, Inbox
    from clients.data.ways_in.sources import Sources

WATCH = Text(
    en="Watch a folder and take in each file once it is finished, until stopped.",
    zh="監看資料夾,檔案寫入完成後即匯入,直到停止。",
)
RECEIVE = Text(
    en="Receive images by C-STORE and STOW-RS until stopped.",
    zh="以 C-STORE 與 STOW-RS 接收影像,直到停止。",
)
FETCH = Text(
    en="Fetch images from a PACS or DICOMweb server; again only what is missing.",
    zh="由 PACS 或 DICOMweb 伺服器擷取影像;重複執行只擷取缺少的部分。",
)
SOURCES = Text(en="Where images come from.", zh="影像來源。")
SHOW = Text(en="Show what sources.toml says.", zh="顯示 sources.toml 的內容。")
CHECK = Text(
    en="Ask every source for a sign of life (C-ECHO, QIDO-RS).",
    zh="向每個來源測試連線(C-ECHO、QIDO-RS)。",
)
PRINT_TEMPLATE = Text(
    en="Print a sources.toml with comments.", zh="印出附註解的 sources.toml 範本。"
)
WATCHING = Text(
    en="Watching; files stay where they are. Stop with Ctrl-C.",
    zh="監看中;檔案留在原處。以 Ctrl-C 停止。",
)
LISTENING = Text(
    en="Receiving as {title} on port {port}; stop with Ctrl-C.",
    zh="以 {title} 於連接埠 {port} 接收中;以 Ctrl-C 停止。",
)
STOW_LISTENING = Text(
    en="Receiving by STOW-RS on port {port}.", zh="於連接埠 {port} 以 STOW-RS 接收中。"
)
SETTLED = Text(
    en="{given} files: {new} new images admitted; quarantined: {quarantined}",
    zh="{given} 個檔案:新匯入 {new} 張影像;隔離:{quarantined}",
)
TOTAL = Text(
    en="Received {received}; taken in {given}: admitted {admitted} ({new} new), "
    "{duplicates} duplicates; quarantined: {quarantined}; refused: {refused}",
    zh="接收 {received};處理 {given}:匯入 {admitted}(新增 {new})、重複 {duplicates};"
    "隔離:{quarantined};拒絕:{refused}",
)
FETCHED = Text(
    en="{planned} series planned: {here_before} were here, {fetched} fetched, {failed} not whole; "
    "{objects} objects received, {missing} missing; errors: {errors}",
    zh="預定 {planned} 個序列:已有 {here_before}、取得 {fetched}、不完整 {failed};"
    "接收 {objects} 個物件、缺少 {missing};錯誤:{errors}",
)
FETCHING = Text(en="series {planned}, objects {objects}", zh="序列 {planned},物件 {objects}")
PROBLEM = Text(en="[{code}] {what}", zh="[{code}] {what}")
SOURCE_OK = Text(en="{name}: answers", zh="{name}:連線正常")
SOURCE_BAD = Text(en="{name}: [{code}] {what}", zh="{name}:[{code}] {what}")
NO_SOURCE = Text(en="No source is configured.", zh="尚未設定來源。")
NONE = Text(en="none", zh="無")
NO_FOLDER = Text(
    en="Name a folder, here or under [watch] in sources.toml.",
    zh="請指定資料夾,或於 sources.toml 的 [watch] 設定。",
)
OWN_FOLDER = Text(
    en="That folder holds this node's own data: watching it would never end.",
    zh="該資料夾含有本節點自己的資料,監看將無止境。",
)

app = typer.Typer()
sources_app = typer.Typer(help=t(SOURCES), no_args_is_help=True)


class FetchVia(Enum):
    """How images come from a source."""

    MOVE = "move"
    GET = "get"
    WADO = "wado"


@app.command(help=t(WATCH))
def watch(
    home: Home,
    folder: Annotated[
        Path | None,
        typer.Argument(help=help_text("as in sources.toml if not given", "預設依 sources.toml")),
    ] = None,
    json_: Json = False,
) -> None:
    """Watch a folder."""
    from clients.data.ways_in.sources import WatchSource
    from clients.data.ways_in.transfers import Transfers
    from clients.data.ways_in.watch import Pace, Watcher

    wanted = _sources(home).watch or (None if folder is None else WatchSource(folder=folder))
    if wanted is None:
        raise typer.BadParameter(t(NO_FOLDER))
    watched = (folder or home / wanted.folder).absolute()
    _check_not_ours(watched, data_of(home))
    pace = Pace(settle_s=wanted.settle_s, rescan_s=wanted.rescan_s)
    with (
        _stoppable() as stop,
        _drainer(home, json_) as drainer,
        Transfers(data_of(home)) as transfers,
    ):
        watcher = Watcher(
            folder=watched,
            inbox=drainer.inbox,
            transfers=transfers,
            drainer=drainer,
            pace=pace,
            told=_tell,
            stop=stop,
        )
        None if json_ else say(WATCHING)
        watcher.run()
    _end(drainer.total, dict(watcher.counts), as_json=json_)


@app.command(help=t(RECEIVE))
def receive(home: Home, json_: Json = False) -> None:
    """Receive images."""
    from clients.data.ways_in.receiver import Receiver
    from clients.data.ways_in.sources import receiver_of, stow_of
    from clients.data.ways_in.stow import StowServer

    sources = _sources(home)
    wanted = receiver_of(sources.receiving(), home, also=frozenset())
    counts: dict[str, int] = {}
    with _stoppable() as stop, _drainer(home, json_) as drainer, ExitStack() as held:
        received = held.enter_context(Receiver(drainer.inbox, wanted, arrived=drainer.nudge))
        None if json_ else say(LISTENING, title=wanted.ae_title, port=received.port)
        web = None
        if sources.stow is not None:
            settings_ = stow_of(sources.stow, home)
            web = held.enter_context(StowServer(drainer.inbox, settings_, arrived=drainer.nudge))
            None if json_ else say(STOW_LISTENING, port=web.port)
        while not stop.wait(1.0):
            drainer.check()
        held.close()
        counts = dict(received.counts + (web.application.counts if web else Counter()))
    _end(drainer.total, counts, as_json=json_)


@app.command(help=t(FETCH))
def fetch(
    source: str,
    home: Home,
    modality: Annotated[
        list[str] | None,
        typer.Option(help=help_text("such as CR; may be repeated", "如 CR;可重複")),
    ] = None,
    body_part: Annotated[
        list[str] | None,
        typer.Option(help=help_text("such as CHEST; may be repeated", "如 CHEST;可重複")),
    ] = None,
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help=help_text("first study day", "檢查起日")),
    ] = None,
    to: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help=help_text("last study day", "檢查迄日")),
    ] = None,
    patients: Annotated[
        Path | None,
        typer.Option(help=help_text("file with one Patient ID a line", "每行一個病歷號的檔案")),
    ] = None,
    via: Annotated[
        FetchVia | None,
        typer.Option(help=help_text("get or wado if not given", "預設為 get 或 wado")),
    ] = None,
    json_: Json = False,
) -> None:
    """Fetch images."""
    from clients.data.ways_in.archive import Query, read_patients
    from clients.data.ways_in.fetch import Fetched
    from clients.data.ways_in.fetch import fetch as bring
    from clients.data.ways_in.opening import opened
    from clients.data.ways_in.pacs import Via
    from clients.data.ways_in.transfers import Transfers

    query = Query(
        modalities=_upper(modality),
        body_parts=_upper(body_part),
        first_day=_day(from_),
        last_day=_day(to),
        patients=() if patients is None else read_patients(patients),
    )
    sources, result = _sources(home), Fetched()
    wanted = None if via is None else Via(via.value)
    with (
        _drainer(home, json_) as drainer,
        Transfers(data_of(home)) as transfers,
        opened(sources, source, home=home, inbox=drainer.inbox, via=wanted) as archive,
    ):
        shown = _progress(json_)
        pause = drainer.keep_up
        bring(archive, query, transfers, pause=pause, progress=shown, result=result)
    if json_:
        emit(result.as_json(drainer.total))
    else:
        counts = {**result.as_json(drainer.total)["series"], "objects": result.objects}
        say(FETCHED, **counts, missing=result.missing, errors=_codes(result.errors))
        _end(drainer.total, {"received": result.objects}, as_json=False)
    result.check()


@sources_app.command("show", help=t(SHOW))
def sources_show(home: Home, json_: Json = False) -> None:
    """Show the sources."""
    found = _sources(home)
    if json_:
        emit(found.model_dump(mode="json"))
        return
    if found == type(found)():
        say(NO_SOURCE)
    for kind, value in found.model_dump(mode="json", exclude_none=True).items():
        for one in value if isinstance(value, list) else [value]:
            typer.echo(f"[{kind}] " + ", ".join(f"{key}={item}" for key, item in one.items()))


@sources_app.command("check", help=t(CHECK))
def sources_check(home: Home, json_: Json = False) -> None:
    """Ask every source; exit 0 only when all answer."""
    from clients.data.ways_in.inbox import Inbox
    from clients.data.ways_in.opening import check

    found, inbox = _sources(home), Inbox(data_of(home))
    results: list[dict[str, Any]] = []
    for source in found.fetchable:
        try:
            check(source, home=home, inbox=inbox)
            results.append({"name": source.name, "ok": True, "code": None})
            None if json_ else say(SOURCE_OK, name=source.name)
        except PlatformError as error:
            results.append({"name": source.name, "ok": False, "code": error.code})
            what = error.say_what(settings.language())
            None if json_ else say(SOURCE_BAD, name=source.name, code=error.code, what=what)
    if json_:
        emit(results)
    elif not results:
        say(NO_SOURCE)
    if not all(one["ok"] for one in results):
        raise typer.Exit(1)


@sources_app.command("template", help=t(PRINT_TEMPLATE))
def sources_template() -> None:
    """Print the template."""
    from clients.data.ways_in.sources import TEMPLATE

    typer.echo(TEMPLATE, nl=False)


app.add_typer(sources_app, name="sources")


def _check_not_ours(folder: Path, data: Path) -> None:
    """Refuse a folder in which the inbox lies, or which lies in the node's data."""
    there, ours = folder.resolve(), data.resolve()
    if ours.is_relative_to(there) or there.is_relative_to(ours):
        raise typer.BadParameter(t(OWN_FOLDER))


def _sources(home: Path) -> "Sources":
    from clients.data.ways_in.sources import read_sources

    return read_sources(home)


@contextmanager
def _stoppable() -> "Iterator[threading.Event]":
    """Turn SIGTERM and Ctrl-C into an event for the time of the block."""
    stop = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in numbers}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _drainer(home: Path, quiet: bool) -> "Iterator[Drainer]":
    """Drain the inbox for the time of the block, into the audit log as well."""
    from clients.data.ways_in.drain import Drainer

    def settled(report: "IngestReport") -> None:
        record_intake(home, report.new)
        if not quiet:
            codes = _codes(report.quarantined)
            say(SETTLED, given=report.given, new=report.new, quarantined=codes)

    with Drainer(_inbox_of(home), settled=settled, failed=_tell) as drainer:
        yield drainer


def _inbox_of(home: Path) -> "Inbox":
    """Return the inbox; it takes the largest object that any source may send."""
    from clients.data.ways_in.inbox import MEGABYTE, Inbox

    found = _sources(home)
    sizes = [one.max_object_mb for one in found.fetchable]
    sizes += [one.max_object_mb for one in (found.receiver, found.stow) if one is not None]
    return Inbox(data_of(home), largest_bytes=max(sizes, default=512) * MEGABYTE)


def _tell(error: PlatformError) -> None:
    """Say what a person should know while the command goes on."""
    what = error.say_what(settings.language())
    typer.echo(t(PROBLEM, code=error.code, what=what), err=True)


def _progress(quiet: bool) -> Any:
    import sys

    def shown(result: "Fetched") -> None:
        line = t(FETCHING, planned=result.planned, objects=result.objects)
        typer.echo(f"\r{line}  ", err=True, nl=False)

    return None if quiet or not sys.stderr.isatty() else shown


def _end(total: "Drained", counts: dict[str, int], *, as_json: bool) -> None:
    """Say what arrived and what became of it."""
    received = counts.pop("received", 0)
    if as_json:
        emit({"received": received, "refused": counts, "intake": total.as_json()})
        return
    shown = {**total.as_json(), "quarantined": _codes(total.quarantined)}
    say(TOTAL, received=received, refused=_codes(counts), **shown)


def _codes(counts: dict[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in sorted(counts.items())) or t(NONE)


def _upper(values: list[str] | None) -> frozenset[str]:
    return frozenset(value.strip().upper() for value in values or ())


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
