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
from federation.domain.outcome_plan import OutcomePlan, OutcomeStep
from federation.domain.run import RoundKey, RoundKind, RoundState
from federation.domain.study import Study
from federation.errors.core import InvalidIdError
from federation.errors.rounds import ReplyMalformedError
from federation.errors.secure_sum import TooFewInSumError
from federation.evidence.verification import PublicKey
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import Checkpoint, keep_state
from federation.operations.campaign.records import start_of
from federation.operations.store.rounds import RoundStore, StoredReply, StoredRound
from federation.secure_sum import FEWEST, Cells, Masked, PairwiseMasks, Session
from federation.secure_sum.port import Numbers
from federation.wire import outcome_sums
from federation.wire.outcome_sums import OutcomeLayout, State
from federation.wire.statistics import SiteStatistics, from_floats, layout_of
from strategies.fedavg import FedAvg

SUM_KEY, SUM_OF = "sum_key", "sum_of"
KEYS, SHARED, QUORUM = "keys", "shared", "quorum"
"""Under which names a round's record says what a sum asks."""
TOTAL, TRANSCRIPT = "total", "transcript"
"""Under which names it says what it came to: the total by digest, and over which keys."""


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


def step_of(study: Study, key: RoundKey) -> Step | OutcomeStep | None:
    """Return which step of a protocol a round is; None for a round of training."""
    return None if study.protocol is None else study.protocol.step(key.number)


def sum_of_round(store: RoundStore, study: Study, key: RoundKey) -> SumAsked | None:
    """Return what a round asks if it is a sum, else None.

    Raises
    ------
    TooFewInSumError
        If fewer than three sites, or than the quorum, prepared for it.
    """
    plan, step = study.protocol, step_of(study, key)
    if plan is None or step is None or not step.is_sum:
        return None
    given = replies_of(store, key.run, step.prepared)
    if isinstance(plan, OutcomePlan):
        assert isinstance(step, OutcomeStep)
        shared = outcome_sums.floats_of_sum(plan, step.sum)
        return _asked(study, tuple(sorted(given)), given, shared)
    sites = prepared_by(store, key.run, plan)
    return _asked(study, sites, given, layout_of(plan, step.prepared).floats)


def _asked(
    study: Study, sites: tuple[SiteId, ...], given: Mapping[SiteId, StoredReply], shared: int
) -> SumAsked:
    """Return what a sum asks of these sites, with the keys that they gave for it."""
    fewest = max(FEWEST, study.quorum)
    if len(sites) < fewest:
        raise TooFewInSumError(actual=len(sites), fewest=fewest)
    keys = tuple(str(given[site].report.get(SUM_KEY)) for site in sites)
    return SumAsked(sites, keys, shared)


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
    report: Mapping[str, object], step: Step | OutcomeStep, study: Study, key: RoundKey, *,
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
    if step.key_for is not None:
        session = Session(study.id, study.digest, key.run, step.key_for)
        PairwiseMasks().check(str(report.get(SUM_KEY)), session=session, site=site, key=node)
    if not step.is_sum:
        return
    try:
        Sha256(str(report.get(SUM_OF)))
    except InvalidIdError as error:
        raise ReplyMalformedError(field="report sum_of", problem="no digest") from error


def keep_total(
    store: RoundStore, artefacts: Artefacts, study: Study, key: RoundKey
) -> dict[str, object]:
    """Add up the parts of a sum, keep the total; return what the round's record says of it.

    Every other round has nothing to say. The total is kept as little-endian int64.

    Raises
    ------
    SumPeersRefusedError, SumNumbersRefusedError
        If the parts are not those of one sum, or it is not one of counts.
    ArtefactMissingError
        If a part is gone.
    DiskFullError
        If there is no room for the total.
    """
    plan, step = study.protocol, step_of(study, key)
    if plan is None or step is None or not step.is_sum:
        return {}
    if isinstance(plan, OutcomePlan):
        assert isinstance(step, OutcomeStep)  # it is a step of it
        cells = outcome_layout(store, artefacts, plan, key).cells
    else:
        cells = layout_of(plan, step.prepared).cells
    total, transcript = unmasked(store, artefacts, key, cells)
    kept = artefacts.put(total.astype("<i8").tobytes())
    return {TOTAL: str(kept), TRANSCRIPT: str(transcript)}


def outcome_layout(
    store: RoundStore, artefacts: Artefacts, plan: OutcomePlan, key: RoundKey
) -> OutcomeLayout:
    """Return the order of an outcome study's sum at the coefficients that it was asked at.

    Raises
    ------
    ArtefactMissingError, ArtefactDamagedError
        If these are gone.
    """
    row = store.round(key)
    assert row is not None  # it was planned
    model, _ = artefacts.get_model(start_of(row).model)
    return outcome_sums.layout_of(plan, plan.step(key.number).sum, State.of_model(plan, model))


def unmasked(
    store: RoundStore, artefacts: Artefacts, key: RoundKey, cells: Cells
) -> tuple[Numbers, Sha256]:
    """Return the sum of a round's kept parts, and the transcript of its keys.

    Raises
    ------
    SumPeersRefusedError, SumNumbersRefusedError
        If the parts are not those of one sum, or it is beyond its bounds.
    ArtefactMissingError
        If a part is gone.
    """
    masked = {site: _masked(artefacts, one) for site, one in parts_of(store, key).items()}
    row = store.round(key)
    assert row is not None  # it was planned
    sites = tuple(SiteId(str(one)) for one in _listed(row.record.get("sites")))
    total = PairwiseMasks().unmask(masked, sites=sites, cells=cells)
    return total, next(iter(masked.values())).transcript


def drop_parts(store: RoundStore, artefacts: Artefacts, row: StoredRound) -> None:
    """Delete the masked rows of a sum of which the total is kept, or that failed.

    Nobody needs them any more, and whoever steals keys later could open them. Their digests
    stay in the round's record, as their sites signed them. Raises as `Artefacts.delete`;
    doing it again changes nothing.
    """
    if SHARED in row.record:
        for one in parts_of(store, row.key).values():
            assert one.update is not None  # a part has one
            artefacts.delete(one.update)


def parts_of(store: RoundStore, key: RoundKey) -> dict[SiteId, StoredReply]:
    """Return the kept replies to a sum that brought a part, by site."""
    return {
        site: one
        for site, one in replies_of(store, key.run, key.number).items()
        if one.update is not None
    }


def sum_found(
    store: RoundStore, artefacts: Artefacts, plan: EvaluationPlan, key: RoundKey
) -> SumFound:
    """Return the sum of a round that is done.

    Raises
    ------
    SummaryInvalidError
        If the counts contradict each other.
    ArtefactMissingError, ArtefactDamagedError
        If the total is not there as it was kept.
    """
    step, row = plan.step(key.number), store.round(key)
    assert row is not None and row.state is RoundState.DONE  # it was played
    total = total_of(artefacts, row)
    parts = {
        site: one.update for site, one in parts_of(store, key).items() if one.update is not None
    }
    transcript = Sha256(str(row.record[TRANSCRIPT]))
    statistics = layout_of(plan, step.prepared).statistics(total)
    return SumFound(step.version, statistics, parts, transcript)


def total_of(artefacts: Artefacts, row: StoredRound) -> Numbers:
    """Return the kept total of a sum.

    Raises
    ------
    ArtefactMissingError, ArtefactDamagedError
        If it is not there as it was kept.
    """
    content = artefacts.get(Sha256(str(row.record[TOTAL])))
    return np.frombuffer(content, "<i8").astype(np.int64)


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
