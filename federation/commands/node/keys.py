"""`trifed node keys`: rotate the pseudonym keys; resolve a pseudonym with two persons."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.node.homes import Home, data_of, now, open_node
from federation.commands.node.optout import lines_of, record_deed
from federation.commands.output import Json, emit, help_text, plain, say, t
from federation.domain.audit import AuditKind
from federation.errors.people import CandidateMissingError, RotationRefusedError
from federation.wording import Text

if TYPE_CHECKING:
    from clients.data.people.reveal import Request
    from federation.evidence.signing import Signer

KEYS = Text(en="The keys of this project's pseudonyms.", zh="本專案的假名金鑰。")
LIST = Text(en="List the keys by name, oldest first.", zh="由舊至新列出金鑰名稱。")
ROTATE = Text(
    en="Bring a new key into use; every stored name follows. Run again if interrupted.",
    zh="啟用新金鑰並改寫所有已儲存的名稱;中斷後可再次執行。",
)
ASK = Text(
    en="Ask for a pseudonym to be resolved; a second person must approve.",
    zh="申請解析假名;須由第二人核准。",
)
APPROVE = Text(en="Approve another person's request.", zh="核准他人的申請。")
REVEAL = Text(
    en="Resolve an approved pseudonym among the Patient IDs of a file.",
    zh="以檔案中的病歷號解析已核准的假名。",
)
REQUESTS = Text(en="List the requests and where they stand.", zh="列出申請與狀態。")
PEOPLE = Text(en="Print a people.toml to begin with.", zh="印出 people.toml 範本。")

ROTATED = Text(
    en="Key {key_id} is in use, number {keys}; {images} images were renamed.",
    zh="已啟用金鑰 {key_id}(第 {keys} 把),改寫 {images} 張影像。",
)
ASKED = Text(
    en="Request {id} by {asked_by}, open for seven days. Another person approves it with\n"
    "  trifed node keys approve-reveal {id} --by NAME --key FILE",
    zh="已由 {asked_by} 提出申請 {id},七日內有效。請由另一人核准:\n"
    "  trifed node keys approve-reveal {id} --by NAME --key FILE",
)
APPROVED = Text(
    en="Request {id} approved by {approved_by}.", zh="申請 {id} 已由 {approved_by} 核准。"
)
REQUEST = Text(
    en="{id}  {state}  {reason}  asked by {asked_by} {asked_at}  approved by {approver}",
    zh="{id}  {state}  {reason}  申請:{asked_by} {asked_at}  核准:{approver}",
)
NO_REQUEST = Text(en="No request was made.", zh="沒有任何申請。")
STATES = {
    "open": Text(en="waits for approval", zh="待核准"),
    "approved": Text(en="approved", zh="已核准"),
    "used": Text(en="used", zh="已使用"),
    "expired": Text(en="expired", zh="已過期"),
}
OPEN_STUDY = Text(en="the study {study} is approved here", zh="研究 {study} 在本院仍為核准狀態")

By = Annotated[
    str, typer.Option(help=help_text("your name in people.toml", "people.toml 中的姓名"))
]
KeyFile = Annotated[
    Path, typer.Option("--key", help=help_text("your own key, mode 0600", "個人金鑰,權限 0600"))
]

keys_app = typer.Typer(help=t(KEYS), no_args_is_help=True)


@keys_app.command("list", help=t(LIST))
def keys_list(home: Home, json_: Json = False) -> None:
    """List the keys."""
    from clients.data.layout import KEY_FILE
    from clients.data.people.keys import FileKeys

    names = [key.id for key in FileKeys(data_of(home) / KEY_FILE).ring()]
    if json_:
        emit({"keys": names, "current": names[-1]})
    for number, name in enumerate(() if json_ else names, 1):
        typer.echo(f"{number}  {name}")


@keys_app.command("rotate", help=t(ROTATE))
def keys_rotate(home: Home, json_: Json = False) -> None:
    """Rotate the keys."""
    from clients.data.people.rotation import is_switching, rotate

    if not is_switching(data_of(home)):
        _check_no_study_open(home)
    done = rotate(data_of(home), now=now())
    record_deed(home, AuditKind.KEY_ROTATED, done.key_id, actor="staff", keys=str(done.keys))
    emit(done) if json_ else say(ROTATED, **plain(done))


@keys_app.command("request-reveal", help=t(ASK))
def request_reveal(
    pseudonym: str,
    home: Home,
    reason: Annotated[
        str,
        typer.Option(
            help=help_text(
                "incidental-finding, person-asked, legal-order or data-error",
                "incidental-finding、person-asked、legal-order 或 data-error",
            )
        ),
    ],
    ticket: Annotated[
        str, typer.Option(help=help_text("number of the written request", "書面需求單號"))
    ],
    by: By,
    key: KeyFile,
    json_: Json = False,
) -> None:
    """Ask for a pseudonym to be resolved."""
    from clients.data.people.reveal import Reveals, reason_named

    made = Reveals(data_of(home)).ask(
        pseudonym,
        reason=reason_named(reason),
        ticket=ticket,
        by=by,
        signer=_signer(key),
        now=now(),
    )
    _record(home, AuditKind.REVEAL_REQUESTED, made, by)
    emit({"request": made.id}) if json_ else say(ASKED, id=made.id, asked_by=by)


@keys_app.command("approve-reveal", help=t(APPROVE))
def approve_reveal(request: str, home: Home, by: By, key: KeyFile, json_: Json = False) -> None:
    """Approve a request."""
    from clients.data.people.reveal import Reveals

    found = Reveals(data_of(home)).approve(request, by=by, signer=_signer(key), now=now())
    _record(home, AuditKind.REVEAL_APPROVED, found, by)
    emit({"request": found.id}) if json_ else say(APPROVED, id=found.id, approved_by=by)


@keys_app.command("reveal", help=t(REVEAL))
def reveal(
    request: str,
    home: Home,
    candidates: Annotated[
        Path,
        typer.Option(
            help=help_text(
                "Patient IDs, one a line, issuer after a tab; - for stdin",
                "每列一個病歷號,發行者以 Tab 分隔;- 表示標準輸入",
            )
        ),
    ],
    by: By,
    key: KeyFile,
    json_: Json = False,
) -> None:
    """Resolve a pseudonym; the Patient ID is printed and kept nowhere."""
    from clients.data.people.reveal import Reveals

    try:
        used, patient = Reveals(data_of(home)).reveal(
            request, lines_of(candidates), by=by, signer=_signer(key), now=now()
        )
    except CandidateMissingError:
        record_deed(home, AuditKind.REVEAL_DONE, request, actor=by, outcome="none found")
        raise
    _record(home, AuditKind.REVEAL_DONE, used, by)
    emit({"request": used.id, "patient_id": patient}) if json_ else typer.echo(patient)


@keys_app.command("requests", help=t(REQUESTS))
def requests(home: Home, json_: Json = False) -> None:
    """List the requests."""
    from clients.data.people.reveal import Reveals

    listed = Reveals(data_of(home)).listed()
    shown = [{**plain(one), "state": _state_of(one, now())} for one in listed]
    if json_:
        emit(shown)
    elif not shown:
        say(NO_REQUEST)
    for one in () if json_ else shown:
        approver = one["approved_by"] or "-"
        say(REQUEST, **{**one, "state": t(STATES[one["state"]]), "approver": approver})


@keys_app.command("people-template", help=t(PEOPLE))
def people_template() -> None:
    """Print a file to begin with."""
    from clients.data.people.reveal import TEMPLATE

    typer.echo(TEMPLATE, nl=False)


def _check_no_study_open(home: Path) -> None:
    """Refuse while a study is approved here: who is held out is decided by pseudonym."""
    from clients.approvals import Decision, decision_of
    from clients.home import MARKER
    from federation.evidence.verification import PublicKey

    if not (home / MARKER).exists():
        return
    node, desk = open_node(home)
    officer = PublicKey.load(node.officer_public_key)
    for study in desk.proposed():
        is_over = datetime.fromisoformat(study.expires) <= now()
        if not is_over and decision_of(desk, study, officer) is Decision.APPROVED:
            raise RotationRefusedError(why=OPEN_STUDY.say(study=study.id))


def _signer(key: Path) -> "Signer":
    from federation.evidence.signing import Signer

    return Signer.load(key)


def _record(home: Path, kind: AuditKind, request: "Request", by: str) -> None:
    """Write a step into the audit log: who, which request, why; not of whom."""
    record_deed(
        home, kind, request.id, actor=by, request=str(request.digest), reason=request.reason
    )


def _state_of(request: "Request", at: datetime) -> str:
    from clients.data.people.reveal import VALID_FOR

    if request.used_at:
        return "used"
    if at >= datetime.fromisoformat(request.asked_at) + VALID_FOR:
        return "expired"
    return "approved" if request.approved_by else "open"
