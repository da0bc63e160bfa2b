"""The two rounds of a version at a hospital: prepare, then its part of the sum.

`EvaluationStudy(...).answer(one, standing)` is what the executor calls for a study that
evaluates; everything before it (policy, approval, kept replies) is the same as for
training. The order is the promise here too: an entry in the book, which costs nothing and
says that this left, before a patient is touched; the gate; the kept reply; the audit line.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from clients.data.catalogue.store import cohort_digest
from clients.data.cohort.choice import choose
from clients.data.cohort.load import Cases, load_cases
from clients.data.people.lineage import Lineage
from clients.disclosure import report_of
from clients.evaluation import of_histogram
from clients.evaluation_study.cases import traits_of
from clients.evaluation_study.counting import statistics_of, unseen_histogram
from clients.evaluation_study.disjointness import Checked, left_out_of, said_of
from clients.evaluation_study.explained import Explained
from clients.evaluation_study.explaining import chosen, explain
from clients.evaluation_study.kept import SUMS
from clients.evaluation_study.leaving import SumDeparture, release_sum
from clients.evaluation_study.predictions import KeptPredictions, Predictions
from clients.evaluation_study.scoring import score
from clients.gate import DISJOINTNESS, Departure, release
from clients.heads import Heads
from clients.home import NodeHome
from clients.one_answer import OneAnswer
from clients.standing import Standing
from clients.sum_keys import SumKeys
from clients.sum_peers import pinned_of
from federation import provenance
from federation.domain.evaluation_plan import EvaluationPlan, Explaining, Step
from federation.domain.ids import SiteId
from federation.domain.recipe import Task as RecipeTask
from federation.errors.approval import PolicyPatientsError
from federation.errors.evaluating import EvaluationStepError
from federation.evaluation.sums import Counts
from federation.evidence.signing import Signer
from federation.recipes import flat, networks
from federation.secure_sum import Masked, Session
from federation.wire.messages import Reply, TaskKind
from federation.wire.statistics import layout_of
from federation.wording import Text

NOT_TRAINED = Text(en="it trains nothing", zh="此研究不進行訓練")
OTHER_MODEL = Text(en="the weights are not those of its version", zh="權重與方案所列版本不符")
NOT_PREPARED = Text(
    en="the predictions of this version are not kept here", zh="此處未保存該版本的預測"
)
NO_SCORES = Text(en="its recipe gives no score of a case", zh="其配方不產生個案分數")
NO_KEYS = Text(en="a step that sums nothing came with keys", zh="不需加總的步驟卻附有金鑰")

RANDOM = 1_000_003
"""Added to a study's seed for the weights that nobody trained; any number but 0 would do."""

