"""What a secure sum is, whoever computes it: its session, its cells, its steps.

`SecureSum` is the port. A body lets the centre learn the sum over all sites and
nothing else of any of them, refuses fewer than three sites, and refuses every key
that is not signed for this session by the node that the approved study names.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.errors.secure_sum import SumNumbersRefusedError
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.wording import Text

FEWEST = 3
"""With two sites, each would know the other's part from the sum and its own."""

MOST_SITES = 1_000
MOST_CELLS = 1 << 24
LARGEST = 1 << 52
"""Largest amount of one site in one cell; 1,000 of them stay below 2^63."""

Numbers = NDArray[np.int64]
Ring = NDArray[np.uint64]
"""Numbers modulo 2^64, shape (cells,)."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sum: in which run of which study, and the round in which its keys were given.

    Keys, masks and sums of one session are worthless in every other.
    """

    study: StudyId
    study_digest: Sha256
    run: RunId
    number: int

    def as_json(self) -> dict[str, object]:
        """Return it as it is signed and bound into every mask."""
        return {
            "study": str(self.study),
            "study_digest": str(self.study_digest),
            "run": str(self.run),
            "round": self.number,
        }


@dataclass(frozen=True, slots=True)
class Cells:
    """The form of what one site adds: so many whole numbers, each from `low` to `high`.

    `about` is the content id of whatever else the sites must agree on to be added.

    Raises
    ------
    SumNumbersRefusedError
        If there are no cells or too many, or the bounds leave out zero or go beyond 2^52.
    """

    length: int
    low: int
    high: int
    about: Sha256 | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.length <= MOST_CELLS:
            raise refused(f"{self.length} cells", f"{self.length} 格")
        if not -LARGEST <= self.low <= 0 <= self.high <= LARGEST:
            raise refused("the declared bounds", "宣告的上下限")

    @classmethod
    def counts(cls, length: int, *, most: int) -> Self:
        """Return the form of counts, of which one site has at most `most` in a cell."""
        return cls(length, 0, most)

    @property
    def sent(self) -> int:
        """Return how many numbers a site sends: one more, which checks the sum."""
        return self.length + 1

    def check(self, numbers: Numbers, *, sites: int = 1) -> None:
        """Return if `numbers` can be what so many sites add up to.

        Raises
        ------
        SumNumbersRefusedError
            If the type or shape is another, or a number is out of bounds.
        """
        if numbers.dtype != np.int64 or numbers.shape != (self.length,):
            raise refused("not the declared number of cells", "格數與宣告不符")
        if int(numbers.min()) < sites * self.low or int(numbers.max()) > sites * self.high:
            raise refused("a number beyond the declared bounds", "有數值超出宣告的上下限")

    def as_json(self) -> dict[str, object]:
        """Return it as it is bound into every mask."""
        about = None if self.about is None else str(self.about)
        return {"length": self.length, "low": self.low, "high": self.high, "about": about}


@dataclass(frozen=True, slots=True)
class Offer:
    """A site's new key for one session: the secret half, and the signed public half.

    Parameters
    ----------
    secret
        32 bytes that never leave the site and serve for one sum.
    envelope
        JSON text for the centre, which gives it to all sites.
    """

    secret: bytes = field(repr=False)
    envelope: str


@dataclass(frozen=True, slots=True)
class SignedKey:
    """A verified public key (X25519, 32 bytes) of a site."""

    site: SiteId
    key: bytes


@dataclass(frozen=True, slots=True)
class Roster:
    """The sites of one sum with their keys, verified: each signed by its node, none twice.

    Made by `SecureSum.verify` and nowhere else; `keys` are in the order of the sites.
    """

    session: Session
    keys: tuple[SignedKey, ...]

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """Return the sites by name."""
        return tuple(one.site for one in self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """What a site sends: numbers that alone are as good as random.

    Parameters
    ----------
    numbers
        uint64, shape (`Cells.sent`,).
    transcript
        Content id of session, cells and the keys of all sites: who was in this sum.
    """

    numbers: Ring
    transcript: Sha256


class SecureSum(Protocol):
    """The steps of a sum. All raise the errors of `federation.errors.secure_sum`."""

    def offer(self, session: Session, *, site: SiteId, signer: Signer) -> Offer:
        """At a site: make a fresh key for this session and sign its public half."""
        ...

    def check(self, envelope: str, *, session: Session, site: SiteId, key: PublicKey) -> None:
        """Anywhere: return if `envelope` is a key of `site` for this session."""
        ...

    def verify(
        self, envelopes: Sequence[str], *, session: Session, pinned: Mapping[SiteId, PublicKey]
    ) -> Roster:
        """At a site: return who is in the sum, if all of them may be.

        `pinned` are the node keys in the study that this hospital approved.
        """
        ...

    def mask(
        self, numbers: Numbers, *, roster: Roster, site: SiteId, secret: bytes, cells: Cells
    ) -> Masked:
        """At a site: return its numbers as they may leave, for the sum over the roster.

        A secret serves one roster and one set of numbers; `clients.sum_keys` sees to it.
        """
        ...

    def unmask(
        self, masked: Mapping[SiteId, Masked], *, sites: Collection[SiteId], cells: Cells
    ) -> Numbers:
        """At the centre: return the sum over all `sites`, int64, shape (cells.length,)."""
        ...


def refused(en: str, zh: str) -> SumNumbersRefusedError:
    """Return the refusal of numbers for a reason in both languages."""
    return SumNumbersRefusedError(why=Text(en=en, zh=zh))
