"""Where a line of the log belongs: study, run, round, site. Never whom it is about.

The four fields are checked ids and a number, so they can go into a log line, a
span or a label without another look. They follow the code through `await` and
into `asyncio.to_thread`; a thread of one's own starts without them, unless it is
started with `contextvars.copy_context().run`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from federation.domain.ids import RunId, SiteId, StudyId


@dataclass(frozen=True, slots=True)
class Context:
    """What the code that runs now is busy with; None and 0: nothing in particular."""

    study: StudyId | None = None
    run: RunId | None = None
    round: int = 0
    kind: str = ""
    site: SiteId | None = None

    def fields(self) -> dict[str, str | int]:
        """Return what is set, in a fixed order; keys are those of a structured log line."""
        named = {
            "study": self.study,
            "run": self.run,
            "round": self.round,
            "kind": self.kind,
            "site": self.site,
        }
        return {name: value for name, value in named.items() if value}


_NOTHING = Context()
_CURRENT: ContextVar[Context] = ContextVar("trifed_context", default=_NOTHING)


def current() -> Context:
    """Return what the running code is busy with."""
    return _CURRENT.get()


@contextmanager
def within(**changes: Any) -> Iterator[Context]:
    """Set some fields of the context for a while, and yield the whole of it."""
    token = _CURRENT.set(replace(_CURRENT.get(), **changes))
    try:
        yield _CURRENT.get()
    finally:
        _CURRENT.reset(token)
