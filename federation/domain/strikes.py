"""Decide between rounds who is asked: whoever approved, is connected and is not paused.

A site that failed in three rounds in a row in which it was asked is paused in this
run, so that it neither holds up rounds nor spends its patients' privacy budget on
updates that nobody receives. A person readmits it, and its count starts anew. A no of
the hospital's own people or rules is no failure: it is left out of that round only.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from federation.domain.ids import SiteId
from federation.errors.leases import SitePausedError

STRIKES = 3
"""Failed rounds in a row after which a site is paused."""

_OWN_NO_BEGINS = ("TF32", "TF33", "TF34", "TF35", "TF630", "TF640", "TF641")
_NOT_THEIRS = frozenset({"TF321", "TF325", "TF326", "TF327", "TF329", "TF330", "TF346"})


@dataclass(frozen=True, slots=True)
class Attendance:
    """One ended round as far as it matters here: who replied, who failed for which code.

    Whoever was asked is in one of the two; who is in neither was not asked, and the
    round says nothing of it.
    """

    number: int
    replied: frozenset[SiteId]
    codes: Mapping[SiteId, str]


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a site is not asked any more: the rounds it failed in and their codes."""

    site: SiteId
    rounds: tuple[int, ...]
    codes: tuple[str, ...]

    def as_error(self) -> SitePausedError:
        """Return the pause as people read it."""
        rounds = ", ".join(str(number) for number in self.rounds)
        return SitePausedError(site=self.site, rounds=rounds, codes=", ".join(self.codes))


def is_own_no(code: str) -> bool:
    """Say whether a code is the hospital's own no: its policy, approval, budget or gate."""
    return code.startswith(_OWN_NO_BEGINS) and code not in _NOT_THEIRS


def paused(
    rounds: Iterable[Attendance], readmitted: Mapping[SiteId, int] | None = None
) -> dict[SiteId, Pause]:
    """Return the sites that are paused, by name.

    Parameters
    ----------
    rounds
        The run's ended training rounds, in order.
    readmitted
        The last round before a site was readmitted; it and those before do not count.
    """
    since = readmitted or {}
    strikes: dict[SiteId, list[tuple[int, str]]] = {}
    for attendance in rounds:
        for site in attendance.replied.union(attendance.codes):
            if attendance.number > since.get(site, 0):
                _count(strikes.setdefault(site, []), attendance, site)
    return {
        site: Pause(site, tuple(one[0] for one in failed), tuple(one[1] for one in failed))
        for site, failed in sorted(strikes.items())
        if len(failed) >= STRIKES
    }


def selectable(
    approved: Collection[SiteId], paused: Collection[SiteId], connected: Collection[SiteId]
) -> tuple[SiteId, ...]:
    """Return the sites that the next round may ask, by name.

    `approved` are those whose signed yes is here now, however late it came.
    """
    return tuple(sorted((set(approved) - set(paused)) & set(connected)))


def _count(failed: list[tuple[int, str]], attendance: Attendance, site: SiteId) -> None:
    if site in attendance.replied or is_own_no(attendance.codes[site]):
        failed.clear()
    else:
        failed.append((attendance.number, attendance.codes[site]))
