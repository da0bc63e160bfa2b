"""Run the doctor for a terminal: findings in words or JSON, exit 1 when there is a problem."""

from pathlib import Path

import typer

from federation import settings
from federation.commands.output import emit, t
from federation.operations.findings import Finding, Level
from federation.wording import Text

MARKS = {
    Level.OK: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.PROBLEM: ("✗", "red"),
}
HEALTHY = Text(en="No problem found.", zh="未發現問題。")
PROBLEMS = Text(en="{count} problem(s) found.", zh="發現 {count} 個問題。")


def run_doctor(home: str | None, *, as_json: bool) -> None:
    """Check this machine and the home, if one is given."""
    from federation.operations.doctor import doctor

    found = doctor(Path(home) if home else None)
    problems = sum(one.level is Level.PROBLEM for one in found)
    if as_json:
        language = settings.language()
        emit({"healthy": not problems, "findings": [one.as_json(language) for one in found]})
    else:
        for one in found:
            _print(one)
        typer.echo(t(PROBLEMS, count=problems) if problems else t(HEALTHY))
    if problems:
        raise typer.Exit(1)


def _print(one: Finding) -> None:
    mark, colour = MARKS[one.level]
    code = f"[{one.code}] " if one.code else ""
    typer.echo(f"{typer.style(mark, fg=colour)} {code}{t(one.what)}")
    if one.next_step is not None:
        typer.echo(f"    {t(one.next_step)}")
