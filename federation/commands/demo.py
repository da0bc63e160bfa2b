"""`trifed demo`: the main job on this machine, for real, in one command."""

import sys
import time
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from rich.console import Console

    from federation.commands.rehearsal import Hospital, Plan, Rehearsal

HELP = Text(
    en="Three hospital processes train one model under differential privacy, on this machine.",
    zh="在本機以三個醫院程序、差分隱私訓練同一個模型。",
)
TITLE = Text(
    en="TriFed demo: {sites} hospitals, {rounds} rounds, epsilon {epsilon:g} per patient. Real "
    "processes, mutual TLS, DICOM files; you are every hospital's data officer.",
    zh="TriFed 示範:{sites} 家醫院、{rounds} 輪、每位病人 epsilon {epsilon:g}。真實程序、雙向 TLS、"
    "DICOM 檔案;由您擔任各院資料官。",
)
PREPARING = Text(
    en="- Centre, keys and hospitals are set up; DICOM files are taken in",
    zh="- 建立中心、金鑰與醫院;匯入 DICOM 檔案",
)
STRICT = Text(
    en="- The policy of {site} allows epsilon {epsilon:g} only: it will say no, the others go on",
    zh="- {site} 的政策僅允許 epsilon {epsilon:g}:將拒絕此研究,其他醫院照常進行",
)
INGESTED = Text(
    en="  {site}: {admitted} of {given} files admitted; kept out: {codes}",
    zh="  {site}:{given} 個檔案收錄 {admitted} 個;隔離:{codes}",
)
AT_WORK = Text(en="At work …", zh="進行中 …")
DONE = Text(
    en="\nDone in {seconds:.0f} s: {done} of {asked} rounds, model {model}.",
    zh="\n完成,耗時 {seconds:.0f} 秒:{done}/{asked} 輪,模型 {model}。",
)
FAILED = Text(
    en="\nThe demo failed after {seconds:.0f} s with {done} of {asked} rounds done.",
    zh="\n示範失敗,耗時 {seconds:.0f} 秒,完成 {done}/{asked} 輪。",
)
COLUMNS = (
    Text(en="hospital", zh="醫院"),
    Text(en="process", zh="程序"),
    Text(en="patients", zh="病人"),
    Text(en="epsilon spent", zh="已用 epsilon"),
    Text(en="AUROC, held-out patients (95 %)", zh="保留病人 AUROC(95 %)"),
)
REFUSED = Text(en="  {site} refused: [{code}] {what}", zh="  {site} 拒絕:[{code}] {what}")
ERROR = Text(en="  [{code}] {site} {what}", zh="  [{code}] {site} {what}")
SUPPRESSED = Text(en="kept inside ({code})", zh="留在院內({code})")
REPORT = Text(
    en="Study report, with its figures, for a browser: {path}",
    zh="研究報告與圖表(以瀏覽器開啟):{path}",
)
NEXT = Text(en="\nNext, as the three kinds of people would:", zh="\n下一步(三種使用者):")
REGULATOR = Text(en="regulator", zh="主管機關")
HOSPITAL = Text(en="hospital", zh="醫院")
CENTRE = Text(en="centre", zh="中心")


