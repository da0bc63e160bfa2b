"""`trifed node ingest|catalogue`: from files to a catalogued dataset."""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from federation import settings
from federation.commands.node.homes import Home, data_of, record_intake
from federation.commands.output import Json, emit, help_text, plain, say, t
from federation.commands.progress_bar import bar
from federation.errors import error_of_code
from federation.errors.data import IntakeDiskError
from federation.wording import Text

INGEST = Text(
    en="Take in DICOM files: screen, de-identify, catalogue.",
    zh="匯入 DICOM:篩檢、去識別化、編目。",
)

CATALOGUE = Text(en="Show what is here, in suppressed counts.", zh="顯示資料概況(小數目隱藏)。")

TAKING = Text(en="Taking in", zh="匯入中")
TAKEN = Text(
    en="{admitted} of {given} files admitted, {new} of them new, in {seconds:.1f} s.",
    zh="{given} 個檔案中收錄 {admitted} 個(新增 {new} 個),耗時 {seconds:.1f} 秒。",
)
KEPT_OUT = Text(en="  {count:>6}  {code}  {what}", zh="  {count:>6}  {code}  {what}")
TWICE = Text(
    en="  {count:>6}  given twice with the same bytes; counted once",
    zh="  {count:>6}  內容完全相同而重複給予,僅計一次",
)
WHICH = Text(
    en="Which files: run it again with --outcomes FILE.csv. What a code means: "
    "trifed explain CODE.",
    zh="要知道是哪些檔案,請加上 --outcomes FILE.csv 再執行一次;代碼說明:trifed explain CODE。",
)
RULES = Text(en="Show what the intake accepts and removes.", zh="顯示收錄與去識別化規則。")

NONE = Text(en="none", zh="無")

HOLDINGS = Text(
    en="{patients} patients, {studies} studies, {series} series, {instances} images",
    zh="{patients} 位病人、{studies} 次檢查、{series} 個序列、{instances} 張影像",
)

PART = Text(
    en="  {modality} {body_part}: {patients} patients, {images} images",
    zh="  {modality} {body_part}:{patients} 位病人、{images} 張影像",
)

HIDDEN = Text(en="hidden", zh="隱藏")
CLEANED = Text(
    en="What de-identification did to {images} images, by element; never a value.",
    zh="對 {images} 張影像各元素所做的去識別化處理(不含任何值)。",
)
NO_IMAGE = Text(en="No such image is here.", zh="沒有這張影像。")
ACTIONS = {
    "X": Text(en="removed", zh="移除"),
    "Z": Text(en="emptied", zh="清空"),
    "D": Text(en="replaced by a dummy", zh="以替代值取代"),
    "U": Text(en="UID remapped", zh="UID 重新對應"),
    "S": Text(en="date shifted", zh="日期位移"),
    "P": Text(en="pseudonym put in", zh="換成假名"),
    "W": Text(en="held an identifier: taken out", zh="含識別資訊:去除"),
    "B": Text(en="hidden bytes blanked", zh="遮除隱藏位元組"),
    "R": Text(en="kept, cleaned inside", zh="保留並清理內部"),
    "K": Text(en="kept", zh="保留"),
    "A": Text(en="written by us", zh="由本系統寫入"),
}
REPORT = Text(
    en="Say what de-identification did to each element of one image, or of all.",
    zh="說明對一張或全部影像的各元素所做的去識別化處理。",
)
LABELS = Text(en="labels: {labels}", zh="標籤:{labels}")

QUARANTINED = Text(en="quarantined: {codes}", zh="隔離:{codes}")

OUTCOME_HEADER = ("path", "state", "code")
Outcome = Callable[[Path, str, str], None]

app = typer.Typer()


