"""Count people without showing anybody: small cells, and what totals would give away.

A count of one to nine patients is never shown (`SMALL`). Where a total stands
beside its cells, a single hidden cell could be subtracted out, so others are
hidden with it (complementary suppression). Where questions can be asked again
and again, counts are rounded to tens at random, the same set of patients always
the same way, so that subtracting two answers is mostly chance (`rounded`).
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from federation.domain.cells import SMALL_CELL

SMALL = f"<{SMALL_CELL}"
SUPPRESSED = "suppressed"

Cell = TypeVar("Cell", bound=Hashable)


@dataclass(frozen=True)
class Sum(Generic[Cell]):
    """Cells that add up to another one: `total` is published beside its `parts`."""

    total: Cell
    parts: frozenset[Cell]


def suppressed(count: int) -> int | str:
    """Return a count, or ``<10`` when it is from 1 to 9."""
    return SMALL if 0 < count < SMALL_CELL else count


def in_tens(count: int) -> int | str:
    """Return a count in whole tens, ``<10`` when it is from 1 to 9.

    For what changes by one person at a time, so that two cards seldom tell who it was.
    """
    return suppressed(count) if count < SMALL_CELL else count - count % SMALL_CELL


def hidden_cells(
    patients_of: Mapping[Cell, Collection[str]], sums: Iterable[Sum[Cell]]
) -> frozenset[Cell]:
    """Return the cells that must not be shown: small ones, and those that give them away.

    For every sum at the end: the total is shown and no part is hidden, or two or
    more parts with ten patients or more between them; or the total is hidden and
    a part with it. The smallest cell that is still shown goes first.
    """
    people = {cell: frozenset(owners) for cell, owners in patients_of.items()}
    hidden = {cell for cell, owners in people.items() if 0 < len(owners) < SMALL_CELL}
    listed = list(sums)
    while more := next((cell for one in listed for cell in _missing(one, people, hidden)), None):
        hidden.add(more)
    return frozenset(hidden)


def _missing(
    one: Sum[Cell], people: Mapping[Cell, frozenset[str]], hidden: Collection[Cell]
) -> list[Cell]:
    """Return the next cell to hide so that a sum gives nothing away; empty when it does not."""
    inside = [cell for cell in one.parts if cell in hidden]
    among = frozenset[str]().union(*(people[cell] for cell in inside))
    if one.total in hidden:
        safe = bool(inside) or not one.parts
    else:
        safe = not inside or (len(inside) > 1 and len(among) >= SMALL_CELL)
    if safe:
        return []
    shown = [cell for cell in one.parts if cell not in hidden]
    return sorted(shown, key=lambda cell: (len(people[cell]), repr(cell)))[:1] or [one.total]


def table(
    values: Iterable[str], *, patients: Iterable[str] | None = None, fold: str | None = None
) -> dict[str, int | str]:
    """Return counts by value; those of fewer than ten patients are suppressed.

    While all suppressed ones together are still of fewer than ten, so that a total
    would give them away, the next smallest is suppressed with them.

    Parameters
    ----------
    patients
        Whose each value is; every value is of another patient when left out.
    fold
        The name under which suppressed values are counted together, so that a rare
        name is not shown either; counted only if they are of ten patients or more.
    """
    listed = list(values)
    owners = [str(n) for n in range(len(listed))] if patients is None else list(patients)
    of: dict[str, set[str]] = {name: set() for name in listed}
    for name, owner in zip(listed, owners, strict=True):
        of[name].add(owner)
    hidden: set[str] = set()
    among: set[str] = set()
    for name in sorted(of, key=lambda n: (len(of[n]), n)):
        if len(of[name]) < SMALL_CELL or 0 < len(among) < SMALL_CELL:
            hidden.add(name)
            among |= of[name]
    counts = Counter(listed)
    if fold is None or not hidden:
        return {n: SUPPRESSED if n in hidden else count for n, count in sorted(counts.items())}
    together = sum(counts[name] for name in hidden)
    kept: dict[str, int | str] = {n: counts[n] for n in sorted(counts) if n not in hidden}
    return {**kept, fold: together if len(among) >= SMALL_CELL else SUPPRESSED}


def rounded(patients: Collection[str]) -> int | str:
    """Return how many patients, rounded to a multiple of ten; ``<10`` below ten.

    Up or down is drawn with the chance that makes the mean right, by the SHA-256 of
    the pseudonyms: the same patients give the same number however they are asked
    for, and one patient more or less gives another draw (random rounding with a
    cell key, as statistical offices do it).
    """
    count = len(set(patients))
    if count < SMALL_CELL:
        return suppressed(count)
    digest = hashlib.sha256("\n".join(sorted(set(patients))).encode()).digest()
    draw = int.from_bytes(digest[:8], "big") / 2**64
    below, rest = divmod(count, SMALL_CELL)
    return SMALL_CELL * (below + (draw < rest / SMALL_CELL))
