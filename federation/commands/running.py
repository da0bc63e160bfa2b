"""Launch a study in this process: Prefect quiet and in the centre's home, progress shown."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from federation import settings
from federation.commands.live import LiveTable
from federation.commands.output import t
from federation.domain.ids import StudyId
from federation.operations.launch import Result, study_as_stored, submit
from federation.operations.progress import Emit, Progress, silent
from federation.wording import Text

FAILED = Text(en="The run failed.", zh="執行失敗。")
ERROR = Text(en="[{code}] {what}", zh="[{code}] {what}")


def launch_study(
    home: Path, study: str, *, events: bool, quiet: bool, at_quorum: bool = False
) -> Result:
    """Submit a study file if one is named, then run the flow and show its progress."""
    from federation.coordinator.home import CentreHome

    centre = CentreHome.open(home)
    name = _kept(centre, study)
    signal.signal(signal.SIGTERM, _end)
    os.environ.update(settings.prefect_environment(centre.folder.absolute()))
    if events:
        return _run(centre.folder, name, _write_line, at_quorum=at_quorum)
    if quiet:
        return _run(centre.folder, name, silent, at_quorum=at_quorum)
    stored = study_as_stored(home, name)
    with LiveTable(Console(), sites=_sites(stored), rounds=_rounds(stored)) as table:
        result = _run(centre.folder, name, table.tell, at_quorum=at_quorum)
    show_errors(result)
    return result


def show_errors(result: Result) -> None:
    """Print what failed and what to do about it."""
    if result.errors:
        typer.echo(t(FAILED), err=True)
    for error in result.errors:
        typer.echo(t(ERROR, code=error["code"], what=error["what"]), err=True)
        typer.echo(str(error.get("next_step", "")), err=True)


def _kept(centre, study: str) -> StudyId:  # type: ignore[no-untyped-def]  # CentreHome, lazy
    path = Path(study)
    if path.suffix != ".toml":
        return StudyId(study)
    from federation.operations.study_file import read_study_file

    found = read_study_file(path, now=datetime.now(UTC))
    submit(centre, found)
    return found.id


def _end(number: int, _frame: object) -> None:
    """End as at Ctrl-C, so that the run is closed and Prefect's own server is stopped."""
    sys.exit(128 + number)


def _write_line(event: Progress) -> None:
    typer.echo(event.as_line())


def _run(home: Path, study: StudyId, emit: Emit, *, at_quorum: bool) -> Result:
    from federation.flows import train_study

    return train_study.run(home, study, emit=emit, at_quorum=at_quorum)


def _sites(stored: dict[str, object]) -> list[str]:
    sites = stored["sites"]
    return [str(site) for site in sites] if isinstance(sites, list) else []


def _rounds(stored: dict[str, object]) -> int:
    training = stored["training"]
    return int(training["rounds"]) if isinstance(training, dict) else 0
