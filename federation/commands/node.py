"""`trifed node`: what hospital staff do. See everything, decide everything, refuse anything."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.output import Json, emit, help_text, plain, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from clients.approvals import Desk
    from clients.home import NodeHome
    from federation.domain.study import Study

HELP = Text(
    en="Run a hospital's node: data, decisions, privacy book.",
    zh="執行醫院節點:資料、決定與隱私帳本。",
)
INIT = Text(
    en="Make a node from an invitation; its keys are born here.",
    zh="由邀請檔建立節點;金鑰在此產生。",
)
JOIN = Text(en="Take in the kit that the centre signed.", zh="匯入中心簽署的憑證包。")
SERVE = Text(en="Run the node until stopped.", zh="執行節點直到停止。")
INGEST = Text(
    en="Take in DICOM files: screen, de-identify, catalogue.",
    zh="匯入 DICOM:篩檢、去識別化、編目。",
)
CATALOGUE = Text(en="Show what is here, in suppressed counts.", zh="顯示資料概況(小數目隱藏)。")
PROPOSALS = Text(
    en="Show what is asked of this hospital, in words.", zh="以文字顯示向本院提出的研究。"
)
APPROVE = Text(en="Sign an approval of exactly this study.", zh="簽署核准此研究。")
REFUSE = Text(en="Sign a refusal with a reason.", zh="簽署拒絕並附理由。")
WITHDRAW = Text(
    en="Sign the end of an approval; it binds from the next message on.",
    zh="簽署撤回核准;自下一則訊息起生效。",
)
EXPLAIN = Text(en="Say what the policy thinks of a study.", zh="說明政策對研究的判定。")
LEDGER = Text(en="Show and verify the privacy book.", zh="顯示並驗證隱私帳本。")
AUDIT = Text(en="Show and verify the node's audit log.", zh="顯示並驗證節點稽核紀錄。")
OPTOUT = Text(en="People whose data must not be used.", zh="不得使用其資料的民眾。")
IMPORT = Text(en="Add the Patient IDs of a list.", zh="匯入退出名單。")
REPORT = Text(en="Say how many are listed, without names.", zh="顯示名單人數(不含姓名)。")

MADE = Text(
    en="The node of {site} is ready in {home}; its keys never leave it.\n"
    "Send {request} to the centre, then: trifed node join KIT --home {home}",
    zh="{site} 的節點已建立於 {home};金鑰不會離開。\n"
    "請將 {request} 送交中心,之後執行:trifed node join KIT --home {home}",
)
JOINED = Text(
    en="Joined {centre}. Next: trifed node ingest FOLDER, then trifed node serve.",
    zh="已加入 {centre}。下一步:trifed node ingest FOLDER,再 trifed node serve。",
)
SERVING = Text(
    en="The node of {site} serves {centre}; stop with Ctrl-C.",
    zh="{site} 節點連線至 {centre};以 Ctrl-C 停止。",
)
TAKEN = Text(
    en="{admitted} of {given} files admitted in {seconds:.1f} s; {duplicates} duplicates; "
    "quarantined: {quarantined}",
    zh="{given} 個檔案中匯入 {admitted} 個,耗時 {seconds:.1f} 秒;"
    "重複 {duplicates} 個;隔離:{quarantined}",
)
NONE = Text(en="none", zh="無")
HOLDINGS = Text(
    en="{patients} patients, {studies} studies, {series} series, {instances} images",
    zh="{patients} 位病人、{studies} 次檢查、{series} 個序列、{instances} 張影像",
)
PART = Text(
    en="  {modality} {body_part}: {patients} patients, {images} images",
    zh="  {modality} {body_part}:{patients} 位病人、{images} 張影像",
)
LABELS = Text(en="labels: {labels}", zh="標籤:{labels}")
QUARANTINED = Text(en="quarantined: {codes}", zh="隔離:{codes}")
NOTHING = Text(en="Nothing is proposed to this hospital.", zh="目前沒有向本院提出的研究。")
PROPOSAL = Text(
    en="""{id}  [{decision}]  digest {digest}
  {title}
  Asked by {centre}, for {purpose}; until {expires}.
  Trains {recipe} for {rounds} rounds on the cohort {cohort}, {quorum} of {sites} sites at least.
  What leaves: a model update, patient count and loss per round; metrics at the end.
  Privacy: {privacy}
  Policy: {policy}
