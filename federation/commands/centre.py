"""`trifed centre`: set up an AI centre, admit hospitals, serve."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands import centre_losses
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.coordinator.home import CentreHome
    from federation.server_app.prefect_server import PrefectAddress

HELP = Text(
    en="Set up an AI centre, admit hospitals, serve.", zh="建立 AI 中心、邀請醫院、提供服務。"
)
INIT = Text(
    en="Make a centre: its authority, keys and folders.", zh="建立中心:憑證、金鑰與資料夾。"
)
INVITE = Text(en="Write an invitation for one hospital.", zh="為一家醫院建立邀請檔。")
SIGN = Text(
    en="Sign a hospital's request (or renew its kit) and write the kit for it.",
    zh="簽署醫院的申請(或更新憑證包),並寫出憑證包。",
)
REVOKE = Text(en="Shut a hospital's node out, at once.", zh="立即撤銷醫院節點。")
RENEW = Text(en="Renew the centre's own server certificate.", zh="更新中心的伺服器憑證。")
SERVE = Text(en="Run the centre until stopped.", zh="執行中心直到停止。")
STATUS = Text(en="Show sites, certificates and what runs.", zh="顯示站點、憑證與執行狀態。")
MADE = Text(
    en="Centre {name} is ready in {home}.\nNext: trifed centre invite SITE --home {home}",
    zh="中心 {name} 已建立於 {home}。\n下一步:trifed centre invite SITE --home {home}",
)
INVITED = Text(
    en="The invitation for {site} is {path}. It holds a secret: give it to the hospital's IT in "
    "person or by a protected channel.\nThere: trifed node init --invitation {path}",
    zh="{site} 的邀請檔為 {path}。檔案含有機密,請當面或以受保護的管道交給醫院資訊人員。\n"
    "於醫院執行:trifed node init --invitation {path}",
)
SIGNED = Text(
    en="Site {site} is enrolled; its kit is {path}.\nAt the hospital: trifed node join {path}",
    zh="站點 {site} 已登錄;憑證包為 {path}。\n於醫院執行:trifed node join {path}",
)
REVOKED = Text(en="Site {site} is revoked.", zh="站點 {site} 已撤銷。")
RENEWED = Text(
    en="The server certificate is renewed; restart the centre.",
    zh="伺服器憑證已更新,請重新啟動中心。",
)
SERVING = Text(
    en="The centre serves at {address}; stop with Ctrl-C.",
    zh="中心服務於 {address};以 Ctrl-C 停止。",
)
HEAD = Text(en="Centre {name} at {address}: {state}", zh="中心 {name},位址 {address}:{state}")
RUNS = Text(en="running", zh="執行中")
RUNS_NOT = Text(en="not running", zh="未執行")
LINE = Text(en="  {site}  {state}  {link}", zh="  {site}  {state}  {link}")
LINKED = Text(en="connected", zh="已連線")
UNLINKED = Text(en="not connected", zh="未連線")
FLOWS = Text(
    en="  flows: {ui}  (user trifed, password in {file})",
    zh="  流程頁面:{ui}(使用者 trifed,密碼在 {file})",
)
CAMPAIGNS = Text(en="  studies under way: {campaigns}", zh="  進行中的研究:{campaigns}")
NO_CAMPAIGN = Text(en="none", zh="無")
RENEW_OR_REQUEST = Text(
    en="Give a request file or --renew SITE, not both.", zh="請擇一:申請檔或 --renew SITE。"
)

app = typer.Typer(help=t(HELP), no_args_is_help=True)
app.add_typer(centre_losses.app)
Home = AtCentre


@app.command(help=t(INIT))
def init(
    home: Home,
    name: Annotated[str, typer.Option(help=help_text("display name", "顯示名稱"))] = "AI centre",
    address: Annotated[
        str, typer.Option(help=help_text("host:port that hospitals reach", "醫院連線的 host:port"))
    ] = "localhost:8443",
    json_: Json = False,
) -> None:
    """Make a centre."""
    from federation.operations.enrolment import init_centre

    made = init_centre(home, name=name, address=address, now=_now())
    emit({"home": made.folder, "name": name, "address": address}) if json_ else say(
        MADE, name=name, home=home
    )


@app.command(help=t(INVITE))
def invite(
    site: str,
    home: Home,
    name: Annotated[
        str | None, typer.Option(help=help_text("what people call the hospital", "醫院名稱"))
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=help_text("file to write", "要寫入的檔案"))
    ] = None,
    json_: Json = False,
) -> None:
    """Write an invitation."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import SiteId
    from federation.operations.enrolment import invite_site
    from federation.storage import write_atomic

    path = out or Path(f"{site}.invitation.json")
    invitation = invite_site(
        CentreHome.open(home), site=SiteId(site), name=name or site, now=_now()
    )
    write_atomic(path, invitation.to_bytes())
    emit({"site": site, "invitation": path}) if json_ else say(INVITED, site=site, path=path)


