"""`trifed evidence`: check for yourself, without network or database."""

from pathlib import Path
from typing import Annotated

import typer

from federation import settings
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

HELP = Text(en="Verify evidence for yourself.", zh="自行驗證證據。")
VERIFY = Text(
    en="Verify a bundle offline; name the first thing that fails.",
    zh="離線驗證證據包;指出第一個不成立處。",
)
AUDIT = Text(
    en="Compare the register's database with what was signed.", zh="比對登錄資料庫與已簽署內容。"
)
HOLDS = Text(en="Everything holds: {checked} items checked.", zh="全部成立:已檢查 {checked} 項。")
AUDITED = Text(
    en="The register equals what was signed: {found}", zh="登錄資料與簽署內容一致:{found}"
)

app = typer.Typer(help=t(HELP), no_args_is_help=True)
Key = Annotated[
    Path | None,
    typer.Option(
        "--centre-key",
        help=help_text(
            "the centre's public key, from a source you trust", "中心公鑰,須來自可信來源"
        ),
    ),
]
Home = AtCentre


@app.command(help=t(VERIFY))
def verify(bundle: Path, centre_key: Key = None, json_: Json = False) -> None:
    """Verify a bundle; exit 0 only when everything holds."""
    from federation.operations.registry import verify_bundle

    report = verify_bundle(bundle, centre_key=centre_key)
    if json_:
        emit(report.as_json(settings.language()))
    elif report.failure is None:
        say(HOLDS, checked=report.checked)
    if report.failure is not None:
        if json_:
            raise typer.Exit(1)
        raise report.failure


@app.command(help=t(AUDIT))
def audit(home: Home, json_: Json = False) -> None:
    """Audit the register."""
    from federation.operations.registry import audit_register

    found = audit_register(home)
    emit(found) if json_ else say(
        AUDITED, found=", ".join(f"{name} {count}" for name, count in found.items())
    )
