"""A hospital sums once: with the sites and the numbers of the first time, or not at all."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.sum_keys import SumKeys
from clients.sum_peers import PeerRule
from federation.domain.ids import RunId, Sha256, SiteId
from federation.errors.core import UnreadableRecordError
from federation.errors.secure_sum import (
    SumKeyRefusedError,
    SumNumbersRefusedError,
    SumPeersRefusedError,
    SumRepeatedError,
    TooFewInSumError,
)
from federation.evidence.signing import Signer
from federation.secure_sum import Cells, Masked, PairwiseMasks, Session
from tests.secure_sum.sites import NAMES, SESSION, Sites

CELLS = Cells.counts(3, most=100)
ROW = np.array([1, 2, 3])
ANYBODY = PeerRule({}, fewest_known=0, fewest=3)


@dataclass(frozen=True)
class Hospitals:
    """Four hospitals, each with its keys in a folder of its own."""

    folder: Path
    signers: Mapping[SiteId, Signer]

    def keys(self, name: SiteId) -> SumKeys:
        return SumKeys(self.folder / name)

    def offers(self, names: tuple[SiteId, ...], session: Session) -> list[str]:
        return [
            self.keys(name).offer(session, site=name, signer=self.signers[name]) for name in names
        ]

    def mask(
        self, name: SiteId, names: tuple[SiteId, ...], session: Session, **changes: Any
    ) -> Masked:
        asked: dict[str, Any] = {
            "envelopes": self.offers(names, session),
            "pinned": {one: self.signers[one].public_key for one in NAMES[:4]},
            "rule": ANYBODY,
            "cells": CELLS,
        }
        row = changes.pop("row", ROW)
        return self.keys(name).mask(row, session=session, site=name, **{**asked, **changes})

    def mask_all(self, names: tuple[SiteId, ...], session: Session) -> dict[SiteId, Masked]:
        return {name: self.mask(name, names, session) for name in names}


@pytest.fixture
def hospitals(tmp_path: Path) -> Hospitals:
    return Hospitals(tmp_path, Sites(NAMES[:4]).signers)


def run(number: int, *, of: int = 1) -> Session:
    """Return the session of a run and a round."""
    return replace(SESSION, run=RunId.of(SESSION.study, number), number=of)


FOUR, THREE = NAMES[:4], NAMES[:3]


def test_hospitals_sum_with_the_keys_that_they_kept(hospitals: Hospitals) -> None:
    masked = hospitals.mask_all(FOUR, run(1))
    total = PairwiseMasks().unmask(masked, sites=FOUR, cells=CELLS)
    assert total.tolist() == [4, 8, 12]


def test_what_is_asked_again_is_given_again(hospitals: Hospitals) -> None:
    offered = hospitals.offers(FOUR, run(1))
    assert hospitals.offers(FOUR, run(1)) == offered
    first, again = (hospitals.mask(NAMES[0], FOUR, run(1)) for _ in range(2))
    assert (first.numbers == again.numbers).all()


def test_keys_are_for_their_owner_only_and_go_with_the_run(hospitals: Hospitals) -> None:
    hospitals.mask_all(FOUR, run(1))
    hospitals.offers(FOUR, run(11))
    folder = hospitals.keys(NAMES[0]).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}

    hospitals.keys(NAMES[0]).forget(run(1).run)

    assert [path.name.split(".")[1] for path in folder.glob("*.key")] == ["11"]
    with pytest.raises(SumKeyRefusedError, match="its run is over"):
        hospitals.keys(NAMES[0]).mask(
            ROW, session=run(1), site=NAMES[0], envelopes=[], pinned={}, rule=ANYBODY, cells=CELLS
        )


def test_the_key_of_one_sum_goes_alone(hospitals: Hospitals) -> None:
    keys = hospitals.keys(NAMES[0])
    for of in (1, 11, 3):
        hospitals.offers(FOUR, run(1, of=of))

    keys.forget(run(1).run, 1)

    assert sorted(path.name.split(".")[2] for path in keys.folder.glob("*.key")) == ["11", "3"]


def test_forgetting_where_nothing_was_kept_is_no_error(hospitals: Hospitals) -> None:
    hospitals.keys(NAMES[0]).forget(run(1).run)


# -- differences of two sums -------------------------------------------------------------


def test_all_hospitals_and_then_all_but_one_is_refused(hospitals: Hospitals) -> None:
    """The difference would be the one: a centre that calls it lost would read its numbers."""
    hospitals.mask_all(FOUR, run(1))
    for name in THREE:
        with pytest.raises(SumRepeatedError, match="set of sites"):
            hospitals.mask(name, THREE, run(2))


def test_three_hospitals_and_then_one_more_is_refused(hospitals: Hospitals) -> None:
    hospitals.mask_all(THREE, run(1))
    for name in THREE:
        with pytest.raises(SumRepeatedError, match="set of sites"):
            hospitals.mask(name, FOUR, run(2))


def test_another_version_is_summed_over_the_same_hospitals(hospitals: Hospitals) -> None:
    """Slices are as large in every version, so the difference would show small ones."""
    hospitals.mask_all(FOUR, run(1, of=1))
    with pytest.raises(SumRepeatedError, match="set of sites"):
        hospitals.mask(NAMES[0], THREE, run(1, of=3))
    hospitals.mask_all(FOUR, run(1, of=3))


def test_a_later_run_with_the_same_hospitals_and_fresh_keys_is_answered(
    hospitals: Hospitals,
) -> None:
    first = hospitals.mask(NAMES[0], FOUR, run(1))
    second = hospitals.mask_all(FOUR, run(2))

    assert (first.numbers != second[NAMES[0]].numbers).all()
    assert PairwiseMasks().unmask(second, sites=FOUR, cells=CELLS).tolist() == [4, 8, 12]


def test_numbers_that_changed_by_one_patient_are_refused(hospitals: Hospitals) -> None:
    """Somebody opted out between two runs: the difference of the sums would be that person."""
    hospitals.mask_all(FOUR, run(1))
    with pytest.raises(SumRepeatedError, match="what this hospital would add"):
        hospitals.mask(NAMES[0], FOUR, run(2), row=np.array([1, 2, 2]))


def test_a_second_list_of_keys_in_one_session_is_refused(hospitals: Hospitals) -> None:
    hospitals.mask(NAMES[0], FOUR, run(1))
    hospitals.keys(NAMES[3]).forget(run(1).run)
    with pytest.raises(SumRepeatedError, match="list of keys"):
        hospitals.mask(NAMES[0], FOUR, run(1))


def test_a_study_in_another_version_is_another_study(hospitals: Hospitals) -> None:
    """Its hospitals approve it anew, and decide anew with whom they sum."""
    hospitals.mask_all(FOUR, run(1))
    again = replace(run(1), study_digest=Sha256.of(b"approved anew"))
    hospitals.mask_all(THREE, again)


def test_nothing_is_remembered_of_a_sum_that_was_refused(hospitals: Hospitals) -> None:
    with pytest.raises(SumNumbersRefusedError):
        hospitals.mask(NAMES[0], FOUR, run(1), row=np.array([1, 2, 101]))
    with pytest.raises(TooFewInSumError):
        hospitals.mask(NAMES[0], NAMES[:2], run(1))
    hospitals.mask_all(THREE, run(1))


def test_a_damaged_memory_refuses(hospitals: Hospitals) -> None:
    hospitals.mask(NAMES[0], FOUR, run(1))
    folder = hospitals.keys(NAMES[0]).folder
    (sites,) = folder.glob("*.sites")
    sites.write_bytes(b"")
    with pytest.raises(SumRepeatedError):
        hospitals.mask(NAMES[0], FOUR, run(1))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"secret":"zz","envelope":""}', b"["])
def test_a_damaged_key_is_a_coded_error(hospitals: Hospitals, content: bytes) -> None:
    envelopes = hospitals.offers(FOUR, run(1))
    (path,) = hospitals.keys(NAMES[0]).folder.glob("*.key")
    path.write_bytes(content)
    with pytest.raises(UnreadableRecordError):
        hospitals.keys(NAMES[0]).offer(run(1), site=NAMES[0], signer=hospitals.signers[NAMES[0]])
    with pytest.raises(UnreadableRecordError):
        hospitals.keys(NAMES[0]).mask(
            ROW,
            session=run(1),
            site=NAMES[0],
            envelopes=envelopes,
            pinned={one: hospitals.signers[one].public_key for one in FOUR},
            rule=ANYBODY,
            cells=CELLS,
        )


# -- the policy holds for the set of every sum ---------------------------------------------


def known(hospitals: Hospitals, *names: SiteId) -> dict[SiteId, Sha256]:
    return {name: hospitals.signers[name].keyid for name in names}


def test_a_centre_cannot_sum_this_hospital_with_invented_ones_only(hospitals: Hospitals) -> None:
    """The study names two real hospitals besides; the sum leaves one of them out."""
    rule = PeerRule(known(hospitals, NAMES[1], NAMES[2]), fewest_known=2, fewest=3)
    with pytest.raises(SumPeersRefusedError, match="too few of the others"):
        hospitals.mask(NAMES[0], (NAMES[0], NAMES[1], NAMES[3]), run(1), rule=rule)
    hospitals.mask(NAMES[0], FOUR, run(1), rule=rule)


def test_a_key_found_false_after_the_approval_is_refused(hospitals: Hospitals) -> None:
    rule = PeerRule({NAMES[1]: Sha256.of(b"the real one")}, fewest_known=0, fewest=3)
    with pytest.raises(SumPeersRefusedError, match="another key"):
        hospitals.mask(NAMES[0], FOUR, run(1), rule=rule)


def test_a_policy_that_asks_for_four_refuses_three(hospitals: Hospitals) -> None:
    with pytest.raises(TooFewInSumError):
        hospitals.mask(NAMES[0], THREE, run(1), rule=replace(ANYBODY, fewest=4))
