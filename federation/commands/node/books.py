"""`trifed node ledger|audit|refusals`: what was spent, what was done, what was kept inside."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.node.homes import Home, now
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from clients.home import NodeHome
    from clients.ledger_store import LedgerStore
    from federation.privacy.bookkeeping import Library

LEDGER = Text(en="Show, verify and compare the privacy book.", zh="顯示、驗證並比對隱私帳本。")

SHOW = Text(en="Show what every dataset has spent.", zh="顯示各資料集已消耗的預算。")

VERIFY = Text(
    en="Verify every chain of the book and of the audit log, and that they continue what was "
    "signed of them; exit 0 only when all hold.",
    zh="驗證帳本與稽核紀錄的每一條鏈,並確認其延續先前簽署的內容;全部成立才以 0 結束。",
)

EXPORT = Text(
    en="Write the whole book, signed by the node, to a file.", zh="將整份帳本(經節點簽署)匯出。"
)

COMPARE = Text(
    en="Compare the book with the centre's signed one; exit 0 only when they agree.",
    zh="與中心簽署的帳本比對;一致才以 0 結束。",
)

HEADS = Text(
    en="Show what is kept of the centre's log; exit 0 only when its newest word held.",
    zh="顯示所保存的中心紀錄狀態;其最近一次說明成立才以 0 結束。",
)

ACCEPT_LOSS = Text(
    en="Accept, as the data officer, that book or log are lost for good; or take the centre's "
    "agreement in.",
    zh="由資料官接受帳本或紀錄已無法復原;或匯入中心的同意書。",
)

START_ANEW = Text(
    en="put a book or log that cannot be read aside and begin a new one",
    zh="將無法讀取的帳本或紀錄移開並重新開始",
)

BUDGET_HELP = Text(
    en="Sign a budget into a dataset's book, as the data officer.",
    zh="由資料官將預算簽入資料集的帳本。",
)

CLOSE = Text(
    en="Close a dataset's book: nothing more can be spent on it.",
    zh="結束資料集的帳本:不再允許消耗。",
)

AUDIT = Text(en="Show and verify the node's audit log.", zh="顯示並驗證節點稽核紀錄。")

REFUSALS = Text(
    en="Show what was kept inside the hospital, and why.", zh="顯示留在院內的回覆及其原因。"
)

BOOK = Text(
    en="{dataset}: epsilon {epsilon:.3f} of {budget:g} spent at delta {delta:g} "
    "(Renyi {epsilon_rdp:.3f}, PLD {epsilon_pld:.3f}, the larger binds; "
    "{entries} entries, chain verified)",
    zh="{dataset}:已用 epsilon {epsilon:.3f},上限 {budget:g},delta {delta:g}"
    "(Renyi {epsilon_rdp:.3f}、PLD {epsilon_pld:.3f},取較大者;共 {entries} 筆,鏈已驗證)",
)

ALL = Text(
    en="All datasets together, for the patients are the same: epsilon {epsilon_all:.3f}; "
    "in the last {period_days} days {epsilon_period:.3f} of {period_budget:g} "
    "at delta {period_delta:g}.",
    zh="所有資料集合計(病人相同):epsilon {epsilon_all:.3f};"
    "最近 {period_days} 日 {epsilon_period:.3f},上限 {period_budget:g},delta {period_delta:g}。",
)

EMPTY_BOOK = Text(en="Nothing was ever spent.", zh="尚未消耗任何預算。")

VERIFIED = Text(
    en="The privacy book holds: {entries} entries, head {head}.\n"
    "The audit log holds: {lines} lines, head {log}.",
    zh="隱私帳本成立:共 {entries} 筆,摘要 {head}。\n稽核紀錄成立:共 {lines} 行,摘要 {log}。",
)

EXPORTED = Text(en="Wrote {entries} entries to {file}.", zh="已將 {entries} 筆紀錄寫入 {file}。")

CENTRE_LOG = Text(
    en="The centre's log, as shown on {at}: {entries} entries, root {root}; it only grew.",
    zh="中心的紀錄({at} 出示):{entries} 筆,根值 {root};僅有增加。",
)

NO_CENTRE_LOG = Text(en="The centre showed nothing of its log yet.", zh="中心尚未出示其紀錄狀態。")

PAST_PROBLEM = Text(en="{at}  [{code}]", zh="{at}  [{code}]")

LOSS_SIGNED = Text(
    en="Signed. {file} goes to the centre by itself, or bring it; nothing is answered until "
    "`trifed centre accept-loss {site}` agrees.",
    zh="已簽署。{file} 將自動送達中心,亦可自行交付;"
    "在 `trifed centre accept-loss {site}` 同意之前不回覆任何要求。",
)

LOSS_OVER = Text(
    en="The centre agreed; what it knows to be released is in the new book. The node answers.",
    zh="中心已同意;其所知已釋出的內容已記入新帳本。節點恢復回覆。",
)

LOSS_KNOWN = Text(en="Nothing waits for this agreement.", zh="沒有等待此同意書的聲明。")

LOSS_WORDS = Text(
    en="Give --reason, or --agreement FILE, not both.", zh="請擇一:--reason 或 --agreement。"
)

SAME = Text(en="The two books agree on {rounds} rounds.", zh="兩份帳本在 {rounds} 輪上一致。")

SIGNED = Text(
    en="{dataset} may spend epsilon {epsilon:g} at delta {delta:g}, {period}. Signed.",
    zh="{dataset} 可消耗 epsilon {epsilon:g}(delta {delta:g}),{period}。已簽署。",
)

EVER = Text(en="in all", zh="總計")

IN_DAYS = Text(en="in any {days} days", zh="任 {days} 日內")

CLOSED = Text(
    en="The book of {dataset} is closed; what was spent goes on counting.",
    zh="{dataset} 的帳本已結束;已消耗的部分仍計入。",
)

NO_REFUSALS = Text(en="Nothing was ever kept inside.", zh="從未有回覆被留在院內。")

REFUSAL = Text(
    en="{at}  {subject}  [{code}] {what} {rule}", zh="{at}  {subject}  [{code}] {what} {rule}"
)

WITHHELD = "update-withheld"

ledger_app = typer.Typer(help=t(LEDGER), no_args_is_help=True)

app = typer.Typer()

Study = Annotated[
    str | None, typer.Option(help=help_text("compare this study only", "僅比對此研究"))
]


@ledger_app.command("show", help=t(SHOW))
def ledger_show(home: Home, json_: Json = False) -> None:
    """Show every dataset's book, verified."""
    node = _node(home)
    shown = _shown(node, _store(node).library())
    if json_:
        emit(shown)
    elif not shown:
        say(EMPTY_BOOK)
    for one in () if json_ else shown:
        say(BOOK, **{**one, "entries": len(entries_of(one))})
    if shown and not json_:
        say(ALL, **shown[0])


