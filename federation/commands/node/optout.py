"""`trifed node optout`: people whose data must not be used."""

from pathlib import Path

import typer

from federation.commands.node.homes import Home, data_of
from federation.commands.output import Json, emit, t
from federation.wording import Text

OPTOUT = Text(en="People whose data must not be used.", zh="不得使用其資料的民眾。")

IMPORT = Text(en="Add the Patient IDs of a list.", zh="匯入退出名單。")

REPORT = Text(en="Say how many are listed, without names.", zh="顯示名單人數(不含姓名)。")

optout_app = typer.Typer(help=t(OPTOUT), no_args_is_help=True)


@optout_app.command("import", help=t(IMPORT))
def optout_import(source: Path, home: Home, json_: Json = False) -> None:
    """Add a list."""
    from clients.data.people.optout import import_optouts

    _show(import_optouts(data_of(home), source), as_json=json_)


@optout_app.command("report", help=t(REPORT))
def optout_report(home: Home, json_: Json = False) -> None:
    """Report on the list."""
    from clients.data.people.optout import optout_report as report

    _show(report(data_of(home)), as_json=json_)


def _show(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        emit(found)
        return
    for key, value in found.items():
        typer.echo(f"{key}: {value}")
