"""Fetch what a query wants from an archive: series by series, again only what is missing.

Each object is remembered (as a keyed digest, in `transfers.db`) once it lies in
the inbox, so an interrupted fetch goes on where it stopped, a repeated one asks
only for what is new, and what failed is asked for again next time.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clients.data.ways_in.archive import Archive, Query, Series
from clients.data.ways_in.inbox import Drained
from clients.data.ways_in.transfers import Transfers
from federation.errors.base import PlatformError
from federation.errors.sources import FetchIncompleteError, ObjectsNotSentError

FAILURES_IN_A_ROW = 5
"""After so many failed series in a row the archive is taken for gone."""


@dataclass(slots=True)
class Fetched:
    """What a fetch did, in numbers of series and objects; holds no UID."""

    planned: int = 0
    here_before: int = 0
    fetched: int = 0
    failed: int = 0
    objects: int = 0
    missing: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def as_json(self, drained: Drained) -> dict[str, Any]:
        """Return the counts, with what the intake made of the objects."""
        return {
            "series": {
                "planned": self.planned,
                "here_before": self.here_before,
                "fetched": self.fetched,
                "failed": self.failed,
            },
            "objects": {"received": self.objects, "missing": self.missing},
            "errors": dict(sorted(self.errors.items())),
            "intake": drained.as_json(),
        }

    def check(self) -> None:
        """Raise `FetchIncompleteError` unless everything planned is here."""
        if self.failed:
            codes = ", ".join(sorted(self.errors))
            raise FetchIncompleteError(failed=self.failed, planned=self.planned, codes=codes)


Progress = Callable[[Fetched], None]
"""Called after each object and each series."""


def fetch(
    archive: Archive,
    query: Query,
    transfers: Transfers,
    *,
    pause: Callable[[], None] | None = None,
    progress: Progress | None = None,
    result: Fetched | None = None,
) -> Fetched:
    """Bring everything that the query wants into the inbox.

    A series that fails is counted and the next one is tried; `Fetched.check`
    says afterwards whether all are here. `pause` is called before each series and
    returns when the inbox has room; `result` is counted on while the fetch runs.

    Raises
    ------
    PlatformError
        If the archive cannot be asked at all, or fails several times in a row.
    """
    result = result or Fetched()
    in_a_row = 0
    for series in archive.plan(query):
        result.planned += 1
        if pause is not None:
            pause()
        try:
            _one(archive, series, transfers, result, progress)
            in_a_row = 0
        except PlatformError as error:
            result.failed += 1
            result.errors[error.code] += 1
            in_a_row += 1
            if in_a_row >= FAILURES_IN_A_ROW:
                raise
        if progress is not None:
            progress(result)
    return result


def _one(
    archive: Archive,
    series: Series,
    transfers: Transfers,
    result: Fetched,
    progress: Progress | None,
) -> None:
    """Fetch one series as far as it is not here.

    Raises
    ------
    ObjectsNotSentError
        If some of its instances did not come.
    """
    source = archive.name
    before = transfers.series_size(source, series.uid)
    if before is not None and before == series.instances:
        result.here_before += 1
        return
    listed = archive.instances(series)
    if series.instances and not listed:  # an archive that contradicts itself is asked again
        result.missing += series.instances
        raise ObjectsNotSentError(count=series.instances)
    wanted = {uid: kind for uid, kind in listed.items() if not transfers.has_instance(source, uid)}
    left = set(wanted)

    def received(uid: str) -> None:
        transfers.add_instance(source, uid)
        if uid in left:
            left.discard(uid)
            result.objects += 1
        if progress is not None:
            progress(result)

    if wanted:
        archive.retrieve(series, wanted, whole=len(wanted) == len(listed), received=received)
    if left:
        result.missing += len(left)
        raise ObjectsNotSentError(count=len(left))
    transfers.finish_series(source, series.uid, instances=len(listed))
    result.fetched += bool(wanted)
    result.here_before += not wanted