@ledger_app.command("verify", help=t(VERIFY))
def ledger_verify(home: Home, json_: Json = False) -> None:
    """Verify book and log; exit 0 only when all chains hold and continue what was signed."""
    from clients.heads import check_heads, heads_now
    from clients.losses import era_of

    node = _node(home)
    books = _store(node)
    heads = heads_now(books, node.audit_log, era=era_of(node))
    check_heads(node, books=books)
    if json_:
        emit(heads.as_json())
        return
    log = heads.audit
    say(VERIFIED, entries=heads.ledger.entries, head=heads.ledger.head, lines=log.lines,
        log=log.head)  # fmt: skip


@ledger_app.command("export", help=t(EXPORT))
def ledger_export(file: Path, home: Home, json_: Json = False) -> None:
    """Write the signed book to a file."""
    from federation.evidence.book_export import sign_book
    from federation.evidence.signing import Signer
    from federation.privacy.comparison import export
    from federation.storage import write_atomic

    node = _node(home)
    library, signer = _store(node).library(), Signer.load(node.node_key)
    site, at = node.settings().site, now().isoformat()
    signed = sign_book(export(library), site=site, signer=signer, at=at)
    write_atomic(file, signed, mode=0o600)
    written = {"file": file, "entries": library.head.entries}
    emit(written) if json_ else say(EXPORTED, **written)


