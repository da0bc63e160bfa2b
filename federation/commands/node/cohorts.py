"""`trifed node labels|cohort`: what is known of the images, and who is in a cohort."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.node.homes import Home, data_of
from federation.commands.output import Json, emit, help_text, say, t
from federation.errors import error_of_code
from federation.wording import Text

if TYPE_CHECKING:
    from clients.data.cohort.definition import Definition

LABELS = Text(
    en="Read labels: CSV, DICOM SR or SEG (file or folder), FHIR Observation.",
    zh="讀取標籤:CSV、DICOM SR 或 SEG(檔案或資料夾)、FHIR Observation。",
)
APPLIED = Text(en="{count} labels written.", zh="已寫入 {count} 個標籤。")
NOT_FITTING = Text(en="  {count:>6}  {code}  {what}", zh="  {count:>6}  {code}  {what}")
COHORT = Text(
    en="Cohorts as this hospital defines them (cohorts/NAME.toml).",
    zh="本院定義的世代(cohorts/名稱.toml)。",
)
LIST = Text(en="List the cohorts of this home.", zh="列出此工作目錄的世代。")
SHOW = Text(en="Show what a cohort asks for.", zh="顯示世代的查詢條件。")
COUNT = Text(
    en="Count the patients of a cohort, rounded to tens; below ten is not shown.",
    zh="計算世代的病人數(取整至十位;少於十人不顯示)。",
)
NO_COHORT = Text(
    en="No cohort is defined: every image that a recipe accepts is used.",
    zh="未定義世代:使用配方可接受的所有影像。",
)
TITLED = Text(en="{name}  {title}", zh="{name}  {title}")
PATIENTS = Text(en="{patients} patients", zh="{patients} 位病人")
PART = Text(en="  {part} {name}: {patients}", zh="  {part} {name}:{patients}")
ROUNDED = Text(
    en="Numbers are rounded one by one and need not add up.",
    zh="各數字分別取整,加總不一定相等。",
)
PARTS = {
    "by_modality": Text(en="modality", zh="設備類別"),
    "by_body_part": Text(en="body part", zh="身體部位"),
    "by_sex": Text(en="sex", zh="性別"),
    "by_age_band": Text(en="age", zh="年齡"),
}

app = typer.Typer()
cohort_app = typer.Typer(help=t(COHORT), no_args_is_help=True)


@app.command(help=t(LABELS))
def labels(
    source: Path,
    home: Home,
    mapping: Annotated[
        Path | None,
        typer.Option(
            help=help_text(
                "TOML file that says which code means which label",
                "說明各編碼代表哪個標籤的 TOML 檔",
            )
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Read labels."""
    from clients.data.labels.sources import take_labels

    counted = take_labels(data_of(home), source, mapping=mapping)
    if json_:
        emit(counted)
        return
    say(APPLIED, count=counted.pop("applied"))
    for code, count in sorted(counted.items()):
        kind = error_of_code(code)
        if count and kind is not None:
            say(NOT_FITTING, code=code, count=count, what=kind.in_general(settings.language()))


@cohort_app.command("list", help=t(LIST))
def cohort_list(home: Home, json_: Json = False) -> None:
    """List the cohorts."""
    from clients.data.cohort.definition import cohort_names, named_cohort

    data = data_of(home)
    found = [named_cohort(data, name) for name in cohort_names(data)]
    if json_:
        emit([{"name": one.name, "title": one.title} for one in found])
        return
    if not found:
        say(NO_COHORT)
    for one in found:
        say(TITLED, name=one.name, title=one.title)


@cohort_app.command("show", help=t(SHOW))
def cohort_show(name: str, home: Home, json_: Json = False) -> None:
    """Show a cohort."""
    one = _definition(data_of(home), name)
    asked = one.query.as_json()
    if json_:
        emit({"name": one.name, "title": one.title, "query": asked})
        return
    say(TITLED, name=one.name, title=one.title)
    for key, value in asked.items():
        typer.echo(f"  {key}: {value}")


@cohort_app.command("count", help=t(COUNT))
def cohort_count(name: str, home: Home, json_: Json = False) -> None:
    """Count a cohort."""
    from clients.data.catalogue.cards import cohort_counts

    data = data_of(home)
    one = _definition(data, name)
    counted = cohort_counts(data, one.query)
    if json_:
        emit({"name": one.name, **counted})
        return
    say(PATIENTS, patients=counted["patients"])
    for key, part in PARTS.items():
        for value, patients in counted[key].items():
            say(PART, part=part, name=value, patients=patients)
    say(ROUNDED)


def _definition(data: Path, name: str) -> "Definition":
    """Return the cohort of a name, or of a file such as ``./new.toml`` to try it out."""
    from clients.data.cohort.definition import named_cohort, read_cohort

    return read_cohort(Path(name)) if name.endswith(".toml") else named_cohort(data, name)
