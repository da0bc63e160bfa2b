"""Compute a round once more inside the hospital, and compare it with what left.

    result = replay(NodeHome.open(folder), RunId("cxr.1"), models=[Path("round-3.safetensors")])

Nothing leaves, nothing is spent and nothing is kept. Of every kept reply: the node's
own signature, the bytes of the update, the gate's rules and the privacy book. Where
the study trains without privacy, the round is trained again on today's approved
cohort, from the model it started from, and must give the same bits; the final model
is evaluated again. A private round cannot be trained again: its noise and its choice
of patients were never kept, on purpose.

A hospital keeps no models. The first round's is built again from the recipe; the
others are given as files, and the digest that this node signed says which is which.
Imports torch: import this module lazily.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from clients.computed_with import remembered
from clients.data.cohort.load import Cohort, load_cohort
from clients.disclosure import report_of, shared_report
from clients.evaluation import evaluate
from clients.gate import (
    RULES,
    Departure,
    digest_of_array,
    hides_nothing_in_low_bits,
    is_reserved_in_the_ledger,
    is_still_approved,
)
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.local_plan import local_plan
from clients.low_bits import without_low_bits
from clients.replies import MOST_HEAD_BYTES, KeptReplies
from clients.standing import Asked, Standing, standing_of
from clients.training import precision_of, train
from federation.domain.ids import RunId, Sha256, StudyId
from federation.domain.replay import Change, Finding, Outcome, Replayed, Thing, compared
from federation.domain.update import UpdateManifest
from federation.environment import changed, this_environment
from federation.errors.core import InvalidIdError, UnreadableRecordError
from federation.errors.ledger import GateRefusedError, KeptReplyDamagedError
from federation.errors.replay import (
    ModelFileRefusedError,
    NoiseNotKeptError,
    ReplyNotKeptError,
    RoundModelMissingError,
)
from federation.evidence.statements import PredicateType, Statement
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.privacy.ledger import EntryKind
from federation.recipes import flat, networks
from federation.recipes.model_files import digest_of_flat, read_model_file
from federation.wire.messages import FlatModel, Reply, Task, TaskKind

Tell = Callable[[Finding], None]
Progress = Callable[[int, int], None]

_SIGNED_AS = {
    TaskKind.TRAIN: PredicateType.UPDATE,
    TaskKind.EVALUATE: PredicateType.EVALUATION,
}
_NO_MODEL = np.zeros(0, np.float32)

ASKED_OF_WHAT_LEFT = tuple(
    rule
    for rule in RULES
    if rule not in (hides_nothing_in_low_bits, is_reserved_in_the_ledger, is_still_approved)
)
"""The gate's rules that can be asked again of a reply that left: its low bits are gone by then,
and book and approval are looked at apart."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A kept reply with what this node signed about it."""

    kind: TaskKind
    number: int
    study: StudyId
    study_digest: Sha256
    model: Sha256
    update: Sha256 | None
    reply: Reply


def replay(
    home: NodeHome,
    study: StudyId,
    run: RunId,
    *,
    number: int | None = None,
    models: Sequence[Path] = (),
    tell: Tell = lambda _: None,
    progress: Progress | None = None,
) -> Replayed:
    """Return the replay of a run's rounds at this hospital, or of round `number` alone.

    Parameters
    ----------
    models
        Files of the models that rounds started from, in any order.
    tell
        Hears of every finding as it is made.

    Raises
    ------
    ReplyNotKeptError
        If this node kept no reply of it.
    PlatformError
        As `standing_of` and `load_cohort`: what is not approved today is not touched.
    """
    kept = _chosen(_kept_replies(home, study, run), run, number)
    findings: list[Finding] = []
    cohorts: dict[Sha256, Cohort] = {}
    for one in kept:
        standing = _standing(home, Asked(one.study, one.study_digest, run, one.number))
        if one.study_digest not in cohorts:
            cohorts[one.study_digest] = _cohort(home, standing)
        desk = _Desk(home, run, standing, cohorts[one.study_digest], models, progress)
        for finding in _Round(desk, one).findings():
            tell(finding)
            findings.append(finding)
    trained = [one for one in kept if one.kind is TaskKind.TRAIN]
    changes = [change for one in trained for change in _changes(home, run, one.number)]
    return Replayed(run, len(trained), tuple(findings), tuple(dict.fromkeys(changes)))


