"""A bar with rate and time left for work that is counted in files."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from federation.commands.output import t
from federation.wording import Text

RATE = Text(en="{rate:,.0f} files/s", zh="每秒 {rate:,.0f} 檔")
EVERY = 64

Counted = Callable[[int, int], None]
"""Told of how many are done and how many there are."""


@contextmanager
def bar(text: Text, *, quiet: bool) -> Iterator[Counted | None]:
    """Show a bar on stderr while the block runs; nothing where nobody looks at a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeLeft(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(t(text), total=None, rate="")

        def told(done: int, given: int) -> None:
            if done % EVERY and done != given and done > EVERY:
                return
            speed = shown.tasks[0].speed or 0.0
            shown.update(task, completed=done, total=given, rate=t(RATE, rate=speed))

        yield told
