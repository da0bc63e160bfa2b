"""A hospital's keys for secure sums, and its memory of what it summed with whom.

    keys = SumKeys(folder)
    envelope = keys.offer(session, site=site, signer=node_key)      # when a sum is prepared
    masked = keys.mask(counts, session=session, envelopes=all_of_them, ...)     # when it is due
    keys.forget(session.run, session.number)                        # when the reply is kept

A sum over all hospitals and the same sum over all but one show that one. So the first
sum of an approved study decides with which sites it is done, for all its runs, and
which numbers this hospital gives for each of its rounds; others are refused. The same
is given again as often as it is asked, which is what a crash needs.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clients.seals import read_limited
from clients.sum_peers import PeerRule
from federation.domain.ids import RunId, Sha256, SiteId
from federation.errors.core import UnreadableRecordError
from federation.errors.secure_sum import SumKeyRefusedError, SumRepeatedError
from federation.evidence.canonical import canonical
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.secure_sum import Cells, Masked, PairwiseMasks, Roster, SecureSum, Session
from federation.secure_sum.port import Numbers
from federation.storage import write_new
from federation.wording import Text

FOLDER_MODE = 0o700

SITES = Text(en="the set of sites", zh="參與院所")
NUMBERS = Text(en="what this hospital would add", zh="本院欲加入的數值")
KEYS = Text(en="the list of keys", zh="金鑰清單")
NO_KEY = Text(
    en="this site gave none for it, or its run is over", zh="本院未曾提供,或該次執行已結束"
)


@dataclass(frozen=True, slots=True)
class SumKeys:
    """The keys and claims of one node, as files that only their owner can read."""

    folder: Path

    def offer(self, session: Session, *, site: SiteId, signer: Signer) -> str:
        """Return this site's signed key for a session, the same one whenever it is asked.

        Raises
        ------
        UnreadableRecordError
            If the kept key is damaged.
        DiskFullError
            If there is no room to keep it.
        """
        path = self._key_file(session)
        if not path.exists():
            offer = PairwiseMasks().offer(session, site=site, signer=signer)
            self.folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            kept = {"secret": offer.secret.hex(), "envelope": offer.envelope}
            with suppress(FileExistsError):
                write_new(path, canonical(kept))
        return _read(path)[1]

    def mask(
        self,
        numbers: Numbers,
        *,
        session: Session,
        site: SiteId,
        envelopes: Sequence[str],
        pinned: Mapping[SiteId, PublicKey],
        rule: PeerRule,
        cells: Cells,
    ) -> Masked:
        """Return this site's numbers as they may leave, and remember what they were for.

        What it may not do otherwise later is on disk before the numbers are returned.

        Parameters
        ----------
        envelopes
            The signed keys of all sites of the sum, as the centre sent them.
        pinned
            The node keys of the study's sites, as this hospital approved them.
        rule
            What the policy in force asks of the sites of this sum.

        Raises
        ------
        TooFewInSumError, SumKeyRefusedError, SumPeersRefusedError
        SumNumbersRefusedError
            As `SecureSum.verify` and `SecureSum.mask`; nothing is remembered then.
        SumRepeatedError
            If the study's sum was begun with other sites or other numbers.
        UnreadableRecordError, DiskFullError
            As `offer`.
        """
        path = self._key_file(session)
        if not path.exists():
            raise SumKeyRefusedError(site=site, why=NO_KEY)
        sums: SecureSum = PairwiseMasks()
        roster = sums.verify(envelopes, session=session, pinned=pinned)
        rule.check({one: pinned[one] for one in roster.sites}, site=site)
        secret, _ = _read(path)
        masked = sums.mask(numbers, roster=roster, site=site, secret=secret, cells=cells)
        self._claim(roster, masked, _digest_of(numbers))
        return masked

    def is_claimed(self, numbers: Numbers, *, study: Sha256, number: int) -> bool:
        """Say whether these are the numbers that a study's sum of a round was begun with.

        Parameters
        ----------
        study
            The digest of the approved study.
        """
        try:
            claimed = read_limited(self.folder / f"{study.hex}.{number}.numbers")
        except FileNotFoundError:
            return False
        return claimed == _digest_of(numbers).encode()

    def forget(self, run: RunId, number: int | None = None) -> None:
        """Remove the secret keys of a run, or of one sum of it; what was summed stays known.

        As soon as the masked reply is kept nobody needs the secret, and a secret that is
        gone cannot open a row that somebody kept.
        """
        sums = "*" if number is None else number
        for path in self.folder.glob(f"{run}.{sums}.*.key"):
            path.unlink(missing_ok=True)

    def _key_file(self, session: Session) -> Path:
        return self.folder / f"{_stem(session)}.key"

    def _claim(self, roster: Roster, masked: Masked, numbers: Sha256) -> None:
        session = roster.session
        study = session.study_digest.hex
        self._keep(f"{study}.sites", " ".join(roster.sites), SITES)
        self._keep(f"{study}.{session.number}.numbers", numbers, NUMBERS)
        self._keep(f"{_stem(session)}.keys", masked.transcript, KEYS)

    def _keep(self, name: str, value: str, thing: Text) -> None:
        """Write down a value, or find the same one there."""
        path = self.folder / name
        with suppress(FileExistsError):
            write_new(path, value.encode())
        if read_limited(path) != value.encode():
            raise SumRepeatedError(thing=thing)


def _digest_of(numbers: Numbers) -> Sha256:
    return Sha256.of(numbers.astype("<i8").tobytes())


def _stem(session: Session) -> str:
    """Return the name of a session's files; a study proposed anew has other ones."""
    return f"{session.run}.{session.number}.{session.study_digest.hex[:16]}"


def _read(path: Path) -> tuple[bytes, str]:
    """Return the secret and the envelope of a kept key."""
    try:
        match json.loads(read_limited(path)):
            case {"secret": str(secret), "envelope": str(envelope)}:
                return bytes.fromhex(secret), envelope
    except (OSError, ValueError) as error:
        raise UnreadableRecordError(kind="key of a secure sum", why="damaged") from error
    raise UnreadableRecordError(kind="key of a secure sum", why="damaged")
