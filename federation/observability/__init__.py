"""Say what happens once; logs, spans and metrics take it from here.

    from federation import observability as observed

    with observed.study(study_id, run=run_id):
        with observed.round(7, kind="train"):
            with observed.step("dispatch"):
                ...
            observed.answered(site_id, seconds=12.5)
            observed.refused(site_id, "TF344", seconds=0.2)

Every log line inside carries study, run, round and site. With no observer set
(`observe_with`; only a process's start does that) the spans cost about a
microsecond and go nowhere. Metrics are not counted here: they are read from the
database when somebody asks (`docs/observability.md`), so a crash loses none.
Standard library only; OpenTelemetry and Prometheus are imported where they are
switched on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from federation.domain.ids import RunId, SiteId, StudyId
from federation.observability.context import Context, current, within
from federation.observability.port import Observer, SilentObserver

__all__ = [
    "Context",
    "Observer",
    "answered",
    "current",
    "observe_with",
    "refused",
    "round",
    "site",
    "step",
    "study",
]

_observer: Observer = SilentObserver()


def observe_with(observer: Observer | None) -> None:
    """Tell `observer` from now on what happens in this process; None: nobody."""
    global _observer  # one per process, like the root logger
    _observer = observer or SilentObserver()


@contextmanager
def study(study: StudyId, *, run: RunId | None = None) -> Iterator[None]:
    """Mark what happens inside as part of a study, and of one run of it."""
    with within(study=study, run=run) as where, _observer.span("study", where):
        yield


@contextmanager
def round(number: int, *, kind: str = "train") -> Iterator[None]:
    """Mark what happens inside as part of a round; `kind` is "train" or "evaluate"."""
    with within(round=number, kind=kind) as where, _observer.span("round", where):
        yield


@contextmanager
def site(site: SiteId) -> Iterator[None]:
    """Mark what happens inside as being about one site."""
    with within(site=site) as where, _observer.span("site", where):
        yield


@contextmanager
def step(name: str) -> Iterator[None]:
    """Time one part of the work; `name` is a word of the code, such as "dispatch"."""
    with _observer.span(name, current()):
        yield


def answered(site: SiteId, *, seconds: float) -> None:
    """Say that a site's reply was accepted `seconds` after it was asked."""
    _observer.passed("site", replace(current(), site=site), seconds=seconds, code=None)


def refused(site: SiteId, code: str, *, seconds: float = 0.0) -> None:
    """Say that a site ended with a coded no (its own, or the centre's to it)."""
    _observer.passed("site", replace(current(), site=site), seconds=seconds, code=code)
