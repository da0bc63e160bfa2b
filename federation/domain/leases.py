"""Decide in a round who is waited for: leases that movement renews, and no time that people set.

A site is alive while it is connected and something of it moves: batches, bytes of its
model or update, another run it is busy with. It is left out when it is gone (away for
longer than a restart takes), stalled (nothing moves for far longer than ever before),
starts anew again and again, or - only once the quorum has replied - straggles.

    leases = Leases(plan, paces, sights, now=now)         # before the tasks go out
    for verdict in leases.look(sights, now=now): ...      # some times a second
    leases.replied(site, now=now)                         # its update was accepted

Pure: `now` is any clock that never runs backwards, in seconds. Time in which nobody
looked (a suspended machine, a paused or restarted coordinator) does not count against
a site: after such a gap every lease is renewed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from federation.domain.ids import SiteId
from federation.domain.pace import Flow, Measured, Pace, RoundPlan, Sight, Steps, Work, left_s
from federation.domain.run import RoundKind
from federation.errors.base import PlatformError
from federation.errors.leases import (
    SiteGoneError,
    SiteKeepsRestartingError,
    SiteStalledError,
    SiteStragglerError,
)

GRACE_S = 30.0
"""How long a site may be away: longer than a node, a line or a centre takes to come back."""

SILENT_S = 60.0
"""The least silence of a connected site that counts as stalled."""

FIRST_S = 900.0
"""The same where nothing is known yet: loading a cohort for the first time tells of no step."""

FAR_LONGER = 10.0
"""How many times the longest gap seen a silence must last."""

SLOWER = 3.0
"""How many times the slowest reply's time a site may still need, once the quorum is there."""

WORTH_WAITING_S = 15.0
"""A wait of less than this never costs a site its part in a round."""

BLIND_S = 5.0
"""A longer time between two looks is one in which nothing was seen, and does not count."""

SETTLED_S = 0.5
"""How long a site's epoch must stay the same: its two processes start one after the other."""

MOST_RESTARTS = 5
"""How often a site may start anew in one round."""


class Decision(Enum):
    """What to do about a site just now."""

    WAIT = "wait"
    ASK_AGAIN = "ask-again"
    GONE = "gone"
    STALLED = "stalled"
    STRAGGLER = "straggler"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision about a site; `error` says why it is given up, None where it is not."""

    site: SiteId
    decision: Decision
    error: PlatformError | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """One site in one round, as far as it was seen; times are seconds that were watched."""

    site: SiteId
    asked_at: float
    sight: Sight
    work: Work
    epoch: int
    epoch_at: float
    moved_at: float
    left_at: float | None
    incoming: Flow
    outgoing: Flow
    steps: Steps = field(default_factory=Steps)
    longest_gap_s: float = 0.0
    restarts: int = 0
    was_nudged: bool = False
    is_over: bool = False

    @classmethod
    def begin(cls, site: SiteId, sight: Sight, *, epoch: int, at: float) -> "Lease":
        """Return the lease of a site that is asked now.

        `epoch` is its last one known, for a site that says none just now; 0: unknown.
        """
        return cls(
            site=site,
            asked_at=at,
            sight=sight,
            work=sight.work,
            epoch=sight.epoch or epoch,
            epoch_at=at,
            moved_at=at,
            left_at=None if sight.connected else at,
            incoming=Flow(sight.bytes_in, at, at),
            outgoing=Flow(sight.bytes_out, at, at),
        )

    @property
    def is_anew(self) -> bool:
        """Say whether the site's processes started anew since it was asked."""
        return bool(self.epoch and self.sight.epoch) and self.sight.epoch != self.epoch

    @property
    def measured(self) -> Measured:
        """Return what this round showed of the site so far."""
        return Measured(self.steps, self.incoming, self.outgoing, self.longest_gap_s)

    def seen(self, sight: Sight, plan: RoundPlan, at: float) -> "Lease":
        """Return the lease after a look."""
        incoming, was_in = self.incoming.seen(sight.bytes_in, at)
        outgoing, was_out = self.outgoing.seen(sight.bytes_out, at)
        works = bool(sight.run) and sight.work != self.work
        after = replace(
            self,
            sight=sight,
            work=sight.work if works else self.work,
            epoch=self.epoch or sight.epoch,
            epoch_at=self.epoch_at if sight.epoch == self.sight.epoch else at,
            left_at=None if sight.connected else at if self.left_at is None else self.left_at,
            incoming=incoming,
            outgoing=outgoing,
            steps=self.steps.seen(sight, at) if works and _is_of(sight, plan) else self.steps,
        )
        return after.moved(at) if was_in or was_out or works else after

    def moved(self, at: float) -> "Lease":
        """Return the lease renewed by something that moved."""
        gap = max(self.longest_gap_s, at - self.moved_at)
        return replace(self, moved_at=at, longest_gap_s=gap, was_nudged=False)

    def renewed(self, at: float) -> "Lease":
        """Return the lease after a time in which nobody looked; measures nothing."""
        left = None if self.left_at is None else at
        return replace(self, moved_at=at, left_at=left)

    def asked_again(self, at: float) -> "Lease":
        """Return the lease of a site that was asked once more, with its epoch of now."""
        if not self.is_anew:
            return replace(self, was_nudged=True)
        renewed = replace(self, epoch=self.sight.epoch, restarts=self.restarts + 1, steps=Steps())
        return replace(renewed, moved_at=at, was_nudged=False)


