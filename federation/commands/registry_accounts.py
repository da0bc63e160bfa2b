"""`trifed registry account`: who may come into the register, from the centre's own machine."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from registry.accounts.people import Invitation
    from registry.accounts.service import Accounts
    from registry.roles import Role

HELP = Text(en="Accounts of the register.", zh="登錄系統的帳號。")
ADD = Text(en="Invite a person, or add a program.", zh="邀請人員,或新增程式帳號。")
LIST = Text(en="List accounts.", zh="列出帳號。")
ROLES = Text(en="Give an account other roles.", zh="變更帳號的角色。")
SHUT = Text(en="Shut an account for ever.", zh="永久停用帳號。")
AGAIN = Text(
    en="Invite a person again: password, codes and passkeys are void.",
    zh="重新邀請:原密碼、驗證碼與通行金鑰失效。",
)
TOKEN = Text(en="Make an API token of an account.", zh="為帳號建立 API 權杖。")
CERTIFICATE = Text(en="Issue a program's client certificate.", zh="核發程式帳號的用戶端憑證。")
LINK = Text(
    en="Let an identity of the provider log in to an account.", zh="將身分提供者的身分綁定帳號。"
)
ENROL = Text(
    en="Set your password and one-time codes with an invitation.",
    zh="以邀請檔設定密碼與一次性驗證碼。",
)
INVITED = Text(
    en="Account {name} is invited. {path} holds its one-time secret, good for 72 hours: give it "
    "to the person alone.\nThey run: trifed registry account enrol {path} --authority ca.crt",
    zh="已邀請帳號 {name}。{path} 含一次性密鑰,有效 72 小時,請僅交給本人。\n"
    "本人執行:trifed registry account enrol {path} --authority ca.crt",
)
ADDED = Text(en="Program account {name} is there.", zh="已新增程式帳號 {name}。")
LINE = Text(
    en="{name}  {state}  {roles}  {organisation}", zh="{name}  {state}  {roles}  {organisation}"
)
DONE = Text(en="Account {name}: {state}; roles {roles}.", zh="帳號 {name}:{state};角色 {roles}。")
WROTE = Text(en="Wrote {path} (0600).", zh="已寫入 {path}(0600)。")
LINKED = Text(en="{name} may log in at the identity provider.", zh="{name} 可由身分提供者登入。")
SEED = Text(
    en="Account {name}. Enter this seed into your authenticator app:\n  {seed}\nor its address:\n"
    "  {address}",
    zh="帳號 {name}。請將此種子輸入驗證器:\n  {seed}\n或使用其位址:\n  {address}",
)
PASSWORD = Text(en="New password (12 characters or more)", zh="新密碼(至少 12 字元)")
CODE = Text(en="Code that the app shows now", zh="驗證器目前顯示的驗證碼")
CODES = Text(
    en="You can log in now. Recovery codes, each good once; keep them apart from the phone:",
    zh="您已可登入。以下復原碼各可使用一次,請與手機分開保存:",
)

account_app = typer.Typer(help=t(HELP), no_args_is_help=True)
_Roles = Annotated[
    list[str], typer.Option("--role", help=help_text("role, may be repeated", "角色,可重複"))
]
_Out = Annotated[Path | None, typer.Option(help=help_text("file to write", "要寫入的檔案"))]


@account_app.command(help=t(ADD))
def add(
    name: str,
    home: AtCentre,
    role: _Roles,
    organisation: Annotated[str, typer.Option(help=help_text("of which house", "所屬機構"))],
    centre: Annotated[
        str | None,
        typer.Option(help="responsible-ai, validation, impact"),
    ] = None,
    program: Annotated[
        bool, typer.Option(help=help_text("a program, not a person", "程式帳號"))
    ] = False,
    out: _Out = None,
    json_: Json = False,
) -> None:
    """Add an account; a person's secret goes into a file, never onto the screen."""
    from registry.accounts.items import Kind
    from registry.accounts.people import Wanted

    kind = Kind.SERVICE if program else Kind.PERSON
    wanted = Wanted(name, _roles(role), organisation, _centre(centre), kind)
    path = out or Path(f"{name}.enrolment.json")
    _check_free(path, wanted.kind is Kind.PERSON)
    _handed_over(_accounts(home).people.invite(wanted), home, path, json_=json_)


@account_app.command("invite-again", help=t(AGAIN))
def invite_again(name: str, home: AtCentre, out: _Out = None, json_: Json = False) -> None:
    """Invite a person again."""
    path = out or Path(f"{name}.enrolment.json")
    _check_free(path, True)
    _handed_over(_accounts(home).people.invite_again(name), home, path, json_=json_)


@account_app.command("list", help=t(LIST))
def list_(home: AtCentre, json_: Json = False) -> None:
    """List accounts by name."""
    found, after, people = [], "", _accounts(home).people
    while page := people.page(after=after, limit=200):
        found += [one.as_json() for one in page]
        after = page[-1].name
    if json_:
        emit({"items": found})
        return
    for one in found:
        roles = one["roles"]
        assert isinstance(roles, list)
        say(LINE, **{**one, "roles": ", ".join(roles)})


@account_app.command(help=t(ROLES))
def roles(name: str, home: AtCentre, role: _Roles, json_: Json = False) -> None:
    """Give an account other roles."""
    made = _accounts(home).people.change_roles(name, _roles(role))
    _done(made.as_json(), json_=json_)


@account_app.command(help=t(SHUT))
def shut(name: str, home: AtCentre, json_: Json = False) -> None:
    """Shut an account."""
    _done(_accounts(home).people.shut(name).as_json(), json_=json_)


