"""`trifed node init|join|serve`: become a member and stay one."""

from pathlib import Path
from typing import Annotated

import typer

from federation.commands.node.homes import Home, now
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

INIT = Text(
    en="Make a node from an invitation; its keys are born here.",
    zh="由邀請檔建立節點;金鑰在此產生。",
)

JOIN = Text(en="Take in the kit that the centre signed.", zh="匯入中心簽署的憑證包。")

SERVE = Text(en="Run the node until stopped.", zh="執行節點直到停止。")

MADE = Text(
    en="The node of {site} is ready in {home}; its keys never leave it.\n"
    "Send {request} to the centre, then: trifed node join KIT --home {home}",
    zh="{site} 的節點已建立於 {home};金鑰不會離開。\n"
    "請將 {request} 送交中心,之後執行:trifed node join KIT --home {home}",
)

JOINED = Text(
    en="Joined {centre}. Next: trifed node policy check, trifed node policy sign, "
    "trifed node ingest FOLDER, then trifed node serve.",
    zh="已加入 {centre}。下一步:trifed node policy check、trifed node policy sign、"
    "trifed node ingest FOLDER,再 trifed node serve。",
)

SERVING = Text(
    en="The node of {site} serves {centre}; stop with Ctrl-C.",
    zh="{site} 節點連線至 {centre};以 Ctrl-C 停止。",
)

app = typer.Typer()


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
    node = init_node(home, invitation=asked, now=now(), name=name)
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
    join_node(node, Kit.from_bytes(read_file(kit)), now=now())
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