@dataclass(frozen=True, slots=True)
class Others:
    """What the sites that replied tell: how long the slowest took, and since when they suffice."""

    slowest_s: float
    since: float

    def patience_s(self, plan: RoundPlan) -> float:
        """Return how much longer than they one more site may take.

        An evaluation has no next round to be welcomed back in, and tells of no steps.
        """
        is_last = plan.kind == RoundKind.EVALUATE.value
        return SLOWER * self.slowest_s + (FIRST_S if is_last else WORTH_WAITING_S)


def decide(
    lease: Lease, pace: Pace, plan: RoundPlan, *, others: Others | None, at: float
) -> Verdict:
    """Return what to do about a site that has not replied.

    Parameters
    ----------
    others
        Given once the quorum has replied; before that nobody is a straggler.
    at
        The moment of the look, in the watched time of the lease.
    """
    silent_s = at - lease.moved_at
    if lease.left_at is not None:
        return _away(lease, plan, others, at=at)
    limit_s = silence_allowed_s(lease, pace, plan)
    if silent_s > limit_s:
        error: PlatformError = SiteStalledError(site=lease.site, seconds=round(silent_s))
        return Verdict(lease.site, Decision.STALLED, error)
    if others is not None and (straggler := _straggler(lease, pace, plan, others, at=at)):
        return straggler
    if lease.is_anew and at - lease.epoch_at >= SETTLED_S:
        return _anew(lease)
    nudge = silent_s > limit_s / 2 and not lease.was_nudged
    return Verdict(lease.site, Decision.ASK_AGAIN if nudge else Decision.WAIT)


def silence_allowed_s(lease: Lease, pace: Pace, plan: RoundPlan) -> float:
    """Return how long nothing may move at a connected site.

    Ten times the longest gap seen, at least a minute; generous while the site has
    shown no step of this task yet and none is known from earlier, or works on another.
    """
    waits_in_line = lease.sight.busy and lease.sight.run not in ("", plan.run)
    is_known = bool(pace.gap_s or lease.steps.total) and not waits_in_line
    longest_s = max([lease.longest_gap_s, *pace.gap_s])
    return max(SILENT_S if is_known else FIRST_S, FAR_LONGER * longest_s)


def remaining_s(lease: Lease, pace: Pace, plan: RoundPlan, *, at: float) -> float:
    """Return how long a site will need until its reply is here, by all that was measured.

    What is not known is not held against it, but whoever is known to make steps and
    was silent for a while is taken to stay so for as long again.
    """
    is_known = bool(pace.gap_s or lease.steps.total)
    silent_s = at - lease.moved_at if is_known else 0.0
    return max(silent_s, left_s(pace, plan, lease.measured))


def _away(lease: Lease, plan: RoundPlan, others: Others | None, *, at: float) -> Verdict:
    """Judge a site whose control channel is down; its model may move nevertheless."""
    away_s = at - max(lease.left_at or 0.0, lease.moved_at)
    if away_s > GRACE_S or (others is not None and away_s > others.patience_s(plan)):
        error = SiteGoneError(site=lease.site, seconds=round(away_s))
        return Verdict(lease.site, Decision.GONE, error)
    return Verdict(lease.site, Decision.WAIT)


def _anew(lease: Lease) -> Verdict:
    if lease.restarts < MOST_RESTARTS:
        return Verdict(lease.site, Decision.ASK_AGAIN)
    error = SiteKeepsRestartingError(site=lease.site, times=lease.restarts + 1)
    return Verdict(lease.site, Decision.RESTARTING, error)


