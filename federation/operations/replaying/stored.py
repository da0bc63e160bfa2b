"""A run in the centre's database and artefact store, as a replay reads it.

    with StoredRun.open(home, RunId("cxr.1")) as kept:
        replayed = Replay(kept, key_of=key_in(home)).run()

Only reads; a centre that is running is not disturbed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.run import RoundKind, RoundState
from federation.domain.study import Study
from federation.errors.core import InvalidIdError, UnreadableRecordError
from federation.errors.evaluating import EvaluationStepError
from federation.errors.machine import ArtefactDamagedError
from federation.errors.replay import (
    CheckpointNotKeptError,
    RunMissingError,
    StudyReplacedError,
    UpdatesNotRecordedError,
)
from federation.evidence.model_version import Record
from federation.evidence.verification import PublicKey
from federation.operations.artefacts import Artefacts, model_bytes
from federation.operations.registry import show_entry
from federation.operations.replaying.kept import KeptReply, KeptRound
from federation.operations.store.rounds import RoundStore, StoredReply, StoredRound
from federation.operations.store.studies import StudyStore
from federation.recipes.model_files import initial_model
from federation.storage import write_atomic
from federation.wire.study import study_from_json
from federation.wording import Text

BEFORE_THE_FIRST = 0
"""The number under which the model before round 1 is handed out."""


_NOTHING_TRAINED = Text(
    en="no round of it trains, so there is no model to compute once more; its figures are, from "
    "the kept sums, by `trifed evaluate enter`",
    zh="其中沒有訓練回合,無模型可重算;其結果可由留存之總和以 `trifed evaluate enter` 重新計算",
)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run of a centre; a `kept.KeptRun`."""

    home: CentreHome
    run: RunId
    study: Study
    record: Mapping[str, object]
    store: RoundStore
    artefacts: Artefacts

    @classmethod
    @contextmanager
    def open(cls, home: CentreHome, run: RunId) -> Iterator[Self]:
        """Give the run while the body runs.

        Raises
        ------
        RunMissingError
            If the centre knows none of this name.
        StudyReplacedError
            If its study was replaced by another version since.
        EvaluationStepError
            If it trained nothing.
        """
        studies = StudyStore.of(home)
        try:
            study, record = _launched(studies, run)
            if study.protocol is not None:
                raise EvaluationStepError(study=study.id, why=_NOTHING_TRAINED)
            yield cls(home, run, study, record, RoundStore(studies.database), Artefacts.of(home))
        finally:
            studies.close()

    def rounds(self) -> Iterator[KeptRound]:
        """Return its finished rounds in order, the evaluation last.

        Raises
        ------
        UpdatesNotRecordedError
            If there is none: it never finished one, or is older than the keeping of updates.
        """
        rows = [
            row
            for kind in (RoundKind.TRAIN, RoundKind.EVALUATE)
            for row in self.store.rounds(self.run, kind)
            if row.state is RoundState.DONE
        ]
        if not rows:
            raise UpdatesNotRecordedError(run=self.run)
        for row in rows:
            yield _round(row, self.store.replies(row.key))

    def path_of(self, digest: Sha256) -> Path:
        """Return the file of a content id, unchecked; raise `ArtefactMissingError` if deleted."""
        return self.artefacts.path_of(digest)

    def registered(self) -> Record | None:
        """Return the registry's record of the run, verified; None if it was not registered.

        Raises
        ------
        PlatformError
            If there is an entry and it does not hold.
        """
        registry = self.record.get("registry")
        entry = registry.get("entry") if isinstance(registry, Mapping) else None
        if entry is None:
            return None
        checked = show_entry(self.home.folder, str(entry))
        if checked.failure is not None:
            raise checked.failure
        return checked.record

    def export_model(self, number: int, target: Path) -> Sha256:
        """Write the model after a round (0: before the first) as safetensors; return its id.

        Raises
        ------
        CheckpointNotKeptError
            If the round was not done.
        ArtefactMissingError, ArtefactDamagedError
            If its file is gone or not what was kept.
        DiskFullError
            If there is no room; nothing is left half-written.
        """
        content = self._first() if number == BEFORE_THE_FIRST else self._after(number)
        write_atomic(target, content)
        return Sha256.of(content)

    def _first(self) -> bytes:
        model, manifest = initial_model(self.study)
        return model_bytes(model, manifest)

    def _after(self, number: int) -> bytes:
        kept = {one.number: one.checkpoint for one in self.rounds() if one.kind is RoundKind.TRAIN}
        digest = kept.get(number)
        if digest is None:
            known = f"{BEFORE_THE_FIRST}, " + ", ".join(str(known) for known in sorted(kept))
            raise CheckpointNotKeptError(run=self.run, round=number, known=known)
        content = self.path_of(digest).read_bytes()
        if Sha256.of(content) != digest:
            raise ArtefactDamagedError(digest=digest)
        return content


def key_in(home: CentreHome) -> Callable[[SiteId], PublicKey]:
    """Return how to find the enrolled key that a site signs its replies with.

    It raises `SiteUnknownError` or `KeyFileError` where there is none.
    """
    roster = home.roster()

    @cache
    def key_of(site: SiteId) -> PublicKey:
        return PublicKey.from_pem(str(roster.entry(site).node_key).encode())

    return key_of


def _launched(studies: StudyStore, run: RunId) -> tuple[Study, Mapping[str, object]]:
    """Return the study of a run and the run's record."""
    study = StudyId(run.rpartition(".")[0])
    runs = {one.id: one.record for one in studies.runs(study)}
    if run not in runs:
        raise RunMissingError(run=run, known=", ".join(runs) or "none")
    found = study_from_json(studies.study(study).record)
    if runs[run].get("study_digest") not in (None, str(found.digest)):
        raise StudyReplacedError(run=run)
    return found, runs[run]


def _round(row: StoredRound, replies: list[StoredReply]) -> KeptRound:
    """Return a stored round as a replay reads it.

    Raises
    ------
    UnreadableRecordError
        If its record does not say what was asked of whom.
    """
    record = row.record
    try:
        return KeptRound(
            kind=row.key.kind,
            number=row.key.number,
            model=Sha256(str(record["asked"])),
            available=_sites(record.get("available")),
            selected=_sites(record["sites"]) or (),
            replies=tuple(_reply(one) for one in replies),
            checkpoint=_digest(record.get("model")),
            strategy=_digest(record.get("strategy")),
        )
    except (KeyError, TypeError, InvalidIdError) as error:
        raise UnreadableRecordError(kind="round", why=type(error).__name__) from error


def _reply(kept: StoredReply) -> KeptReply:
    return KeptReply(kept.site, kept.update, kept.weight, kept.report, kept.signature)


def _sites(raw: object) -> tuple[SiteId, ...] | None:
    return tuple(SiteId(str(site)) for site in raw) if isinstance(raw, list) else None


def _digest(raw: object) -> Sha256 | None:
    return None if raw is None else Sha256(str(raw))
