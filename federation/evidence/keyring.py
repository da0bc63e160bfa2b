"""Whose key is whose, and which of them may sign what.

A signature only counts when the key belongs to the right party: an approval
signed by the node's own key instead of the data officer's is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import Sha256, SiteId
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey


class KeyRole(Enum):
    """What a key is for."""

    CENTRE = "centre"
    NODE = "node"
    OFFICER = "officer"


SIGNER_OF: dict[PredicateType, KeyRole] = {
    PredicateType.PROPOSAL: KeyRole.CENTRE,
    PredicateType.APPROVAL: KeyRole.OFFICER,
    PredicateType.SEAL: KeyRole.OFFICER,
    PredicateType.DATASET_CARD: KeyRole.NODE,
    PredicateType.UPDATE: KeyRole.NODE,
    PredicateType.EVALUATION: KeyRole.NODE,
    PredicateType.LEDGER: KeyRole.NODE,
    PredicateType.TRAINING_RUN: KeyRole.CENTRE,
    PredicateType.MODEL_VERSION: KeyRole.CENTRE,
    PredicateType.BUNDLE: KeyRole.CENTRE,
    PredicateType.DISJOINTNESS: KeyRole.CENTRE,
    PredicateType.AUDIT_TRAIL: KeyRole.CENTRE,
    PredicateType.OUTCOMES: KeyRole.CENTRE,
}


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key with its owner; `site` is None for the centre's."""

    site: SiteId | None
    role: KeyRole
    key: PublicKey

    @property
    def name(self) -> str:
        """Return what its file is called, for example ``tainan-1-officer``."""
        return f"{self.site}-{self.role.value}" if self.site else self.role.value


def keys_for(
    kind: PredicateType, *, site: SiteId | None, keys: Iterable[KnownKey]
) -> dict[Sha256, PublicKey]:
    """Return the keys that may sign a statement of `kind` in the name of `site`."""
    role = SIGNER_OF[kind]
    return {
        known.key.keyid: known.key for known in keys if known.role is role and known.site == site
    }
