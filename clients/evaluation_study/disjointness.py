"""Whom a version was trained on here, and what this hospital signs about having left them out.

The statement is small and tells nobody: the runs that were looked up in the book of
lineage, and two digests over pseudonyms, of those who were left out for them and of those
who were counted. Pseudonyms are keyed, so the digests say nothing outside; inside the
hospital they let anybody with its books check later that the two sets do not meet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients.data.people.lineage import Lineage
from clients.disclosure import shared_count
from clients.home import NodeHome
from federation.domain.evaluation_plan import EvaluatedVersion
from federation.domain.ids import RunId, Sha256, SiteId
from federation.errors.evaluating import DisjointnessError

METHOD = "lineage-book-1"
"""Which check this is; another one gets another name."""


@dataclass(frozen=True)
class LeftOut:
    """Who is told from the patients of an evaluation, and for which runs.

    Parameters
    ----------
    runs
        The run that trained the version, and the earlier ones it went on from.
    people
        The pseudonyms of everybody those runs saw here.
    """

    runs: tuple[RunId, ...]
    people: frozenset[str]

    def among(self, keys: Sequence[str]) -> NDArray[np.bool_]:
        """Return which of some patients are left out."""
        return np.array([key in self.people for key in keys], dtype=bool)


@dataclass(frozen=True, slots=True)
class Checked:
    """What was checked when cases were scored: the runs, and a digest of whom they saw."""

    runs: tuple[RunId, ...]
    trained: Sha256

    @classmethod
    def of(cls, left_out: LeftOut, *, study: Sha256) -> "Checked":
        """Return what is kept beside the predictions of a study with this digest."""
        return cls(left_out.runs, digest_of_people(left_out.people, study=study))


def left_out_of(home: NodeHome, lineage: Lineage, version: EvaluatedVersion) -> LeftOut:
    """Return whom this hospital leaves out of an evaluation of a version.

    Raises
    ------
    DisjointnessError
        If this hospital took part in the run and does not know with whom.
    """
    if not lineage.members(version.run) and _took_part(home, version):
        raise DisjointnessError(entry=version.entry, run=version.run)
    runs = lineage.line_of(version.run)
    people = frozenset[str]().union(*(lineage.members(run) for run in runs))
    return LeftOut(runs, people)


def digest_of_people(people: Iterable[str], *, study: Sha256) -> Sha256:
    """Return a digest of pseudonyms that is another one in every study."""
    return Sha256.of("\n".join([METHOD, str(study), *sorted(people)]).encode())


def said_of(
    checked: Checked, keys: Sequence[str], members: NDArray[np.bool_], *, study: Sha256
) -> dict[str, object]:
    """Return what a hospital signs of its patients; the count is coarse, or hidden (None).

    Parameters
    ----------
    keys, members
        The pseudonyms of all patients, and which of them were left out.
    """
    counted = [key for key, left in zip(keys, members, strict=True) if not left]
    return {
        "method": METHOD,
        "runs": [str(run) for run in checked.runs],
        "trained": str(checked.trained),
        "counted": str(digest_of_people(counted, study=study)),
        "left_out": shared_count(int(members.sum())),
    }


def _took_part(home: NodeHome, version: EvaluatedVersion) -> bool:
    site: SiteId = home.settings().site
    return site in version.trained_at
