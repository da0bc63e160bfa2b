"""The gate of a sum: what a site contributes is judged in the clear and leaves masked.

The only place that builds a reply with statistics. Each rule is a small function that says
yes or no to a `SumDeparture`; masking is the last step, so nothing unmasked can pass. The
signed reply says the digest of the masked row, of which study, run, round and version it is
a part, and by one digest over which sites and keys the sum is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clients.gate import SUM_KEY, digest_of_array
from clients.heads import Heads
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.study import Study
from federation.errors.ledger import GateRefusedError
from federation.evaluation.sums import Counts
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.secure_sum import Masked
from federation.wire.evaluation_plan import FEWEST_PEERS
from federation.wire.messages import Reply
from federation.wire.statistics import FloatRow, as_floats


class RowForm(Protocol):
    """What an approved protocol asks for in one sum: so many whole numbers, within bounds."""

    @property
    def size(self) -> int:
        """Return how many numbers a row has."""
        ...

    def is_within(self, row: Counts) -> bool:
        """Say whether every number of a row is within its bounds."""
        ...


@dataclass(frozen=True, slots=True)
class SumDeparture:
    """A site's part of a sum that wants to leave, with what it takes to judge it.

    Parameters
    ----------
    layout
        The length and bounds of the numbers that the approved protocol asks for.
    digests
        Content ids of the data and the code, for the report.
    row
        The numbers in the clear, int64.
    sites
        How many sites the sum is of; the policy wants at least `fewest`.
    mask
        Adds the pairwise masks; refuses what the sum's own rules refuse.
    is_reserved, is_approved
        Ask the ledger and the approvals again, at the moment of leaving.
    next_key
        This node's signed key for the sum after this one, where the protocol has one.
    """

    study: Study
    layout: RowForm
    run: RunId
    round: int
    site: SiteId
    model_digest: Sha256
    digests: Mapping[str, str]
    row: Counts
    sites: int
    fewest: int
    mask: Callable[[Counts], Masked]
    is_reserved: Callable[[], bool]
    is_approved: Callable[[], bool]
    heads: Heads
    next_key: str | None = None


def has_the_declared_counts_only(departure: SumDeparture) -> bool:
    """Say whether the row is exactly what the approved protocol asks for, and whole numbers."""
    row = departure.row
    return row.dtype == np.int64 and row.shape == (departure.layout.size,)


def has_counts_within_their_bound(departure: SumDeparture) -> bool:
    """Say whether every count could be one of a hospital's cases, every sum one of theirs."""
    return departure.layout.is_within(departure.row)


def is_of_enough_sites(departure: SumDeparture) -> bool:
    """Say whether the sum is of three sites or more, and of as many as the policy wants."""
    return departure.sites >= max(FEWEST_PEERS, departure.fewest)


def is_reserved_in_the_ledger(departure: SumDeparture) -> bool:
    """Say whether the book holds an open entry for this round."""
    return departure.is_reserved()


def is_still_approved(departure: SumDeparture) -> bool:
    """Say whether the approval stands at the moment of leaving."""
    return departure.is_approved()


RULES: tuple[Callable[[SumDeparture], bool], ...] = (
    has_the_declared_counts_only,
    has_counts_within_their_bound,
    is_of_enough_sites,
    is_reserved_in_the_ledger,
    is_still_approved,
)


def release_sum(departure: SumDeparture, *, signer: Signer) -> Reply:
    """Return the signed, masked part that may leave.

    Raises
    ------
    GateRefusedError
        With the name of the first rule that does not hold.
    PlatformError
        As the mask.
    """
    for rule in RULES:
        if not rule(departure):
            raise GateRefusedError(rule=rule.__name__)
    masked = departure.mask(departure.row)
    row = as_floats(masked.numbers)
    report: dict[str, object] = {
        **departure.digests,
        "metrics": [],
        "refused": None,
        "sum_of": str(masked.transcript),
        **({} if departure.next_key is None else {SUM_KEY: departure.next_key}),
    }
    return Reply(row, report, sign_dsse(_statement(departure, report, row), signer))


def _statement(departure: SumDeparture, report: dict[str, object], row: FloatRow) -> Statement:
    about = f"{departure.run}/{departure.round}"
    return Statement(
        (
            Subject(f"study/{departure.study.id}", departure.study.digest),
            Subject(f"model/{about}", departure.model_digest),
            Subject(f"statistics/{about}", digest_of_array(row)),
        ),
        PredicateType.EVALUATION,
        {
            "site": str(departure.site),
            "run": str(departure.run),
            "round": departure.round,
            "report": report,
            "heads": departure.heads.as_json(),
        },
    )
