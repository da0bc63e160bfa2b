"""`trifed registry witness`: the other centres and the nodes co-sign the log's state.

The centre: `add`, `list`, `request`, `take`, `retire`. A witness, anywhere and offline:
`sign`, with its own key and a folder of its own.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from registry.roles import Author
    from registry.witnesses.service import Witnesses

HELP = Text(en="Witnesses that co-sign the log's state.", zh="共同簽署紀錄狀態的見證者。")
ADD = Text(en="Make a witness known, or give one its new key.", zh="登錄見證者,或更新其金鑰。")
RETIRE = Text(en="Ask a witness no more.", zh="停用見證者。")
LIST = Text(en="Say who co-signs, and up to where.", zh="列出見證者與其簽署進度。")
REQUEST = Text(en="Write what a witness is asked to sign.", zh="產生給見證者簽署的請求檔。")
SIGN = Text(
    en="As a witness: check that the log only grew, and co-sign it.",
    zh="見證者:確認紀錄只有增長,並共同簽署。",
)
TAKE = Text(en="Keep what a witness signed.", zh="收存見證者簽署的狀態。")
ADDED = Text(
    en="{name} is a witness; the log has that at {place}.",
    zh="{name} 已登錄為見證者;紀錄位置 {place}。",
)
RETIRED = Text(en="{name} is not asked any more.", zh="已停用見證者 {name}。")
LINE = Text(
    en="{name}  {kind}  {state}  signed {size} entries  {keyid}",
    zh="{name}  {kind}  {state}  已簽署 {size} 筆  {keyid}",
)
NONE = Text(en="There are no witnesses yet.", zh="尚無見證者。")
WROTE = Text(
    en="Wrote {path}: the state of {size} entries. On the witness's machine: trifed registry "
    "witness sign {path}",
    zh="已寫入 {path}:{size} 筆的紀錄狀態。請於見證者的機器執行:"
    "trifed registry witness sign {path}",
)
SIGNED = Text(
    en="Signed the state of {size} entries. Bring {path} back to the centre: trifed registry "
    "witness take {path}",
    zh="已簽署 {size} 筆的紀錄狀態。請將 {path} 交回中心:trifed registry witness take {path}",
)
TOOK = Text(en="Kept the signatures of: {names}", zh="已收存簽章:{names}")
NOT_TEXT = Text(en="the file is not a request or a note", zh="檔案並非請求或紀錄狀態")
KNOWN = Text(en="These signatures were known already.", zh="這些簽章先前已收存。")

witness_app = typer.Typer(help=t(HELP), no_args_is_help=True)
Out = Annotated[Path | None, typer.Option(help=help_text("file to write", "要寫入的檔案"))]
Person = Annotated[str, typer.Option(help=help_text("who enters it", "登錄者"))]
House = Annotated[str, typer.Option(help=help_text("of which house", "所屬機構"))]


@witness_app.command(help=t(ADD))
def add(
    name: str,
    home: AtCentre,
    key: Annotated[
        Path, typer.Option(help=help_text("the witness's public key (PEM)", "見證者公鑰(PEM)"))
    ],
    person: Person,
    organisation: House,
    house: Annotated[
        str, typer.Option(help=help_text("the witness's organisation", "見證者所屬機構"))
    ],
    node: Annotated[
        bool, typer.Option("--node", help=help_text("it is a hospital's node", "屬於醫院節點"))
    ] = False,
    json_: Json = False,
) -> None:
    """Enter a witness as a signed, logged record."""
    from federation.evidence.verification import PublicKey
    from registry.witnesses.noun import WitnessKind

    kept = _witnesses(home).enter(
        name,
        PublicKey.load(key),
        kind=WitnessKind.NODE if node else WitnessKind.CENTRE,
        organisation=house,
        author=_keeper_of_keys(person, organisation),
    )
    if json_:
        emit({"name": kept.id, "revision": kept.revision, "log_index": kept.log_index})
        return
    say(ADDED, name=kept.id, place=kept.log_index)


@witness_app.command(help=t(RETIRE))
def retire(
    name: str,
    home: AtCentre,
    person: Person,
    organisation: House,
    reason: Annotated[str, typer.Option(help=help_text("why", "原因"))],
    json_: Json = False,
) -> None:
    """Retire a witness; what it signed stays good."""
    author = _keeper_of_keys(person, organisation)
    kept = _witnesses(home).retire(name, author=author, reason=reason)
    emit({"name": kept.id, "state": kept.state}) if json_ else say(RETIRED, name=kept.id)


@witness_app.command("list", help=t(LIST))
def list_(home: AtCentre, json_: Json = False) -> None:
    """List the witnesses."""
    from registry.witnesses.routes import as_json

    found = [as_json(one) for one in _witnesses(home).standing()]
    if json_:
        emit({"items": found})
        return
    for one in found:
        shown = {name: one[name] for name in ("name", "kind", "state", "size", "keyid")}
        say(LINE, **shown)
    if not found:
        say(NONE)


@witness_app.command(help=t(REQUEST))
def request(name: str, home: AtCentre, out: Out = None, json_: Json = False) -> None:
    """Write a request in the form of c2sp.org/tlog-witness."""
    asked = _witnesses(home).request(name)
    path = out or Path(f"{name}.request")
    _save(path, asked.as_text())
    size = _size(asked.note)
    emit({"request": path, "old": asked.old, "size": size}) if json_ else say(
        WROTE, path=path, size=size
    )


@witness_app.command(help=t(SIGN))
def sign(
    file: Annotated[Path, typer.Argument(help=help_text("request", "請求檔"))],
    name: Annotated[str, typer.Option(help=help_text("this witness's name", "本見證者名稱"))],
    key: Annotated[
        Path, typer.Option(help=help_text("this witness's private key", "本見證者私鑰"))
    ],
    centre_key: Annotated[
        Path,
        typer.Option(
            "--centre-key",
            help=help_text(
                "the centre's public key, from a source you trust", "中心公鑰,須來自可信來源"
            ),
        ),
    ],
    state: Annotated[
        Path,
        typer.Option(help=help_text("folder for what was signed", "保存簽署紀錄的資料夾")),
    ],
    out: Out = None,
    begin: Annotated[
        bool, typer.Option("--begin", help=help_text("first use of this key", "首次使用此金鑰"))
    ] = False,
    json_: Json = False,
) -> None:
    """Co-sign a state; needs no network, home or database."""
    from datetime import UTC, datetime

    from federation.evidence.signing import Signer
    from federation.evidence.verification import PublicKey
    from federation.evidence.witness import Request, with_cosignatures
    from federation.evidence.witness_book import WitnessBook

    asked = Request.from_text(_text(file))
    book = WitnessBook(state)
    if begin:
        book.begin()
    line = book.answer(
        asked,
        log=PublicKey.load(centre_key),
        witness=name,
        signer=Signer.load(key),
        at=datetime.now(UTC),
    )
    path = out or file.with_suffix(".cosigned")
    _save(path, with_cosignatures(asked.note, [line]))
    size = _size(asked.note)
    emit({"cosigned": path, "size": size}) if json_ else say(SIGNED, path=path, size=size)


@witness_app.command(help=t(TAKE))
def take(file: Path, home: AtCentre, json_: Json = False) -> None:
    """Keep the signatures in a co-signed note."""
    new = _witnesses(home).take(_text(file), actor="centre")
    if json_:
        emit({"new": list(new)})
        return
    say(TOOK, names=", ".join(new)) if new else say(KNOWN)


def _witnesses(home: Path) -> "Witnesses":
    from datetime import UTC, datetime

    from federation.coordinator.home import CentreHome
    from federation.operations.embedded_registry import registrar
    from registry.records.service import Records
    from registry.witnesses.service import Witnesses

    keeper = registrar(CentreHome.open(home))
    return Witnesses(Records(keeper.store, keeper.signer, lambda: datetime.now(UTC)))


def _keeper_of_keys(person: str, organisation: str) -> "Author":
    from registry.roles import Author, Role

    return Author(person, Role.SEC, organisation)


def _size(note: str) -> int:
    from federation.evidence.checkpoint import checkpoint_of, split_note

    return checkpoint_of(split_note(note)[0]).size


def _text(path: Path) -> str:
    from federation.errors.core import FileMissingError
    from federation.errors.witness import CosignatureRefusedError
    from federation.evidence.witness import MAX_REQUEST_BYTES

    try:
        with path.open("rb") as file:
            content = file.read(MAX_REQUEST_BYTES + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileMissingError(file=path.name, why=why) from error
    try:
        if len(content) > MAX_REQUEST_BYTES:
            raise ValueError("too long")
        return content.decode()
    except ValueError as error:
        raise CosignatureRefusedError(why=NOT_TEXT) from error


def _save(path: Path, text: str) -> None:
    from federation.storage import write_atomic

    write_atomic(path, text.encode(), mode=0o644)