def trained_again(
    home: NodeHome, asked: Asked, model: FlatModel, *, progress: Progress | None = None
) -> Sha256:
    """Train a round without privacy once more; return the digest of what would leave.

    Raises
    ------
    NoiseNotKeptError
        If the study trains privately.
    PlatformError
        As `standing_of`, `load_cohort` and `train`.
    """
    standing = _standing(home, asked)
    if standing.study.privacy is not None:
        raise NoiseNotKeptError(round=asked.round, run=asked.run)
    return _train(standing, _cohort(home, standing), asked.round, model, progress)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every round of one replay is compared with."""

    home: NodeHome
    run: RunId
    standing: Standing
    cohort: Cohort
    models: Sequence[Path]
    progress: Progress | None


class _Round:
    """One kept reply being replayed."""

    def __init__(self, desk: _Desk, kept: _Kept) -> None:
        self._desk, self._kept = desk, kept
        self._study, self._recipe = desk.standing.study, desk.standing.recipe
        network = networks.build(self._recipe, seed=self._study.seed)
        self._manifest = flat.manifest_of(network)
        self._first = flat.flatten(network)

    def findings(self) -> Iterator[Finding]:
        """Compare everything there is to compare."""
        number, update = self._kept.number, self._kept.reply.update
        yield self._found(Thing.SIGNATURE, Outcome.SAME)  # or it would not have been read
        if update is not None:
            again = digest_of_array(update)
            yield compared(number, Thing.UPDATE, kept=self._kept.update, again=again)
        yield self._gate()
        if self._is_private_training:
            yield self._book()
        yield self._cohort()
        yield self._computed_again()

    @property
    def _is_private_training(self) -> bool:
        return self._kept.kind is TaskKind.TRAIN and self._study.privacy is not None

    @property
    def _has_same_cohort(self) -> bool:
        said = self._kept.reply.report.get("dataset_digest")
        return said == str(self._desk.cohort.dataset_digest)

    def _gate(self) -> Finding:
        """Ask the gate's rules again of what left, whose low bits are gone."""
        departure = _departure(self._desk, self._kept, self._manifest)
        update = self._kept.reply.update
        broken = [rule.__name__ for rule in ASKED_OF_WHAT_LEFT if not rule(departure)]
        if update is not None and not np.array_equal(without_low_bits(update), update):
            broken.append(without_low_bits.__name__)
        if broken:
            code = GateRefusedError.code
            return self._found(Thing.GATE, Outcome.DIFFERENT, kept=broken[0], code=code)
        return self._found(Thing.GATE, Outcome.SAME)

    def _book(self) -> Finding:
        """Look whether the privacy book counts the round."""
        officer = PublicKey.load(self._desk.home.officer_public_key)
        book = LedgerStore(self._desk.home.ledger, officer=officer).book(self._study.cohort)
        state = book.state_of(f"{self._desk.run}/{self._kept.number}")
        outcome = Outcome.SAME if state is EntryKind.COMMITTED else Outcome.DIFFERENT
        return self._found(Thing.LEDGER, outcome, kept=None if state is None else state.value)

    def _cohort(self) -> Finding:
        """Compare today's approved patients with those of the round.

        People opt out, and labels are corrected: that is no fault of the record.
        """
        outcome = Outcome.SAME if self._has_same_cohort else Outcome.UNCHECKED
        return self._found(Thing.COHORT, outcome)

    def _computed_again(self) -> Finding:
        trains = self._kept.kind is TaskKind.TRAIN
        thing = Thing.TRAINING if trains else Thing.EVALUATION
        if self._is_private_training:
            return self._found(thing, Outcome.UNCHECKED, code=NoiseNotKeptError.code)
        if not self._has_same_cohort:
            return self._found(thing, Outcome.UNCHECKED)
        model = self._model()
        if model is None:
            return self._found(thing, Outcome.UNCHECKED, code=RoundModelMissingError.code)
        return self._trained(model) if trains else self._evaluated(model)

    def _trained(self, model: FlatModel) -> Finding:
        desk, number = self._desk, self._kept.number
        again = _train(desk.standing, desk.cohort, number, model, desk.progress)
        return compared(number, Thing.TRAINING, kept=self._kept.update, again=again)

    def _evaluated(self, model: FlatModel) -> Finding:
        module = networks.build(self._recipe, seed=self._study.seed)
        flat.load_flat(module, model)
        result = evaluate(module, self._desk.cohort.heldout, task=self._recipe.task)
        again, said = shared_report(report_of(result)), self._kept.reply.report
        same = all(said.get(name) == value for name, value in again.items())
        return self._found(Thing.EVALUATION, Outcome.SAME if same else Outcome.DIFFERENT)

    def _model(self) -> FlatModel | None:
        """Return the model that the round started from: the first, or the file with its digest."""
        if digest_of_flat(self._first) == self._kept.model:
            return self._first
        for path in self._desk.models:
            model = _read_model(path, self._manifest)
            if digest_of_flat(model) == self._kept.model:
                return model
        return None

    def _found(
        self, thing: Thing, outcome: Outcome, *, kept: str | None = None, code: str | None = None
    ) -> Finding:
        return Finding(self._kept.number, thing, outcome, kept=kept, code=code)


