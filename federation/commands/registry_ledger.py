"""`trifed registry ledger`: the centre's book of what left each hospital, exported and compared."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

HELP = Text(
    en="Export and compare the centre's privacy book of a hospital.",
    zh="匯出並比對中心所記各醫院的隱私帳本。",
)
EXPORT = Text(
    en="Write the centre's signed book of one hospital's releases, for that hospital.",
    zh="匯出中心所記某院釋出內容的簽署帳本,供該院使用。",
)
COMPARE = Text(
    en="Compare with a hospital's exported book; exit 0 only when they agree.",
    zh="與醫院匯出的帳本比對;一致才以 0 結束。",
)
EXPORTED = Text(
    en="Wrote {entries} entries about {site} to {file}.\n"
    "At the hospital: trifed node ledger compare {file}",
    zh="已將 {site} 的 {entries} 筆紀錄寫入 {file}。\n於醫院執行:trifed node ledger compare {file}",
)
SAME = Text(
    en="The books of {site} and of the centre agree on {rounds} rounds.",
    zh="{site} 與中心的帳本在 {rounds} 輪上一致。",
)

ledger_app = typer.Typer(help=t(HELP), no_args_is_help=True)
Home = AtCentre
Study = Annotated[
    str | None, typer.Option(help=help_text("compare this study only", "僅比對此研究"))
]


@ledger_app.command("export", help=t(EXPORT))
def ledger_export(site: str, file: Path, home: Home, json_: Json = False) -> None:
    """Write the centre's book of a hospital."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import SiteId
    from federation.operations.site_books import export_site_book
    from federation.storage import write_atomic

    content, entries = export_site_book(CentreHome.open(home), SiteId(site), now=datetime.now(UTC))
    write_atomic(file, content, mode=0o600)
    written = {"site": site, "file": file, "entries": entries}
    emit(written) if json_ else say(EXPORTED, **written)


@ledger_app.command("compare", help=t(COMPARE))
def ledger_compare(
    site: str, file: Path, home: Home, study: Study = None, json_: Json = False
) -> None:
    """Compare with a hospital's book; raises `BooksDifferError` where they differ."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import SiteId, StudyId
    from federation.operations.site_books import compare_site_book

    asked = None if study is None else StudyId(study)
    rounds = compare_site_book(CentreHome.open(home), SiteId(site), read_file(file), study=asked)
    said = {"site": site, "rounds": rounds}
    emit({**said, "same": True}) if json_ else say(SAME, **said)
