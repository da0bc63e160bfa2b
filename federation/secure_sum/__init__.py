"""Sums among three or more hospitals of which nobody sees a part, not even the centre.

Read in this order:

1. `port`         what is summed, by whom, and the steps (`SecureSum`)
2. `signed_keys`  a site's key for one sum, signed by its node
3. `masks`        the stream of numbers that two sites share and the sum cancels
4. `pairwise`     the body: pairwise masks without recovery of who drops out
5. `fixed_point`  real numbers as whole ones, with a declared scale and bound
6. `summaries`    any summary of `federation.evaluation` as such numbers

    sums = PairwiseMasks()
    offer = sums.offer(session, site=site, signer=node_key)            # each site
    roster = sums.verify(envelopes_of_all, session=session, pinned=approved_keys)
    masked = sums.mask(counts, roster=roster, site=site, secret=offer.secret, cells=cells)
    total = sums.unmask({site: masked, ...}, sites=all_sites, cells=cells)   # the centre

Pure but for the operating system's random bytes in `offer`: no files, no clock, no
network. What it protects against and what not is in `docs/secure-sums.md`.
"""

from federation.secure_sum.fixed_point import FixedPoint
from federation.secure_sum.pairwise import PairwiseMasks
from federation.secure_sum.port import FEWEST, Cells, Masked, Offer, Roster, SecureSum, Session
from federation.secure_sum.summaries import SummaryForm

__all__ = [
    "FEWEST",
    "Cells",
    "FixedPoint",
    "Masked",
    "Offer",
    "PairwiseMasks",
    "Roster",
    "SecureSum",
    "Session",
    "SummaryForm",
]
