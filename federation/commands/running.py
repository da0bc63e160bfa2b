"""Follow launched studies: put one into the queue, show its events, end with its result.

The study runs in the centre's own processes. What is here only watches: stopping it
(Ctrl-C, a closed terminal) leaves the study running.
"""

import json
import os
import pwd
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from federation.commands.output import emit, t
from federation.domain.ids import StudyId
from federation.wording import Text

if TYPE_CHECKING:
    from federation.coordinator.home import CentreHome
    from federation.operations.events import Outcome
    from federation.operations.progress import Emit, Progress
    from federation.operations.store.queue import Asked

FAILED = Text(en="The run failed.", zh="執行失敗。")
STOPPED = Text(en="The study was stopped.", zh="研究已停止。")
COMPLETED = Text(
    en="Completed: {rounds} rounds. The registry entry is {entry}.",
    zh="已完成:{rounds} 輪。登錄項目為 {entry}。",
)
EVALUATED = Text(
    en="Evaluated: {listed}. See it: trifed evaluate show STUDY",
    zh="評估完成:{listed}。檢視:trifed evaluate show STUDY",
)
FITTED = Text(
    en="Fitted; not shown: {refused}. See it: trifed impact fit show STUDY",
    zh="配適完成;不顯示:{refused}。檢視:trifed impact fit show STUDY",
)
ERROR = Text(en="[{code}] {what}", zh="[{code}] {what}")
ALREADY = Text(
    en="{study} is in the queue already; this follows it.", zh="{study} 已在佇列中;以下為其進度。"
)
COSTS_AGAIN = Text(
    en="{study} begins a new run: {rounds} rounds of earlier runs stay spent at the hospitals and "
    "count against the study's epsilon, so hospitals may refuse the last rounds. A study under "
    "another id, with its own epsilon, needs their approval anew.",
    zh="{study} 將開始新的執行:先前 {rounds} 輪在各醫院的花費不會退回,並計入本研究的 epsilon,"
    "因此醫院可能拒絕最後幾輪。若以其他 id 另立研究並設定其 epsilon,需重新取得核准。",
)
LEFT = Text(
    en="The study goes on without this window. Watch it again: trifed study watch {study}",
    zh="研究將在背景繼續。再次查看:trifed study watch {study}",
)
CENTRE_GONE = Text(
    en="The centre does not run just now; the study goes on when it is started again.",
    zh="中心目前未執行;重新啟動後研究會繼續。",
)
CENTRE_BACK = Text(en="The centre runs again.", zh="中心已恢復執行。")
INTERRUPTED = 130
_LOOK_S = 1.0


class Show(Enum):
    """How a follower shows what happens."""

    TABLE = "table"
    EVENTS = "events"
    QUIET = "quiet"


def show_of(*, events: bool, json_: bool) -> Show:
    """Return how to show a study, by the options of the command."""
    if events:
        return Show.EVENTS
    return Show.QUIET if json_ else Show.TABLE


def actor() -> str:
    """Return who types, as the audit trail names them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def kept_study(centre: "CentreHome", study: str) -> StudyId:
    """Return the id of a kept study; a study file is submitted first."""
    path = Path(study)
    if path.suffix != ".toml":
        return StudyId(study)
    from federation.operations.launch import submit
    from federation.operations.study_file import read_study_file

    found = read_study_file(path, now=datetime.now(UTC))
    submit(centre, found)
    return found.id


def put_into_queue(centre: "CentreHome", study: StudyId, asked: "Asked") -> bool:
    """Launch a study at a running centre; return whether it is new in the queue.

    Raises
    ------
    CentreNotRunningError
        If nobody would run it.
    """
    from federation.coordinator.admin import AdminClient
    from federation.operations.queueing import Queueing

    with AdminClient(centre.folder) as admin:
        admin.status()
    with Queueing(centre, actor=actor()) as queue:
        _say_cost(study, rounds=queue.rounds_spent(study))
        return queue.launch(study, asked).is_new


def _say_cost(study: StudyId, *, rounds: int) -> None:
    if rounds:
        typer.echo(t(COSTS_AGAIN, study=study, rounds=rounds), err=True)


def watch_study(centre: "CentreHome", study: StudyId, show: Show) -> NoReturn:
    """Show how a study ended, or follow it until it has; exit 0 only when it completed.

    Raises
    ------
    StudyMissingError, StudyNotLaunchedError
        If there is nothing to watch.
    """
    from federation.operations.queueing import Queueing

    with Queueing(centre, actor=actor()) as queue:
        ended = queue.outcome(study)
    if ended is None:
        follow(centre, study, show)
    _leave_with(ended, show)


def follow(centre: "CentreHome", study: StudyId, show: Show) -> NoReturn:
    """Show a launched study until it has ended; exit 0 only when it completed."""
    try:
        outcome = _watched(centre, study, show)
    except KeyboardInterrupt:
        typer.echo(t(LEFT, study=study), err=True)
        sys.exit(INTERRUPTED)
    _leave_with(outcome, show)


def _leave_with(outcome: "Outcome", show: Show) -> NoReturn:
    say_outcome(outcome, show)
    sys.exit(0 if outcome.completed else 1)


def say_outcome(outcome: "Outcome", show: Show) -> None:
    """Print how a study ended: the contract's JSON as the last line, or words."""
    if show is not Show.TABLE:
        emit(outcome.result)
    elif outcome.completed:
        typer.echo(_completed(outcome.result))
    else:
        _say_errors(outcome.result)


