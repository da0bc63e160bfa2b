"""Sites of a sum with fixed or fresh keys, and the sum as centre and sites make it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.secure_sum import Cells, Masked, PairwiseMasks, Roster, Session
from federation.secure_sum.masks import public_of
from federation.secure_sum.signed_keys import sign_key

STUDY = StudyId("cxr-eval")
SESSION = Session(STUDY, Sha256.of(b"study"), RunId.of(STUDY, 1), 1)
NAMES = tuple(SiteId(f"site-{at:02}") for at in range(40))
SUMS = PairwiseMasks()


def a_secret(name: str, seed: int = 0) -> bytes:
    """Return the same secret for the same name, so that a statistic is the same in every run."""
    return sha256(f"{name}/{seed}".encode()).digest()


@dataclass(frozen=True)
class Sites:
    """The sites of one sum with their node keys and, from `seed`, their secrets."""

    names: tuple[SiteId, ...]
    session: Session = SESSION
    seed: int = 0
    signers: Mapping[SiteId, Signer] = field(
        default_factory=lambda: {one: Signer(Ed25519PrivateKey.generate()) for one in NAMES}
    )

    @property
    def pinned(self) -> dict[SiteId, PublicKey]:
        return {name: self.signers[name].public_key for name in self.names}

    def secret(self, name: SiteId) -> bytes:
        return a_secret(name, self.seed)

    def envelope(self, name: SiteId, session: Session | None = None) -> str:
        return sign_key(
            public_of(self.secret(name)),
            session=session or self.session,
            site=name,
            signer=self.signers[name],
        )

    @cached_property
    def envelopes(self) -> list[str]:
        return [self.envelope(name) for name in self.names]

    @cached_property
    def roster(self) -> Roster:
        return SUMS.verify(self.envelopes, session=self.session, pinned=self.pinned)

    def mask(self, name: SiteId, numbers: np.ndarray, cells: Cells) -> Masked:
        secret = self.secret(name)
        return SUMS.mask(numbers, roster=self.roster, site=name, secret=secret, cells=cells)

    def masked(self, rows: Sequence[np.ndarray], cells: Cells) -> dict[SiteId, Masked]:
        pairs = zip(self.names, rows, strict=True)
        return {name: self.mask(name, row, cells) for name, row in pairs}


def three(**changes: object) -> Sites:
    return Sites(NAMES[:3], **changes)  # type: ignore[arg-type]
