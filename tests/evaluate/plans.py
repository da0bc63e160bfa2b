"""Protocols and studies that evaluate, small and valid; one change at a time."""

from dataclasses import replace
from typing import Any

from federation.domain.evaluation_plan import (
    Comparison,
    Conformal,
    Corruption,
    EvaluatedVersion,
    EvaluationPlan,
    Explaining,
    Family,
    Pairing,
    Peer,
    Slices,
)
from federation.domain.ids import RunId, Sha256, StudyId
from federation.domain.study import Study, no_training
from tests.builders import SITES, a_study

VERSION = EvaluatedVersion(
    entry="TWAI-2026-00001-4.v0.1.0",
    weights=Sha256.of(b"weights"),
    array=Sha256.of(b"array"),
    run=RunId("cxr-2026.1"),
    trained_at=SITES[:1],
    claim=0.8,
)


SECOND = replace(
    VERSION,
    entry="TWAI-2026-00001-4.v0.2.0",
    weights=Sha256.of(b"weights of the second"),
    array=Sha256.of(b"array of the second"),
    run=RunId("cxr-2026.2"),
)
ALL_OF_ONE = tuple(one for one in Family if one is not Family.PAIRED)
"""What may be asked of a single version."""


def a_plan(**changes: Any) -> EvaluationPlan:
    """Return a protocol; what families need is there exactly where they are asked for."""
    families = changes.get("families", ALL_OF_ONE)
    needed: dict[str, Any] = {
        "paired": Pairing(100) if Family.PAIRED in families else None,
        "uncertainty": Conformal(0.1, 0.5) if Family.UNCERTAINTY in families else None,
        "explainability": Explaining(10, 8) if Family.EXPLAINABILITY in families else None,
    }
    plan = EvaluationPlan(
        versions=(VERSION,),
        families=ALL_OF_ONE,
        threshold=0.5,
        decision_thresholds=(0.1, 0.5),
        slices=(Slices("sex", ("F", "M"), "F"),),
        comparison=Comparison.CONFIRMATORY,
        smallest_cell=10,
        corruptions=(Corruption.NOISE, Corruption.BLUR),
        risk="high",
        policy=64 * "0",
        peers=tuple(Peer(site, 32 * f"{at:02d}") for at, site in enumerate(sorted(SITES))),
    )
    return replace(plan, **{**needed, **changes})


def a_plan_of_two(**changes: Any) -> EvaluationPlan:
    """Return a protocol of two versions that compares them."""
    return a_plan(**{"versions": (VERSION, SECOND), "families": tuple(Family), **changes})


def an_evaluation(plan: EvaluationPlan | None = None, **changes: Any) -> Study:
    plan = plan or a_plan()
    given: dict[str, Any] = {
        "id": StudyId("eval-1"),
        "privacy": None,
        "quorum": 3,
        "heldout_fraction": 1.0,
        "training": no_training(plan.rounds),
        "evaluation": plan,
    }
    return a_study(**{**given, **changes})
