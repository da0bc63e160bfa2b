"""Start a child anew that hangs: it runs, and answers nobody.

A child that ends is started again by its supervisor at once; one that hangs is
killed here, so that the same happens. It must miss several questions in a row, so
that a busy or sleeping machine kills nobody; and one that has not answered yet since
it was started is starting, however long that takes.
"""

import asyncio
import logging
from collections.abc import Callable

from federation.errors.control import ChildHangsError
from federation.supervision.children import Child

log = logging.getLogger(__name__)

WITHIN_S = 8.0
"""How long a child may take to answer one question."""

PAUSE_S = 2.0
MISSES = 3


async def restart_when_silent(child: Child, answers: Callable[[], bool]) -> None:
    """Watch a child for ever; within `MISSES * (WITHIN_S + PAUSE_S)` seconds of hanging it ends.

    Parameters
    ----------
    answers
        Asks the child, in a thread, for at most `WITHIN_S` seconds.
    """
    life, misses, has_answered = 0, 0, False
    while True:
        await asyncio.sleep(PAUSE_S)
        if child.starts != life:
            life, misses, has_answered = child.starts, 0, False
        if await asyncio.to_thread(answers):
            misses, has_answered = 0, True
            continue
        misses += 1
        if has_answered and misses >= MISSES and child.restart(if_older_s=0.0):
            log.warning("[%s] %s", *_words(child))
            misses = 0


def _words(child: Child) -> tuple[str, str]:
    error = ChildHangsError(
        name=child.plan.name,
        seconds=round(MISSES * (WITHIN_S + PAUSE_S)),
        log=child.plan.log_file.name,
    )
    return error.code, error.say()
