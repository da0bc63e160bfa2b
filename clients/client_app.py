"""The hospital's answer to a task: the one path from a message to a reply.

`build_handler(home)` returns what the resident executor calls for every task.
The order is the promise: approval, kept reply, cohort without those who opted
out, ledger reservation, training, gate, kept reply, ledger commit. Torch is
imported with this module, once per process.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from clients import audit_log
from clients.approvals import Desk, check_approval
from clients.data.cohort.load import Cohort, load_cohort
from clients.disclosure import report_of, shared_loss
from clients.evaluation import evaluate
from clients.gate import Departure, digest_of_array, release
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.local_plan import LocalPlan, local_plan
from clients.policy import Policy, read_policy, reasons_against
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
from clients.training import PlainUpdate, fastest_precision, train
from federation import provenance
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import Sha256
from federation.domain.recipe import Recipe
from federation.domain.study import Study
from federation.domain.update import UpdateManifest
from federation.errors import PlatformError
from federation.errors.approval import (
    NotApprovedError,
    PolicyPatientsError,
    PolicyRefusedError,
)
from federation.errors.ledger import GateRefusedError
from federation.errors.rounds import UpdateShapeError
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.privacy.accountants import epsilon_of, spent
from federation.privacy.ledger import Budget, EntryKind
from federation.protocol.mapping import Progress as NodeProgress
from federation.recipes import catalogue, flat, networks
from federation.wire.messages import FlatModel, Reply, Task, TaskKind

TELL_EVERY_S = 0.25

ROUNDING = 1e-6
"""Slack for the search that finds the smallest noise of a plan."""

Progress = Callable[[Task, int, int], None]
"""Told of the task, the steps done and the steps in all."""


class HospitalHandler:
    """Answers tasks for one node home."""

    def __init__(self, home: NodeHome, *, progress: Progress | None = None) -> None:
        self._home = home
        self._progress = progress or (lambda task, done, total: None)
        self._desk = Desk(home.proposals, home.decisions, home.settings().site)
        self._signer = Signer.load(home.node_key)
        self._officer = PublicKey.load(home.officer_public_key)
        self._ledger = LedgerStore(home.ledger)
        self._replies = KeptReplies(home.replies)

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
            self._record(AuditKind.UPDATE_WITHHELD, task, code=error.code)
            raise

    def _answer(self, task: Task) -> Reply:
        study = self._approved(task)
        digest = digest_of_array(task.model)
        kept = self._replies.find(task, digest)
        if kept is not None:
            return kept
        recipe = catalogue.recipe(study.recipe)
        cohort = load_cohort(self._home.data, recipe, study=study)
        model = networks.build(recipe, seed=study.seed)
        manifest = flat.manifest_of(model)
        if task.model.size != manifest.size:
            site = self._home.settings().site
            raise UpdateShapeError(site=site, actual=task.model.size, expected=manifest.size)
        flat.load_flat(model, task.model)
        work = _Work(task, study, recipe, cohort, model, manifest, digest)
        return self._train(work) if task.kind is TaskKind.TRAIN else self._evaluate(work)

    def _approved(self, task: Task) -> Study:
        now = datetime.now(UTC)
        study = check_approval(
            self._desk,
            study=task.study,
            study_digest=task.study_digest,
            recipe_digest_of=lambda name: catalogue.recipe(name).digest,
            officer=self._officer,
            now=now,
        )
        policy, recipe = read_policy(self._home.policy), catalogue.recipe(study.recipe)
        if reasons := reasons_against(study, policy, recipe=recipe, now=now):
            raise PolicyRefusedError(study=study.id, reasons="; ".join(reasons))
        _require(
            task.run.rpartition(".")[0] == study.id, study, f"run {task.run} is of another study"
        )
        within = 1 <= task.round <= study.training.rounds
        _require(within, study, f"round {task.round} is not part of it")
        return study

    def _train(self, work: "_Work") -> Reply:
        policy, patients = read_policy(self._home.policy), work.cohort.train.patients
        _check_enough(patients, policy)
        mechanism = _mechanism(work.study, patients)
        plan = local_plan(work.study.training, work.recipe, round_number=work.task.round)
        with self._reservation(work, mechanism, policy):
            started = time.monotonic()
            result = self._run_training(work, mechanism, plan)
            report = {
                "patients": patients,
                "examples": len(work.cohort.train.images),
                "steps": result.steps,
                "loss": shared_loss(result.loss) if policy.share_loss else None,
                "events": [event.as_json() for event in result.events],
                "dataset_digest": str(work.cohort.dataset_digest),
                "code_digest": str(provenance.code_digest()),
                "seconds": round(time.monotonic() - started, 3),
                **self._privacy_report(work, mechanism),
            }
            return self._leave(work, report, result.update)

    def _run_training(
        self, work: "_Work", mechanism: PatientLevelDpSgd | None, plan: LocalPlan
    ) -> PrivateUpdate | PlainUpdate:
        def progress(done: int, total: int) -> None:
            self._progress(work.task, done, total)

        if mechanism is None:
            return train(
                work.model,
                work.cohort.train,
                plan=plan,
                seed=work.study.seed + work.task.round,
                precision=fastest_precision(),
                progress=progress,
            )
        return train_privately(
            work.model,
            work.cohort.train,
            plan=plan,
            mechanism=mechanism,
            noise=SecureRandom(),
            sampler=SecureRandom(),
            progress=progress,
        )

    def _privacy_report(
        self, work: "_Work", mechanism: PatientLevelDpSgd | None
    ) -> dict[str, object]:
        privacy = work.study.privacy
        if privacy is None or mechanism is None:
            return {}
        own = spent(self._ledger.events(study=work.study.id), privacy.delta)
        return {
            "epsilon": own.epsilon,
            "epsilon_rdp": own.epsilon_rdp,
            "epsilon_pld": own.epsilon_pld,
            "delta": privacy.delta,
            "noise_multiplier": mechanism.noise_multiplier,
            "sample_rate": mechanism.sample_rate,
            "clip_norm": mechanism.clip_norm,
        }

    def _evaluate(self, work: "_Work") -> Reply:
        self._check_evaluation(work)
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
        is_the_one = self._replies.claim_evaluation(task, work.model_digest)
        _require(is_the_one, study, f"another model of {task.run} was evaluated")

    @contextmanager
    def _reservation(
        self, work: "_Work", mechanism: PatientLevelDpSgd | None, policy: Policy
    ) -> Iterator[None]:
        """Reserve the round's events; `_leave` commits them once the gate said yes.

        What the gate itself kept inside is voided. Any other failure counts as
        spent: its code leaves, and whether training fails depends on the patients.
        A process that dies leaves the reservation standing, which counts too.
        """
        privacy = work.study.privacy
        if privacy is None or mechanism is None:
            yield
            return
        check_network(work.model)
        self._ledger.reserve(
            work.dataset,
            study=work.study.id,
            key=work.key,
            events=mechanism.events,
            budget=Budget(policy.dataset_epsilon, policy.dataset_delta),
            plan=Budget(privacy.epsilon * (1 + ROUNDING), privacy.delta),
            accountant=epsilon_of,
            at=_now(),
        )
        try:
            yield
        except GateRefusedError:
            self._settle_open(work, EntryKind.VOIDED)
            raise
        except Exception:
            self._settle_open(work, EntryKind.COMMITTED)
            raise

    def _settle_open(self, work: "_Work", kind: EntryKind) -> None:
        if self._ledger.book(work.dataset).state_of(work.key) is EntryKind.RESERVED:
            self._settle(work, kind)

    def _settle(self, work: "_Work", kind: EntryKind) -> None:
        self._ledger.settle(work.dataset, study=work.study.id, key=work.key, kind=kind, at=_now())

    def _leave(self, work: "_Work", report: dict[str, object], update: FlatModel | None) -> Reply:
        departure = Departure(
            kind=work.task.kind,
            study=work.study,
            run=work.task.run,
            round=work.task.round,
            site=self._home.settings().site,
            model_digest=work.model_digest,
            update=update,
            report=report,
            manifest=work.manifest,
            is_reserved=lambda: self._is_reserved(work),
            is_approved=lambda: self._approved(work.task).digest == work.study.digest,
        )
        reply = release(departure, signer=self._signer)
        if work.is_private and update is not None:
            self._settle(work, EntryKind.COMMITTED)
        self._replies.keep(work.task, work.model_digest, reply)
        self._record(AuditKind.UPDATE_RELEASED, work.task, code="")
        return reply

    def _is_reserved(self, work: "_Work") -> bool:
        if not work.is_private or work.task.kind is not TaskKind.TRAIN:
            return True
        return self._ledger.book(work.dataset).state_of(work.key) is EntryKind.RESERVED

    def _record(self, kind: AuditKind, task: Task, *, code: str) -> None:
        event = AuditEvent(
            kind=kind,
            actor="executor",
            subject=f"{task.run}/{task.round}",
            at=datetime.now(UTC),
            details={"task": task.kind.value, "code": code},
        )
        audit_log.append(self._home.audit_log, event)


@dataclass(frozen=True, slots=True)
class _Work:
    task: Task
    study: Study
    recipe: Recipe
    cohort: Cohort
    model: torch.nn.Module
    manifest: UpdateManifest
    model_digest: Sha256

    @property
    def dataset(self) -> str:
        """Return the name of the book: one per cohort of this hospital."""
        return self.study.cohort

    @property
    def is_private(self) -> bool:
        """Say whether the study trains under differential privacy."""
        return self.study.privacy is not None

    @property
    def key(self) -> str:
        """Return what the book calls this round."""
        return f"{self.task.run}/{self.task.round}"


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


def _mechanism(study: Study, patients: int) -> PatientLevelDpSgd | None:
    if study.privacy is None:
        return None
    return mechanism_of_round(patients=patients, training=study.training, privacy=study.privacy)


def _require(holds: bool, study: Study, why: str) -> None:
    if not holds:
        raise NotApprovedError(study=study.id, why=why)


def _check_enough(patients: int, policy: Policy) -> None:
    if patients < policy.fewest_patients:
        raise PolicyPatientsError(fewest=policy.fewest_patients)


def _now() -> str:
    return datetime.now(UTC).isoformat()
