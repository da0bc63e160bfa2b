"""`trifed node`: what hospital staff do. See everything, decide everything, refuse anything."""

import typer

from federation.commands.node import books, data, decisions, membership, optout
from federation.commands.output import t
from federation.wording import Text

HELP = Text(
    en="Run a hospital's node: data, decisions, privacy book.",
    zh="執行醫院節點:資料、決定與隱私帳本。",
)


app = typer.Typer(help=t(HELP), no_args_is_help=True)
for part in (membership, data, decisions, books):
    app.add_typer(part.app)
app.add_typer(optout.optout_app, name="optout")
app.add_typer(decisions.policy_app, name="policy")
app.add_typer(books.ledger_app, name="ledger")
