"""Hide each hospital in a round's mean, where a study asks for privacy of whole hospitals.

The noise is the centre's own and is drawn once for every checkpoint that is kept: a
round that dies before its AGGREGATED is written has released nothing, and draws anew.
What it cost stands in the round's record, with the checkpoint, and is entered in the
registry's book as evidence (`federation.privacy.central`, PRIVACY.md).
"""

import numpy as np

from federation.domain.run import RoundKey, RoundKind
from federation.operations.campaign.parts import Parts
from federation.operations.store.rounds import StoredRound
from federation.privacy.central import CentralRelease, central_mechanism_of
from federation.privacy.events import event_from_json
from federation.privacy.randomness import SecureRandom

EVENTS = "central_events"
"""Where a round's record says what the centre's own noise cost each hospital."""


def hidden_mean(parts: Parts, key: RoundKey, *, size: int) -> CentralRelease | None:
    """Return the noisy mean of the kept updates, float32 of shape (size,); None if none is asked.

    Raises
    ------
    CentralReleaseRefusedError
        If more hospitals answered than the study declares, or an update has another form.
    ArtefactMissingError
        If a kept update is gone.
    """
    mechanism = central_mechanism_of(parts.study)
    if mechanism is None or key.kind is not RoundKind.TRAIN:
        return None
    updates = {
        reply.site: np.memmap(parts.artefacts.path_of(reply.update), "<f4", mode="r")
        for reply in parts.store.replies(key)
        if reply.update is not None
    }
    return mechanism.release(updates, size=size, noise=SecureRandom())


def enter_hidden(parts: Parts, row: StoredRound) -> None:
    """Write what a round's noise cost each hospital into the registry's book, if it had any."""
    said = row.record.get(EVENTS)
    if isinstance(said, list) and said:
        events = [event_from_json(one) for one in said]
        parts.releases.enter_central(row.key.run, row.key.number, events, at=parts.voice.now())
