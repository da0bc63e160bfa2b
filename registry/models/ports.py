"""What a store must offer for model versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from federation.domain.ids import Sha256


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One model version as kept: what is searched, and the record's canonical JSON.

    `log_index` is the entry of the log that holds its signed statement,
    `log_size` the size of the checkpoint signed with it.
    """

    entry: str
    model: str
    version: str
    study: str
    run: str
    state: str
    candidate_digest: Sha256
    supersedes: str | None
    log_index: int
    log_size: int
    record: str


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as kept: the `number`-th of its year, of one study."""

    id: str
    year: int
    number: int
    study: str


class ModelVersions(Protocol):
    """Append-only; an entry id, a model's version and a candidate occur once."""

    def numbered(self, year: int) -> int:
        """Return how many models a year has."""

    def model_of(self, study: str) -> str | None:
        """Return the model of a study, None before its first version."""

    def models(self) -> Sequence[StoredModel]:
        """Return all models."""

    def add_model(self, model: str, *, year: int, number: int, study: str) -> None:
        """Keep a new model."""

    def add(self, version: StoredVersion) -> None:
        """Keep a new version."""

    def versions(self, model: str) -> Sequence[StoredVersion]:
        """Return all versions of a model, oldest first."""

    def of_run(self, run: str) -> Sequence[StoredVersion]:
        """Return what is registered of a run, oldest first."""

    def of_candidate(self, digest: Sha256) -> StoredVersion | None:
        """Return the version made from exactly this candidate."""

    def get(self, entry: str) -> StoredVersion | None:
        """Return the version with that full id."""

    def successor_of(self, entry: str) -> str | None:
        """Return the entry that supersedes this one."""

    def page(self, *, offset: int, limit: int) -> Sequence[StoredVersion]:
        """Return versions, newest first."""

    def count(self) -> int:
        """Return the number of versions."""
