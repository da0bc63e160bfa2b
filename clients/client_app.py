"""The hospital's answer to a task: the one path from a message to a reply.

`build_handler(home)` returns what the resident executor calls for every task.
The order is the promise: book, log and the centre's log not rolled back, policy and
approval, kept reply, approved cohort without those who opted out, who is in it written down,
ledger reservation, training, gate, kept reply, ledger commit, audit line. Torch is
imported with this module, once per process.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from clients import audit_log
from clients.centre_heads import check_centre_head
from clients.charges import charge_of, free_of_charge
from clients.computed_with import remember
from clients.data.cohort.load import Cohort, load_cohort
from clients.data.people.lineage import Lineage, RoundState, TrainedRound
from clients.data.people.representativeness import in_tens
from clients.disclosure import report_of, shared_count, shared_loss
from clients.evaluation import evaluate
from clients.evaluation_study.answering import EvaluationStudy
from clients.gate import Departure, digest_of_array, digest_of_reply, release
from clients.heads import check_heads, heads_now
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.local_plan import LocalPlan, local_plan
from clients.losses import era_of
from clients.one_answer import Charge, OneAnswer
from clients.outcome_study.answering import OutcomeStudy
from clients.policy import Policy
from clients.policy.rules import BYTES_PER_MB
from clients.private_training import (
    PatientLevelDpSgd,
    PrivateUpdate,
    check_network,
    mechanism_of_round,
    train_privately,
)
from clients.progress import write_progress
from clients.randomness import SecureRandom
from clients.replies import KeptReplies
from clients.retention import sweep_replies
from clients.standing import Asked, Standing, standing_of
from clients.training import PlainUpdate, precision_of, train
from federation import provenance
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.recipe import Recipe
from federation.domain.study import Study
from federation.domain.update import UpdateManifest
from federation.errors import PlatformError
from federation.errors.approval import (
    NotApprovedError,
    PolicyPatientsError,
)
from federation.errors.ledger import GateRefusedError, RoundAnsweredError
from federation.errors.rounds import UpdateShapeError
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.privacy.accountants import spent
from federation.privacy.events import PrivacyEvent
from federation.protocol.mapping import Progress as NodeProgress
from federation.recipes import flat, networks
from federation.wire.messages import FlatModel, Reply, Task, TaskKind

TELL_EVERY_S = 0.25

Progress = Callable[[Task, int, int], None]
"""Told of the task, the steps done and the steps in all."""


class HospitalHandler:
    """Answers tasks for one node home."""

    def __init__(self, home: NodeHome, *, progress: Progress | None = None) -> None:
        self._home = home
        self._progress = progress or (lambda task, done, total: None)
        self._signer = Signer.load(home.node_key)
        self._officer = PublicKey.load(home.officer_public_key)
        self._replies = KeptReplies(home.replies)
        self._lineage = Lineage(home.data)

    def __call__(self, task: Task) -> Reply:
        """Return the reply to a task.

        Raises
        ------
        PlatformError
            With the code that the centre may see; nothing has left then.
        """
        if task.kind is TaskKind.PING:
            return Reply(task.model)
        try:
            return self._answer(task)
        except PlatformError as error:
            rule = str(error.values.get("rule", ""))
            self._record(AuditKind.UPDATE_WITHHELD, task, code=error.code, rule=rule)
            raise

    def _answer(self, task: Task) -> Reply:
        books = LedgerStore(self._home.ledger, officer=self._officer)
        check_heads(self._home, books=books)
        check_centre_head(self._home)
        standing = self._standing(task)
        sweep_replies(self._home, standing.policy, asked=task.run, now=datetime.now(UTC))
        with self._replies.working_on(task):
            one = OneAnswer(
                task=task,
                model_digest=digest_of_array(task.model),
                charge=_charge(task, standing),
                books=books,
                replies=self._replies,
                record=lambda reply: self._record_release(task, reply),
                now=_now,
            )
            kept = one.kept()
            if kept is not None:
                return kept
            self._progress(task, 0, 1)  # loading the cohort takes long: say that it is begun
            if standing.study.protocol is not None:
                return self._take_step(one, standing)
            _require(not task.keys, standing.study, "it sums nothing")
            work = self._prepare(one, standing)
            return self._train(work) if task.kind is TaskKind.TRAIN else self._evaluate(work)

    def _take_step(self, one: OneAnswer, standing: Standing) -> Reply:
        """Return the reply to a step of a protocol; say in the end that the work is over."""
        evaluation, outcomes = standing.study.evaluation, standing.study.outcomes
        try:
            if evaluation is not None:
                return self._evaluation_study(one).answer(one, standing, evaluation)
            assert outcomes is not None  # it has one of both
            return self._outcome_study(one).answer(one, standing, outcomes)
        finally:
            self._progress(one.task, 1, 1)

    def _evaluation_study(self, one: OneAnswer) -> EvaluationStudy:
        task, home = one.task, self._home
        return EvaluationStudy(
            home,
            self._signer,
            self._lineage,
            heads=lambda: heads_now(one.books, home.audit_log, era=era_of(home)),
            is_approved=lambda: self._standing(task, is_leaving=True).study.id == task.study,
            told=lambda done, total: self._progress(task, done, total),
            note=lambda digest: self._record(AuditKind.PREDICTIONS_KEPT, task, predictions=digest),
        )

    def _outcome_study(self, one: OneAnswer) -> OutcomeStudy:
        task, home = one.task, self._home
        return OutcomeStudy(
            home,
            self._signer,
            heads=lambda: heads_now(one.books, home.audit_log, era=era_of(home)),
            is_approved=lambda: self._standing(task, is_leaving=True).study.id == task.study,
            note=lambda digest: self._record(AuditKind.OUTCOMES_KEPT, task, lines=digest),
        )

    def _standing(self, task: Task, *, is_leaving: bool = False) -> Standing:
        asked = Asked(task.study, task.study_digest, task.run, task.round)
        return standing_of(self._home, asked, now=datetime.now(UTC), is_leaving=is_leaving)

    def _prepare(self, one: OneAnswer, standing: Standing) -> "_Work":
        """Build the approved network, put the round's model in, and load the approved cohort."""
        model = networks.build(standing.recipe, seed=standing.study.seed)
        manifest = flat.manifest_of(model)
        standing.check_update(manifest)
        if one.task.model.size != manifest.size:
            site = self._home.settings().site
            raise UpdateShapeError(site=site, actual=one.task.model.size, expected=manifest.size)
        flat.load_flat(model, one.task.model)
        study, permitted = standing.study, standing.data.only
        cohort = load_cohort(self._home.data, standing.recipe, study=study, permitted=permitted)
        return _Work(one, standing, cohort, model, manifest)

    def _train(self, work: "_Work") -> Reply:
        if self._replies.has_answered(work.task):
            raise RoundAnsweredError(round=work.task.round, run=work.task.run)
        patients = self._declared_patients(work)
        mechanism = _mechanism(work.study, patients)
        plan = local_plan(work.study.training, work.recipe, round_number=work.task.round)
        events = () if mechanism is None else mechanism.events
        remember(self._home.replies, work.task.run, work.task.round)
        with self._written_down(work), _charged(work.costing(events)) as work:
            started = time.monotonic()
            result = self._run_training(work, mechanism, plan, patients=patients)
            report = {
                "patients": patients,
                "examples": self._declared_examples(work),
                "steps": result.steps,
                "loss": shared_loss(result.loss) if work.policy.share_loss else None,
                "events": [event.as_json() for event in result.events],
                "dataset_digest": str(work.cohort.dataset_digest),
                "code_digest": str(provenance.code_digest()),
                "seconds": round(time.monotonic() - started, 3),
                **_privacy_report(work, mechanism),
            }
            return self._leave(work, report, result.update)

    def _declared_patients(self, work: "_Work") -> int:
        """Return the coarse number of patients that this run goes by, the same in every round.

        Sampling rate and divisor follow from it and are told outside, so a number that
        followed the cohort would tell of the one person who left it.

        Raises
        ------
        PolicyPatientsError
            If there are fewer than the policy wants, or too few to be told.
        """
        patients, fewest = work.cohort.train.patients, work.policy.fewest_patients
        coarse = shared_count(patients)
        if patients < fewest or not coarse:
            raise PolicyPatientsError(fewest=fewest)
        return self._replies.declare_patients(work.task.run, coarse)

    def _declared_examples(self, work: "_Work") -> int:
        """Return the coarse number of images that this run tells, the same in every round."""
        coarse = shared_count(len(work.cohort.train.images)) or 0
        return self._replies.declare_examples(work.task.run, coarse)

    def _run_training(
        self,
        work: "_Work",
        mechanism: PatientLevelDpSgd | None,
        plan: LocalPlan,
        *,
        patients: int,
    ) -> PrivateUpdate | PlainUpdate:
        def progress(done: int, total: int) -> None:
            self._progress(work.task, done, total)

        if mechanism is None:
            return train(
                work.model,
                work.cohort.train,
                plan=plan,
                seed=work.study.seed + work.task.round,
                precision=precision_of(plan),
                progress=progress,
            )
        return train_privately(
            work.model,
            work.cohort.train,
            plan=plan,
            mechanism=mechanism,
            patients=patients,
            noise=SecureRandom(),
            sampler=SecureRandom(),
            progress=progress,
        )

    def _evaluate(self, work: "_Work") -> Reply:
        self._check_evaluation(work)
        self._lineage.name_model(run=work.task.run, model=work.one.model_digest)
        work.one.reserve()
        result = evaluate(work.model, work.cohort.heldout, task=work.recipe.task)
        report = {
            **report_of(result),
            "dataset_digest": str(work.cohort.dataset_digest),
            "code_digest": str(provenance.code_digest()),
        }
        return self._leave(work, report, None)

    def _check_evaluation(self, work: "_Work") -> None:
        """Allow one model a run: the last round's, and only where this hospital trained.

        Metrics carry no guarantee, so a centre that could ask for any number of
        models would learn about single patients from the differences.
        """
        study, task = work.study, work.task
        _require(task.round == study.training.rounds, study, "only the last round is evaluated")
        _require(
            self._replies.has_trained(task.run), study, f"this hospital did not train in {task.run}"
        )
        is_the_one = self._replies.claim_evaluation(task, work.one.model_digest)
        _require(is_the_one, study, f"another model of {task.run} was evaluated")

    @contextmanager
    def _written_down(self, work: "_Work") -> Iterator[None]:
        """Write down who is in the round before anybody is touched.

        That it left is written with the audit line. A process that dies leaves the
        round standing as one that may have seen them.
        """
        task, cohort = work.task, work.cohort
        trained = TrainedRound(
            study=task.study,
            run=task.run,
            round=task.round,
            model_in=work.one.model_digest,
            dataset=cohort.dataset_digest,
            optout_version=cohort.optout_version,
            patients=cohort.keys,
        )
        self._lineage.begin(trained, now=datetime.now(UTC))
        self._record_optouts(task)
        try:
            yield
        except Exception:
            self._lineage.end(task.run, task.round, RoundState.WITHHELD)
            raise

    def _record_optouts(self, task: Task) -> None:
        """Say in the audit log whether the opt-out register changed since the round before."""
        change = self._lineage.last_round(task.run)
        self._record(
            AuditKind.OPTOUT_APPLIED,
            task,
            optout_version=change.optout_version,
            changed="yes" if change.register_changed else "no",
            no_longer_trained="" if change.left is None else in_tens(change.left),
        )

    def _leave(self, work: "_Work", report: dict[str, object], update: FlatModel | None) -> Reply:
        task = work.task
        departure = Departure(
            kind=task.kind,
            study=work.study,
            run=task.run,
            round=task.round,
            site=self._home.settings().site,
            model_digest=work.one.model_digest,
            update=update,
            report=report,
            manifest=work.manifest,
            is_reserved=work.one.is_reserved,
            is_approved=lambda: self._standing(task, is_leaving=True).study == work.study,
            model=task.model,
            heads=heads_now(work.one.books, self._home.audit_log, era=era_of(self._home)),
            largest_update_bytes=int(work.policy.largest_update_mb * BYTES_PER_MB),
        )
        return work.one.leave(release(departure, signer=self._signer))

    def _record_release(self, task: Task, reply: Reply) -> None:
        """Write down that a reply leaves: in the lineage what it made, in the log its digest."""
        if task.kind is TaskKind.TRAIN and reply.update is not None:
            sent = digest_of_array(reply.update)
            self._lineage.end(task.run, task.round, RoundState.RELEASED, model_out=sent)
        said = str(digest_of_reply(reply))
        self._record(AuditKind.UPDATE_RELEASED, task, code="", reply=said)

    def _record(self, kind: AuditKind, task: Task, **details: str) -> None:
        event = AuditEvent(
            kind=kind,
            actor="executor",
            subject=f"{task.run}/{task.round}",
            at=datetime.now(UTC),
            details={"task": task.kind.value, **details},
        )
        audit_log.append(self._home.audit_log, event)


