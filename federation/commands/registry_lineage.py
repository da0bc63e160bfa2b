"""`trifed registry lineage` and `trifed registry dossier`: what touched what, and what is missing.

`add_to(app)` adds both to the group of `trifed registry`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.errors.core import InvalidValueError
from federation.wording import Text

if TYPE_CHECKING:
    from registry.certification.completeness import Finding
    from registry.lineage.service import Answer, Lineage
    from registry.models.service import Registrar

LINEAGE = Text(
    en="Show where a version came from, or what a dataset, site or run touched.",
    zh="顯示模型版本的來源,或資料、院所、執行所影響的版本。",
)
DOSSIER = Text(
    en="Show which requirements a dossier meets, and what to do about the others.",
    zh="顯示查驗登記文件已符合與尚缺的項目,以及後續處理方式。",
)
MET = Text(
    en="{met} of {applicable} requirements are met ({pack} {version}).",
    zh="已符合 {met}/{applicable} 項要求({pack} {version})。",
)
NOTE = Text(en="Note: {note}", zh="說明:{note}")

Entry = Annotated[str | None, typer.Argument(help=help_text("entry", "登錄項目"))]
OfDataset = Annotated[
    str | None, typer.Option("--dataset", help=help_text("digest or card", "資料摘要或資料卡"))
]
OfSite = Annotated[str | None, typer.Option("--site", help=help_text("site", "院所"))]
OfRun = Annotated[str | None, typer.Option("--run", help=help_text("run", "訓練執行"))]
Limit = Annotated[int, typer.Option(min=1, max=200, help=help_text("versions", "版本數"))]
Offset = Annotated[int, typer.Option(min=0, help=help_text("versions to skip", "略過的版本數"))]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group of `trifed registry`."""
    app.command("lineage", help=t(LINEAGE))(lineage)
    app.command("dossier", help=t(DOSSIER))(dossier)


def lineage(
    home: AtCentre,
    entry: Entry = None,
    dataset: OfDataset = None,
    site: OfSite = None,
    run: OfRun = None,
    offset: Offset = 0,
    limit: Limit = 20,
    json_: Json = False,
) -> None:
    """Show a lineage: exactly one of an entry, a dataset, a site or a run is asked for."""
    from registry.lineage.tree import tree

    asked = {"entry": entry, "dataset": dataset, "site": site, "run": run}
    given = [(name, value) for name, value in asked.items() if value is not None]
    if len(given) != 1:
        raise InvalidValueError(
            field="lineage", actual=len(given), expected="one of ENTRY, --dataset, --site, --run"
        )
    answer = _asked(_lineage(home), *given[0], offset=offset, limit=limit)
    if json_:
        emit(answer.as_json())
        return
    for line in tree(answer, settings.language()):
        typer.echo(line)


def dossier(
    id: Annotated[str, typer.Argument(help=help_text("dossier", "文件編號"))],
    home: AtCentre,
    json_: Json = False,
) -> None:
    """Show how a dossier stands; exit 0 says that it was computed, not that it is complete."""
    from registry.certification.service import completeness_of
    from registry.records.service import Records

    keeper = _registrar(home)
    found = completeness_of(Records(keeper.store, keeper.signer, keeper.clock), id)
    if json_:
        emit({"dossier": id, **found.as_json()})
        return
    said = found.as_json()
    say(
        MET,
        met=said["met"],
        applicable=said["applicable"],
        pack=found.pack.id,
        version=found.pack.version,
    )
    for one in found.findings:
        _show_finding(one)
    say(NOTE, note=t(Text(en=found.pack.note.en, zh=found.pack.note.zh)))


def _show_finding(one: "Finding") -> None:
    asked = Text(en=one.requirement.text.en, zh=one.requirement.text.zh)
    typer.echo(f"{one.status.value:16} {one.requirement.id}  {t(asked)}")
    for gap in one.gaps:
        typer.echo(f"{'':18}{t(gap.why)}: {t(gap.next_step)}")


def _asked(lineage: "Lineage", kind: str, value: str, *, offset: int, limit: int) -> "Answer":
    if kind == "entry":
        return lineage.of_entry(value)
    of = {"dataset": lineage.of_dataset, "site": lineage.of_site, "run": lineage.of_run}[kind]
    return of(value, offset=offset, limit=limit)


def _lineage(home: Path) -> "Lineage":
    from registry.lineage.service import Lineage

    keeper = _registrar(home)
    return Lineage(keeper.store, keeper.signer.public_key)


def _registrar(home: Path) -> "Registrar":
    from federation.coordinator.home import CentreHome
    from federation.operations.embedded_registry import registrar

    return registrar(CentreHome.open(home))
