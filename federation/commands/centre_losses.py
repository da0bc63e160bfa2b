"""`trifed centre accept-loss`: agree with a hospital that its book or audit log is lost."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

ACCEPT = Text(
    en="Agree with a hospital, whose data officer signed it, that its book or log is lost.",
    zh="同意醫院(經其資料官簽署)的帳本或紀錄已遺失。",
)
ACCEPTED = Text(
    en="Agreed with {site}. It gets the agreement at its next connection, or by hand: "
    "trifed node ledger accept-loss --agreement {file}",
    zh="已與 {site} 達成同意。該院於下次連線時取得,或以檔案交付:"
    "trifed node ledger accept-loss --agreement {file}",
)

app = typer.Typer()
Home = AtCentre


@app.command("accept-loss", help=t(ACCEPT))
def accept_loss(
    site: str,
    home: Home,
    reason: Annotated[str, typer.Option(help=help_text("why", "原因"))],
    statement: Annotated[
        Path | None,
        typer.Option(
            help=help_text("the hospital's loss.dsse.json, if brought by hand", "醫院交付的聲明檔")
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Sign the centre's agreement."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import SiteId
    from federation.operations.site_losses import agree_to_loss

    file = agree_to_loss(
        CentreHome.open(home),
        SiteId(site),
        reason=reason,
        now=datetime.now(UTC),
        statement=None if statement is None else read_file(statement),
    )
    said = {"site": site, "file": file}
    emit(said) if json_ else say(ACCEPTED, **said)