@ledger_app.command("compare", help=t(COMPARE))
def ledger_compare(file: Path, home: Home, study: Study = None, json_: Json = False) -> None:
    """Compare with the centre's book; raises `BooksDifferError` where they differ."""
    from federation.domain.ids import StudyId
    from federation.evidence.book_export import read_signed_book
    from federation.evidence.verification import PublicKey
    from federation.privacy.comparison import check_same, read_export

    node = _node(home)
    centre = PublicKey.load(node.centre_evidence_key)
    signed = read_signed_book(read_file(file), site=node.settings().site, key=centre)
    ours, theirs = _store(node).library(), read_export(signed.book)
    check_same(ours, theirs, study=None if study is None else StudyId(study))
    rounds = sum(len(book.standing()) for book in theirs.books.values())
    emit({"same": True, "rounds": rounds}) if json_ else say(SAME, rounds=rounds)


@ledger_app.command("heads", help=t(HEADS))
def ledger_heads(home: Home, json_: Json = False) -> None:
    """Show what is kept of the centre's log; raises what did not hold."""
    from clients.centre_heads import check_centre_head, read_centre_heads

    node = _node(home)
    kept = read_centre_heads(node)
    if json_:
        emit(kept.as_json())
    else:
        for one in kept.problems:
            say(PAST_PROBLEM, at=one.at, code=one.code)
    check_centre_head(node)
    if json_:
        return
    say(CENTRE_LOG, **_state_of(node, kept.note), at=kept.at) if kept.note else say(NO_CENTRE_LOG)


@ledger_app.command("accept-loss", help=t(ACCEPT_LOSS))
def ledger_accept_loss(
    home: Home,
    reason: Annotated[str | None, typer.Option(help=help_text("why", "原因"))] = None,
    agreement: Annotated[
        Path | None, typer.Option(help=help_text("the centre's agreement", "中心的同意書"))
    ] = None,
    start_anew: Annotated[bool, typer.Option("--start-anew", help=t(START_ANEW))] = False,
    json_: Json = False,
) -> None:
    """Sign the loss as the data officer, or take in the centre's agreement."""
    from clients.loss_acceptance import accept_loss
    from federation.evidence.signing import Signer

    node = _node(home)
    if (reason is None) == (agreement is None):
        raise typer.BadParameter(t(LOSS_WORDS))
    if agreement is not None:
        _take_agreement(node, agreement, json_)
        return
    officer = Signer.load(node.officer_key)
    file = accept_loss(node, reason=str(reason), officer=officer, now=now(), start_anew=start_anew)
    said = {"site": node.settings().site, "file": file}
    emit({**said, "agreed": False}) if json_ else say(LOSS_SIGNED, **said)


@ledger_app.command("budget", help=t(BUDGET_HELP))
def ledger_budget(
    dataset: str,
    home: Home,
    epsilon: Annotated[float, typer.Option(help=help_text("at most", "上限"))],
    delta: Annotated[float, typer.Option(help=help_text("at this delta", "在此 delta 下"))],
    days: Annotated[
        int | None, typer.Option(help=help_text("in any so many days", "任若干日內"))
    ] = None,
    json_: Json = False,
) -> None:
    """Sign a budget with the officer's key and write it into the book."""
    from federation.evidence.signing import Signer, sign_dsse
    from federation.privacy.budget_change import BudgetChange
    from federation.privacy.ledger import Budget

    node = _node(home)
    store = _store(node)
    change = BudgetChange(dataset, store.book(dataset).head, Budget(epsilon, delta), days)
    envelope = sign_dsse(change.statement(), Signer.load(node.officer_key))
    store.change_budget(dataset, envelope, at=now().isoformat())
    period = t(EVER) if days is None else t(IN_DAYS, days=days)
    said = {"dataset": dataset, "epsilon": epsilon, "delta": delta}
    emit({**said, "days": days}) if json_ else say(SIGNED, **said, period=period)


