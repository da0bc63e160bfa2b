"""`trifed evidence`: check for yourself, without network or database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.evidence_log import log_app
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.evidence.pinning import Expected

HELP = Text(en="Verify evidence for yourself.", zh="自行驗證證據。")
VERIFY = Text(
    en="Verify a bundle offline; name the first thing that fails.",
    zh="離線驗證證據包;指出第一個不成立處。",
)
AUDIT = Text(
    en="Compare the register's database with what was signed.", zh="比對登錄資料庫與已簽署內容。"
)
VERIFIER = Text(
    en="Print the SHA-256 of the verify.py that bundles carry.",
    zh="顯示證據包所附 verify.py 的 SHA-256。",
)
ROOT = Text(
    en="Print the fingerprint of the register's trust root, to be published.",
    zh="顯示登錄系統信任根的指紋,供對外公布。",
)
STATE = Text(
    en="Write the log's newest signed state with proofs that it grew from each earlier one.",
    zh="寫入紀錄簿最新的簽署狀態,並附其由各先前狀態增長的證明。",
)
WROTE = Text(en="Wrote {path}.", zh="已寫入 {path}。")
HOLDS = Text(en="Everything holds: {checked} items checked.", zh="全部成立:已檢查 {checked} 項。")
WHOLE_ONLY = Text(
    en="No trust root was named: this shows only that the file is whole. It names the root {root}.",
    zh="未指定信任根:僅能證明檔案完整無缺。檔案所稱信任根為 {root}。",
)
AUDITED = Text(
    en="The register equals what was signed: {found}", zh="登錄資料與簽署內容一致:{found}"
)

app = typer.Typer(help=t(HELP), no_args_is_help=True)
app.add_typer(log_app, name="log")
Key = Annotated[
    Path | None,
    typer.Option(
        "--centre-key",
        help=help_text(
            "the register's public key, from a source you trust", "登錄系統公鑰,須來自可信來源"
        ),
    ),
]
Root = Annotated[
    str | None,
    typer.Option(
        help=help_text(
            "fingerprint of the register's key, from a source you trust",
            "登錄系統金鑰的指紋,須來自可信來源",
        )
    ),
]
Kept = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        help=help_text("a state of the register's log that you kept", "您保存的紀錄簿檢查點"),
    ),
]
Witnesses = Annotated[
    list[str] | None,
    typer.Option(
        "--witness",
        help=help_text(
            "NAME=FILE: who must have co-signed, and the key", "名稱=公鑰檔:必須共同簽署者"
        ),
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option("--model", help=help_text("the weights that you have", "您持有的模型權重")),
]
Home = AtCentre


@app.command(help=t(VERIFY))
def verify(
    bundle: Path,
    root: Root = None,
    centre_key: Key = None,
    checkpoint: Kept = None,
    witness: Witnesses = None,
    model: Weights = None,
    json_: Json = False,
) -> None:
    """Verify a bundle; exit 0 only when everything holds."""
    from federation.evidence.bundle import verify_bundle
    from federation.evidence.verification import PublicKey

    key = PublicKey.load(centre_key) if centre_key else None
    expected = _expected(root, checkpoint, witness or [], model)
    report = verify_bundle(bundle, centre_key=key, expected=expected)
    if json_:
        emit(report.as_json(settings.language()))
    elif report.bundle is not None:
        say(HOLDS, checked=report.checked)
        if not report.bundle.is_key_known:
            say(WHOLE_ONLY, root=report.bundle.key.keyid)
    if report.failure is not None:
        if json_:
            raise typer.Exit(1)
        raise report.failure


@app.command(help=t(VERIFIER))
def verifier() -> None:
    """Print what a bundle's verify.py must be, so that a reader can compare it."""
    from importlib.resources import files

    from federation.domain.ids import Sha256

    program = files("federation.evidence").joinpath("standalone.py").read_bytes()
    typer.echo(f"{Sha256.of(program).hex}  verify.py")


@app.command(help=t(ROOT))
def root(home: Home) -> None:
    """Print the fingerprint of a centre's evidence key."""
    from federation.coordinator.home import CentreHome
    from federation.evidence.verification import PublicKey

    typer.echo(PublicKey.load(CentreHome.open(home).evidence_public_key).keyid)


@app.command(help=t(STATE))
def checkpoint(out: Path, home: Home) -> None:
    """Write the newest state of the log, and that it contains earlier ones."""
    from federation.coordinator.home import CentreHome
    from federation.errors.signed import LogRangeError
    from federation.operations.centre_head import growth_of
    from federation.operations.embedded_registry import registrar
    from federation.storage import write_atomic

    found = growth_of(registrar(CentreHome.open(home)).store)
    if found is None:
        raise LogRangeError(size=0, asked=0)
    write_atomic(out, found.as_bytes(), mode=0o644)
    say(WROTE, path=out)


@app.command(help=t(AUDIT))
def audit(home: Home, json_: Json = False) -> None:
    """Audit the register."""
    from federation.operations.registry import audit_register

    found = audit_register(home)
    emit(found) if json_ else say(
        AUDITED, found=", ".join(f"{name} {count}" for name, count in found.items())
    )


def _expected(
    root: str | None, checkpoint: Path | None, witnesses: list[str], model: Path | None
) -> "Expected":
    from federation.evidence.pinning import Expected, digest_of, fingerprint, named, read_kept

    return Expected(
        root=None if root is None else fingerprint(root),
        checkpoint=None if checkpoint is None else read_kept(checkpoint),
        witnesses=tuple(named(one) for one in witnesses),
        model=None if model is None else digest_of(model),
    )
