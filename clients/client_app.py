"""The hospital's answer to a task: the one path from a message to a reply.

`build_handler(home)` returns what the resident executor calls for every task.
The order is the promise: approval, kept reply, cohort without those who opted
out, ledger reservation, training, gate, kept reply, ledger commit. Torch is
imported with this module, once per process.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from clients import audit_log, evaluation, private_training, training
from clients.approvals import Desk, check_approval
from clients.data.cohort import Cohort, load_cohort
from clients.gate import Departure, digest_of_array, release
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.policy import Policy, read_policy
from clients.replies import KeptReplies
from federation import provenance
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import Sha256
from federation.domain.recipe import Recipe
from federation.domain.study import PrivacyPlan, Study
from federation.domain.update import UpdateManifest
from federation.errors import PlatformError
from federation.errors.approval import NotApprovedError
from federation.errors.core import InvalidValueError
from federation.errors.ledger import UpdateShapeError
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.privacy.accountants import epsilon_of, smallest_noise, spent
from federation.privacy.events import PoissonSampledGaussian
from federation.privacy.ledger import Budget, EntryKind
from federation.recipes import catalogue, flat, networks
from federation.wire.messages import FlatModel, Reply, Task, TaskKind

Progress = Callable[[Task, int, int], None]
"""Told of the task, the steps done and the steps in all."""


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """What one round at this site does, fixed before it starts.

    `sample_rate` is each patient's chance to be in a step; `noise_multiplier`
    is None without differential privacy.
    """

    steps: int
    sample_rate: float
    noise_multiplier: float | None

    @property
    def events(self) -> tuple[PoissonSampledGaussian, ...]:
        """Return what the round will have cost, to be reserved first."""
        if self.noise_multiplier is None:
            return ()
        return (PoissonSampledGaussian(self.noise_multiplier, self.sample_rate, self.steps),)


def plan_round(study: Study, patients: int) -> RoundPlan:
    """Return the plan of every round of a study at a site with so many patients.

    The noise is the study's, or the smallest that keeps all its rounds within
    its epsilon at this site's own sampling rate.
    """
    rate = min(1.0, study.training.batch_size / patients)
    steps = max(1, math.ceil(study.training.local_epochs / rate))
    privacy = study.privacy
    if privacy is None:
        return RoundPlan(steps, rate, None)
    noise = privacy.noise_multiplier or smallest_noise(
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        sample_rate=rate,
        steps=steps * study.training.rounds,
    )
    return RoundPlan(steps, rate, noise)


class HospitalHandler:
    """Answers tasks for one node home."""

    def __init__(self, home: NodeHome, *, progress: Progress | None = None) -> None:
        self._home = home
        self._progress = progress or (lambda task, done, total: None)
        self._desk = Desk(home.proposals, home.decisions, home.settings.site)
        self._signer = Signer.load(home.node_key)
        self._officer = PublicKey.load(home.officer_key.with_suffix(".pub"))
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
            raise UpdateShapeError(actual=task.model.size, expected=manifest.size)
        flat.load_flat(model, task.model)
        work = _Work(task, study, recipe, cohort, model, manifest, digest)
        return self._train(work) if task.kind is TaskKind.TRAIN else self._evaluate(work)

    def _approved(self, task: Task) -> Study:
        study = check_approval(
            self._desk,
            study=task.study,
            study_digest=task.study_digest,
            recipe_digest_of=lambda name: catalogue.recipe(name).digest,
            officer=self._officer,
            now=datetime.now(UTC),
        )
        if not 1 <= task.round <= study.training.rounds:
            raise NotApprovedError(study=study.id, why=f"round {task.round} is not part of it")
        return study

    def _train(self, work: "_Work") -> Reply:
        policy, study = read_policy(self._home.policy), work.study
        patients = work.cohort.train.patients
        _check_enough(patients, policy)
        plan = plan_round(study, patients)
        with self._reservation(work, plan, policy) as epsilon:
            started = time.monotonic()
            result = self._run_training(work, plan)
            report = {
                "patients": patients,
                "examples": len(work.cohort.train.images),
                "steps": plan.steps,
                "loss": result.loss,
                "events": [event.as_json() for event in plan.events],
                "dataset_digest": str(work.cohort.dataset_digest),
                "code_digest": str(provenance.code_digest()),
                "seconds": round(time.monotonic() - started, 3),
                **self._privacy_report(work, plan, epsilon),
            }
            reply = self._leave(work, report, result.update)
        return reply

    def _run_training(
        self, work: "_Work", plan: RoundPlan
    ) -> "private_training.PrivateUpdate | training.PlainUpdate":
        def progress(done: int, total: int) -> None:
            self._progress(work.task, done, total)

        options = work.study.training
        if plan.noise_multiplier is None or work.study.privacy is None:
            return training.train(
                work.model,
                work.cohort.train,
                options=options,
                steps=plan.steps,
                seed=work.study.seed + work.task.round,
                progress=progress,
            )
        return private_training.train_privately(
            work.model,
            work.cohort.train,
            options=options,
            events=plan.events,
            clip_norm=work.study.privacy.clip_norm,
            progress=progress,
        )

    def _privacy_report(self, work: "_Work", plan: RoundPlan, epsilon: float) -> dict[str, object]:
        privacy = work.study.privacy
        if privacy is None:
            return {}
        book = self._ledger.book(work.dataset)
        both = spent(book.events(study=work.study.id), privacy.delta)
        return {
            "epsilon": both.epsilon,
            "epsilon_rdp": both.epsilon_rdp,
            "epsilon_pld": both.epsilon_pld,
            "delta": privacy.delta,
            "noise_multiplier": plan.noise_multiplier,
            "sample_rate": plan.sample_rate,
            "clip_norm": privacy.clip_norm,
        }

    def _evaluate(self, work: "_Work") -> Reply:
        result = evaluation.evaluate(work.model, work.cohort.heldout, task=work.recipe.task)
        report = {
            **result.as_report(),
            "heldout_patients": work.cohort.heldout.patients,
            "dataset_digest": str(work.cohort.dataset_digest),
            "code_digest": str(provenance.code_digest()),
        }
        return self._leave(work, report, None)

    @contextmanager
    def _reservation(self, work: "_Work", plan: RoundPlan, policy: Policy) -> Iterator[float]:
        """Reserve the round's events, commit them when the body's update left.

        A body that raises has let nothing out, so the reservation is voided; a
        process that dies leaves it standing, and it counts as spent.
        """
        privacy = work.study.privacy
        if privacy is None:
            yield 0.0
            return
        key = f"{work.task.run}/{work.task.round}"
        study, dataset = work.study.id, work.dataset
        epsilon = self._reserve(work, plan, policy, privacy, key)
        try:
            yield epsilon
        except BaseException:
            self._ledger.settle(dataset, study=study, key=key, kind=EntryKind.VOIDED, at=_now())
            raise
        self._ledger.settle(dataset, study=study, key=key, kind=EntryKind.COMMITTED, at=_now())

    def _reserve(
        self, work: "_Work", plan: RoundPlan, policy: Policy, privacy: PrivacyPlan, key: str
    ) -> float:
        own = spent((*self._ledger.book(work.dataset).events(study=work.study.id),), privacy.delta)
        if own.epsilon > privacy.epsilon:
            raise NotApprovedError(study=work.study.id, why="its own epsilon is spent")
        return self._ledger.reserve(
            work.dataset,
            study=work.study.id,
            key=key,
            events=plan.events,
            budget=Budget(policy.dataset_epsilon, policy.dataset_delta),
            accountant=epsilon_of,
            at=_now(),
        )

    def _leave(self, work: "_Work", report: dict[str, object], update: FlatModel | None) -> Reply:
        key = f"{work.task.run}/{work.task.round}"
        departure = Departure(
            kind=work.task.kind,
            study=work.study,
            run=work.task.run,
            round=work.task.round,
            site=self._home.settings.site,
            model_digest=work.model_digest,
            update=update,
            report=report,
            manifest=work.manifest,
            is_reserved=lambda: self._is_reserved(work, key),
            is_approved=lambda: self._approved(work.task).digest == work.study.digest,
        )
        reply = release(departure, signer=self._signer)
        self._replies.keep(work.task, work.model_digest, reply)
        self._record(AuditKind.UPDATE_RELEASED, work.task, code="")
        return reply

    def _is_reserved(self, work: "_Work", key: str) -> bool:
        if work.study.privacy is None or work.task.kind is not TaskKind.TRAIN:
            return True
        return self._ledger.book(work.dataset).state_of(key) is EntryKind.RESERVED

    def _record(self, kind: AuditKind, task: Task, *, code: str) -> None:
        event = AuditEvent(
            kind=kind,
            actor="executor",
            subject=f"{task.run}/{task.round}",
            at=datetime.now(UTC),
            details={"task": task.kind.value, "code": code},
        )
        audit_log.append(self._home.audit, event)


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


def build_handler(home: Path, *, progress: Progress | None = None) -> HospitalHandler:
    """Return the handler of a node's home, with torch on one thread."""
    torch.set_num_threads(1)
    return HospitalHandler(NodeHome.open(home), progress=progress)


def _check_enough(patients: int, policy: Policy) -> None:
    if patients < policy.fewest_patients:
        raise InvalidValueError(
            field="patients to train on",
            actual="too few",
            expected=f"{policy.fewest_patients} or more, as the hospital's policy says",
        )


def _now() -> str:
    return datetime.now(UTC).isoformat()