@ledger_app.command("close", help=t(CLOSE))
def ledger_close(dataset: str, home: Home, json_: Json = False) -> None:
    """Close a book."""
    _store(_node(home)).close_book(dataset, at=now().isoformat())
    emit({"dataset": dataset, "closed": True}) if json_ else say(CLOSED, dataset=dataset)


@app.command(help=t(AUDIT))
def audit(home: Home, json_: Json = False) -> None:
    """Show the audit log, verified."""
    from clients import audit_log

    events = audit_log.verify(_node(home).audit_log)
    if json_:
        emit(events)
    for event in () if json_ else events:
        typer.echo(f"{event['at']}  {event['kind']}  {event['subject']}  {event['details']}")


@app.command(help=t(REFUSALS))
def refusals(home: Home, json_: Json = False) -> None:
    """Show every reply that was kept inside, with what its code says."""
    from clients import audit_log

    events = audit_log.verify(_node(home).audit_log)
    shown = [_refusal(event) for event in events if event["kind"] == WITHHELD]
    if json_:
        emit(shown)
    elif not shown:
        say(NO_REFUSALS)
    for one in () if json_ else shown:
        say(REFUSAL, **one)


def entries_of(shown: dict[str, object]) -> list[object]:
    """Return the entries of a book as shown."""
    entries = shown["entries"]
    return entries if isinstance(entries, list) else []


def _node(home: Path) -> "NodeHome":
    from clients.home import NodeHome

    return NodeHome.open(home)


def _take_agreement(node: "NodeHome", file: Path, json_: bool) -> None:
    from clients.loss_acceptance import take_agreement
    from clients.losses import Agreement

    taken = take_agreement(node, Agreement.from_bytes(read_file(file)), now=now())
    if json_:
        emit({"agreed": taken})
    else:
        say(LOSS_OVER if taken else LOSS_KNOWN)


def _state_of(node: "NodeHome", note: str) -> dict[str, object]:
    from federation.evidence.growth import read_note
    from federation.evidence.verification import PublicKey

    found = read_note(note, key=PublicKey.load(node.centre_evidence_key))
    return {"entries": found.size, "root": found.root.hex()}


def _store(node: "NodeHome") -> "LedgerStore":
    from clients.ledger_store import LedgerStore
    from federation.evidence.verification import PublicKey

    return LedgerStore(node.ledger, officer=PublicKey.load(node.officer_public_key))


def _shown(node: "NodeHome", library: "Library") -> list[dict[str, object]]:
    from clients.policy import read_policy
    from federation.privacy.accountants import spent

    policy = read_policy(node.policy)
    delta = policy.dataset_delta
    since = now() - timedelta(days=policy.period_days)
    together = {
        "epsilon_all": spent(library.events(), delta).epsilon,
        "epsilon_period": spent(library.events(since=since), policy.period_delta).epsilon,
        "period_budget": policy.period_epsilon,
        "period_delta": policy.period_delta,
        "period_days": policy.period_days,
    }
    costs = {name: spent(book.events(), delta) for name, book in library.books.items()}
    return [
        {
            "dataset": name,
            "epsilon": costs[name].epsilon,
            "epsilon_rdp": costs[name].epsilon_rdp,
            "epsilon_pld": costs[name].epsilon_pld,
            **together,
            "budget": policy.dataset_epsilon,
            "delta": delta,
            "head": book.head,
            "closed": book.is_closed,
            "entries": [entry.as_json() for entry in book.entries],
        }
        for name, book in sorted(library.books.items())
    ]


def _refusal(event: dict[str, object]) -> dict[str, object]:
    from federation.errors import error_of_code

    details = event["details"]
    assert isinstance(details, dict)
    code = str(details.get("code", ""))
    kind = error_of_code(code)
    return {
        "at": event["at"],
        "subject": event["subject"],
        "code": code,
        "rule": str(details.get("rule", "")),
        "what": "" if kind is None else kind.in_general(settings.language()),
    }