@dataclass(frozen=True, slots=True)
class _Work:
    one: OneAnswer
    standing: Standing
    cohort: Cohort
    model: torch.nn.Module
    manifest: UpdateManifest

    @property
    def task(self) -> Task:
        return self.one.task

    @property
    def study(self) -> Study:
        return self.standing.study

    @property
    def recipe(self) -> Recipe:
        return self.standing.recipe

    @property
    def policy(self) -> Policy:
        return self.standing.policy

    def costing(self, events: tuple[PrivacyEvent, ...]) -> "_Work":
        """Return the work with what it costs; a study without privacy costs nothing."""
        charge = self.one.charge
        if charge is None:
            return self
        return replace(self, one=replace(self.one, charge=replace(charge, events=events)))


def build_handler(home: Path, *, progress: Progress | None = None) -> HospitalHandler:
    """Return the handler of a node's home, with torch on one thread.

    Without a `progress` of its own, the agent is told, which tells the centre.
    """
    torch.set_num_threads(1)
    node = NodeHome.open(home)
    return HospitalHandler(node, progress=progress or _tell_agent(node.run))


def _tell_agent(folder: Path) -> Progress:
    told = 0.0

    def tell(task: Task, done: int, total: int) -> None:
        nonlocal told
        if done == total or time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            doing = NodeProgress(
                busy=done < total,
                run=task.run,
                round=task.round,
                batches_done=done,
                batches_total=total,
            )
            write_progress(folder, doing)

    return tell