@app.command(help=t(INGEST))
def ingest(
    path: Path,
    home: Home,
    labels: Annotated[
        Path | None,
        typer.Option(
            help=help_text(
                "labels.csv; found in PATH by itself", "labels.csv;預設於 PATH 內自動尋找"
            )
        ),
    ] = None,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            help=help_text(
                "write what became of each file here (CSV with paths, mode 0600)",
                "將每個檔案的結果寫入此 CSV(含路徑,權限 0600)",
            )
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Take in files."""
    from clients.data.intake.ingest import ingest as take_in

    with bar(TAKING, quiet=json_) as told, outcome_file(outcomes) as outcome:
        report = take_in(data_of(home), path, labels=labels, progress=told, outcome=outcome)
    record_intake(home, report.new)
    if json_:
        emit(report.as_json())
        return
    say(TAKEN, **plain(report))
    for code, count in sorted(report.quarantined.items()):
        kind = error_of_code(code)
        what = kind.in_general(settings.language()) if kind else ""
        say(KEPT_OUT, code=code, count=count, what=what)
    if report.duplicates:
        say(TWICE, count=report.duplicates)
    if report.quarantined and outcomes is None:
        say(WHICH)


@app.command(help=t(RULES))
def rules(
    home: Home,
    template: Annotated[
        bool,
        typer.Option("--template", help=help_text("print a file to begin with", "印出範本")),
    ] = False,
    json_: Json = False,
) -> None:
    """Show the rules of the intake."""
    from clients.data.intake.rules import TEMPLATE, read_rules

    if template:
        typer.echo(TEMPLATE, nl=False)
        return
    found = read_rules(data_of(home))
    shown = {
        "modalities": list(found.modalities),
        "body_parts": list(found.body_parts),
        "retain": sorted(option.column for option in found.options),
        "pixel_text": found.pixel_text.value,
        "largest_file_mb": found.limits.file_bytes >> 20,
        "seconds_per_file": found.timeout_s,
        "memory_per_reader_mb": found.memory_bytes >> 20,
    }
    if json_:
        emit(shown)
        return
    for key, value in shown.items():
        typer.echo(f"{key} = {json.dumps(value)}")


@app.command(help=t(CATALOGUE))
def catalogue(home: Home, json_: Json = False) -> None:
    """Show the catalogue."""
    from clients.data.catalogue.cards import catalogue_summary

    found = catalogue_summary(data_of(home))
    if json_:
        emit(found)
        return
    totals = ("patients", "studies", "series", "instances")
    say(HOLDINGS, **{key: _cell(found[key]) for key in totals})
    for one in found["by_modality_and_body_part"]:
        counts = {name: _cell(one[name]) for name in ("patients", "images")}
        say(PART, modality=one["modality"], body_part=one["body_part"] or "–", **counts)
    say(LABELS, labels=", ".join(found["labels"]) or t(NONE))
    codes = ", ".join(f"{code} {count}" for code, count in sorted(found["quarantined"].items()))
    say(QUARANTINED, codes=codes or t(NONE))


@app.command(help=t(REPORT))
def report(
    home: Home,
    instance: Annotated[
        str | None, typer.Argument(help=help_text("an image's UID here", "影像在此的 UID"))
    ] = None,
    json_: Json = False,
) -> None:
    """Show the de-identification report."""
    from clients.data.catalogue.store import Catalogue

    done: dict[str, Counter[str]] = {}
    images = 0
    with Catalogue(data_of(home)) as catalogue:
        for one in catalogue.cleaning_reports(instance):
            images += 1
            for action, tags in one.items():
                done.setdefault(action, Counter()).update(tags)
    if json_:
        emit({"images": images, "actions": done})
    elif not images:
        say(NO_IMAGE)
    else:
        say(CLEANED, images=images)
        for action in (name for name in ACTIONS if name in done):
            typer.echo(f"{action}  {t(ACTIONS[action])}")
            for path, count in sorted(done[action].items()):
                typer.echo(f"   {count:>7}  {_named(path)}")


def _named(path: str) -> str:
    """Return an element's path with the keyword of its tag where the dictionary has one."""
    from pydicom.datadict import keyword_for_tag

    return f"{path}  {keyword_for_tag(int(path.rsplit('/', 1)[-1], 16))}".rstrip()


def _cell(count: int | str) -> str:
    return t(HIDDEN) if count == "suppressed" else str(count)


@contextmanager
def outcome_file(path: Path | None) -> Iterator[Outcome | None]:
    """Write what became of each file, readable by its owner alone: paths may name patients."""
    if path is None:
        yield None
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise IntakeDiskError(why=error.strerror or type(error).__name__) from error
    with os.fdopen(
        descriptor, "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as out:  # a name that is no UTF-8 is written as the bytes it has
        os.fchmod(descriptor, 0o600)
        writer = csv.writer(out)
        writer.writerow(OUTCOME_HEADER)
        yield lambda file, state, code: writer.writerow((os.fsdecode(file), state, code))
