"""Who co-signs the log's states besides the register: the other centres and the nodes."""

from registry.witnesses.noun import WITNESS
from registry.witnesses.service import (
    Witnesses,
    best_size,
    cosigned_checkpoint,
    known_witnesses,
    witnessed_checkpoint,
)

__all__ = [
    "WITNESS",
    "Witnesses",
    "best_size",
    "cosigned_checkpoint",
    "known_witnesses",
    "witnessed_checkpoint",
]