""",
    zh="""{id}  [{decision}]  摘要 {digest}
  {title}
  由 {centre} 提出,目的:{purpose};有效至 {expires}。
  以世代 {cohort} 訓練 {recipe},共 {rounds} 輪,{sites} 個站點中至少 {quorum} 個。
  離院內容:每輪一份模型更新、病人數、訓練損失;最後為評估指標。
  隱私:{privacy}
  政策:{policy}
""",
)
PRIVATE = Text(
    en="at most epsilon {epsilon:g} at delta {delta:g} per patient over the whole study",
    zh="整個研究中每位病人至多 epsilon {epsilon:g}(delta {delta:g})",
)
NOT_PRIVATE = Text(en="no differential privacy", zh="未使用差分隱私")
POLICY_YES = Text(en="allows it", zh="允許")
POLICY_NO = Text(en="refuses it: {reasons}", zh="拒絕:{reasons}")
UNDECIDED = Text(en="undecided", zh="未決定")
DECIDED = {
    "approved": Text(en="approved", zh="已核准"),
    "refused": Text(en="refused", zh="已拒絕"),
    "withdrawn": Text(en="withdrawn", zh="已撤回"),
}
APPROVED = Text(
    en="Approved and signed: {study}. The node sends it to the centre.",
    zh="已核准並簽署:{study}。節點將送交中心。",
)
REFUSED = Text(en="Refused and signed: {study}.", zh="已拒絕並簽署:{study}。")
WITHDRAWN = Text(en="Withdrawn and signed: {study}.", zh="已撤回並簽署:{study}。")
BOOK = Text(
    en="{dataset}: epsilon {epsilon:.3f} of {budget:g} spent at delta {delta:g} "
    "({entries} entries, chain verified)",
    zh="{dataset}:已用 epsilon {epsilon:.3f},上限 {budget:g},delta {delta:g}"
    "(共 {entries} 筆,鏈已驗證)",
)
EMPTY_BOOK = Text(en="Nothing was ever spent.", zh="尚未消耗任何預算。")

app = typer.Typer(help=t(HELP), no_args_is_help=True)
optout_app = typer.Typer(help=t(OPTOUT), no_args_is_help=True)
policy_app = typer.Typer(help=t(EXPLAIN), no_args_is_help=True)
ledger_app = typer.Typer(help=t(LEDGER), no_args_is_help=True)
app.add_typer(optout_app, name="optout")
app.add_typer(policy_app, name="policy")
app.add_typer(ledger_app, name="ledger")
Home = Annotated[
    Path,
    typer.Option(
        "--home", help=help_text("node home", "節點的工作目錄"), default_factory=settings.node_home
    ),
]


@app.command(help=t(INIT))
def init(
    home: Home,
    invitation: Annotated[
        Path, typer.Option(help=help_text("the centre's invitation file", "中心的邀請檔"))
    ],
    name: Annotated[
        str | None, typer.Option(help=help_text("what people call the hospital", "醫院名稱"))
    ] = None,
    json_: Json = False,
) -> None:
    """Make a node."""
    from clients.enrolment import init_node
    from clients.policy import TEMPLATE
    from federation.pki.requests import Invitation
    from federation.storage import write_atomic

    asked = Invitation.from_bytes(read_file(invitation))
    node = init_node(home, invitation=asked, now=_now(), name=name)
    write_atomic(node.policy, TEMPLATE.encode(), mode=0o600)
    made = {"site": node.settings().site, "home": node.folder, "request": node.request_file}
    emit(made) if json_ else say(MADE, **made)


@app.command(help=t(JOIN))
def join(kit: Path, home: Home, json_: Json = False) -> None:
    """Take in the kit."""
    from clients.enrolment import join_node
    from clients.home import NodeHome
    from federation.pki.kit import Kit

    node = NodeHome.open(home)
    join_node(node, Kit.from_bytes(read_file(kit)), now=_now())
    found = node.settings()
    emit({"site": found.site, "centre": found.centre}) if json_ else say(
        JOINED, centre=found.centre
    )


@app.command(help=t(SERVE))
def serve(home: Home) -> None:
    """Run the node."""
    from clients.agent import serve_node
    from clients.home import NodeHome
    from federation.supervision.process import with_large_buffers

    with_large_buffers()
    found = NodeHome.open(home).settings()
    say(SERVING, site=found.site, centre=found.centre)
    serve_node(home)


@app.command(help=t(INGEST))
def ingest(
    path: Path,
    home: Home,
    labels: Annotated[
        Path | None,
        typer.Option(
            help=help_text(
                "labels.csv; found in PATH by itself", "labels.csv;預設於 PATH 內自動尋找"
            )
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Take in files."""
    from clients.data.intake import ingest as take_in

    report = take_in(_data_of(home), path, labels=labels)
    _record_intake(home, report.new)
    if json_:
        emit(report.as_json())
        return
    found = ", ".join(f"{code} {n}" for code, n in sorted(report.quarantined.items()))
    say(TAKEN, **{**plain(report), "quarantined": found or t(NONE)})


