"""`trifed node ledger|audit`: what was spent and what was done."""

import typer

from federation.commands.node.homes import Home, open_node
from federation.commands.output import Json, emit, say, t
from federation.wording import Text

LEDGER = Text(en="Show and verify the privacy book.", zh="顯示並驗證隱私帳本。")

AUDIT = Text(en="Show and verify the node's audit log.", zh="顯示並驗證節點稽核紀錄。")

BOOK = Text(
    en="{dataset}: epsilon {epsilon:.3f} of {budget:g} spent at delta {delta:g} "
    "({entries} entries, chain verified)",
    zh="{dataset}:已用 epsilon {epsilon:.3f},上限 {budget:g},delta {delta:g}"
    "(共 {entries} 筆,鏈已驗證)",
)

EMPTY_BOOK = Text(en="Nothing was ever spent.", zh="尚未消耗任何預算。")

ledger_app = typer.Typer(help=t(LEDGER), no_args_is_help=True)

app = typer.Typer()


@ledger_app.command("show", help=t(LEDGER))
def ledger_show(home: Home, json_: Json = False) -> None:
    """Show every dataset's book, verified."""
    from clients.ledger_store import LedgerStore
    from clients.policy import read_policy
    from federation.privacy.accountants import spent

    node, _ = open_node(home)
    policy, store = read_policy(node.policy), LedgerStore(node.ledger)
    books = [(name, store.book(name)) for name in store.datasets()]
    everything = spent(store.events(), policy.dataset_delta).epsilon
    shown = [
        {
            "dataset": name,
            "epsilon": spent(book.events(), policy.dataset_delta).epsilon,
            "epsilon_all": everything,
            "budget": policy.dataset_epsilon,
            "delta": policy.dataset_delta,
            "head": book.head,
            "entries": [entry.as_json() for entry in book.entries],
        }
        for name, book in books
    ]
    if json_:
        emit(shown)
    elif not shown:
        say(EMPTY_BOOK)
    for one in () if json_ else shown:
        say(BOOK, **{**one, "entries": len(entries_of(one))})


@ledger_app.command("verify", help=t(LEDGER))
def ledger_verify(home: Home, json_: Json = False) -> None:
    """Verify every book; exit 0 only when all chains hold."""
    ledger_show(home, json_)


@app.command(help=t(AUDIT))
def audit(home: Home, json_: Json = False) -> None:
    """Show the audit log, verified."""
    from clients import audit_log

    node, _ = open_node(home)
    events = audit_log.verify(node.audit_log) if node.audit_log.exists() else []
    if json_:
        emit(events)
    for event in () if json_ else events:
        typer.echo(f"{event['at']}  {event['kind']}  {event['subject']}  {event['details']}")


def entries_of(shown: dict[str, object]) -> list[object]:
    """Return the entries of a book as shown."""
    entries = shown["entries"]
    return entries if isinstance(entries, list) else []
