"""The keys of a sealed table: made at a hospital, compared there, used once.

    key = new_sum_key(plan, "tainan-1", signing_key=..., folder=...)   # two files
    sealing = read_sealing(plan, keys=[...], peers={...}, secret=path)
    spend(path)                                                        # after the table is made

The public half goes to the centre and from it to all hospitals; the secret half stays in a
file of mode 0600 and is removed with the table it sealed.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.domain.ids import SiteId
from federation.errors.impact_designs import SealedFileError
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.impact.hospital import Sealing
from federation.impact.plan import Plan
from federation.impact.sealed import session_of
from federation.operations.new_files import check_new, write_new
from federation.secure_sum import PairwiseMasks
from federation.wording import Text

MAX_BYTES = 2**16
SECRET_BYTES = 32

_MISSING = Text(en="it cannot be read; a secret serves once", zh="無法讀取;秘密金鑰僅能使用一次")
_LARGE = Text(en="it is larger than 64 KiB", zh="檔案大於 64 KiB")
_NO_SECRET = Text(en="it is no secret of a sum", zh="不是加總的秘密金鑰")
_OTHERS = Text(en="others may read it", zh="其他使用者可讀取")


@dataclass(frozen=True, slots=True)
class SumKey:
    """The two files of a hospital's key, and the id of the key that signed it."""

    public: Path
    secret: Path
    signed_by: str


def new_sum_key(plan: Plan, site: str, *, signing_key: Path, folder: Path) -> SumKey:
    """Write a hospital's key for the one sum of a plan.

    Raises
    ------
    KeyFileError
        If the signing key cannot be used.
    FileNotWrittenError
        If a file is there already.
    """
    signer = Signer.load(signing_key)
    offer = PairwiseMasks().offer(session_of(plan), site=SiteId(site), signer=signer)
    names = (f"{site}.sum-key.json", f"{site}.sum-secret")
    check_new(folder, names)
    (public,) = write_new(folder, {names[0]: offer.envelope.encode()})
    secret = folder / names[1]
    with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(offer.secret)
    return SumKey(public, secret, str(signer.public_key.keyid))


def read_sealing(
    plan: Plan, site: str, *, keys: Sequence[Path], peers: Mapping[str, Path], secret: Path
) -> Sealing:
    """Return what a hospital seals with.

    Parameters
    ----------
    keys
        The public halves of all hospitals, this one among them.
    peers
        Each hospital's public signing key (PEM), as this hospital got it from that one.

    Raises
    ------
    SealedFileError, KeyFileError
        If a file cannot be used.
    PlatformError
        What the secure sum refused with: too few hospitals, or a key that none of them signed.
    """
    envelopes = [_read(path, site).decode("utf-8", "replace") for path in keys]
    pinned = {
        SiteId(name): PublicKey.from_pem(_read(path, name), name=path.name)
        for name, path in peers.items()
    }
    roster = PairwiseMasks().verify(envelopes, session=session_of(plan), pinned=pinned)
    return Sealing(roster, _secret(secret, site))


def spend(secret: Path) -> None:
    """Remove a secret that sealed a table: it must not seal another."""
    secret.unlink()


def _secret(path: Path, site: str) -> bytes:
    content = _read(path, site)
    if path.stat().st_mode & 0o077:
        raise SealedFileError(site=site, why=_OTHERS)
    if len(content) != SECRET_BYTES:
        raise SealedFileError(site=site, why=_NO_SECRET)
    return content


def _read(path: Path, site: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SealedFileError(site=site, why=_MISSING) from error
    if len(content) > MAX_BYTES:
        raise SealedFileError(site=site, why=_LARGE)
    return content
