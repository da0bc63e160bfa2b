"""Keep the model and the strategy's state after every round, by the digest of their bytes.

point = checkpoints.keep(model, strategy)       # two content ids, in the database
model = checkpoints.restore(point, strategy)    # in another process, after any crash
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from federation.domain.ids import Sha256
from federation.domain.update import UpdateManifest
from federation.errors.core import UnreadableRecordError
from federation.operations.artefacts import Artefacts
from federation.wire.messages import FlatModel
from strategies.fedavg import FedAvg, StrategyState


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run stands between two rounds: content ids of model and strategy state."""

    model: Sha256
    strategy: Sha256

    def as_json(self) -> dict[str, str]:
        """Return it as it stands in a round's record."""
        return {"model": str(self.model), "strategy": str(self.strategy)}

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        """Return the checkpoint in a record.

        Raises
        ------
        UnreadableRecordError
            If there is none.
        """
        try:
            return cls(Sha256(raw["model"]), Sha256(raw["strategy"]))
        except (KeyError, TypeError) as error:
            raise UnreadableRecordError(kind="checkpoint", why=type(error).__name__) from error


class Checkpoints:
    """The checkpoints of one run in an artefact store; the newest stays in memory."""

    def __init__(self, artefacts: Artefacts) -> None:
        self._artefacts = artefacts
        self._newest: tuple[Sha256, FlatModel, UpdateManifest] | None = None

    def keep(self, model: FlatModel, manifest: UpdateManifest, strategy: FedAvg) -> Checkpoint:
        """Keep both and return where; doing it again changes nothing.

        Raises
        ------
        DiskFullError
            If the disk has no room; nothing is left half-written.
        """
        digest = self._artefacts.put_model(model, manifest)
        self._newest = (digest, model, manifest)
        return Checkpoint(digest, keep_state(self._artefacts, strategy.state()))

    def model(self, point: Checkpoint) -> tuple[FlatModel, UpdateManifest]:
        """Return the model, flat float32, and its manifest.

        Raises
        ------
        ArtefactMissingError, ArtefactDamagedError, UnreadableRecordError
            If it is not there as it was kept.
        """
        if self._newest is None or self._newest[0] != point.model:
            self._newest = (point.model, *self._artefacts.get_model(point.model))
        return self._newest[1], self._newest[2]

    def restore(self, point: Checkpoint, strategy: FedAvg) -> None:
        """Put a strategy where it was; raises as `model`."""
        strategy.restore(state_of(self._artefacts, point.strategy))


def keep_state(artefacts: Artefacts, state: StrategyState) -> Sha256:
    """Keep a strategy's state as canonical JSON, its arrays as raw little-endian float32."""
    arrays = {
        name: str(artefacts.put(array.astype("<f4").tobytes()))
        for name, array in state.arrays.items()
    }
    values: Mapping[str, Any] = {"values": state.values, "arrays": arrays}
    return artefacts.put(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())


def state_of(artefacts: Artefacts, digest: Sha256) -> StrategyState:
    """Return the state that `keep_state` kept; raises as `Checkpoints.model`."""
    try:
        raw = json.loads(artefacts.get(digest))
        arrays = {
            str(name): np.frombuffer(artefacts.get(Sha256(kept)), "<f4").astype(np.float32)
            for name, kept in raw["arrays"].items()
        }
        return StrategyState(dict(raw["values"]), arrays)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableRecordError(kind="strategy state", why=type(error).__name__) from error
