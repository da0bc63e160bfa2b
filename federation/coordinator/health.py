"""Start a child anew that hangs: it runs, and answers nobody.

A child that ends is started again by its supervisor at once; one that hangs is
killed here, so that the same happens. It must miss several questions in a row, so
that a busy or sleeping machine kills nobody; and one that has not answered yet since
it was started is starting, however long that takes. A question that cannot be asked
says nothing of the child, so it is no miss.
"""

import asyncio
import logging
from collections.abc import Callable

from federation.errors import PlatformError
from federation.errors.control import ChildHangsError
from federation.errors.upkeep import QuestionFailedError
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
        Asks the child, in a thread, for at most `WITHIN_S` seconds. It may raise
        `OSError` or `PlatformError` where the machine does not let it ask.
    """
    life, misses, has_answered, was_asked = 0, 0, False, True
    while True:
        await asyncio.sleep(PAUSE_S)
        if child.starts != life:
            life, misses, has_answered = child.starts, 0, False
        try:
            said, was_asked = await asyncio.to_thread(answers), True
        except (OSError, PlatformError) as error:
            if was_asked:
                log.warning("[%s] %s", *_unasked(child, error))
            was_asked = False
            continue
        if said:
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


def _unasked(child: Child, error: OSError | PlatformError) -> tuple[str, str]:
    why = error.code if isinstance(error, PlatformError) else type(error).__name__
    told = QuestionFailedError(name=child.plan.name, why=why)
    return told.code, told.say()
