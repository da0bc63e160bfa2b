"""`trifed registry serve`: the register for people and programs, under the centre's TLS."""

import ssl
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.homes import AtCentre
from federation.commands.output import help_text, say
from federation.wording import Text

if TYPE_CHECKING:
    from fastapi import FastAPI

    from federation.coordinator.home import CentreHome

SERVE = Text(en="Serve the register: pages and API.", zh="提供登錄系統:網頁與 API。")
SERVING = Text(
    en="The register answers at {origin}; stop with Ctrl-C.",
    zh="登錄系統服務於 {origin};以 Ctrl-C 停止。",
)
STOPPED = Text(en="The register has stopped.", zh="登錄系統已停止。")
LISTEN = Text(
    en="address and port to listen on; port 0 takes a free one",
    zh="監聽的位址與連接埠;0 表示自動選擇",
)


def serve(
    home: AtCentre,
    listen: Annotated[str, typer.Option(help=help_text(LISTEN.en, LISTEN.zh))] = "127.0.0.1:8480",
) -> None:
    """Serve the register until SIGTERM or Ctrl-C."""
    from federation.coordinator.home import CentreHome
    from federation.operations.register_accounts import own_origin
    from registry.api import server

    centre = CentreHome.open(home)
    host, port = _place(listen)
    context = tls_context(centre)
    with server.listening_socket(host, port) as listener:
        origin = own_origin(centre, port=int(listener.getsockname()[1]))
        server.serve(
            application(centre, origin=origin),
            listener=listener,
            context=context,
            on_ready=lambda: say(SERVING, origin=origin),
        )
    say(STOPPED)


def application(centre: "CentreHome", *, origin: str) -> "FastAPI":
    """Return the whole register of a home as an application."""
    from federation.operations.embedded_registry import registrar
    from federation.operations.register_accounts import accounts_in
    from registry.api.whole import served_register
    from registry.service_app import served_app

    accounts = accounts_in(centre, origin=origin)
    return served_app(
        served_register(registrar(centre), accounts, database_url=centre.database_url)
    )


def tls_context(centre: "CentreHome") -> ssl.SSLContext:
    """Return TLS with the centre's certificate, asking for, not demanding, one of its authority.

    Raises
    ------
    RegisterServeError
        If a file of it cannot be used.
    """
    from federation.errors.access import RegisterServeError
    from federation.pki.handshakes import server_context

    try:
        context = server_context(
            certificate=centre.server_certificate,
            key=centre.server_key,
            authority=centre.authority_certificate,
            alpn=["http/1.1"],
        )
    except (OSError, ssl.SSLError) as error:
        why = f"its certificate cannot be used ({type(error).__name__})"
        raise RegisterServeError(address=centre.settings().address, why=why) from error
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _place(listen: str) -> tuple[str, int]:
    from federation.homes import parse_address

    if listen.endswith(":0"):
        host, _ = parse_address(f"{listen[:-1]}1")
        return host, 0
    return parse_address(listen)
