"""The numbers of a registry entry, computed a second time from what the sites signed.

`operations.candidate` computes them when a run ends. This is another way on
purpose, from the kept replies alone, so that the two must agree.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from federation.domain.cells import SMALL_CELL
from federation.domain.ids import Sha256, SiteId
from federation.domain.run import RoundKind
from federation.evaluation.auroc import NORMAL_975
from federation.evidence.model_version import PooledMetric, PrivacyStatement, Record
from federation.operations.replaying.kept import KeptReply, KeptRound

"""Fewer patients than this are not told in an entry."""

_UPDATE, _EVALUATION = "update", "evaluation"
_METRIC = ("name", "value", "low", "high", "n", "method")

Numbers = dict[str, object]
"""The parts of an entry that follow from the replies, by name, as plain values."""


@dataclass(slots=True)
class Tally:
    """What the sites said over a run, gathered round by round."""

    rounds: int = 0
    _trained: dict[SiteId, list[KeptReply]] = field(default_factory=dict)
    _evaluated: dict[SiteId, KeptReply] = field(default_factory=dict)

    def add(self, played: KeptRound) -> None:
        """Count a finished round."""
        self.rounds += played.kind is RoundKind.TRAIN
        for reply in played.replies:
            if played.kind is RoundKind.TRAIN:
                self._trained.setdefault(reply.site, []).append(reply)
            else:
                self._evaluated[reply.site] = reply

    def numbers(self) -> Numbers:
        """Return what an entry must say."""
        sites = sorted(self._trained)
        evaluations = [(site, self._metrics(site)) for site in sites]
        first = [metrics[0] for _, metrics in evaluations if metrics]
        return {
            "rounds": self.rounds,
            "participants": [_participant(site, self._trained[site]) for site in sites],
            "evaluations": [
                (site, *(metric[name] for name in _METRIC))
                for site, metrics in evaluations
                for metric in metrics
            ],
            "pooled": _pooled(first),
            "epsilon": [
                (site, epsilon)
                for site in sites
                if (epsilon := self._trained[site][-1].report.get("epsilon")) is not None
            ],
        }

    def statements(self) -> frozenset[tuple[str, str, Sha256]]:
        """Return the signed statements an entry must list: site, kind, digest."""
        trained = [(_UPDATE, one) for replies in self._trained.values() for one in replies]
        evaluated = [
            (_EVALUATION, one) for site, one in self._evaluated.items() if site in self._trained
        ]
        return frozenset(
            (str(one.site), kind, Sha256.of(one.signature.encode()))
            for kind, one in trained + evaluated
        )

    def _metrics(self, site: SiteId) -> Sequence[Mapping[str, object]]:
        reply = self._evaluated.get(site)
        found = None if reply is None else reply.report.get("metrics")
        return found if isinstance(found, list) else []


def numbers_of(record: Record) -> Numbers:
    """Return the same parts as an entry says them."""
    return {
        "rounds": record.rounds.done,
        "participants": [
            (one.site, one.patients, one.rounds, one.dataset_digest) for one in record.participants
        ],
        "evaluations": [(one.site, *_values(one)) for one in record.evaluations],
        "pooled": None if not record.pooled else _values(record.pooled[0])[:5],
        "epsilon": [
            (one.site, one.epsilon) for one in record.privacy if isinstance(one, PrivacyStatement)
        ],
    }


def statements_of(record: Record) -> frozenset[tuple[str, str, Sha256]]:
    """Return the sites' statements about rounds that an entry lists: site, kind, digest."""
    return frozenset(
        (str(one.site), one.kind, Sha256(one.envelope_digest))
        for one in record.statements
        if one.kind in (_UPDATE, _EVALUATION)
    )


def _participant(site: SiteId, replies: Sequence[KeptReply]) -> tuple[object, ...]:
    last = replies[-1].report
    patients = last.get("patients")
    told = patients if isinstance(patients, int) and patients >= SMALL_CELL else None
    return (site, told, len(replies), last.get("dataset_digest"))


def _pooled(metrics: Sequence[Mapping[str, object]]) -> tuple[object, ...] | None:
    """Return name, value, low, high, n of the mean of the sites' figures, equally weighted.

    The variance of the mean of independent figures is the sum of theirs over the
    square of their number.
    """
    variances = [one.get("variance") for one in metrics]
    if not metrics or None in variances:
        return None
    count = len(metrics)
    value = _sum(one["value"] for one in metrics) / count
    reach = NORMAL_975 * math.sqrt(_sum(variances)) / count
    low, high = max(0.0, value - reach), min(1.0, value + reach)
    people = int(_sum(one["n"] for one in metrics))
    return (metrics[0]["name"], round(value, 4), round(low, 4), round(high, 4), people)


def _sum(values: Iterable[object]) -> float:
    return sum(float(str(value)) for value in values)


def _values(metric: PooledMetric) -> tuple[object, ...]:
    return tuple(getattr(metric, name) for name in _METRIC)
