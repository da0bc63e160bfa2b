"""The live table of a run: a row for each site, a column for each round.

Under it stands what the study does just now: its stage, or what keeps it from it.
`LiveTable` is told of every `Progress` and redraws; on a terminal it moves in
place, elsewhere it prints one line per event that matters.
"""

import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text as Styled

from federation.commands.output import t
from federation.operations.progress import EventKind, Progress
from federation.wording import Text

SITE = Text(en="site", zh="站點")
ROUND = Text(en="round {number}", zh="第 {number} 輪")
EPSILON = Text(en="epsilon spent", zh="已用 epsilon")
STATE = Text(en="state", zh="狀態")
LOSS = Text(en="loss {loss:.2f}", zh="損失 {loss:.2f}")
CONNECTED = Text(en="connected", zh="已連線")
APPROVED = Text(en="approved", zh="已核准")
TRAINING = Text(en="training {percent} %", zh="訓練中 {percent} %")
WAITING = Text(en="waiting", zh="等待中")
DONE = Text(en="round {number} done", zh="第 {number} 輪完成")
REFUSED = Text(en="refused {code}", zh="拒絕 {code}")
AUROC = Text(en="AUROC {value:.3f}", zh="AUROC {value:.3f}")
ROUND_LINE = Text(
    en="Round {number} of {rounds} done in {seconds:.1f} s: {sites}",
    zh="第 {number}/{rounds} 輪完成,耗時 {seconds:.1f} 秒:{sites}",
)
STAGES = {
    "queued": Text(en="In the queue", zh="已排入佇列"),
    "starting": Text(en="Starting the study's process", zh="啟動研究的程序"),
    "preparing": Text(en="Preparing the run", zh="準備執行"),
    "approving": Text(
        en="Proposed; waiting for each hospital's signed decision", zh="已提案;等待各醫院簽署決定"
    ),
    "opening": Text(en="Opening the run at Flower", zh="在 Flower 開啟執行"),
    "training": Text(en="Training", zh="訓練中"),
    "waiting": Text(en="Waiting until enough sites are connected", zh="等待足夠的站點連線"),
    "in-line": Text(
        en="In line: another study has its turn at these sites",
        zh="排隊中:其他研究正在使用這些站點",
    ),
    "its-turn": Text(en="Its turn has come", zh="輪到此研究"),
    "paused": Text(en="Paused", zh="已暫停"),
    "recovering": Text(en="Going on after an interruption", zh="中斷後繼續執行"),
    "evaluating": Text(en="Evaluating on patients not trained on", zh="以未參與訓練的病人評估"),
    "concluding": Text(en="Adding the sums up and deciding", zh="彙總並判定"),
    "registering": Text(en="Writing the registry entry", zh="寫入登錄項目"),
    "done": Text(en="Done", zh="完成"),
}


@dataclass(slots=True)
class _Row:
    state: str = ""
    cells: dict[int, str] = field(default_factory=dict)
    epsilon: float | None = None


class LiveTable:
    """Show a run while it happens. Use as a context manager."""

    def __init__(self, console: Console, *, sites: list[str], rounds: int) -> None:
        self._console = console
        self._rounds = rounds
        self._rows = {site: _Row(t(WAITING)) for site in sites}
        self._stage = self._details = ""
        self._since = time.monotonic()
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._moves = console.is_terminal

    def __enter__(self) -> "LiveTable":
        if self._moves:
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._moves:
            self._live.__exit__(kind, error, trace)
            self._console.print(self._table())

    def tell(self, event: Progress) -> None:
        """Take in one event and redraw."""
        if event.site is not None:
            self._tell_site(self._rows.setdefault(event.site, _Row()), event)
        if event.kind is EventKind.STAGE:
            self._enter(str(event.values.get("stage", "")), _details(event.values))
        if self._moves:
            self._live.update(self.render())
        elif event.kind is EventKind.ROUND_DONE:
            self._console.print(self._round_line(event), highlight=False, soft_wrap=True)

    def _enter(self, stage: str, details: str) -> None:
        if (stage, details) == (self._stage, self._details):
            return
        if stage != self._stage:
            self._since = time.monotonic()
        self._stage, self._details = stage, details
        if not self._moves and stage in STAGES:
            self._console.print(f"- {t(STAGES[stage])}{details}", highlight=False)

    def _tell_site(self, row: _Row, event: Progress) -> None:
        values, number = event.values, event.round or 0
        if event.kind is EventKind.SITE_CONNECTED:
            row.state = t(CONNECTED)
        elif event.kind is EventKind.SITE_DECIDED:
            approved = values.get("decision") == "approved"
            row.state = t(APPROVED) if approved else t(REFUSED, code="")
        elif event.kind is EventKind.SITE_PROGRESS:
            row.state = t(TRAINING, percent=values.get("percent", 0))
        elif event.kind is EventKind.SITE_REPLIED:
            row.state, row.cells[number] = t(DONE, number=number), _loss(values)
            row.epsilon = _number(values.get("epsilon"), row.epsilon)
        elif event.kind is EventKind.SITE_REFUSED:
            row.state = row.cells[number] = t(REFUSED, code=values.get("code", ""))
        elif event.kind is EventKind.SITE_EVALUATED:
            value = _number(values.get("value"), None)
            row.state = "" if value is None else t(AUROC, value=value)

    def _round_line(self, event: Progress) -> str:
        number = event.round or 0
        sites = ", ".join(
            f"{site} {row.cells[number]}" for site, row in self._rows.items() if number in row.cells
        )
        seconds = _number(event.values.get("seconds"), 0.0)
        return "  " + t(
            ROUND_LINE, number=number, rounds=self._rounds, seconds=seconds, sites=sites
        )

    def render(self) -> RenderableType:
        """Return the table with the stage under it."""
        stage = STAGES.get(self._stage)
        seconds = time.monotonic() - self._since
        words = "" if stage is None else f"{t(stage)}{self._details} … {seconds:.0f} s"
        return Group(self._table(), Styled(words, style="dim"))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column(t(SITE), style="bold", no_wrap=True)
        for number in self._shown():
            table.add_column(t(ROUND, number=number), justify="right", no_wrap=True)
        table.add_column(t(EPSILON), justify="right", no_wrap=True)
        table.add_column(t(STATE), no_wrap=True)
        for site, row in self._rows.items():
            cells = [row.cells.get(number, "·") for number in self._shown()]
            epsilon = "·" if row.epsilon is None else f"{row.epsilon:.2f}"
            table.add_row(site, *cells, epsilon, row.state)
        return table

    def _shown(self) -> list[int]:
        """Return the rounds that fit: the newest ones."""
        width = max(1, (self._console.width - 52) // 13)
        done = max((n for row in self._rows.values() for n in row.cells), default=0)
        last = min(self._rounds, max(done + 1, width))
        return list(range(max(1, last - width + 1), last + 1))


def _details(values: dict[str, object]) -> str:
    """Return what a stage says of itself: the code, or the sites that are missing."""
    said = [str(values[key]) for key in ("code", "sites") if values.get(key)]
    return f" ({', '.join(said)})" if said else ""


def _loss(values: dict[str, object]) -> str:
    loss = _number(values.get("loss"), None)
    return "✓" if loss is None else t(LOSS, loss=loss)


def _number(value: object, default: float | None) -> float | None:
    return float(value) if isinstance(value, (int, float)) else default
