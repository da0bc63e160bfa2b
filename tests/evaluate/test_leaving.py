"""A hospital's part of a sum leaves masked and whole, or not at all; every rule is broken once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.evaluation_study.leaving import RULES, SumDeparture, release_sum
from clients.gate import digest_of_array
from federation.domain.ids import RunId, Sha256
from federation.errors.ledger import GateRefusedError
from federation.evaluation.sums import Counts
from federation.evidence.signing import Signer, new_key
from federation.evidence.statements import PredicateType
from federation.evidence.verification import trusted_keys, verify_envelope
from federation.secure_sum import Masked
from federation.wire.statistics import MOST_CASES, from_floats, layout_of
from tests.builders import SITES
from tests.evaluate.plans import a_plan, an_evaluation
from tests.evaluate.test_statistics import predictions, row
from tests.operations.fakes import HEADS

TRANSCRIPT = Sha256.of(b"session, cells and keys")


def shifted(numbers: Counts) -> Masked:
    """Stand in for masks: a constant that the test can take away."""
    return Masked(np.append(numbers, 1).view(np.uint64) + np.uint64(2**63), TRANSCRIPT)


def a_departure(**changes: Any) -> SumDeparture:
    departure = SumDeparture(
        study=an_evaluation(),
        layout=layout_of(a_plan(), 1),
        run=RunId("eval-1.1"),
        round=2,
        site=SITES[0],
        model_digest=Sha256.of(b"array"),
        digests={"dataset_digest": str(Sha256.of(b"d")), "code_digest": str(Sha256.of(b"c"))},
        row=row(predictions(60, seed=1), a_plan()),
        sites=3,
        fewest=3,
        mask=shifted,
        is_reserved=lambda: True,
        is_approved=lambda: True,
        heads=HEADS,
    )
    return replace(departure, **changes)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_key(tmp_path / "node.key")


def test_what_leaves_is_masked_and_signed_with_what_it_is_a_part_of(signer: Signer) -> None:
    departure = a_departure()
    reply = release_sum(departure, signer=signer)
    assert reply.update is not None

    sent = from_floats(reply.update)
    said = verify_envelope(
        reply.signature,
        trusted=trusted_keys([signer.public_key]),
        expected=PredicateType.EVALUATION,
    )

    assert len(sent) == departure.layout.size + 1
    assert np.array_equal(sent[:-1] - np.uint64(2**63), departure.row.view(np.uint64))
    assert digest_of_array(reply.update) in {one.digest for one in said.subjects}
    assert said.predicate["report"] == reply.report
    assert reply.report["sum_of"] == str(TRANSCRIPT)
    assert not any(isinstance(value, int | float) for value in reply.report.values())


def changed(place: int, value: int) -> Counts:
    counts = a_departure().row.copy()
    counts[place] = value
    return counts


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("has_the_declared_counts_only", {"row": a_departure().row[:-1]}),
        ("has_the_declared_counts_only", {"row": a_departure().row.astype(np.float64)}),
        ("has_counts_within_their_bound", {"row": changed(5, -1)}),
        ("has_counts_within_their_bound", {"row": changed(5, MOST_CASES + 1)}),
        ("is_of_enough_sites", {"sites": 2, "fewest": 2}),
        ("is_of_enough_sites", {"sites": 4, "fewest": 5}),
        ("is_reserved_in_the_ledger", {"is_reserved": lambda: False}),
        ("is_still_approved", {"is_approved": lambda: False}),
    ],
)
def test_a_broken_rule_keeps_the_part_inside(
    rule: str, changes: dict[str, Any], signer: Signer
) -> None:
    def never(_: Counts) -> Masked:
        raise AssertionError("masked before it was judged")

    mask: Callable[[Counts], Masked] = never
    with pytest.raises(GateRefusedError, match=rule):
        release_sum(a_departure(**changes, mask=mask), signer=signer)


def test_every_rule_is_broken_by_a_test() -> None:
    marks = getattr(test_a_broken_rule_keeps_the_part_inside, "pytestmark", [])

    assert {case[0] for mark in marks for case in mark.args[1]} == {one.__name__ for one in RULES}