def _charge(task: Task, standing: Standing) -> Charge | None:
    """Return who pays for a private round and within which limits; its events come later.

    A study that only evaluates pays nothing and is entered all the same.
    """
    privacy, policy = standing.study.privacy, standing.policy
    if standing.study.protocol is not None:
        return free_of_charge(standing.study)
    if privacy is None or task.kind is not TaskKind.TRAIN:
        return None
    return charge_of(standing.study, privacy, policy)


@contextmanager
def _charged(work: "_Work") -> Iterator["_Work"]:
    """Reserve the round's events; `OneAnswer.leave` commits them once the gate said yes.

    What the gate itself kept inside is voided. Any other failure counts as spent:
    its code leaves, and whether training fails depends on the patients. A process
    that dies leaves the reservation standing, which counts too.
    """
    one = work.one
    if one.charge is not None:
        check_network(work.model)
        one.books.open_book(one.charge.dataset, at=_now())
    one.reserve()
    try:
        yield work
    except Exception as error:
        one.give_up(nothing_left=isinstance(error, GateRefusedError))
        raise


def _privacy_report(work: _Work, mechanism: PatientLevelDpSgd | None) -> dict[str, object]:
    privacy = work.study.privacy
    if privacy is None or mechanism is None:
        return {}
    own = spent(work.one.books.events(study=work.study.id), privacy.delta)
    return {
        "epsilon": own.epsilon,
        "epsilon_rdp": own.epsilon_rdp,
        "epsilon_pld": own.epsilon_pld,
        "delta": privacy.delta,
        "noise_multiplier": mechanism.noise_multiplier,
        "sample_rate": mechanism.sample_rate,
        "clip_norm": mechanism.clip_norm,
    }


def _mechanism(study: Study, patients: int) -> PatientLevelDpSgd | None:
    if study.privacy is None:
        return None
    return mechanism_of_round(patients=patients, training=study.training, privacy=study.privacy)


def _require(holds: bool, study: Study, why: str) -> None:
    if not holds:
        raise NotApprovedError(study=study.id, why=why)


def _now() -> str:
    return datetime.now(UTC).isoformat()
