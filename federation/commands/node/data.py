"""`trifed node ingest|catalogue`: from files to a catalogued dataset."""

from pathlib import Path
from typing import Annotated

import typer

from federation.commands.node.homes import Home, data_of, record_intake
from federation.commands.output import Json, emit, help_text, plain, say, t
from federation.wording import Text

INGEST = Text(
    en="Take in DICOM files: screen, de-identify, catalogue.",
    zh="匯入 DICOM:篩檢、去識別化、編目。",
)

CATALOGUE = Text(en="Show what is here, in suppressed counts.", zh="顯示資料概況(小數目隱藏)。")

TAKEN = Text(
    en="{admitted} of {given} files admitted in {seconds:.1f} s; {duplicates} duplicates; "
    "quarantined: {quarantined}",
    zh="{given} 個檔案中匯入 {admitted} 個,耗時 {seconds:.1f} 秒;"
    "重複 {duplicates} 個;隔離:{quarantined}",
)

NONE = Text(en="none", zh="無")

HOLDINGS = Text(
    en="{patients} patients, {studies} studies, {series} series, {instances} images",
    zh="{patients} 位病人、{studies} 次檢查、{series} 個序列、{instances} 張影像",
)

PART = Text(
    en="  {modality} {body_part}: {patients} patients, {images} images",
    zh="  {modality} {body_part}:{patients} 位病人、{images} 張影像",
)

LABELS = Text(en="labels: {labels}", zh="標籤:{labels}")

QUARANTINED = Text(en="quarantined: {codes}", zh="隔離:{codes}")

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
    json_: Json = False,
) -> None:
    """Take in files."""
    from clients.data.intake.ingest import ingest as take_in

    report = take_in(data_of(home), path, labels=labels)
    record_intake(home, report.new)
    if json_:
        emit(report.as_json())
        return
    found = ", ".join(f"{code} {n}" for code, n in sorted(report.quarantined.items()))
    say(TAKEN, **{**plain(report), "quarantined": found or t(NONE)})


@app.command(help=t(CATALOGUE))
def catalogue(home: Home, json_: Json = False) -> None:
    """Show the catalogue."""
    from clients.data.catalogue.cards import catalogue_summary

    found = catalogue_summary(data_of(home))
    if json_:
        emit(found)
        return
    say(HOLDINGS, **{key: found[key] for key in ("patients", "studies", "series", "instances")})
    for one in found["by_modality_and_body_part"]:
        say(PART, **{**one, "body_part": one["body_part"] or "–"})
    say(LABELS, labels=", ".join(found["labels"]) or t(NONE))
    codes = ", ".join(f"{code} {count}" for code, count in sorted(found["quarantined"].items()))
    say(QUARANTINED, codes=codes or t(NONE))
