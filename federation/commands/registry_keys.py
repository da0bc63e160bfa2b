"""`trifed registry key`: a person signs at a register with a key on their own machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.operations.register_signing import SigningDesk

HELP = Text(
    en="Sign at a register with a key on your own machine.", zh="以自己電腦上的金鑰於登錄系統簽署。"
)
ADD = Text(
    en="Add a key to your account; makes the key file if there is none.",
    zh="將金鑰登錄於您的帳號;金鑰檔不存在時會自動產生。",
)
SIGN = Text(en="Look at a record and sign a move of it.", zh="檢視紀錄並簽署其移轉。")
REVOKE = Text(
    en="Let a key sign nothing more; what it signed before stays good.",
    zh="撤銷金鑰;先前的簽署仍然有效。",
)
ADDED = Text(
    en="Key {id} is yours at this register. {path} (0600) is needed to sign; back it up.",
    zh="金鑰 {id} 已登錄於此登錄系統。簽署需要 {path}(0600),請妥善備份。",
)
SHOWN = Text(
    en="{noun} {id}, revision {revision}, state {state}\ncontent {digest}:\n{content}",
    zh="{noun} {id},第 {revision} 版,狀態 {state}\n內容 {digest}:\n{content}",
)
SURE = Text(
    en="Sign the move {move} of exactly this, as {role}?",
    zh="確定以 {role} 簽署此內容的移轉 {move}?",
)
SIGNED = Text(
    en="Signed. {noun} {id} is in state {state}; signatures still missing: {missing}.",
    zh="已簽署。{noun} {id} 目前狀態 {state};尚缺簽署:{missing}。",
)
REVOKED = Text(en="Key {id} signs nothing more.", zh="金鑰 {id} 已撤銷。")
PASSWORD = Text(en="Password", zh="密碼")
CODE = Text(en="Code that your app shows now, or a recovery code", zh="驗證器目前的驗證碼或復原碼")

key_app = typer.Typer(help=t(HELP), no_args_is_help=True)
_Register = Annotated[
    str, typer.Option("--register", help=help_text("https address", "https 位址"))
]
_Name = Annotated[str, typer.Option("--name", help=help_text("your account", "您的帳號"))]
_Authority = Annotated[
    Path | None, typer.Option(help=help_text("the centre's ca.crt", "中心的 ca.crt"))
]


@key_app.command(help=t(ADD))
def add(
    file: Path,
    register: _Register,
    name: _Name,
    authority: _Authority = None,
    days: Annotated[int, typer.Option(help=help_text("valid for days", "有效天數"))] = 365,
    json_: Json = False,
) -> None:
    """Add a key; asks for password and code."""
    from federation.evidence.signing import Signer, new_key

    signer = Signer.load(file) if file.exists() else new_key(file)
    with _logged_in(register, name, authority) as desk:
        id = desk.add_key(signer, days=days)
    emit({"id": id, "file": file}) if json_ else say(ADDED, id=id, path=file)


@key_app.command(help=t(SIGN))
def sign(
    file: Path,
    noun: str,
    id: str,
    move: Annotated[str, typer.Option(help=help_text("its number", "移轉編號"))],
    role: Annotated[str, typer.Option(help=help_text("your role", "您的角色"))],
    reason: Annotated[str, typer.Option(help=help_text("why", "理由"))],
    register: _Register,
    name: _Name,
    authority: _Authority = None,
    yes: Annotated[bool, typer.Option("--yes", help=help_text("do not ask", "不再詢問"))] = False,
    json_: Json = False,
) -> None:
    """Show the newest revision, ask, sign it here and send the signature."""
    from federation.evidence.signing import Signer

    signer = Signer.load(file)
    with _logged_in(register, name, authority) as desk:
        shown = desk.look(noun, id)
        if not yes:
            content = json.dumps(shown.body, ensure_ascii=False, indent=1)
            about = {"noun": noun, "id": id, "revision": shown.revision, "state": shown.state}
            say(SHOWN, **about, digest=shown.digest, content=content)
            typer.confirm(t(SURE, move=move, role=role), abort=True)
        done = desk.sign(signer, shown, move=move, role=role, reason=reason)
    if json_:
        emit(done)
        return
    record, missing = done["record"], done["missing"]
    assert isinstance(record, dict) and isinstance(missing, list)
    waiting = "; ".join("/".join(seat) for seat in missing) or "-"
    say(SIGNED, noun=noun, id=id, state=record["state"], missing=waiting)


@key_app.command(help=t(REVOKE))
def revoke(
    file: Path,
    register: _Register,
    name: _Name,
    authority: _Authority = None,
    json_: Json = False,
) -> None:
    """Revoke the key in a file; its public half (.pub) is enough."""
    from federation.commands.output import read_file
    from federation.evidence.verification import PublicKey

    public = file if file.suffix == ".pub" else file.with_suffix(".pub")
    id = PublicKey.from_pem(read_file(public)).keyid.hex
    with _logged_in(register, name, authority) as desk:
        desk.revoke_key(id)
    emit({"id": id, "revoked": True}) if json_ else say(REVOKED, id=id)


@contextmanager
def _logged_in(register: str, name: str, authority: Path | None) -> "Iterator[SigningDesk]":
    from federation.operations.register_signing import SigningDesk

    with SigningDesk.of(register, authority=authority) as desk:
        password = typer.prompt(t(PASSWORD), hide_input=True)
        desk.log_in(name, password=password, code=typer.prompt(t(CODE)))
        yield desk
