"""`trifed node predictions`: what registered versions said of the cases here; see, delete."""

from datetime import UTC, datetime

import typer

from federation.commands.homes import AtNode
from federation.commands.output import Json, emit, say, t
from federation.wording import Text

HELP = Text(
    en="Predictions that evaluations keep here: list, delete.",
    zh="評估留存於本院的預測:列出、刪除。",
)
LIST = Text(en="List the evaluations whose predictions are kept.", zh="列出留有預測的評估。")
DELETE = Text(
    en="Delete the predictions of an evaluation; no sum of it is answered afterwards.",
    zh="刪除某項評估的預測;之後不再回覆其加總。",
)
DELETED = Text(en="Deleted {count} files of {study}.", zh="已刪除 {study} 的 {count} 個檔案。")
NONE = Text(en="None are kept.", zh="沒有留存的預測。")
ROW = Text(en="{study}  {files} files", zh="{study}  {files} 個檔案")

app = typer.Typer(help=t(HELP), no_args_is_help=True)


@app.command("list", help=t(LIST))
def list_(home: AtNode, json_: Json = False) -> None:
    """List kept predictions by study."""
    from clients.evaluation_study.kept import kept_files
    from clients.home import NodeHome

    found = kept_files(NodeHome.open(home))
    if json_:
        emit(found)
        return
    for study, files in found.items():
        say(ROW, study=study, files=files)
    if not found:
        say(NONE)


@app.command(help=t(DELETE))
def delete(study: str, home: AtNode, json_: Json = False) -> None:
    """Delete the predictions of one study."""
    from clients.home import NodeHome
    from clients.retention import delete_predictions
    from federation.commands.running import actor
    from federation.domain.ids import StudyId

    name, now = StudyId(study), datetime.now(UTC)
    count = delete_predictions(NodeHome.open(home), name, actor=actor(), now=now)
    emit({"study": name, "deleted": count}) if json_ else say(DELETED, count=count, study=name)