@app.command(help=t(SIGN))
def sign(
    home: Home,
    request: Annotated[
        Path | None,
        typer.Argument(help=help_text("request.json of the node", "節點的 request.json")),
    ] = None,
    renew: Annotated[
        str | None, typer.Option(help=help_text("site whose kit to renew", "要更新憑證包的站點"))
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=help_text("file to write", "要寫入的檔案"))
    ] = None,
    json_: Json = False,
) -> None:
    """Sign a request or renew a kit."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import SiteId
    from federation.homes import PUBLIC
    from federation.operations.enrolment import renew_kit, sign_request
    from federation.pki.requests import EnrolmentRequest
    from federation.storage import write_atomic

    centre = CentreHome.open(home)
    if (request is None) == (renew is None):
        raise typer.BadParameter(t(RENEW_OR_REQUEST))
    if renew is not None:
        site = SiteId(renew)
        kit = renew_kit(centre, site=site, now=_now())
    else:
        asked = EnrolmentRequest.from_bytes(read_file(request or Path()))
        kit, site = sign_request(centre, asked, now=_now()), SiteId(asked.site)
    path = out or Path(f"{site}.kit.json")
    write_atomic(path, kit.to_bytes(), mode=PUBLIC)
    emit({"site": site, "kit": path}) if json_ else say(SIGNED, site=site, path=path)


@app.command(help=t(REVOKE))
def revoke(
    site: str,
    home: Home,
    reason: Annotated[str, typer.Option(help=help_text("kept in the roster", "記錄於名冊"))],
    json_: Json = False,
) -> None:
    """Revoke a site."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import SiteId
    from federation.operations.revocation import retire_site

    retire_site(CentreHome.open(home), site=SiteId(site), reason=reason, clock=_now)
    emit({"site": site, "state": "revoked"}) if json_ else say(REVOKED, site=site)


@app.command("renew-server", help=t(RENEW))
def renew_server(home: Home, json_: Json = False) -> None:
    """Renew the server certificate."""
    from federation.coordinator.home import CentreHome
    from federation.operations.enrolment import renew_server_certificate

    made = renew_server_certificate(CentreHome.open(home), now=_now())
    emit({"not_after": made.not_valid_after_utc}) if json_ else say(RENEWED)


@app.command(help=t(SERVE))
def serve(
    home: Home,
    listen: Annotated[
        str | None, typer.Option(help=help_text("interface address", "介面位址"))
    ] = None,
) -> None:
    """Run the centre."""
    from federation.coordinator.home import CentreHome
    from federation.coordinator.serve import serve_centre
    from federation.operations.centre_head import CentreHead
    from federation.supervision.process import with_large_buffers

    with_large_buffers()
    centre = CentreHome.open(home)
    say(SERVING, address=centre.settings().address)
    serve_centre(home, listen=listen, centre_head=CentreHead(centre))


@app.command(help=t(STATUS))
def status(home: Home, json_: Json = False) -> None:
    """Show the centre's state."""
    from federation.coordinator.home import CentreHome
    from federation.operations.enrolment import centre_status

    centre = CentreHome.open(home)
    found, live = centre_status(centre, now=_now()), _live(home)
    links = {} if live is None else {view.site: view.connected for view in live.sites}
    flows, campaigns = (None, {}) if live is None else _flows(centre)
    if json_:
        emit(
            {
                "name": found.name,
                "address": found.address,
                "fingerprint": found.fingerprint,
                "running": live is not None,
                "authority_days": found.authority_days,
                "server_days": found.server_days,
                "flows": None if flows is None else flows.ui,
                "campaigns": campaigns,
                "sites": [
                    {
                        "site": one.site,
                        "name": one.name,
                        "state": one.state,
                        "connected": links.get(one.site, False),
                    }
                    for one in found.sites
                ],
            }
        )
        return
    state = RUNS_NOT if live is None else RUNS
    say(HEAD, name=found.name, address=found.address, state=t(state))
    for one in found.sites:
        link = LINKED if links.get(one.site) else UNLINKED
        say(LINE, site=one.site, state=one.state.value, link=t(link))
    if flows is not None:
        say(FLOWS, ui=flows.ui, file="run/prefect.secret")
    if live is not None:
        say(CAMPAIGNS, campaigns=", ".join(campaigns) or t(NO_CAMPAIGN))
    for warning in found.warnings:
        typer.echo(warning.say(settings.language()))


def _flows(centre: "CentreHome") -> "tuple[PrefectAddress | None, dict[str, object]]":
    """Return where the flows' pages are, and the campaigns that the conductor keeps."""
    from federation.conductor.conducting import prefect_address
    from federation.conductor.state import campaigns_of
    from federation.coordinator.options import CentreOptions

    options = CentreOptions.of(centre)
    return prefect_address(centre.folder, options.prefect), campaigns_of(centre.run)


def _live(home: Path):  # type: ignore[no-untyped-def]  # a CentreStatus, imported lazily
    from federation.coordinator.admin import AdminClient
    from federation.errors.control import CentreNotRunningError

    try:
        with AdminClient(home) as admin:
            return admin.status()
    except CentreNotRunningError:
        return None


def _now() -> datetime:
    return datetime.now(UTC)