@account_app.command(help=t(TOKEN))
def token(
    name: str,
    home: AtCentre,
    scope: Annotated[list[str], typer.Option(help="read, write, move")],
    days: Annotated[int, typer.Option(help=help_text("valid for days", "有效天數"))] = 90,
    label: Annotated[str, typer.Option(help=help_text("what it is for", "用途"))] = "token",
    out: _Out = None,
    json_: Json = False,
) -> None:
    """Make a token; its secret goes into a file."""
    path = out or Path(f"{name}.token")
    _check_free(path, True)
    made = _accounts(home).tokens.make(name, label=label, scopes=_scopes(scope), days=days)
    _write(path, made.secret.encode() + b"\n")
    emit(made.token.as_json() | {"file": path}) if json_ else say(WROTE, path=path)


@account_app.command(help=t(CERTIFICATE))
def certificate(name: str, home: AtCentre, out: _Out = None, json_: Json = False) -> None:
    """Issue a certificate; key and certificate go into one file."""
    from federation.coordinator.home import CentreHome
    from federation.operations.register_accounts import issue_service_certificate

    path = out or Path(f"{name}.pem")
    _check_free(path, True)
    made = issue_service_certificate(CentreHome.open(home), name=name)
    digest = _accounts(home).tokens.add_certificate(name, made.der, expires=made.expires)
    _write(path, made.key + made.certificate.encode())
    emit({"file": path, "certificate": digest, "expires": made.expires}) if json_ else say(
        WROTE, path=path
    )


@account_app.command(help=t(LINK))
def link(
    name: str,
    home: AtCentre,
    subject: Annotated[
        str, typer.Option(help=help_text("`sub` at the provider", "身分提供者的 sub"))
    ],
    json_: Json = False,
) -> None:
    """Link an identity."""
    from federation.errors.access import IdentitySettingError
    from federation.operations.register_accounts import PROVIDER_FILE

    identity = _accounts(home).identity
    if identity is None:
        raise IdentitySettingError(file=PROVIDER_FILE, why="there is none in the home")
    identity.link(name, subject)
    emit({"name": name, "linked": True}) if json_ else say(LINKED, name=name)


@account_app.command(help=t(ENROL))
def enrol(
    file: Path,
    authority: Annotated[
        Path | None, typer.Option(help=help_text("the centre's ca.crt", "中心的 ca.crt"))
    ] = None,
) -> None:
    """Enrol at the register that the invitation names; asks for password and code."""
    from federation.commands.output import read_file
    from federation.operations.register_enrolment import Enrolling

    with Enrolling.of(read_file(file), authority=authority) as enrolling:
        started = enrolling.start()
        say(SEED, **started)
        password = typer.prompt(t(PASSWORD), hide_input=True, confirmation_prompt=True)
        codes = enrolling.finish(password=password, code=typer.prompt(t(CODE)))
    file.unlink(missing_ok=True)
    say(CODES)
    for code in codes:
        typer.echo(f"  {code}")


def _handed_over(made: "Invitation", home: Path, path: Path, *, json_: bool) -> None:
    shown = made.account.as_json()
    if made.secret is not None:
        content = {
            "register": _origin(home),
            "name": made.account.name,
            "secret": made.secret,
            "made": datetime.now(UTC).isoformat(),
        }
        _write(path, json.dumps(content, indent=1).encode() + b"\n")
        shown |= {"file": path}
    if json_:
        emit(shown)
    elif made.secret is None:
        say(ADDED, name=made.account.name)
    else:
        say(INVITED, name=made.account.name, path=path)


def _done(account: dict[str, object], *, json_: bool) -> None:
    if json_:
        emit(account)
        return
    given = account["roles"]
    assert isinstance(given, list)
    say(DONE, name=account["name"], state=account["state"], roles=", ".join(given))


def _accounts(home: Path) -> "Accounts":
    from federation.coordinator.home import CentreHome
    from federation.operations.register_accounts import accounts_in

    return accounts_in(CentreHome.open(home), origin=_origin(home))


def _origin(home: Path) -> str:
    from federation.coordinator.home import CentreHome
    from federation.operations.register_accounts import own_origin

    return own_origin(CentreHome.open(home))


def _roles(names: list[str]) -> "frozenset[Role]":
    from registry.roles import role_named

    return frozenset(role_named(name) for name in names)


def _centre(name: str | None):  # type: ignore[no-untyped-def]  # a Centre, imported lazily
    from federation.errors.core import InvalidValueError
    from registry.roles import Centre

    found = {one.value: one for one in Centre}
    if name is not None and name not in found:
        known = ", ".join(found)
        raise InvalidValueError(field="centre", actual=repr(name[:30]), expected=known)
    return None if name is None else found[name]


def _scopes(names: list[str]):  # type: ignore[no-untyped-def]  # a list of Scope, imported lazily
    from federation.errors.core import InvalidValueError
    from registry.accounts.ports import Scope

    found = {one.value: one for one in Scope}
    for name in names:
        if name not in found:
            known = ", ".join(found)
            raise InvalidValueError(field="scope", actual=repr(name[:30]), expected=known)
    return [found[name] for name in names]


def _check_free(path: Path, is_written: bool) -> None:
    """Refuse before anything is done, so that no secret is made that cannot be handed over."""
    from federation.errors.core import InvalidValueError

    if is_written and (path.exists() or not path.absolute().parent.is_dir()):
        raise InvalidValueError(
            field="out", actual=repr(path.name), expected="a new file in a folder that is there"
        )


def _write(path: Path, content: bytes) -> None:
    from federation.storage import write_new

    write_new(path, content)
