"""The masks vanish in the sum over all sites, and nothing else passes for it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.ids import Sha256
from federation.errors.secure_sum import (
    SumKeyRefusedError,
    SumNumbersRefusedError,
    SumPeersRefusedError,
    TooFewInSumError,
)
from federation.secure_sum import Cells, Masked, PairwiseMasks, SecureSum
from federation.secure_sum.port import LARGEST, MOST_CELLS
from tests.secure_sum.sites import NAMES, SUMS, Sites, a_secret, three

COUNTS = Cells.counts(5, most=1_000)
ROWS = [np.array(row) for row in ([1, 2, 3, 4, 5], [0, 0, 0, 0, 1_000], [7, 0, 7, 0, 7])]


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.integers(1, 40), st.integers(0, LARGEST), st.integers(0, 2**32 - 1))
def test_the_sum_is_that_of_the_numbers_for_any_sites(
    sites: int, length: int, bound: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-bound, bound, size=(sites, length), endpoint=True)
    cells = Cells(length, -bound, bound)
    federation = Sites(NAMES[:sites], seed=seed)

    total = SUMS.unmask(federation.masked(rows, cells), sites=federation.names, cells=cells)

    assert total.tolist() == rows.sum(axis=0).tolist()
    assert total.dtype == np.int64


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 8), st.integers(0, 2**32 - 1))
def test_the_sum_is_the_same_however_cases_are_dealt_to_sites(sites: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cases = rng.integers(0, 50, size=300)
    places = rng.integers(0, sites, size=300)
    rows = [np.bincount(cases[places == at], minlength=50) for at in range(sites)]
    cells = Cells.counts(50, most=300)
    federation = Sites(NAMES[:sites])

    total = SUMS.unmask(federation.masked(rows, cells), sites=federation.names, cells=cells)

    assert total.tolist() == np.bincount(cases, minlength=50).tolist()


def test_the_largest_numbers_of_a_thousand_sites_fit_the_ring() -> None:
    assert 1_000 * LARGEST < 2**63


def test_the_order_in_which_keys_and_answers_come_does_not_matter() -> None:
    federation = three()
    backwards = SUMS.verify(
        federation.envelopes[::-1], session=federation.session, pinned=federation.pinned
    )
    masked = federation.masked(ROWS, COUNTS)
    total = SUMS.unmask(dict(reversed(masked.items())), sites=federation.names[::-1], cells=COUNTS)

    assert backwards == federation.roster
    assert total.tolist() == [8, 2, 10, 4, 1012]


def test_a_site_gives_the_same_masked_numbers_again() -> None:
    federation = three()
    first, again = (federation.mask(NAMES[0], ROWS[0], COUNTS) for _ in range(2))

    assert (first.numbers == again.numbers).all()
    assert first.transcript == again.transcript


def test_a_fresh_key_is_another_every_time_and_its_secret_is_not_shown() -> None:
    federation = three()
    signer = federation.signers[NAMES[0]]
    sums: SecureSum = PairwiseMasks()
    offers = [sums.offer(federation.session, site=NAMES[0], signer=signer) for _ in range(2)]

    assert offers[0].secret != offers[1].secret
    assert offers[0].secret.hex() not in repr(offers[0])
    assert repr(offers[0].secret) not in repr(offers[0])
    for one in offers:
        sums.check(one.envelope, session=federation.session, site=NAMES[0], key=signer.public_key)


# -- too few -----------------------------------------------------------------------------


@pytest.mark.parametrize("sites", [0, 1, 2])
def test_fewer_than_three_sites_have_no_sum(sites: int) -> None:
    federation = Sites(NAMES[:sites])
    masked = dict.fromkeys(federation.names, Masked(np.zeros(6, np.uint64), Sha256.of(b"")))

    with pytest.raises(TooFewInSumError) as told:
        SUMS.verify(federation.envelopes, session=federation.session, pinned=federation.pinned)
    assert told.value.values == {"actual": sites, "fewest": 3}
    with pytest.raises(TooFewInSumError):
        SUMS.unmask(masked, sites=federation.names, cells=COUNTS)


def test_more_sites_than_the_ring_has_room_for_have_no_sum() -> None:
    federation = three()
    with pytest.raises(SumPeersRefusedError, match="too many"):
        SUMS.verify(
            federation.envelopes * 334, session=federation.session, pinned=federation.pinned
        )


def test_a_roster_cut_down_after_it_was_verified_masks_nothing() -> None:
    federation = three()
    cut = replace(federation.roster, keys=federation.roster.keys[:2])

    with pytest.raises(TooFewInSumError):
        SUMS.mask(
            ROWS[0], roster=cut, site=NAMES[0], secret=federation.secret(NAMES[0]), cells=COUNTS
        )


# -- not all, or not alike -----------------------------------------------------------------


def test_a_missing_a_strange_and_a_doubled_site_have_no_sum() -> None:
    federation = Sites(NAMES[:4])
    masked = federation.masked([*ROWS, ROWS[0]], COUNTS)
    three_of_four = {name: masked[name] for name in NAMES[:3]}
    for answered, sites in (
        (three_of_four, NAMES[:4]),
        (masked, NAMES[:3]),
        (masked, NAMES[1:5]),
        (masked, (*NAMES[:4], NAMES[3])),
    ):
        with pytest.raises(SumPeersRefusedError):
            SUMS.unmask(answered, sites=sites, cells=COUNTS)


def test_the_masks_do_not_cancel_when_a_site_is_left_out_in_silence() -> None:
    federation = Sites(NAMES[:4])
    masked = federation.masked([*ROWS, ROWS[0]], COUNTS)
    three_of_four = {name: masked[name] for name in NAMES[:3]}

    with pytest.raises(SumNumbersRefusedError, match="do not cancel"):
        SUMS.unmask(three_of_four, sites=NAMES[:3], cells=COUNTS)


def test_sites_that_were_shown_different_lists_have_no_sum() -> None:
    """A centre that shows one site an honest list and another a list of its own learns noise."""
    honest, other = three(), three(seed=1)
    masked = honest.masked(ROWS, COUNTS)
    elsewhere = Sites(NAMES[:3], seed=1).mask(NAMES[2], ROWS[2], COUNTS)
    mixed = {**masked, NAMES[2]: elsewhere}
    relabelled = {**masked, NAMES[2]: replace(elsewhere, transcript=masked[NAMES[0]].transcript)}

    assert honest.roster != other.roster
    with pytest.raises(SumPeersRefusedError, match="different lists"):
        SUMS.unmask(mixed, sites=honest.names, cells=COUNTS)
    with pytest.raises(SumNumbersRefusedError, match="do not cancel"):
        SUMS.unmask(relabelled, sites=honest.names, cells=COUNTS)


@pytest.mark.parametrize(
    "cells",
    [
        Cells.counts(5, most=1_001),
        Cells(5, -1, 1_000),
        Cells(5, 0, 1_000, about=Sha256.of(b"else")),
    ],
)
def test_sites_that_go_by_other_bounds_or_agreements_have_no_sum(cells: Cells) -> None:
    federation = three()
    masked = federation.masked(ROWS, COUNTS)
    strange = federation.mask(NAMES[2], ROWS[2], cells)
    relabelled = replace(strange, transcript=masked[NAMES[0]].transcript)

    with pytest.raises(SumNumbersRefusedError, match="do not cancel"):
        SUMS.unmask({**masked, NAMES[2]: relabelled}, sites=federation.names, cells=COUNTS)


def test_masked_numbers_of_one_run_are_noise_in_another() -> None:
    first = three()
    session = replace(first.session, run=first.session.run.of(first.session.study, 2))
    second = replace(first, session=session)
    masked = second.masked(ROWS, COUNTS)
    replayed = first.mask(NAMES[2], ROWS[2], COUNTS)

    with pytest.raises(SumPeersRefusedError):
        SUMS.unmask({**masked, NAMES[2]: replayed}, sites=first.names, cells=COUNTS)
    forged = replace(replayed, transcript=masked[NAMES[0]].transcript)
    with pytest.raises(SumNumbersRefusedError, match="do not cancel"):
        SUMS.unmask({**masked, NAMES[2]: forged}, sites=first.names, cells=COUNTS)


@pytest.mark.parametrize("at", range(6))
def test_one_changed_number_of_a_masked_row_is_found_or_is_within_the_bounds(at: int) -> None:
    """What a hospital reports is its own word; a sum beyond what hospitals can have is refused."""
    federation = three()
    masked = federation.masked(ROWS, COUNTS)
    changed = masked[NAMES[1]].numbers.copy()
    changed[at] += np.uint64(2**40)

    with pytest.raises(SumNumbersRefusedError):
        SUMS.unmask(
            {**masked, NAMES[1]: replace(masked[NAMES[1]], numbers=changed)},
            sites=federation.names,
            cells=COUNTS,
        )


# -- numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        np.array([1, 2, 3, 4]),
        np.array([[1, 2, 3, 4, 5]]),
        np.array([1, 2, 3, 4, 1_001]),
        np.array([1, 2, 3, 4, -1]),
        np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
        np.array([1, 2, 3, 4, 5], dtype=np.uint64),
        np.array([1, 2, 3, 4, 5], dtype=np.int32),
    ],
)
def test_numbers_that_were_not_declared_stay_at_the_site(row: np.ndarray) -> None:
    with pytest.raises(SumNumbersRefusedError):
        three().mask(NAMES[0], row, COUNTS)


@pytest.mark.parametrize(
    "numbers",
    [np.zeros(5, np.uint64), np.zeros(7, np.uint64), np.zeros(6), np.zeros((6, 1), np.uint64)],
)
def test_masked_numbers_of_another_shape_have_no_sum(numbers: Any) -> None:
    federation = three()
    masked = federation.masked(ROWS, COUNTS)
    with pytest.raises(SumNumbersRefusedError):
        SUMS.unmask(
            {**masked, NAMES[1]: replace(masked[NAMES[1]], numbers=numbers)},
            sites=federation.names,
            cells=COUNTS,
        )


@pytest.mark.parametrize(
    ("length", "low", "high"),
    [
        (0, 0, 1),
        (MOST_CELLS + 1, 0, 1),
        (1, 1, 2),
        (1, -2, -1),
        (1, 0, LARGEST + 1),
        (1, -LARGEST - 1, 0),
    ],
)
def test_cells_that_cannot_be_summed_are_refused(length: int, low: int, high: int) -> None:
    with pytest.raises(SumNumbersRefusedError):
        Cells(length, low, high)


def test_a_site_whose_key_is_not_in_the_list_masks_nothing() -> None:
    federation = three()
    for name, secret in (
        (NAMES[3], federation.secret(NAMES[3])),
        (NAMES[0], a_secret("another")),
        (NAMES[0], federation.secret(NAMES[1])),
    ):
        with pytest.raises(SumKeyRefusedError, match="own key"):
            SUMS.mask(ROWS[0], roster=federation.roster, site=name, secret=secret, cells=COUNTS)
