"""What a body of observation must do; the default does nothing and costs nothing.

`federation/observability/tracing.py` is the OpenTelemetry body. An observer is
told names that stand in the code, ids, seconds and error codes: nothing else
exists in its methods, so nothing of a patient can reach it.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from federation.observability.context import Context


class Observer(Protocol):
    """Somebody who is told what happens. Its methods never raise."""

    def span(self, name: str, where: Context) -> AbstractContextManager[None]:
        """Return a context manager around a piece of work that begins and ends here."""

    def passed(self, name: str, where: Context, *, seconds: float, code: str | None) -> None:
        """Be told of work elsewhere that took `seconds` up to now; `code` if it failed."""


class SilentObserver:
    """Observe nothing."""

    def span(self, name: str, where: Context) -> AbstractContextManager[None]:
        """Return a context manager that does nothing."""
        del name, where
        return nullcontext()

    def passed(self, name: str, where: Context, *, seconds: float, code: str | None) -> None:
        """Do nothing."""
        del name, where, seconds, code
