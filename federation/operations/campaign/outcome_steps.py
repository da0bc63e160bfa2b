"""The steps of an outcome study at the centre: what the sums so far say, and the next question.

Nothing of a fit is kept besides the totals of its sums, which are artefacts: the course is
computed from them anew, after a crash too. The coefficients of a round that was
planned stand in its record; sites answer a step at these alone.
"""

from federation.domain.ids import RunId
from federation.domain.outcome_plan import OutcomePlan
from federation.domain.run import RoundKey, RoundKind
from federation.domain.study import Study
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import Checkpoint, keep_state
from federation.operations.campaign.summing import outcome_layout, total_of
from federation.operations.outcomes.fitting import Course, Sums, course_of
from federation.operations.store.rounds import RoundStore
from federation.wire.outcome_sums import State, manifest_of
from strategies.fedavg import FedAvg


def start_of_outcomes(artefacts: Artefacts, study: Study, plan: OutcomePlan) -> Checkpoint:
    """Return the checkpoint of a run's first rounds: every fit at zero."""
    return _kept(artefacts, study, plan, State.start(plan))


def start_of_outcome_step(
    store: RoundStore, artefacts: Artefacts, study: Study, plan: OutcomePlan, key: RoundKey
) -> Checkpoint:
    """Return the checkpoint of one round: where the fits stand after all sums before it.

    Raises
    ------
    SumNumbersRefusedError, SummaryInvalidError
        If a total says something else than such a sum.
    ArtefactMissingError
        If one is gone.
    """
    done = max(0, plan.step(key.number).sum - 1)
    return _kept(artefacts, study, plan, course_of_run(store, artefacts, plan, key.run, done).state)


def course_of_run(
    store: RoundStore, artefacts: Artefacts, plan: OutcomePlan, run: RunId, sums: int
) -> Course:
    """Return where the fits stand after so many sums; raises as `start_of_outcome_step`."""
    return course_of(plan, sums_of_run(store, artefacts, plan, run, sums))


def sums_of_run(
    store: RoundStore, artefacts: Artefacts, plan: OutcomePlan, run: RunId, sums: int
) -> list[Sums]:
    """Return what each of the first sums of a run says; raises as `start_of_outcome_step`."""
    return [_sum(store, artefacts, plan, run, number) for number in range(1, sums + 1)]


def _sum(
    store: RoundStore, artefacts: Artefacts, plan: OutcomePlan, run: RunId, number: int
) -> Sums:
    """Return one sum, read at the coefficients that its sites were asked at."""
    key = RoundKey(run, RoundKind.EVALUATE, number + 1)
    row = store.round(key)
    assert row is not None  # it was played
    return outcome_layout(store, artefacts, plan, key).summaries(total_of(artefacts, row))


def _kept(artefacts: Artefacts, study: Study, plan: OutcomePlan, state: State) -> Checkpoint:
    """Keep a state as a model is kept, and return where."""
    manifest = manifest_of(plan)
    model = artefacts.put_model(state.as_model(), manifest)
    strategy = FedAvg.for_study(study, manifest.size).state()
    return Checkpoint(model, keep_state(artefacts, strategy))
