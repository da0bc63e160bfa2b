"""Run the doctor for a terminal: findings in words or JSON, exit 1 when there is a problem."""

from collections.abc import Sequence
from pathlib import Path

import typer

from federation import settings
from federation.commands.output import emit, say, t
from federation.operations.findings import Finding, Level
from federation.wording import Text

MARKS = {
    Level.OK: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.PROBLEM: ("✗", "red"),
}
HEALTHY = Text(en="No problem found.", zh="未發現問題。")
PROBLEMS = Text(en="{count} problem(s) found.", zh="發現 {count} 個問題。")
OF_SITE = Text(en="What the node of {site} finds:", zh="{site} 節點的檢查結果:")


def run_doctor(home: str | None, *, site: str | None = None, as_json: bool) -> None:
    """Check this machine and the home, if one is given; or have a site's node check itself."""
    from federation.operations.doctor import doctor

    if site is not None:
        _show(_of_site(home, site), as_json=as_json, site=site)
        return
    _show(doctor(Path(home) if home else None), as_json=as_json)


def _of_site(home: str | None, site: str) -> tuple[Finding, ...]:
    from federation.domain.ids import SiteId
    from federation.operations.doctor import doctor_of_site

    return doctor_of_site(Path(home) if home else settings.centre_home(), SiteId(site))


def _show(found: Sequence[Finding], *, as_json: bool, site: str | None = None) -> None:
    problems = sum(one.level is Level.PROBLEM for one in found)
    if as_json:
        language = settings.language()
        record = {"healthy": not problems, "findings": [one.as_json(language) for one in found]}
        emit(record if site is None else {"site": site, **record})
    else:
        _print_all(found, site)
        typer.echo(t(PROBLEMS, count=problems) if problems else t(HEALTHY))
    if problems:
        raise typer.Exit(1)


def _print_all(found: Sequence[Finding], site: str | None) -> None:
    if site is not None:
        say(OF_SITE, site=site)
    for one in found:
        _print(one)


def _print(one: Finding) -> None:
    mark, colour = MARKS[one.level]
    code = f"[{one.code}] " if one.code else ""
    typer.echo(f"{typer.style(mark, fg=colour)} {code}{t(one.what)}")
    if one.next_step is not None:
        typer.echo(f"    {t(one.next_step)}")