def demo(
    workdir: Annotated[
        Path, typer.Option(help=help_text("folder to work in", "工作資料夾"))
    ] = Path("trifed-demo"),
    sites: Annotated[int, typer.Option(min=2, max=12, help=help_text("hospitals", "醫院數"))] = 3,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help=help_text("rounds", "輪數"))] = 5,
    recipe: Annotated[
        str, typer.Option(help=help_text("recipe of the wheel", "內建配方"))
    ] = "cxr-pneumonia-small",
    epsilon: Annotated[
        float, typer.Option(min=0.01, max=8.0, help=help_text("per patient", "每位病人"))
    ] = 8.0,
    dicom: Annotated[
        Path | None,
        typer.Option(
            help=help_text(
                "your files: DIR/SITE/*.dcm and labels.csv", "您的檔案:DIR/SITE/*.dcm 與 labels.csv"
            )
        ),
    ] = None,
    chaos: Annotated[
        bool,
        typer.Option(
            help=help_text(
                "kill -9 the centre in the middle of a round, and show how it goes on",
                "在一輪進行中強制終止中心,並展示如何繼續",
            )
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Run the whole federation here; exit 0 only when it completed."""
    from rich.console import Console

    from federation.commands.rehearsal import Plan

    plan = Plan(
        workdir=workdir.absolute(),
        sites=sites,
        rounds=rounds,
        recipe=recipe,
        epsilon=epsilon,
        dicom=None if dicom is None else dicom.absolute(),
        chaos=chaos,
    )
    console = Console(stderr=json_, highlight=False)
    result = _perform(plan, console)
    if json_:
        emit(result)
    else:
        _summary(result, plan, console)
    sys.exit(0 if result["status"] == "completed" else 1)


def _perform(plan: "Plan", console: "Console") -> dict[str, Any]:
    from federation.commands.chaos import Chaos
    from federation.commands.following import result_of
    from federation.commands.live import LiveTable
    from federation.commands.rehearsal import STUDY, Rehearsal

    started = time.monotonic()
    with Rehearsal(plan) as rehearsal:
        rehearsal.start_centre()
        names = [str(hospital.site) for hospital in rehearsal.hospitals]
        strict = [one for one in rehearsal.hospitals if one.is_strict]
        training = len(names) - len(strict)
        console.print(
            t(TITLE, sites=training, rounds=plan.rounds, epsilon=plan.epsilon), soft_wrap=True
        )
        for one in strict:
            allowed = rehearsal.largest_epsilon(one)
            console.print(t(STRICT, site=one.site, epsilon=allowed), soft_wrap=True)
        console.print(t(PREPARING))
        opened = rehearsal.open_hospitals(lambda one: _tell_ingested(console, one))
        study = rehearsal.start_study()
        chaos = Chaos(rehearsal, min(2, plan.rounds), partial(console.print, soft_wrap=True))
        with LiveTable(console, sites=names, rounds=plan.rounds) as table:
            result = result_of(
                study,
                STUDY,
                look=partial(_check, rehearsal, opened),
                listeners=[table.tell, chaos.tell] if plan.chaos else [table.tell],
            )
        if plan.chaos:
            result["chaos"] = chaos.as_json()
        for site in result["sites"]:
            site["pid"] = rehearsal.pid_of(site["site"])
        if result["registry"]["entry"]:
            _go_on(rehearsal, result, console)
    result["seconds"] = round(time.monotonic() - started, 1)
    return result


def _go_on(rehearsal: "Rehearsal", result: dict[str, Any], console: "Console") -> None:
    """Evaluate the version, study its impact, open its dossier; then export its bundle."""
    from federation.commands.evidence_rehearsal.chapter import Chapter

    entry, sites = result["registry"]["entry"], [site["site"] for site in result["sites"]]
    chapter = Chapter(rehearsal, entry, sites, partial(console.print, soft_wrap=True))
    with console.status(t(AT_WORK)):
        result |= chapter.run()
    result["registry"]["bundle"] = str(_export(rehearsal, entry))


def _check(rehearsal: "Rehearsal", opened: "Future[None]") -> None:
    """Raise what ended a process, or what kept a hospital from being opened."""
    rehearsal.check_running()
    if opened.done():
        opened.result()


def _tell_ingested(console: "Console", hospital: "Hospital") -> None:
    found = hospital.ingested
    console.print(
        t(
            INGESTED,
            site=hospital.site,
            admitted=found["admitted"],
            given=found["given"],
            codes=", ".join(f"{code} {count}" for code, count in found["quarantined"].items())
            or "–",
        )
    )


def _export(rehearsal: "Rehearsal", entry: str) -> Path:
    from federation.operations.registry import export_bundle

    path = rehearsal.plan.workdir / f"{entry}.zip"
    return export_bundle(rehearsal.centre, entry, path, with_model=True)


def _summary(result: dict[str, Any], plan: "Plan", console: "Console") -> None:
    from rich.table import Table

    rounds = result["rounds"]
    completed = result["status"] == "completed"
    values = {"seconds": result["seconds"], "done": rounds["done"], "asked": rounds["asked"]}
    if completed:
        values["model"] = f"{result['model']['id']} v{result['model']['version']}"
    console.print(t(DONE if completed else FAILED, **values))
    if result["sites"]:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for column in COLUMNS:
            table.add_column(t(column))
        for site in result["sites"]:
            table.add_row(*_row(site))
        console.print(table)
    for one in result["refused"]:
        console.print(t(REFUSED, **one), soft_wrap=True)
    for one in result["errors"]:
        console.print(t(ERROR, **{**one, "site": one["site"] or ""}), style="red")
    if completed:
        _next_steps(result, plan)


def _row(site: dict[str, Any]) -> tuple[str, ...]:
    auroc = t(SUPPRESSED, code=site["suppressed"]) if site["suppressed"] else "–"
    if site["auroc"] is not None:
        auroc = f"{site['auroc']:.3f} ({site['auroc_low']:.3f}–{site['auroc_high']:.3f})"
    epsilon = "–" if site["epsilon"] is None else f"{site['epsilon']:.2f} (δ {site['delta']:g})"
    return site["site"], str(site["pid"]), str(site["patients"]), epsilon, auroc


def _next_steps(result: dict[str, Any], plan: "Plan") -> None:
    import os

    from rich.cells import set_cell_size

    folder = os.path.relpath(plan.workdir)
    site = result["sites"][0]["site"]
    trifed = _command()
    say(NEXT)
    for who, command in (
        (REGULATOR, f"registry show {result['registry']['entry']} --home {folder}/centre"),
        (HOSPITAL, f"node ledger show --home {folder}/hospitals/{site}"),
        (CENTRE, f"study show pneumonia-demo --home {folder}/centre"),
        *_of_the_dossier(result, folder),
    ):
        typer.echo(f"  {set_cell_size(t(who), 10)} {trifed} {command}")
    report = (result.get("impact") or {}).get("report")
    if report:
        say(REPORT, path=os.path.relpath(report))


def _of_the_dossier(result: dict[str, Any], folder: str) -> list[tuple[Text, str]]:
    """Return how to read what the dossier lacks, if there is one."""
    found = result["dossier"].get("id")
    return [(CENTRE, f"dossier status {found} --home {folder}/centre")] if found else []


def _command() -> str:
    """Return how to call this program from here: `trifed` when it is on the path."""
    import os
    import shutil

    if shutil.which("trifed"):
        return "trifed"
    called = Path(sys.argv[0])
    is_script = called.name == "trifed"
    return os.path.relpath(called) if is_script else "python -m federation.commands.main"
