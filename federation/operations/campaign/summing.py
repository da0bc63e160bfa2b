"""The rounds of a study that evaluates: whom a sum asks, with which keys, and what it came to.

All versions are prepared first; a sum is asked of exactly the sites that prepared all of
them, with the keys that they gave, and needs every one of these. Nothing here is kept in
memory: sites and keys of a sum stand in its round's record before anybody is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federation.domain.evaluation_plan import EvaluatedVersion, EvaluationPlan, Step
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.run import RoundKey, RoundKind, RoundState
from federation.domain.study import Study
from federation.errors.core import InvalidIdError
from federation.errors.rounds import ReplyMalformedError
from federation.errors.secure_sum import TooFewInSumError
from federation.evidence.verification import PublicKey
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import Checkpoint, keep_state
from federation.operations.store.rounds import RoundStore, StoredReply, StoredRound
from federation.secure_sum import FEWEST, Masked, PairwiseMasks, Session
from federation.wire.statistics import SiteStatistics, from_floats, layout_of
from strategies.fedavg import FedAvg

SUM_KEY, SUM_OF = "sum_key", "sum_of"
KEYS, SHARED, QUORUM = "keys", "shared", "quorum"
"""Under which names a round's record says what a sum asks."""


@dataclass(frozen=True, slots=True)
class SumAsked:
    """What a sum asks: of which sites, with which signed keys, how many numbers of each."""

    sites: tuple[SiteId, ...]
    keys: tuple[str, ...]
    shared: int

    def as_record(self) -> dict[str, object]:
        """Return it as it stands in the round's record."""
        return {KEYS: list(self.keys), SHARED: self.shared, QUORUM: len(self.sites)}


@dataclass(frozen=True, slots=True)
class SumFound:
    """The sum of a version's statistics, over which sites, and each site's part by digest."""

    version: EvaluatedVersion
    total: SiteStatistics
    parts: Mapping[SiteId, Sha256]
    transcript: Sha256


def step_of(study: Study, key: RoundKey) -> Step | None:
    """Return which step of an evaluation a round is; None for a round of training."""
    return None if study.evaluation is None else study.evaluation.step(key.number)


def sum_of_round(store: RoundStore, study: Study, key: RoundKey) -> SumAsked | None:
    """Return what a round asks if it is a sum, else None.

    Raises
    ------
    TooFewInSumError
        If fewer than three sites, or than the quorum, prepared every version.
    """
    plan, step = study.evaluation, step_of(study, key)
    if plan is None or step is None or not step.is_sum:
        return None
    sites = prepared_by(store, key.run, plan)
    fewest = max(FEWEST, study.quorum)
    if len(sites) < fewest:
        raise TooFewInSumError(actual=len(sites), fewest=fewest)
    given = replies_of(store, key.run, step.prepared)
    keys = tuple(str(given[site].report.get(SUM_KEY)) for site in sites)
    return SumAsked(sites, keys, layout_of(plan).floats)


def prepared_by(store: RoundStore, run: RunId, plan: EvaluationPlan) -> tuple[SiteId, ...]:
    """Return the sites that prepared every version in a run, by name."""
    numbers = range(1, len(plan.versions) + 1)
    return tuple(
        sorted(set.intersection(*(set(replies_of(store, run, number)) for number in numbers)))
    )


def replies_of(store: RoundStore, run: RunId, number: int) -> dict[SiteId, StoredReply]:
    """Return the accepted replies to one step."""
    key = RoundKey(run, RoundKind.EVALUATE, number)
    return {reply.site: reply for reply in store.replies(key)}


def keys_of(row: StoredRound) -> tuple[str, ...]:
    """Return the keys that a round sends along, none but for a sum."""
    listed = row.record.get(KEYS)
    return tuple(str(one) for one in listed) if isinstance(listed, list) else ()


def shared_of(row: StoredRound) -> int | None:
    """Return how many numbers each reply of a sum brings; None for every other round."""
    shared = row.record.get(SHARED)
    return shared if isinstance(shared, int) else None


def quorum_of(row: StoredRound, study: Study) -> int:
    """Return the fewest replies that make a round: all of them for a sum."""
    quorum = row.record.get(QUORUM)
    return quorum if isinstance(quorum, int) else study.quorum


def check_part(
    report: Mapping[str, object], step: Step, study: Study, key: RoundKey, *,
    site: SiteId, node: PublicKey,
) -> None:  # fmt: skip
    """Return if a reply to a step of an evaluation has what the sum needs.

    Raises
    ------
    SumKeyRefusedError
        If the key of a prepared site is not its own, or for another sum.
    ReplyMalformedError
        If a part does not say of which sum it is.
    """
    if not step.is_sum:
        session = session_of(study, key.run, step)
        PairwiseMasks().check(str(report.get(SUM_KEY)), session=session, site=site, key=node)
        return
    try:
        Sha256(str(report.get(SUM_OF)))
    except InvalidIdError as error:
        raise ReplyMalformedError(field="report sum_of", problem="no digest") from error


def session_of(study: Study, run: RunId, step: Step) -> Session:
    """Return the sum that a step belongs to, as keys and masks name it."""
    return Session(study.id, study.digest, run, step.prepared)


def sum_found(
    store: RoundStore, artefacts: Artefacts, plan: EvaluationPlan, key: RoundKey
) -> SumFound:
    """Return the sum of a round that is done.

    Raises
    ------
    SumPeersRefusedError, SumNumbersRefusedError
        If the parts are not those of one sum, or it is not one of counts.
    SummaryInvalidError
        If the counts contradict each other.
    ArtefactMissingError
        If a part is gone.
    """
    step, layout = plan.step(key.number), layout_of(plan)
    replies = {site: one for site, one in replies_of(store, key.run, key.number).items()
               if one.update is not None}  # fmt: skip
    masked = {site: _masked(artefacts, one) for site, one in replies.items()}
    row = store.round(key)
    assert row is not None and row.state is RoundState.DONE  # it was played
    sites = tuple(SiteId(str(one)) for one in _listed(row.record.get("sites")))
    total = PairwiseMasks().unmask(masked, sites=sites, cells=layout.cells)
    parts = {site: one.update for site, one in replies.items() if one.update is not None}
    transcript = next(iter(masked.values())).transcript
    return SumFound(step.version, layout.statistics(total), parts, transcript)


def start_of_step(artefacts: Artefacts, study: Study, step: Step) -> Checkpoint:
    """Return the version of a step as a round starts from it; raises as `get_model`."""
    model, _ = artefacts.get_model(step.version.weights)
    state = FedAvg.for_study(study, model.size).state()
    return Checkpoint(step.version.weights, keep_state(artefacts, state))


def _masked(artefacts: Artefacts, reply: StoredReply) -> Masked:
    assert reply.update is not None  # a part has one
    floats = np.frombuffer(artefacts.get(reply.update), "<f4")
    return Masked(from_floats(floats), Sha256(str(reply.report[SUM_OF])))


def _listed(raw: object) -> list[object]:
    return list(raw) if isinstance(raw, list) else []
