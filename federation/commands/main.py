"""The command `trifed`: mounts one group per noun and turns errors into exit codes.

Nothing heavy is imported here or in the groups; a command imports what it needs
when it runs, so `trifed --help` answers at once.
"""

import sys
from typing import Annotated

import click
import typer

from federation import settings
from federation.commands import (
    centre,
    demo,
    dossier,
    evaluate,
    evidence,
    impact,
    node,
    registry,
    reimbursement,
    study,
)
from federation.commands.output import Json, emit, fail, help_text, say, t
from federation.errors import PlatformError
from federation.wording import Text

HELP = Text(
    en="Federated learning between hospitals, with approvals, a privacy ledger and a registry.",
    zh="跨醫院聯邦學習平台:核准、隱私帳本與登錄系統。",
)
VERSION = Text(en="TriFed {version}, code {code}", zh="TriFed {version},程式碼 {code}")
INTERRUPTED = 130
STOPPED = Text(en="Stopped.", zh="已停止。")

app = typer.Typer(
    help=t(HELP), no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)
app.command("demo", help=t(demo.HELP))(demo.demo)
for _name, _group in (
    ("centre", centre.app),
    ("node", node.app),
    ("study", study.app),
    ("registry", registry.app),
    ("evidence", evidence.app),
    ("evaluate", evaluate.app),
    ("impact", impact.app),
    ("dossier", dossier.app),
    ("reimbursement", reimbursement.app),
):
    app.add_typer(_group, name=_name)


@app.command(
    help=t(Text(en="Check this machine and the homes on it.", zh="檢查本機與其工作目錄。"))
)
def doctor(
    home: Annotated[
        str | None, typer.Option(help=help_text("centre / node home", "中心或節點的工作目錄"))
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(help=help_text("have this site's node check itself", "請此院節點自行檢查")),
    ] = None,
    json_: Json = False,
) -> None:
    """Check ports, certificates, versions, disk and clock."""
    from federation.commands.doctor import run_doctor

    run_doctor(home, site=site, as_json=json_)


@app.command(help=t(Text(en="Say which version runs, by digest.", zh="顯示版本與摘要。")))
def version(json_: Json = False) -> None:
    """Say which version and which code this is."""
    from federation import provenance

    found = {
        "version": provenance.software_version(),
        "code": provenance.code_digest(),
        "environment": provenance.environment_digest(),
    }
    emit(found) if json_ else say(VERSION, version=found["version"], code=found["code"])


@app.command(
    help=t(Text(en="Say what an error code means, and what to do.", zh="說明錯誤代碼與處理方式。"))
)
def explain(code: str, json_: Json = False) -> None:
    """Print what an error code means and what to do."""
    from federation.commands.explain import explain_code

    explain_code(code, as_json=json_)


def main() -> None:
    """Run the command line; exit 0 only when the command did what it says."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from federation.operations.installed import check_import_names

    try:
        check_import_names()
        return app(args=arguments, prog_name="trifed", standalone_mode=False) or 0
    except PlatformError as error:
        fail(error, as_json="--json" in arguments)
        return 1
    except click.exceptions.Exit as stop:
        if stop.exit_code == INTERRUPTED:
            say(STOPPED)
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say(STOPPED)
        return INTERRUPTED


__all__ = ["app", "main", "run", "settings"]
if __name__ == "__main__":
    main()
