"""Try a writing transaction again where another writer was faster.

A body of the store says so with `WriteConflict`; every service that writes goes
through `in_one_transaction`, so that all of them try equally often and say the same
when they give up.
"""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from federation.errors.registry import BusyRegisterError
from registry.ports import WriteConflict

TRIES = 40
_PAUSE_S = 0.02

View = TypeVar("View")
Value = TypeVar("Value")


def in_one_transaction(
    begin: Callable[[], AbstractContextManager[View]], work: Callable[[View], Value]
) -> Value:
    """Return what `work` returns of a transaction that was committed.

    Parameters
    ----------
    begin
        Opens a transaction that commits on leaving; raises `WriteConflict`, then or on
        leaving, where another writer was faster.
    work
        Does the writes; called anew for every attempt.

    Raises
    ------
    BusyRegisterError
        If other writers were always faster; nothing was written.
    """
    for _ in range(TRIES):
        try:
            with begin() as view:
                return work(view)
        except WriteConflict:
            time.sleep(random.uniform(0, _PAUSE_S))  # noqa: S311
    raise BusyRegisterError(tries=TRIES)
