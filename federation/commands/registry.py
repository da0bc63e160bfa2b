"""`trifed registry`: what regulators and reviewers do. List, read, take the evidence home."""

from pathlib import Path
from typing import Annotated

import typer

from federation import settings
from federation.commands import (
    registry_accounts,
    registry_card,
    registry_drafts,
    registry_keys,
    registry_ledger,
    registry_lineage,
    registry_nouns,
    registry_runs,
    registry_serve,
    registry_witness,
)
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

HELP = Text(en="Read the register of models and its evidence.", zh="查閱模型登錄與其證據。")
LIST = Text(en="List the registered model versions.", zh="列出已登錄的模型版本。")
SHOW = Text(
    en="Show one entry, its signature and log place checked.", zh="顯示一筆項目並驗證簽章與紀錄。"
)
EXPORT = Text(
    en="Write an entry's evidence bundle for offline checking.", zh="匯出可離線驗證的證據包。"
)
EXPORTED = Text(
    en="Wrote {path}. Anyone can check it without a network: trifed evidence verify {path}",
    zh="已寫入 {path}。任何人可離線驗證:trifed evidence verify {path}",
)

app = typer.Typer(help=t(HELP), no_args_is_help=True)
app.add_typer(registry_ledger.ledger_app, name="ledger")
app.add_typer(registry_drafts.card_app, name="card")
app.add_typer(registry_nouns.record_app, name="record")
app.add_typer(registry_accounts.account_app, name="account")
app.add_typer(registry_keys.key_app, name="key")
app.add_typer(registry_witness.witness_app, name="witness")
registry_lineage.add_to(app)
registry_runs.add_to(app)
app.command(help=t(registry_serve.SERVE))(registry_serve.serve)
app.command("import-chai", help=t(registry_card.IMPORT))(registry_card.import_chai)
Home = AtCentre


@app.command("list", help=t(LIST))
def list_(home: Home, json_: Json = False) -> None:
    """List entries."""
    from rich.console import Console

    from federation.operations.registry import list_entries
    from registry.models.pages import list_page

    found = list_entries(home)
    if json_:
        emit({"total": found.total, "items": found.items})
        return
    Console().print(list_page(found.items, settings.language()))


@app.command(help=t(SHOW))
def show(entry: str, home: Home, json_: Json = False) -> None:
    """Show an entry; exit 0 only when its evidence holds."""
    from rich.console import Console

    from federation.operations.registry import show_entry, state_of
    from registry.models.pages import show_page
    from registry.pages.states import status_of

    found = show_entry(home, entry)
    if found.failure is not None:
        raise found.failure
    if json_:
        emit(found.shown.record)
        return
    state = state_of(home, entry)
    now = status_of(state) if state is not None else None
    Console().print(show_page(found, settings.language(), now=now))


@app.command(help=t(EXPORT))
def export(
    entry: str,
    home: Home,
    out: Annotated[
        Path | None, typer.Option(help=help_text("file to write", "要寫入的檔案"))
    ] = None,
    with_model: Annotated[
        bool, typer.Option(help=help_text("include the weights", "包含模型權重"))
    ] = False,
    json_: Json = False,
) -> None:
    """Export an entry."""
    from federation.operations.registry import export_bundle

    path = export_bundle(home, entry, out or Path(f"{entry}.zip"), with_model=with_model)
    emit({"entry": entry, "bundle": path}) if json_ else say(EXPORTED, path=path)
