"""Who is in a secure sum, asked before a hospital approves: a centre could invent hospitals.

A sum over three sites hides one hospital only if the others are real. The centre
enrolls sites, so its word that there are three is not enough. A study names every site
with its node's key; `check_peers` holds them against this hospital's own key and the keys
that its data officer compared with other hospitals, and `describe_peers` shows them. From
the approval on, no other key is accepted (`clients.sum_keys`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from federation.domain.evaluation_plan import Peer
from federation.domain.ids import Sha256, SiteId
from federation.errors.core import InvalidIdError
from federation.errors.secure_sum import SumPeersRefusedError, TooFewInSumError
from federation.errors.signed import KeyFileError
from federation.evidence.verification import PublicKey
from federation.secure_sum import FEWEST
from federation.wording import Text

NOT_A_KEY = Text(en="a node key cannot be read", zh="有節點金鑰無法讀取")
TWICE = Text(en="a site or a node key occurs twice", zh="院所或節點金鑰重複出現")
NOT_ME = Text(
    en="this hospital is not named with the key of its node", zh="未以本院節點的金鑰列出本院"
)
OTHER_KEY = Text(
    en="a site is named with another key than the one that this hospital compared",
    zh="有院所所列金鑰與本院核對者不同",
)
UNKNOWN = Text(
    en="this hospital compared the keys of too few of the others", zh="本院核對過金鑰的他院數量不足"
)
NOT_A_LINE = Text(
    en="a line of sum_peers is not a site name and a key id (sha256:...)",
    zh="sum_peers 中有一行不是「院所名稱 金鑰識別碼(sha256:...)」",
)


@dataclass(frozen=True, slots=True)
class PeerLine:
    """One site of a sum as staff read it: its key's id, and whether it was compared."""

    site: SiteId
    keyid: Sha256
    is_own: bool
    is_known: bool

    def as_json(self) -> dict[str, object]:
        """Return the line for machines."""
        return {
            "site": str(self.site),
            "keyid": str(self.keyid),
            "own": self.is_own,
            "compared": self.is_known,
        }


def pinned_of(peers: Sequence[Peer]) -> dict[SiteId, PublicKey]:
    """Return the node keys that a study names, by site.

    Raises
    ------
    SumPeersRefusedError
        If a key is none, or a site or key occurs twice.
    """
    try:
        found = {peer.site: PublicKey.from_raw(bytes.fromhex(peer.node_key)) for peer in peers}
    except (ValueError, KeyFileError) as error:
        raise SumPeersRefusedError(why=NOT_A_KEY) from error
    if not len(peers) == len(found) == len({key.keyid for key in found.values()}):
        raise SumPeersRefusedError(why=TWICE)
    return found


@dataclass(frozen=True, slots=True)
class PeerRule:
    """What a hospital's policy asks of the sites of a sum.

    Parameters
    ----------
    known
        The ids of the node keys that it compared with other hospitals itself.
    fewest_known
        How many of the others in a sum must be among them. With two, three real
        hospitals are in every sum, whatever the centre enrolled.
    fewest
        How many sites a sum needs; less than three is three.
    """

    known: Mapping[SiteId, Sha256]
    fewest_known: int
    fewest: int

    @classmethod
    def of(cls, lines: Sequence[str], *, fewest_known: int, fewest: int) -> Self:
        """Return the rule of a policy whose lines say ``site sha256:...``.

        Raises
        ------
        SumPeersRefusedError
            If a line is not of that form, or a site occurs twice.
        """
        pairs = [line.partition(" ") for line in lines]
        try:
            known = {SiteId(site): Sha256(keyid) for site, _, keyid in pairs}
        except InvalidIdError as error:
            raise SumPeersRefusedError(why=NOT_A_LINE) from error
        if len(known) != len(lines):
            raise SumPeersRefusedError(why=TWICE)
        return cls(known, fewest_known, fewest)

    def knows(self, site: SiteId, key: PublicKey) -> bool:
        """Say whether this hospital compared this key of this site."""
        return self.known.get(site) == key.keyid

    def check(self, keys: Mapping[SiteId, PublicKey], *, site: SiteId) -> None:
        """Return if `site` may be in a sum with these sites.

        1. they are enough; 2. no site has another key than the one compared; 3. enough
        of the others were compared.

        Raises
        ------
        TooFewInSumError, SumPeersRefusedError
            By the first that does not hold.
        """
        fewest = max(FEWEST, self.fewest)
        if len(keys) < fewest:
            raise TooFewInSumError(actual=len(keys), fewest=fewest)
        compared = [name for name in keys if name != site and name in self.known]
        if not all(self.knows(name, keys[name]) for name in compared):
            raise SumPeersRefusedError(why=OTHER_KEY)
        if len(compared) < self.fewest_known:
            raise SumPeersRefusedError(why=UNKNOWN)


def check_peers(peers: Sequence[Peer], *, site: SiteId, own: PublicKey, rule: PeerRule) -> None:
    """Return if a hospital may approve a study with these sites in its sums.

    1. every key is one, none twice; 2. this hospital's is its own; 3. the rule holds.

    Raises
    ------
    TooFewInSumError, SumPeersRefusedError
        By the first that does not hold.
    """
    keys = pinned_of(peers)
    if site not in keys or keys[site].keyid != own.keyid:
        raise SumPeersRefusedError(why=NOT_ME)
    rule.check(keys, site=site)


def describe_peers(peers: Sequence[Peer], *, site: SiteId, rule: PeerRule) -> tuple[PeerLine, ...]:
    """Return the sites of a study's sums as staff read them, in the study's order.

    Raises
    ------
    SumPeersRefusedError
        As `pinned_of`.
    """
    return tuple(
        PeerLine(name, key.keyid, is_own=name == site, is_known=rule.knows(name, key))
        for name, key in pinned_of(peers).items()
    )
