"""What the centre, and sites together with it, can see of one site: nothing but the sum.

Secrets come from fixed seeds, so a chance is the same in every run of these tests.
"""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from federation.domain.ids import SiteId
from federation.secure_sum import Cells
from federation.secure_sum.masks import add_masks, transcript_of
from tests.secure_sum.sites import NAMES, SUMS, Sites, three

LENGTH = 20_020
CELLS = Cells.counts(LENGTH, most=10**7)
ROWS = [np.full(LENGTH, value) for value in (0, 1, 3)]
"""As far from random as numbers can be."""


def chance_of_uniform(*rows: np.ndarray) -> float:
    """Return the p-value of Pearson's chi-square over the bytes of each row, all taken together.

    Bonferroni: the smallest p-value times how many there are.
    """
    octets = [np.bincount(row.astype("<u8").view(np.uint8), minlength=256) for row in rows]
    return min(1.0, len(rows) * min(float(stats.chisquare(one).pvalue) for one in octets))


def masks_of(federation: Sites, name: SiteId, others: list[SiteId]) -> np.ndarray:
    """Return the masks that a site shares with `others`, as whoever has its secret can."""
    total = np.zeros(CELLS.sent, np.uint64)
    add_masks(
        total,
        site=name,
        secret=federation.secret(name),
        others=[one for one in federation.roster.keys if one.site in others],
        transcript=transcript_of(federation.roster, CELLS),
    )
    return total


def test_what_each_site_sends_is_uniform_in_every_byte() -> None:
    sent = [one.numbers for one in three().masked(ROWS, CELLS).values()]
    single = [row >> np.uint64(8 * at) & np.uint64(255) for row in sent for at in range(8)]
    octets = [np.bincount(one.astype(np.int64), minlength=256) for one in single]
    chances = [float(stats.chisquare(one).pvalue) for one in octets]

    assert chance_of_uniform(*sent) > 0.001
    assert len(chances) * min(chances) > 0.001
    assert all(len(np.unique(row)) == CELLS.sent for row in sent)


def test_the_statistic_sees_numbers_that_are_not_uniform() -> None:
    assert chance_of_uniform(ROWS[2].astype(np.uint64)) < 1e-9
    assert chance_of_uniform(np.arange(LENGTH, dtype=np.uint64) << np.uint64(40)) < 1e-9


def test_two_rows_that_differ_in_one_patient_cannot_be_told_apart_by_what_is_sent() -> None:
    """Under fresh keys the difference of what is sent is uniform, not one patient."""
    with_one = ROWS[0].copy()
    with_one[7] = 1
    first = three().mask(NAMES[0], ROWS[0], CELLS).numbers
    second = three(seed=1).mask(NAMES[0], with_one, CELLS).numbers

    assert chance_of_uniform(second - first) > 0.001


def test_no_part_of_the_sites_adds_up_to_anything_but_noise() -> None:
    federation = Sites(NAMES[:4])
    masked = [one.numbers for one in federation.masked([*ROWS, ROWS[0]], CELLS).values()]

    parts = [part for size in (1, 2, 3) for part in combinations(masked, size)]
    assert chance_of_uniform(*(np.sum(part, axis=0) for part in parts)) > 0.001


def test_what_two_of_three_sites_send_does_not_give_the_third() -> None:
    """For any other numbers with the same sum there are masks that explain all that was sent."""
    federation = three()
    a, b, c = NAMES[:3]
    sent = {name: one.numbers for name, one in federation.masked(ROWS, CELLS).items()}
    shared_ab, shared_ac = masks_of(federation, a, [b]), masks_of(federation, a, [c])
    shared_bc = masks_of(federation, b, [c])
    rng = np.random.default_rng(5)
    mine, yours = (rng.integers(0, 2**64, CELLS.sent, dtype=np.uint64) for _ in range(2))
    rows = [np.append(row, 1).astype(np.uint64) for row in ROWS]
    theirs = rows[0] + rows[1] + rows[2] - mine - yours

    other_ab = shared_ab + rows[0] - mine  # keeps what a sent
    other_bc = shared_bc + rows[1] - yours + (other_ab - shared_ab)  # keeps what b sent
    assert (mine + other_ab + shared_ac == sent[a]).all()
    assert (yours - other_ab + other_bc == sent[b]).all()
    assert (theirs - shared_ac - other_bc == sent[c]).all()


def test_a_site_that_helps_the_centre_gives_away_the_sum_of_the_others_and_no_more() -> None:
    federation = three()
    a, b, c = NAMES[:3]
    sent = {name: one.numbers for name, one in federation.masked(ROWS, CELLS).items()}
    without_a = {
        name: sent[name] + masks_of(federation, a, [name])  # b and c subtracted them
        for name in (b, c)
    }

    assert chance_of_uniform(without_a[b], without_a[c]) > 0.001
    assert ((without_a[b] + without_a[c])[:-1] == (ROWS[1] + ROWS[2]).astype(np.uint64)).all()


def test_all_others_together_with_the_centre_know_the_one_as_from_any_sum() -> None:
    """The limit that docs/secure-sums.md states: n - 1 sites that work together."""
    federation = three()
    a, b, c = NAMES[:3]
    sent = federation.mask(c, ROWS[2], CELLS).numbers
    bare = sent + masks_of(federation, a, [c]) + masks_of(federation, b, [c])

    assert (bare[:-1] == ROWS[2].astype(np.uint64)).all()


@pytest.mark.parametrize("colluding", range(6))
def test_each_honest_site_is_hidden_by_every_other_honest_site(colluding: int) -> None:
    """Honest sites' shared masks span all rows that sum to zero: rank (honest - 1)."""
    honest = list(NAMES[colluding:8])
    pairs = list(combinations(range(len(honest)), 2))
    signs = np.zeros((len(honest), len(pairs)))
    for at, (adds, subtracts) in enumerate(pairs):
        signs[adds, at], signs[subtracts, at] = 1, -1

    assert np.linalg.matrix_rank(signs) == len(honest) - 1
    assert (signs.sum(axis=0) == 0).all()


def test_all_that_travels_of_keys_is_public() -> None:
    federation = three()
    travelled = "".join(federation.envelopes)
    for name in federation.names:
        assert federation.secret(name).hex() not in travelled
    sums = SUMS.unmask(federation.masked(ROWS, CELLS), sites=federation.names, cells=CELLS)
    assert (sums == 4).all()