def _straggler(
    lease: Lease, pace: Pace, plan: RoundPlan, others: Others, *, at: float
) -> Verdict | None:
    """Judge by what is expected, and in the end by what was waited, whatever the site says."""
    patience_s, left_s = others.patience_s(plan), remaining_s(lease, pace, plan, at=at)
    if left_s <= patience_s and at - others.since <= 2 * patience_s:
        return None
    error = SiteStragglerError(
        site=lease.site, seconds=round(left_s), slowest=round(others.slowest_s)
    )
    return Verdict(lease.site, Decision.STRAGGLER, error)


def _is_of(sight: Sight, plan: RoundPlan) -> bool:
    return (sight.run, sight.round) == (plan.run, plan.number) and sight.batches_total > 0


class Leases:
    """The sites asked in one round. Not safe to share between threads without a lock.

    Parameters
    ----------
    plan
        What is asked.
    paces
        What is known of each site in rounds of this kind; nothing for a new one.
    sights
        What is seen of every site that is asked, before it is.
    epochs
        The epoch last known of a site that is not seen just now.
    before
        Seconds that each site took which replied before this began (a round that is
        continued); they count for the quorum.
    """

    def __init__(
        self,
        plan: RoundPlan,
        paces: Mapping[SiteId, Pace],
        sights: Mapping[SiteId, Sight],
        *,
        now: float,
        epochs: Mapping[SiteId, int] | None = None,
        before: Mapping[SiteId, float] | None = None,
    ) -> None:
        self._plan, self._paces = plan, dict(paces)
        self._looked, self._unseen = now, 0.0
        self._took: dict[SiteId, float] = dict(before or {})
        self._suffice_at: float | None = None
        known = epochs or {}
        self._leases = {
            site: Lease.begin(site, sight, epoch=known.get(site, 0), at=now)
            for site, sight in sorted(sights.items())
            if site not in self._took
        }
        self._note_quorum(now)

    def lease(self, site: SiteId) -> Lease:
        """Return how a site stands."""
        return self._leases[site]

    @property
    def waiting(self) -> tuple[SiteId, ...]:
        """Return the sites that are still waited for, by name."""
        return tuple(site for site, lease in self._leases.items() if not lease.is_over)

    def look(self, sights: Mapping[SiteId, Sight], *, now: float) -> list[Verdict]:
        """Note what is seen and return what to do, by site; those to wait for are not named."""
        at = self._watched(now)
        for site in self.waiting:
            if site in sights:
                self._leases[site] = self._leases[site].seen(sights[site], self._plan, at)
        others = self._others()
        verdicts = [
            decide(self._leases[site], self._pace(site), self._plan, others=others, at=at)
            for site in self.waiting
        ]
        return [verdict for verdict in verdicts if verdict.decision is not Decision.WAIT]

    def asked_again(self, site: SiteId) -> None:
        """Note that a site was asked once more; without it the next look says so again."""
        self._leases[site] = self._leases[site].asked_again(self._looked - self._unseen)

    def over(self, site: SiteId) -> None:
        """Note that a site is not waited for any longer: given up, or refused."""
        if site in self._leases:
            self._leases[site] = replace(self._leases[site], is_over=True)

    def replied(self, site: SiteId, *, now: float) -> Pace | None:
        """Note that a site's reply was accepted; return its pace with this round in it.

        None for a site that was not waited for.
        """
        lease = self._leases.get(site)
        if lease is None or site in self._took:
            return None
        at = max(now - self._unseen, self._looked - self._unseen)
        self._took[site] = at - lease.asked_at
        self.over(site)
        self._note_quorum(at)
        return self._pace(site).after(lease.moved(at).measured)

    def _pace(self, site: SiteId) -> Pace:
        return self._paces.get(site) or Pace()

    def _watched(self, now: float) -> float:
        """Return the watched time of a look; renew all leases if it comes late."""
        gap_s, self._looked = now - self._looked, now
        if gap_s <= BLIND_S:
            return now - self._unseen
        self._unseen += gap_s
        at = now - self._unseen
        self._leases = {site: lease.renewed(at) for site, lease in self._leases.items()}
        return at

    def _note_quorum(self, at: float) -> None:
        if self._suffice_at is None and len(self._took) >= self._plan.quorum:
            self._suffice_at = at

    def _others(self) -> Others | None:
        if self._suffice_at is None or not self._took:
            return None
        return Others(max(self._took.values()), self._suffice_at)