Told = Callable[[int, int], None]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EvaluationStudy:
    """What answers the rounds of one approved evaluation.

    Parameters
    ----------
    heads
        Returns how far book and audit log are, to be signed with a reply.
    is_approved
        Says whether the approval stands, asked when a reply leaves.
    told
        Of the passes over the images, done and in all.
    note
        Writes in the audit log that predictions with this digest are kept.
    """

    home: NodeHome
    signer: Signer
    lineage: Lineage
    heads: Callable[[], Heads]
    is_approved: Callable[[], bool]
    told: Told
    note: Note

    def answer(self, one: OneAnswer, standing: Standing, plan: EvaluationPlan) -> Reply:
        """Return the reply to one step.

        Raises
        ------
        EvaluationStepError
            If it is not a step of the protocol, or not now.
        DisjointnessError, PolicyPatientsError
            If it cannot be shown whom the version was trained on, or too few are left.
        PlatformError
            As the cohort, the gate and the sum.
        """
        step = self._step(one, standing, plan)
        with one.entered():
            if step.is_sum:
                return self._sum(one, standing, plan, step)
            return self._prepare(one, standing, plan, step)

    def _step(self, one: OneAnswer, standing: Standing, plan: EvaluationPlan) -> Step:
        task, study = one.task, standing.study
        step = plan.step(task.round)
        for holds, why in (
            (task.kind is TaskKind.EVALUATE, NOT_TRAINED),
            (one.model_digest == step.version.array, OTHER_MODEL),
            (standing.recipe.task is RecipeTask.CLASSIFICATION, NO_SCORES),
            (step.is_sum or not task.keys, NO_KEYS),
        ):
            if not holds:
                raise EvaluationStepError(study=study.id, why=why)
        return step

    # -- the first round of a version ---------------------------------------------------

    def _prepare(
        self, one: OneAnswer, standing: Standing, plan: EvaluationPlan, step: Step
    ) -> Reply:
        found = self._predictions(one, standing, plan, step)
        histogram = unseen_histogram(found)
        if histogram.patients < standing.policy.fewest_patients:
            raise PolicyPatientsError(fewest=standing.policy.fewest_patients)
        unseen = ~found.members[found.scored.patient]
        loss = float(found.scored.losses[unseen].mean())
        figures = of_histogram(histogram, patients=histogram.patients, loss=loss)
        key = self._keys.offer(_session(one, step), site=self._site, signer=self.signer)
        digest = standing.study.digest
        apart = said_of(found.checked, found.keys.tolist(), found.members, study=digest)
        report = {**report_of(figures), **self._digests(standing), "sum_key": key}
        departure = self._departure(one, standing, {**report, DISJOINTNESS: apart}, key)
        departure = replace(departure, disjointness=apart)
        return one.leave(release(departure, signer=self.signer))

    def _predictions(
        self, one: OneAnswer, standing: Standing, plan: EvaluationPlan, step: Step
    ) -> Predictions:
        """Return a version's predictions, made once for a study, without who is gone since."""
        kept = KeptPredictions.of(self.home, standing.study)
        found = kept.read(step.number)
        if found is None:
            found = self._scored(one, standing, plan, step)
            self.note(str(kept.keep(step.number, found)))
        frozen = self._frozen(standing, step) is not None
        return found if frozen else self._present(found, standing)

    def _present(self, found: Predictions, standing: Standing) -> Predictions:
        """Leave out who opted out, or whose images were withdrawn, since they were scored."""
        study = standing.study
        there = choose(self.home.data, standing.recipe, cohort=study.cohort).images
        return found.without({*found.keys.tolist()} - {image.patient for image in there})

    def _scored(
        self, one: OneAnswer, standing: Standing, plan: EvaluationPlan, step: Step
    ) -> Predictions:
        study = standing.study
        module = networks.build(standing.recipe, seed=study.seed)
        standing.check_update(flat.manifest_of(module))
        flat.load_flat(module, one.task.model)
        cases = self._cases(standing)
        left_out = left_out_of(self.home, self.lineage, step.version)
        scored = score(
            module, cases.arrays, corruptions=plan.corruptions, seed=study.seed, told=self.told
        )
        members = left_out.among(cases.keys)
        checked = Checked.of(left_out, study=study.digest)
        traits = traits_of(self.home, cases, plan.slices)
        found = Predictions.of(cases.keys, members, traits, scored, checked)
        if plan.explainability is None:
            return found
        explained = self._explained(module, cases, found, standing, plan.explainability)
        return replace(found, explained=explained)

    def _explained(
        self,
        module: nn.Module,
        cases: Cases,
        found: Predictions,
        standing: Standing,
        settings: Explaining,
    ) -> Explained:
        """Explain a few of those the version never saw; the random network is no earlier one."""
        seed = standing.study.seed
        patients = chosen(cases.keys, found.members, seed=seed, most=settings.cases)
        random = networks.build(standing.recipe, seed=seed + RANDOM)
        return explain(
            module, random, cases.arrays, patients, settings=settings, seed=seed, told=self.told
        )

    def _cases(self, standing: Standing) -> Cases:
        study, permitted = standing.study, standing.data.only
        return load_cases(self.home.data, standing.recipe, study=study, permitted=permitted)

    # -- the second ------------------------------------------------------------------------

    def _sum(self, one: OneAnswer, standing: Standing, plan: EvaluationPlan, step: Step) -> Reply:
        row = self._row(standing, plan, step)
        digests = self._digests(standing)
        departure = SumDeparture(
            study=standing.study,
            layout=layout_of(plan, step.prepared),
            run=one.task.run,
            round=one.task.round,
            site=self._site,
            model_digest=one.model_digest,
            digests=digests,
            row=row,
            sites=len(one.task.keys),
            fewest=standing.policy.fewest_sites_secret,
            mask=lambda numbers: self._masked(numbers, one, standing, plan, step),
            is_reserved=one.is_reserved,
            is_approved=self.is_approved,
            heads=self.heads(),
        )
        reply = one.leave(release_sum(departure, signer=self.signer))
        self._keys.forget(one.task.run, step.prepared)
        return reply

    def _row(self, standing: Standing, plan: EvaluationPlan, step: Step) -> Counts:
        """Return the counts of a version: those that this study's first sum was made of."""
        frozen = self._frozen(standing, step)
        if frozen is not None:
            return frozen
        first = self._kept(standing, 1) if plan.paired and step.prepared > 1 else None
        found = self._kept(standing, step.prepared)
        counted = statistics_of(found, plan, seed=standing.study.seed, first=first)
        return layout_of(plan, step.prepared).row(counted)

    def _kept(self, standing: Standing, place: int) -> Predictions:
        """Return the kept predictions of a version, without who is gone since."""
        found = KeptPredictions.of(self.home, standing.study).read(place)
        if found is None:
            raise EvaluationStepError(study=standing.study.id, why=NOT_PREPARED)
        return self._present(found, standing)

    def _frozen(self, standing: Standing, step: Step) -> Counts | None:
        """Return the counts of a version that a sum was begun with; None before that.

        They are kept before they are masked, and bind once the masks were given out: a
        sum that was refused binds nothing, and one that died half-way finds its counts.
        """
        row = KeptPredictions.of(self.home, standing.study).row(step.prepared)
        study = standing.study.digest
        if row is None or not self._keys.is_claimed(row, study=study, number=step.prepared):
            return None
        return row

    def _masked(
        self, row: Counts, one: OneAnswer, standing: Standing, plan: EvaluationPlan, step: Step
    ) -> Masked:
        KeptPredictions.of(self.home, standing.study).keep_row(step.prepared, row)
        return self._keys.mask(
            row,
            session=_session(one, step),
            site=self._site,
            envelopes=one.task.keys,
            pinned=pinned_of(plan.peers),
            rule=standing.policy.peer_rule(),
            cells=layout_of(plan, step.prepared).cells,
        )

    # -- parts ------------------------------------------------------------------------------

    @property
    def _site(self) -> SiteId:
        return self.home.settings().site

    @property
    def _keys(self) -> SumKeys:
        return SumKeys(self.home.folder / SUMS)

    def _digests(self, standing: Standing) -> dict[str, str]:
        """Return the content ids that every reply names: of the data, of the code."""
        there = choose(self.home.data, standing.recipe, cohort=standing.study.cohort).images
        return {
            "dataset_digest": str(cohort_digest(standing.data.only(there))),
            "code_digest": str(provenance.code_digest()),
        }

    def _departure(
        self, one: OneAnswer, standing: Standing, report: dict[str, object], key: str
    ) -> Departure:
        task = one.task
        return Departure(
            kind=task.kind,
            study=standing.study,
            run=task.run,
            round=task.round,
            site=self._site,
            model_digest=one.model_digest,
            update=None,
            report=report,
            manifest=flat.manifest_of(networks.build(standing.recipe, seed=standing.study.seed)),
            is_reserved=one.is_reserved,
            is_approved=self.is_approved,
            heads=self.heads(),
            sum_key=key,
        )


def _session(one: OneAnswer, step: Step) -> Session:
    task = one.task
    return Session(task.study, task.study_digest, task.run, step.prepared)
