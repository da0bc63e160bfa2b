"""Measure a secure sum: 10 hospitals, 20 slices of 1001 steps, with and without the finding.

    OMP_NUM_THREADS=1 python benchmarks/secure_sum.py [--json]

`all_s` is everything that masks cost in one sum, of all sites one after the other: a
fresh signed key each, ten keys verified at each of ten sites, 90 mask streams, and the
sum at the centre. `offer_ms`, `verify_ms` and `mask_ms` are one site's, `unmask_ms` the
centre's. `plain_ms` is the same sum without masks. `hundred_mask_s` is one site's masking
among 100 sites, `hundred_verify_ms` its look at their keys. `sent_mb` is what one site
sends, the same as without masks but for one number.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from report import report

from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.evaluation.scores import GRID
from federation.evidence.signing import Signer
from federation.secure_sum import Cells, PairwiseMasks, Roster, Session

SITES = 10
SLICES = 20
LENGTH = 2 * SLICES * (GRID + 1)
CELLS = Cells.counts(LENGTH, most=10**7)
STUDY = StudyId("benchmark")
SESSION = Session(STUDY, Sha256.of(b"benchmark"), RunId.of(STUDY, 1), 1)
SUMS = PairwiseMasks()
REPEATS = 5

T = TypeVar("T")


def main() -> None:
    rng = np.random.default_rng(20261122)
    names = tuple(SiteId(f"site-{at:03}") for at in range(100))
    signers = {name: Signer(Ed25519PrivateKey.generate()) for name in names}
    rows = {name: rng.integers(0, 1_000, LENGTH) for name in names[:SITES]}
    wall = [one_sum(rows, signers) for _ in range(REPEATS)]
    parts = {key: float(np.median([one[key] for one in wall])) for key in wall[0]}
    hundred = among_hundred(names, signers, rows[names[0]])
    figures = {key: round(value, 4) for key, value in (parts | hundred).items()}
    figures["sent_mb"] = round(CELLS.sent * 8 / 1e6, 3)
    units = {
        key: "s" if key.endswith("_s") else "MB" if key.endswith("_mb") else "ms" for key in figures
    }
    report("secure_sum", figures, units)


def one_sum(rows: dict[SiteId, np.ndarray], signers: dict[SiteId, Signer]) -> dict[str, float]:
    """Return how long each step of one sum took, and check that it is the sum."""
    names = tuple(rows)
    begin = time.perf_counter()
    offers, offer_s = timed(
        lambda: {name: SUMS.offer(SESSION, site=name, signer=signers[name]) for name in names}
    )
    pinned = {name: signers[name].public_key for name in names}
    envelopes = [offers[name].envelope for name in names]
    rosters, verify_s = timed(
        lambda: [SUMS.verify(envelopes, session=SESSION, pinned=pinned) for _ in names]
    )
    masked, mask_s = timed(
        lambda: {
            name: SUMS.mask(
                rows[name], roster=roster, site=name, secret=offers[name].secret, cells=CELLS
            )
            for name, roster in zip(names, rosters, strict=True)
        }
    )
    total, unmask_s = timed(lambda: SUMS.unmask(masked, sites=names, cells=CELLS))
    all_s = time.perf_counter() - begin
    plain, plain_s = timed(lambda: np.sum(list(rows.values()), axis=0))
    assert (total == plain).all()
    each = 1e3 / len(names)
    return {
        "all_s": all_s,
        "offer_ms": offer_s * each,
        "verify_ms": verify_s * each,
        "mask_ms": mask_s * each,
        "unmask_ms": unmask_s * 1e3,
        "plain_ms": plain_s * 1e3,
    }


def among_hundred(
    names: tuple[SiteId, ...], signers: dict[SiteId, Signer], row: np.ndarray
) -> dict[str, float]:
    """Return what one site does among a hundred."""
    offers = {name: SUMS.offer(SESSION, site=name, signer=signers[name]) for name in names}
    envelopes = [one.envelope for one in offers.values()]
    pinned = {name: signers[name].public_key for name in names}

    def verify() -> Roster:
        return SUMS.verify(envelopes, session=SESSION, pinned=pinned)

    roster, verify_s = timed(verify)
    me, secret = names[0], offers[names[0]].secret
    _, mask_s = timed(lambda: SUMS.mask(row, roster=roster, site=me, secret=secret, cells=CELLS))
    return {"hundred_verify_ms": verify_s * 1e3, "hundred_mask_s": mask_s}


def timed(work: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begin


if __name__ == "__main__":
    main()
