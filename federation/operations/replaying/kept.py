"""What a run kept that a replay needs, whoever keeps it.

`KeptRun` is the port: `stored.StoredRun` reads the centre's database and artefact
store; a test holds the same in memory. Updates and models are files by content id.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.run import RoundKind
from federation.domain.study import Study
from federation.evidence.model_version import Record


@dataclass(frozen=True, slots=True)
class KeptReply:
    """One accepted reply as it was kept.

    Parameters
    ----------
    update
        Digest of the update's little-endian float32 bytes, which is the name of the
        file that holds them; None for an evaluation.
    weight
        How much the update counted in the mean; it follows from the report.
    report, signature
        What the site said, and the envelope (DSSE, JSON text) that it signed.
    """

    site: SiteId
    update: Sha256 | None
    weight: float
    report: Mapping[str, object]
    signature: str


@dataclass(frozen=True, slots=True)
class KeptRound:
    """One finished round.

    Parameters
    ----------
    model
        Digest of the little-endian float32 bytes that the sites were asked with.
    available
        Sites among which the round's were selected; None if that was not kept.
    selected
        Sites that were asked.
    checkpoint
        Content id of the safetensors file of the model after the round; None for an
        evaluation.
    strategy
        Content id of the strategy's state after the round, JSON; None if there is none.
    """

    kind: RoundKind
    number: int
    model: Sha256
    available: tuple[SiteId, ...] | None
    selected: tuple[SiteId, ...]
    replies: tuple[KeptReply, ...]
    checkpoint: Sha256 | None = None
    strategy: Sha256 | None = None


class KeptRun(Protocol):
    """A run with everything that was kept of it."""

    @property
    def run(self) -> RunId:
        """Return its name."""

    @property
    def study(self) -> Study:
        """Return the study as it was launched."""

    @property
    def record(self) -> Mapping[str, object]:
        """Return its record, which begins with what `record_of_run` gave."""

    def rounds(self) -> Iterator[KeptRound]:
        """Return its finished rounds in order, the evaluation last."""

    def path_of(self, digest: Sha256) -> Path:
        """Return the file of a content id, unchecked; raise `ArtefactMissingError` if deleted."""

    def registered(self) -> Record | None:
        """Return the registry's record of it, verified; None if it was not registered."""