def say_already(study: StudyId) -> None:
    """Tell that a study was launched before."""
    typer.echo(t(ALREADY, study=study), err=True)


def _watched(centre: "CentreHome", study: StudyId, show: Show) -> "Outcome":
    from federation.operations.events import EventLog, Outcome
    from federation.operations.queueing import Queueing

    with Queueing(centre, actor=actor()) as queue, _listener(centre, study, show) as listen:
        lifeline = _Lifeline(centre.run / "centre.json", lambda: queue.has_ended(study))
        for said in EventLog(centre, study).follow(until=lifeline.look):
            if isinstance(said, Outcome):
                return said
            listen(said)
        return queue.kept_outcome(study)  # its log was lost, or could not be written


@contextmanager
def _listener(centre: "CentreHome", study: StudyId, show: Show) -> "Iterator[Emit]":
    if show is Show.EVENTS:
        yield _write_line
    elif show is Show.QUIET:
        yield lambda _: None
    else:
        from rich.console import Console

        from federation.commands.live import LiveTable
        from federation.operations.launch import study_as_stored

        stored = study_as_stored(centre.folder, study)
        with LiveTable(Console(), sites=_sites(stored), rounds=_rounds(stored)) as table:
            yield table.tell


@dataclass(slots=True)
class _Lifeline:
    """Tells when the centre goes away and comes back, and when there is nothing to follow."""

    state_file: Path
    has_ended: Callable[[], bool]
    _is_up: bool = True
    _looked: float = 0.0
    _ended_looks: int = 0

    def look(self) -> bool:
        """Look once a second; say whether the study ended a look ago, log or no log."""
        if time.monotonic() - self._looked > _LOOK_S:
            self._looked = time.monotonic()
            is_up = _runs(self.state_file)
            if is_up != self._is_up:
                typer.echo(t(CENTRE_BACK if is_up else CENTRE_GONE), err=True)
            self._is_up = is_up
            self._ended_looks = self._ended_looks + 1 if self.has_ended() else 0
        return self._ended_looks > 1


def _runs(state_file: Path) -> bool:
    try:
        os.kill(int(json.loads(state_file.read_text(encoding="utf-8"))["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _write_line(event: "Progress") -> None:
    typer.echo(event.as_line())


def _completed(result: dict[str, object]) -> str:
    """Return how a study ended well: the entry of a trained model, or what was found."""
    evaluation = result.get("evaluation")
    if isinstance(evaluation, dict):
        verdicts = evaluation["verdicts"].items()
        listed = ", ".join(f"{entry}: {verdict}" for entry, verdict in verdicts)
        return t(EVALUATED, listed=listed)
    outcomes = result.get("outcomes")
    if isinstance(outcomes, dict):
        return t(FITTED, refused=", ".join(outcomes["refused"]) or "-")
    rounds, registry = result.get("rounds"), result.get("registry")
    done = rounds.get("done", "?") if isinstance(rounds, dict) else "?"
    entry = registry.get("entry", "?") if isinstance(registry, dict) else "?"
    return t(COMPLETED, rounds=done, entry=entry)


def _say_errors(result: dict[str, object]) -> None:
    typer.echo(t(STOPPED if result.get("status") == "stopped" else FAILED), err=True)
    errors = result.get("errors")
    for error in errors if isinstance(errors, list) else []:
        typer.echo(t(ERROR, code=error["code"], what=error["what"]), err=True)
        typer.echo(str(error.get("next_step", "")), err=True)


def _sites(stored: dict[str, object]) -> list[str]:
    sites = stored["sites"]
    return [str(site) for site in sites] if isinstance(sites, list) else []


def _rounds(stored: dict[str, object]) -> int:
    training = stored["training"]
    return int(training["rounds"]) if isinstance(training, dict) else 0