def _train(
    standing: Standing,
    cohort: Cohort,
    number: int,
    model: FlatModel,
    progress: Progress | None,
) -> Sha256:
    """Train as `client_app` does; return the digest of the update as the gate lets it out."""
    module = networks.build(standing.recipe, seed=standing.study.seed)
    flat.load_flat(module, np.ascontiguousarray(model, np.float32))
    plan = local_plan(standing.study.training, standing.recipe, round_number=number)
    result = train(
        module,
        cohort.train,
        plan=plan,
        seed=standing.study.seed + number,
        precision=precision_of(plan),
        progress=progress,
    )
    return digest_of_array(without_low_bits(result.update))


def _standing(home: NodeHome, asked: Asked) -> Standing:
    """Return what covers the use of the data today; opening hours are for messages."""
    return standing_of(home, asked, now=datetime.now(UTC), is_leaving=True)


def _cohort(home: NodeHome, standing: Standing) -> Cohort:
    return load_cohort(
        home.data, standing.recipe, study=standing.study, permitted=standing.data.only
    )


def _departure(desk: _Desk, kept: _Kept, manifest: UpdateManifest) -> Departure:
    return Departure(
        kind=kept.kind,
        study=desk.standing.study,
        run=desk.run,
        round=kept.number,
        site=desk.home.settings().site,
        model_digest=kept.model,
        update=kept.reply.update,
        report=kept.reply.report,
        manifest=manifest,
        is_reserved=lambda: True,
        is_approved=lambda: True,
    )


def _read_model(path: Path, manifest: UpdateManifest) -> FlatModel:
    try:
        return read_model_file(path, manifest)
    except UnreadableRecordError as error:
        raise ModelFileRefusedError(file=path.name, why=error.values["why"]) from error


def _changes(home: NodeHome, run: RunId, number: int) -> tuple[Change, ...]:
    then = remembered(home.replies, run, number)
    return changed(then, this_environment().as_json()) if then else ()


# -- what was kept ---------------------------------------------------------------


def _chosen(kept: list[_Kept], run: RunId, number: int | None) -> list[_Kept]:
    chosen = [one for one in kept if number in (None, one.number)]
    if not chosen:
        known = ", ".join(str(one.number) for one in kept if one.kind is TaskKind.TRAIN)
        raise ReplyNotKeptError(round=number or 1, run=run, known=known or "none")
    return chosen


def _kept_replies(home: NodeHome, study: StudyId, run: RunId) -> list[_Kept]:
    """Return the run's replies that are of this study, training first, by round."""
    found = [
        _kept(home, run, kind, path)
        for kind in (TaskKind.TRAIN, TaskKind.EVALUATE)
        for path in sorted((home.replies / run).glob(f"{kind.value}-*.json"))
    ]
    return [one for one in found if one.study == study]


def _kept(home: NodeHome, run: RunId, kind: TaskKind, path: Path) -> _Kept:
    """Return a kept reply, believed because this node's own key signed it.

    Raises
    ------
    KeptReplyDamagedError
        If it is not what was kept, or of another run.
    PlatformError
        If this node did not sign it.
    """
    number = _number(path, run)
    said = verify_envelope(
        _signature(path, run, number),
        trusted=trusted_keys([PublicKey.load(home.node_public_key)]),
        expected=_SIGNED_AS[kind],
    )
    damaged = KeptReplyDamagedError(round=number, run=run)
    if (said.predicate.get("run"), said.predicate.get("round")) != (str(run), number):
        raise damaged
    model, study = _subject(said, "model/"), _study_of(said)
    if model is None or study is None:
        raise damaged
    task = Task(kind, study[0], run, number, study[1], _NO_MODEL)
    reply = KeptReplies(home.replies).find(task, model)
    if reply is None or said.predicate.get("report") != reply.report:
        raise damaged
    return _Kept(kind, number, *study, model, _subject(said, "update/"), reply)


def _number(path: Path, run: RunId) -> int:
    text = path.stem.split("-")[1]
    if not text.isascii() or not text.isdecimal():
        raise KeptReplyDamagedError(round=0, run=run)
    return int(text)


def _signature(path: Path, run: RunId, number: int) -> str:
    try:
        with path.open("rb") as file:
            return str(json.loads(file.read(MOST_HEAD_BYTES))["signature"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeptReplyDamagedError(round=number, run=run) from error


def _subject(said: Statement, prefix: str) -> Sha256 | None:
    return next((one.digest for one in said.subjects if one.name.startswith(prefix)), None)


def _study_of(said: Statement) -> tuple[StudyId, Sha256] | None:
    for one in said.subjects:
        if one.name.startswith("study/"):
            try:
                return StudyId(one.name.removeprefix("study/")), one.digest
            except InvalidIdError:
                return None
    return None
