"""`trifed node`: what hospital staff do. See everything, decide everything, refuse anything."""

import typer

from federation.commands import replay
from federation.commands.node import (
    books,
    cards,
    cohorts,
    data,
    decisions,
    keys,
    membership,
    optout,
    outcomes,
    policy,
    predictions,
    ways_in,
)
from federation.commands.output import t
from federation.wording import Text

HELP = Text(
    en="Run a hospital's node: data, decisions, privacy book.",
    zh="執行醫院節點:資料、決定與隱私帳本。",
)

app = typer.Typer(help=t(HELP), no_args_is_help=True)
for part in (membership, data, ways_in, cohorts, optout, decisions, books):
    app.add_typer(part.app)
app.command("replay", help=t(replay.REPLAY_ROUNDS))(replay.replay_rounds)
app.add_typer(cohorts.cohort_app, name="cohort")
app.add_typer(optout.optout_app, name="optout")
app.add_typer(keys.keys_app, name="keys")
app.add_typer(policy.person_app, name="person")
app.add_typer(policy.policy_app, name="policy")
app.add_typer(books.ledger_app, name="ledger")
app.add_typer(predictions.app, name="predictions")
app.add_typer(outcomes.app, name="outcomes")
app.add_typer(cards.card_app, name="card")
