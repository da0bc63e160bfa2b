"""The centre's studies in words: where each stands, and what it waits for."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from federation.commands.output import t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.operations.queueing import Standing

STUDY = Text(en="study", zh="研究")
STATE = Text(en="state", zh="狀態")
ROUNDS = Text(en="rounds", zh="輪次")
PRIORITY = Text(en="priority", zh="優先序")
NOTE = Text(en="what it waits for", zh="等待原因")
WAITING = Text(en="waiting, number {position}", zh="等候中,第 {position} 位")
ACTIVE = Text(en="active", zh="執行中")
PAUSED = Text(en="paused", zh="已暫停")
STARTS_AT = Text(en="starts at {time}", zh="{time} 開始")
FOR_ROOM = Text(en="its process is started next", zh="即將啟動程序")
PAUSED_BY = Text(en="paused by {actor}: {reason}", zh="由 {actor} 暫停:{reason}")
STOPPING = Text(
    en="ends after this round; asked by {actor}: {reason}",
    zh="本輪後結束;由 {actor} 要求:{reason}",
)
STOPPING_NOW = Text(
    en="is ending at once; asked by {actor}: {reason}", zh="立即結束;由 {actor} 要求:{reason}"
)
IN_LINE = Text(en="in line behind {studies}", zh="排在 {studies} 之後")
SITES_PAUSED = Text(
    en="paused in this run: {sites} (trifed study readmit {study} SITE)",
    zh="此執行中暫停:{sites}(trifed study readmit {study} SITE)",
)
ENDED_WITH = Text(en="ended with {code}", zh="以 {code} 結束")
NO_REASON = Text(en="no reason given", zh="未說明原因")


def state_of(one: "Standing") -> str:
    """Return a study's state for people: its place in the queue while it is launched.

    A completed one is completed, though nobody may have taken it out of the queue yet.
    """
    from federation.domain.queue import QueueState
    from federation.domain.study import StudyState

    if one.state is StudyState.COMPLETED:
        return str(one.state.value)
    state = None if one.entry is None else one.entry.state
    if state is QueueState.WAITING:
        return t(WAITING, position=one.position)
    if state is QueueState.PAUSED:
        return t(PAUSED)
    return t(ACTIVE) if state is QueueState.ACTIVE else one.state.value


def notes_of(one: "Standing") -> list[str]:
    """Return what a study waits for, in sentences."""
    from federation.domain.queue import QueueState, Wish

    entry = one.entry
    if entry is None:
        return []
    if entry.state is QueueState.ENDED:
        return [t(ENDED_WITH, code=entry.code)] if entry.code else []
    said = {"actor": entry.actor, "reason": entry.reason or t(NO_REASON)}
    notes = {
        Wish.PAUSE: [t(PAUSED_BY, **said)],
        Wish.STOP: [t(STOPPING, **said)],
        Wish.STOP_NOW: [t(STOPPING_NOW, **said)],
    }.get(entry.wish, [])
    if entry.state is QueueState.WAITING and entry.wish is Wish.GO_ON:
        at = entry.asked.not_before
        is_due = at is None or entry.is_due(datetime.now(UTC))
        notes = [t(FOR_ROOM) if is_due or at is None else t(STARTS_AT, time=_local(at))]
    if one.behind:
        notes = [*notes, t(IN_LINE, studies=", ".join(one.behind))]
    if one.paused_sites:
        sites = ", ".join(one.paused_sites)
        notes = [*notes, t(SITES_PAUSED, sites=sites, study=one.study)]
    return notes


def as_json(one: "Standing") -> dict[str, object]:
    """Return where a study stands, for machines."""
    entry = one.entry
    queue: dict[str, object] | None = None
    if entry is not None:
        queue = {
            "state": entry.state.value,
            "position": one.position,
            "priority": entry.asked.priority,
            "not_before": None if entry.asked.not_before is None else str(entry.asked.not_before),
            "wish": entry.wish.value,
            "reason": entry.reason,
            "actor": entry.actor,
            "attempts": entry.attempts,
            "code": entry.code,
            "behind": list(one.behind),
            "has_turn": one.has_turn,
        }
    return {
        "id": one.study,
        "title": one.title,
        "state": one.state.value,
        "run": one.run,
        "rounds": {"asked": one.rounds, "done": one.rounds_done},
        "paused_sites": list(one.paused_sites),
        "queue": queue,
    }


def show_table(standings: "list[Standing]") -> None:
    """Print a row for each study."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in (STUDY, STATE, ROUNDS, PRIORITY):
        table.add_column(t(column), no_wrap=True)
    table.add_column(t(NOTE))
    for one in standings:
        priority = "" if one.entry is None else str(one.entry.asked.priority)
        rounds = f"{one.rounds_done}/{one.rounds}"
        table.add_row(one.study, state_of(one), rounds, priority, "; ".join(notes_of(one)))
    Console(highlight=False).print(table)


def _local(moment: datetime) -> str:
    return str(moment.astimezone().replace(microsecond=0))