@app.command(help=t(CATALOGUE))
def catalogue(home: Home, json_: Json = False) -> None:
    """Show the catalogue."""
    from clients.data.cards import catalogue_summary

    found = catalogue_summary(_data_of(home))
    if json_:
        emit(found)
        return
    say(HOLDINGS, **{key: found[key] for key in ("patients", "studies", "series", "instances")})
    for one in found["by_modality_and_body_part"]:
        say(PART, **{**one, "body_part": one["body_part"] or "–"})
    say(LABELS, labels=", ".join(found["labels"]) or t(NONE))
    codes = ", ".join(f"{code} {count}" for code, count in sorted(found["quarantined"].items()))
    say(QUARANTINED, codes=codes or t(NONE))


@app.command(help=t(PROPOSALS))
def proposals(home: Home, json_: Json = False) -> None:
    """Show every proposal in words."""
    node, desk = _open(home)
    listed = [_described(node, desk, study) for study in desk.proposed()]
    if json_:
        emit(listed)
    elif not listed:
        say(NOTHING)
    for one in () if json_ else listed:
        typer.echo(_in_words(node, one))


@app.command(help=t(APPROVE))
def approve(
    study: str,
    home: Home,
    digest: Annotated[
        str | None, typer.Option(help=help_text("refuse any version but this", "只核准此版本"))
    ] = None,
    json_: Json = False,
) -> None:
    """Approve a study."""
    from clients.decide import approve_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = approve_study(NodeHome.open(home), StudyId(study), now=_now(), digest=digest)
    emit({"study": study, "decision": "approved", "file": path}) if json_ else say(
        APPROVED, study=study
    )


@app.command(help=t(REFUSE))
def refuse(
    study: str,
    home: Home,
    reason: Annotated[str, typer.Option(help=help_text("the centre reads it", "中心會讀到"))],
    json_: Json = False,
) -> None:
    """Refuse a study."""
    from clients.decide import refuse_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = refuse_study(NodeHome.open(home), StudyId(study), reason=reason, now=_now())
    emit({"study": study, "decision": "refused", "file": path}) if json_ else say(
        REFUSED, study=study
    )


@app.command(help=t(WITHDRAW))
def withdraw(
    study: str,
    home: Home,
    reason: Annotated[str, typer.Option(help=help_text("the centre reads it", "中心會讀到"))],
    json_: Json = False,
) -> None:
    """End an approval."""
    from clients.decide import withdraw_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = withdraw_study(NodeHome.open(home), StudyId(study), reason=reason, now=_now())
    emit({"study": study, "decision": "withdrawn", "file": path}) if json_ else say(
        WITHDRAWN, study=study
    )


@policy_app.command("show", help=t(EXPLAIN))
def policy_show(home: Home, json_: Json = False) -> None:
    """Show the policy."""
    from clients.policy import read_policy

    node, _ = _open(home)
    found = read_policy(node.policy)
    emit(found.model_dump(mode="json")) if json_ else typer.echo(
        node.policy.read_text(encoding="utf-8")
    )


@policy_app.command("explain", help=t(EXPLAIN))
def policy_explain(study: str, home: Home, json_: Json = False) -> None:
    """Say what the policy thinks of a study."""
    from federation.domain.ids import StudyId

    node, desk = _open(home)
    one = _described(node, desk, desk.proposal(StudyId(study)))
    emit(one) if json_ else typer.echo(_in_words(node, one))


