"""Which versions touched which data, site and run: read from the signed records themselves.

The index lives in memory and is made from what the register signed, so there is no table
beside the records that could say something else. A refresh reads only what is new; where
the database is not the one that was read before, everything is read again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from federation.errors.signed import LogTamperedError
from registry.models.ports import ModelVersions, StoredVersion

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Traced:
    """What a version came from, in short."""

    entry: str
    run: str
    study: str
    log_index: int
    supersedes: str | None
    data: tuple[tuple[str, str], ...]
    """Pairs of site and digest of its data."""


@dataclass(slots=True)
class _Rows:
    rows: list[Traced] = field(default_factory=list)
    by: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def extend(self, found: Iterable[Traced]) -> None:
        for one in found:
            place = len(self.rows)
            self.rows.append(one)
            keys = {("run", one.run)}
            keys |= {("site", site) for site, _ in one.data}
            keys |= {("dataset", digest) for _, digest in one.data}
            for key in keys:
                self.by.setdefault(key, []).append(place)


class TraceIndex:
    """The index of one database; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known = _Rows()

    def of_dataset(self, models: ModelVersions, digest: str) -> list[Traced]:
        """Return the versions trained on data, newest first."""
        return self._found(models, "dataset", digest)

    def of_site(self, models: ModelVersions, site: str) -> list[Traced]:
        """Return the versions a site trained, newest first."""
        return self._found(models, "site", site)

    def of_run(self, models: ModelVersions, run: str) -> list[Traced]:
        """Return the versions of a run, newest first."""
        return self._found(models, "run", run)

    def digests_like(self, models: ModelVersions, beginning: str) -> list[str]:
        """Return the data whose digest begins so."""
        known = self._refreshed(models)
        return sorted(id for kind, id in known.by if kind == "dataset" and id.startswith(beginning))

    def _found(self, models: ModelVersions, kind: str, id: str) -> list[Traced]:
        known = self._refreshed(models)
        return [known.rows[place] for place in reversed(known.by.get((kind, id), []))]

    def _refreshed(self, models: ModelVersions) -> _Rows:
        with self._lock:
            count, newest = models.count(), models.page(offset=0, limit=1)
            rows = self._known.rows
            if 0 < count <= len(rows) and rows[count - 1].log_index == newest[0].log_index:
                return self._known  # as new as this transaction, or newer
            wanted = count - len(rows)
            fresh = _newest(models, wanted) if wanted > 0 else []
            follows = bool(fresh) and (not rows or fresh[0].log_index > rows[-1].log_index)
            if follows:
                self._known.extend(_traced(one) for one in fresh)
            else:
                self._known = _Rows()
                self._known.extend(_traced(one) for one in _newest(models, count))
            return self._known


def _newest(models: ModelVersions, wanted: int) -> Sequence[StoredVersion]:
    """Return that many versions, the newest ones, oldest first."""
    found: list[StoredVersion] = []
    while len(found) < wanted:
        page = models.page(offset=len(found), limit=min(_CHUNK, wanted - len(found)))
        if not page:
            break
        found += page
    return found[::-1]


def _traced(stored: StoredVersion) -> Traced:
    try:
        parts = json.loads(stored.record)["participants"]
        data = tuple((str(part["site"]), str(part["dataset_digest"])) for part in parts)
    except (ValueError, KeyError, TypeError) as error:
        raise LogTamperedError(item=f"entry {stored.entry}", why="it cannot be read") from error
    return Traced(stored.entry, stored.run, stored.study, stored.log_index, stored.supersedes, data)
