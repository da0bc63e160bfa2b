"""The rounds of an outcome study at a hospital: a key first, then its part of each sum.

`OutcomeStudy(...).answer(one, standing, plan)` is what the executor calls; policy, approval
and kept replies come before it, as for training. In this order: an entry in the book, which
costs nothing and says that this left; what the step may ask; the table without those who
opted out; the sums; the gate; masks; what may not change later; the kept reply; the audit line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clients.data.outcomes.store import OutcomeRow, present_rows
from clients.evaluation_study.kept import SUMS
from clients.evaluation_study.leaving import SumDeparture, release_sum
from clients.gate import Departure, release
from clients.heads import Heads
from clients.home import NodeHome
from clients.one_answer import OneAnswer
from clients.outcome_study.columns import check_fits, columns_for
from clients.outcome_study.kept import KeptStudy
from clients.outcome_study.summing import summaries_of
from clients.standing import Standing
from clients.sum_keys import SumKeys
from clients.sum_peers import pinned_of
from federation import provenance
from federation.domain.ids import SiteId
from federation.domain.outcome_plan import OutcomePlan, OutcomeStep
from federation.errors.approval import PolicyPatientsError
from federation.errors.outcomes import OutcomeStepError
from federation.evidence.canonical import digest_of
from federation.evidence.signing import Signer
from federation.secure_sum import Masked, Session
from federation.secure_sum.port import Numbers
from federation.wire.messages import Reply, TaskKind
from federation.wire.outcome_sums import OutcomeLayout, State, layout_of, manifest_of
from federation.wording import Text

NOT_TRAINED = Text(en="it trains nothing", zh="此研究不進行訓練")
NO_KEYS = Text(en="a step that sums nothing came with keys", zh="不需加總的步驟卻附有金鑰")
NO_STEP = Text(en="it has fewer steps", zh="步驟數超出方案")

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class OutcomeStudy:
    """What answers the rounds of one approved outcome study.

    Parameters
    ----------
    heads
        Returns how far book and audit log are, to be signed with a reply.
    is_approved
        Says whether the approval stands, asked when a reply leaves.
    note
        Writes in the audit log that the study's sums are of lines with this digest.
    """

    home: NodeHome
    signer: Signer
    heads: Callable[[], Heads]
    is_approved: Callable[[], bool]
    note: Note

    def answer(self, one: OneAnswer, standing: Standing, plan: OutcomePlan) -> Reply:
        """Return the reply to one step.

        Raises
        ------
        OutcomeStepError, CoefficientsRefusedError
            If it is not a step of the protocol, not now, or at other coefficients.
        PolicyPatientsError
            If too few patients are left here.
        PlatformError
            As the table, the gate and the sum.
        """
        step, state = self._step(one, standing, plan)
        with one.entered():
            if step.is_sum:
                return self._sum(one, standing, step, _Asked(plan, step.sum, state))
            return self._prepare(one, standing, step)

    def _step(
        self, one: OneAnswer, standing: Standing, plan: OutcomePlan
    ) -> tuple[OutcomeStep, State]:
        task, study = one.task, standing.study
        for holds, why in (
            (task.kind is TaskKind.EVALUATE, NOT_TRAINED),
            (1 <= task.round <= plan.rounds, NO_STEP),
            (task.round > 1 or not task.keys, NO_KEYS),
        ):
            if not holds:
                raise OutcomeStepError(study=study.id, why=why)
        step, state = plan.step(task.round), State.of_model(plan, task.model)
        KeptStudy.of(self.home, study).check_state(plan, max(1, step.sum), state)
        return step, state

    # -- the first round -------------------------------------------------------------------

    def _prepare(self, one: OneAnswer, standing: Standing, step: OutcomeStep) -> Reply:
        assert standing.study.outcomes is not None  # it was dispatched by it
        rows, task = self._rows(standing), one.task
        key = self._offer(one, step)
        report: dict[str, object] = {
            **self._digests(rows),
            "metrics": [],
            "refused": None,
            "sum_key": key,
        }
        departure = Departure(
            kind=task.kind,
            study=standing.study,
            run=task.run,
            round=task.round,
            site=self._site,
            model_digest=one.model_digest,
            update=None,
            report=report,
            manifest=manifest_of(standing.study.outcomes),
            is_reserved=one.is_reserved,
            is_approved=self.is_approved,
            heads=self.heads(),
            sum_key=key,
        )
        return one.leave(release(departure, signer=self.signer))

    # -- the sums --------------------------------------------------------------------------

    def _sum(self, one: OneAnswer, standing: Standing, step: OutcomeStep, asked: "_Asked") -> Reply:
        rows, layout = self._rows(standing), asked.layout
        columns, digests = columns_for(rows, asked.plan), self._digests(rows)
        row = layout.row(summaries_of(asked.plan, asked.number, asked.state, columns))

        def mask(numbers: Numbers) -> Masked:
            masked = self._masked(numbers, one, standing, step, layout)
            if self._remember(one, standing, asked.number, rows):
                self.note(digests["dataset_digest"])
            return masked

        departure = SumDeparture(
            study=standing.study,
            layout=layout,
            run=one.task.run,
            round=one.task.round,
            site=self._site,
            model_digest=one.model_digest,
            digests=digests,
            row=row,
            sites=len(one.task.keys),
            fewest=standing.policy.fewest_sites_secret,
            mask=mask,
            is_reserved=one.is_reserved,
            is_approved=self.is_approved,
            heads=self.heads(),
            next_key=None if step.key_for is None else self._offer(one, step),
        )
        reply = one.leave(release_sum(departure, signer=self.signer))
        self._keys.forget(one.task.run, step.prepared)
        return reply

    def _masked(
        self, row: Numbers, one: OneAnswer, standing: Standing, step: OutcomeStep,
        layout: OutcomeLayout,
    ) -> Masked:  # fmt: skip
        protocol = standing.study.outcomes
        assert protocol is not None  # it was dispatched by it
        return self._keys.mask(
            row,
            session=_session(one, step.prepared),
            site=self._site,
            envelopes=one.task.keys,
            pinned=pinned_of(protocol.peers),
            rule=standing.policy.peer_rule(),
            cells=layout.cells,
        )

    def _remember(
        self, one: OneAnswer, standing: Standing, number: int, rows: Sequence[OutcomeRow]
    ) -> bool:
        """Keep of whom and at what a sum was asked; return whether it is the study's first."""
        kept = KeptStudy.of(self.home, standing.study)
        is_first = kept.patients() is None
        kept.remember(number, one.task.model, rows)
        return is_first

    # -- parts -----------------------------------------------------------------------------

    def _rows(self, standing: Standing) -> list[OutcomeRow]:
        """Return whom the study's sums are of, or would be of if the first were asked now.

        Raises
        ------
        PolicyPatientsError
            If there are fewer than the policy, or the protocol's cell rule, wants.
        """
        study, plan = standing.study, standing.study.outcomes
        assert plan is not None  # it was dispatched by it
        rows = KeptStudy.of(self.home, study).patients()
        if rows is None:
            rows = standing.data.only(present_rows(self.home.data, study.cohort))
        fewest = max(standing.policy.fewest_patients, plan.smallest_cell)
        if len(rows) < fewest:
            raise PolicyPatientsError(fewest=fewest)
        check_fits(rows, plan, table=study.cohort)
        return rows

    def _offer(self, one: OneAnswer, step: OutcomeStep) -> str:
        session = _session(one, step.number)
        return self._keys.offer(session, site=self._site, signer=self.signer)

    def _digests(self, rows: Sequence[OutcomeRow]) -> dict[str, str]:
        """Return the content ids that every reply names: of the data, of the code."""
        return {
            "dataset_digest": str(digest_of(sorted(row.sha256 for row in rows))),
            "code_digest": str(provenance.code_digest()),
        }

    @property
    def _site(self) -> SiteId:
        return self.home.settings().site

    @property
    def _keys(self) -> SumKeys:
        return SumKeys(self.home.folder / SUMS)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One sum, counted from 1, at a state."""

    plan: OutcomePlan
    number: int
    state: State

    @property
    def layout(self) -> OutcomeLayout:
        return layout_of(self.plan, self.number, self.state)


def _session(one: OneAnswer, number: int) -> Session:
    task = one.task
    return Session(task.study, task.study_digest, task.run, number)