@ledger_app.command("show", help=t(LEDGER))
def ledger_show(home: Home, json_: Json = False) -> None:
    """Show every dataset's book, verified."""
    from clients.ledger_store import LedgerStore
    from clients.policy import read_policy
    from federation.privacy.accountants import spent

    node, _ = _open(home)
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

    node, _ = _open(home)
    events = audit_log.verify(node.audit_log) if node.audit_log.exists() else []
    if json_:
        emit(events)
    for event in () if json_ else events:
        typer.echo(f"{event['at']}  {event['kind']}  {event['subject']}  {event['details']}")


@optout_app.command("import", help=t(IMPORT))
def optout_import(source: Path, home: Home, json_: Json = False) -> None:
    """Add a list."""
    from clients.data.optout import import_optouts

    _show(import_optouts(_data_of(home), source), as_json=json_)


@optout_app.command("report", help=t(REPORT))
def optout_report(home: Home, json_: Json = False) -> None:
    """Report on the list."""
    from clients.data.optout import optout_report as report

    _show(report(_data_of(home)), as_json=json_)


def entries_of(shown: dict[str, object]) -> list[object]:
    """Return the entries of a book as shown."""
    entries = shown["entries"]
    return entries if isinstance(entries, list) else []


def _show(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        emit(found)
        return
    for key, value in found.items():
        typer.echo(f"{key}: {value}")


def _data_of(home: Path) -> Path:
    """Return the data folder of a home; a plain folder works too, to try an intake."""
    from clients.home import MARKER, NodeHome

    return NodeHome.open(home).data if (home / MARKER).exists() else home / "data"


def _record_intake(home: Path, new: int) -> None:
    from clients import audit_log
    from clients.home import MARKER, NodeHome
    from federation.domain.audit import AuditEvent, AuditKind

    if (home / MARKER).exists():
        details = {"new": str(new)}
        event = AuditEvent(AuditKind.DATA_INGESTED, "staff", "data", _now(), details)
        audit_log.append(NodeHome.open(home).audit_log, event)


def _open(home: Path) -> "tuple[NodeHome, Desk]":
    from clients.approvals import Desk
    from clients.home import NodeHome

    node = NodeHome.open(home)
    return node, Desk(node.proposals, node.decisions, node.settings().site)


def _described(node: "NodeHome", desk: "Desk", study: "Study") -> dict[str, object]:
    from clients.approvals import decision_of
    from clients.policy import read_policy, reasons_against
    from federation.evidence.verification import PublicKey
    from federation.recipes import catalogue as recipes
    from federation.wire.study import study_as_json

    decision = decision_of(desk, study, PublicKey.load(node.officer_public_key))
    reasons = reasons_against(
        study,
        read_policy(node.policy),
        recipe=recipes.recipe(study.recipe),
        now=_now(),
        language=settings.language(),
    )
    return {
        "study": study_as_json(study),
        "decision": None if decision is None else decision.value,
        "policy_reasons": reasons,
    }


def _in_words(node: "NodeHome", one: dict[str, object]) -> str:
    study, reasons = one["study"], one["policy_reasons"]
    assert isinstance(study, dict)
    assert isinstance(reasons, list)
    privacy, decision = study["privacy"], one["decision"]
    return t(
        PROPOSAL,
        id=study["id"],
        digest=str(study["digest"]).removeprefix("sha256:")[:12],
        decision=t(UNDECIDED if decision is None else DECIDED[str(decision)]),
        title=study["title"],
        centre=node.settings().centre,
        purpose=study["purpose"],
        expires=study["expires"],
        recipe=study["recipe"],
        rounds=study["training"]["rounds"],
        cohort=study["cohort"],
        quorum=study["quorum"],
        sites=len(study["sites"]),
        privacy=t(NOT_PRIVATE) if privacy is None else t(PRIVATE, **_pick(privacy)),
        policy=t(POLICY_NO, reasons="; ".join(reasons)) if reasons else t(POLICY_YES),
    )


def _pick(privacy: dict[str, object]) -> dict[str, object]:
    return {"epsilon": privacy["epsilon"], "delta": privacy["delta"]}


def _now() -> datetime:
    return datetime.now(UTC)
