"""The one exit: each rule has a reply that breaks it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.gate import RULES, Departure, digest_of_array, release
from federation.domain.ids import RunId, Sha256, SiteId
from federation.errors.ledger import GateRefusedError
from federation.errors.rounds import UpdateNotFiniteError, UpdateShapeError
from federation.evidence.signing import Signer, new_key
from federation.evidence.statements import PredicateType
from federation.evidence.verification import trusted_keys, verify_envelope
from federation.privacy.events import PoissonSampledGaussian
from federation.wire.messages import TaskKind
from tests.builders import a_manifest, a_study

REPORT = {
    "patients": 120,
    "examples": 150,
    "steps": 8,
    "loss": 0.5,
    "events": [PoissonSampledGaussian(1.0, 0.1, 8).as_json()],
    "epsilon": 1.0,
    "dataset_digest": str(Sha256.of(b"data")),
}


def a_departure(**changes: Any) -> Departure:
    departure = Departure(
        kind=TaskKind.TRAIN,
        study=a_study(),
        run=RunId("cxr-2026.1"),
        round=1,
        site=SiteId("north"),
        model_digest=Sha256.of(b"model"),
        update=np.ones(4, np.float32),
        report=REPORT,
        manifest=a_manifest(4),
        is_reserved=lambda: True,
        is_approved=lambda: True,
    )
    return replace(departure, **changes)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_key(tmp_path / "node.key")


def test_a_clean_reply_leaves_signed_over_report_and_update(signer: Signer) -> None:
    reply = release(a_departure(), signer=signer)

    said = verify_envelope(
        reply.signature,
        trusted=trusted_keys([signer.public_key]),
        expected=PredicateType.UPDATE,
    )
    assert said.predicate["report"] == REPORT
    assert reply.update is not None
    assert digest_of_array(reply.update) in {subject.digest for subject in said.subjects}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("has_declared_keys_only", {"report": {**REPORT, "paths": 1}}),
        ("has_no_free_text", {"report": {**REPORT, "loss": "王小明"}}),
        ("has_no_free_text", {"report": {**REPORT, "events": [{"kind": "anything else"}]}}),
        ("has_finite_numbers_only", {"report": {**REPORT, "loss": float("nan")}}),
        ("has_no_small_counts", {"report": {**REPORT, "patients": 9}}),
        ("carries_an_update_exactly_when_it_trains", {"update": None}),
        ("names_its_privacy_events", {"report": {**REPORT, "events": []}}),
        ("is_reserved_in_the_ledger", {"is_reserved": lambda: False}),
        ("is_still_approved", {"is_approved": lambda: False}),
    ],
)
def test_a_broken_rule_keeps_the_reply_inside(
    rule: str, changes: dict[str, Any], signer: Signer
) -> None:
    with pytest.raises(GateRefusedError, match=rule):
        release(a_departure(**changes), signer=signer)


def test_every_rule_is_broken_by_a_test() -> None:
    marks = test_a_broken_rule_keeps_the_reply_inside.pytestmark  # type: ignore[attr-defined]
    broken = {case[0] for mark in marks for case in mark.args[1]}

    assert broken == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_update_with_one_bad_number_stays_inside(value: float, signer: Signer) -> None:
    update = np.array([0, value, 0, 0], np.float32)

    with pytest.raises(UpdateNotFiniteError):
        release(a_departure(update=update), signer=signer)


@pytest.mark.parametrize(
    "update", [np.ones(5, np.float32), np.ones((2, 2), np.float32), np.ones(4, np.float64)]
)
def test_an_update_of_another_form_stays_inside(update: Any, signer: Signer) -> None:
    with pytest.raises(UpdateShapeError):
        release(a_departure(update=update), signer=signer)


def test_an_evaluation_may_not_smuggle_an_array(signer: Signer) -> None:
    with pytest.raises(GateRefusedError, match="carries_an_update"):
        release(a_departure(kind=TaskKind.EVALUATE, report={"loss": 0.1}), signer=signer)
