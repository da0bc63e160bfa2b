"""The first body of `SecureSum`: pairwise masks, of all sites or of none.

Each pair of sites shares a stream of random numbers that one adds and the other
subtracts, so the streams vanish in the sum over all sites and in no other. There is no
recovery of who drops out: revealing the lost site's seeds would let a centre that
calls a slow site lost, and keeps its late answer, read that answer. When a site stays
away, its partners' numbers are noise to everybody; the sum is asked again with fresh keys.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federation.domain.ids import SiteId
from federation.errors.secure_sum import (
    SumKeyRefusedError,
    SumPeersRefusedError,
    TooFewInSumError,
)
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.secure_sum.masks import add_masks, new_secret, public_of, transcript_of
from federation.secure_sum.port import (
    FEWEST,
    MOST_SITES,
    Cells,
    Masked,
    Numbers,
    Offer,
    Ring,
    Roster,
    Session,
    SignedKey,
    refused,
)
from federation.secure_sum.signed_keys import (
    Owner,
    doubles,
    owners_of,
    sign_key,
    verify_key,
)
from federation.wording import Text

TWICE = Text(en="a site or a key occurs twice", zh="院所或金鑰重複出現")
NOT_MINE = Text(en="this site's own key is not among them", zh="其中沒有本院自己的金鑰")
NOT_ALL = Text(en="not all sites answered, or others did", zh="並非所有院所皆已回覆,或有其他院所")
TOO_MANY = Text(en="there are too many", zh="數量過多")
MIXED = Text(en="the sites were shown different lists of keys", zh="各院收到的金鑰清單不一致")


@dataclass(frozen=True, slots=True)
class PairwiseMasks:
    """Sums by pairwise masks, of three sites or more."""

    def offer(self, session: Session, *, site: SiteId, signer: Signer) -> Offer:
        """Return a fresh key of this site for this session."""
        secret = new_secret()
        envelope = sign_key(public_of(secret), session=session, site=site, signer=signer)
        return Offer(secret, envelope)

    def check(self, envelope: str, *, session: Session, site: SiteId, key: PublicKey) -> None:
        """Return if `envelope` is a key of `site` for this session, signed with `key`.

        Raises
        ------
        SumKeyRefusedError
            If not.
        """
        verify_key(envelope, session=session, owners={key.keyid: Owner(site, key)})

    def verify(
        self, envelopes: Sequence[str], *, session: Session, pinned: Mapping[SiteId, PublicKey]
    ) -> Roster:
        """Return who is in the sum: enough sites, each with a key that a pinned node signed.

        Raises
        ------
        TooFewInSumError, SumKeyRefusedError, SumPeersRefusedError
            If they are too few, a key is not of this session, or one occurs twice.
        """
        _check_size(len(envelopes))
        owners = owners_of(pinned)
        keys = [verify_key(one, session=session, owners=owners) for one in envelopes]
        if doubles(one.site for one in keys) or doubles(one.key for one in keys):
            raise SumPeersRefusedError(why=TWICE)
        return Roster(session, tuple(sorted(keys, key=lambda one: one.site)))

    def mask(
        self, numbers: Numbers, *, roster: Roster, site: SiteId, secret: bytes, cells: Cells
    ) -> Masked:
        """Return the numbers under the masks shared with every other site.

        Raises
        ------
        TooFewInSumError, SumKeyRefusedError, SumNumbersRefusedError
            If the sites are too few, this site's key is not among them, another's is
            weak, or the numbers are not as declared.
        """
        _check_size(len(roster.keys))
        if SignedKey(site, public_of(secret)) not in roster.keys:
            raise SumKeyRefusedError(site=site, why=NOT_MINE)
        cells.check(numbers)
        transcript = transcript_of(roster, cells)
        total = np.append(numbers, np.int64(1)).view(np.uint64)
        others = [one for one in roster.keys if one.site != site]
        add_masks(total, site=site, secret=secret, others=others, transcript=transcript)
        return Masked(total, transcript)

    def unmask(
        self, masked: Mapping[SiteId, Masked], *, sites: Collection[SiteId], cells: Cells
    ) -> Numbers:
        """Return the sum of all sites' numbers, int64, shape (cells.length,).

        1. exactly `sites` answered and they are enough; 2. all for the same keys; 3. the
        numbers have the declared shape; 4. the masks cancel; 5. the sum is within bounds.

        Raises
        ------
        SumPeersRefusedError, TooFewInSumError, SumNumbersRefusedError
            By the first that does not hold.
        """
        if doubles(sites) or masked.keys() != set(sites):
            raise SumPeersRefusedError(why=NOT_ALL)
        _check_size(len(masked))
        if len({one.transcript for one in masked.values()}) != 1:
            raise SumPeersRefusedError(why=MIXED)
        total = _sum_of(list(masked.values()), cells)
        if int(total[-1]) != len(masked):
            raise refused("the masks do not cancel", "遮罩未能互相抵銷")
        numbers = total[:-1].view(np.int64)
        cells.check(numbers, sites=len(masked))
        return numbers


def _check_size(sites: int) -> None:
    if sites < FEWEST:
        raise TooFewInSumError(actual=sites, fewest=FEWEST)
    if sites > MOST_SITES:
        raise SumPeersRefusedError(why=TOO_MANY)


def _sum_of(masked: Sequence[Masked], cells: Cells) -> Ring:
    total = np.zeros(cells.sent, dtype=np.uint64)
    for one in masked:
        if one.numbers.dtype != np.uint64 or one.numbers.shape != (cells.sent,):
            raise refused("not the declared number of cells", "格數與宣告不符")
        total += one.numbers
    return total
