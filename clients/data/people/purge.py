"""Delete what is held of those who opted out: images, rows, labels, masks, arrays, outcomes.

Leaving a person out of the next cohort needs no purge; it is for a hospital that
must not keep the copies either. The originals in the PACS are not touched. Rows
go first, files after: killed in between, `purge` again removes what no row names.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from clients.data.layout import LOCK, MASKS, STORE
from clients.data.people.holdings import open_holdings
from clients.data.people.locks import locked
from clients.data.people.optout import load_optouts


@dataclass(frozen=True, slots=True)
class Purged:
    """How much was deleted. For the hospital's own eyes."""

    patients: int
    images: int
    files: int
    masks: int
    prepared: int


def purge(data: Path) -> Purged:
    """Delete everything held of those on the opt-out register.

    Raises
    ------
    IntakeBusyError
        If an intake is running.
    OptOutListError
        If it is unknown who opted out.
    """
    from clients.data.cohort.cache import forget
    from clients.data.outcomes.store import purge_tables

    with locked(data / LOCK):
        listed = load_optouts(data).patients
        purge_tables(data, listed)
        with open_holdings(data) as holdings:
            images = list(holdings.images())
            gone = [one for one in images if {one.patient, one.any_issuer} & listed]
            prepared = forget(data, [one.sha256 for one in gone])
            holdings.forget(gone)
            masks = holdings.masks()
            names = {one.instance for one in images} - {one.instance for one in gone}
        is_known = bool(images)  # an empty catalogue may be the wrong one: nothing is swept then
        return Purged(
            patients=len({one.any_issuer for one in gone}),
            images=len(gone),
            files=_delete_unnamed(data / STORE, "*/*.dcm", names) if is_known else 0,
            masks=_delete_unnamed(data / MASKS, "*.npy", masks) if is_known else 0,
            prepared=prepared,
        )


def _delete_unnamed(folder: Path, pattern: str, names: Collection[str]) -> int:
    """Delete every file that no row of the catalogue names; return how many."""
    unnamed = [path for path in folder.glob(pattern) if path.stem not in names]
    for path in unnamed:
        path.unlink()
    return len(unnamed)
