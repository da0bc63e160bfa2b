"""The one exit: each rule has a reply that breaks it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.audit_log import LogHead
from clients.gate import RULES, Departure, digest_of_array, digest_of_reply, release
from clients.heads import Heads
from clients.low_bits import LEAST_NUMBERS
from federation.domain.ids import RunId, Sha256, SiteId
from federation.errors.ledger import GateRefusedError
from federation.errors.rounds import UpdateNotFiniteError, UpdateShapeError
from federation.evidence.signing import Signer, new_key
from federation.evidence.statements import PredicateType
from federation.evidence.verification import trusted_keys, verify_envelope
from federation.privacy.bookkeeping import LedgerHead
from federation.privacy.events import DiscreteGaussian, PoissonSampledGaussian
from federation.wire.messages import TaskKind
from tests.builders import a_manifest, a_study
from tests.evaluate.plans import an_evaluation

EVENT = PoissonSampledGaussian(1.0, 0.1, 8).as_json()
REPORT = {
    "patients": 120,
    "examples": 150,
    "steps": 8,
    "loss": 0.5,
    "events": [EVENT],
    "epsilon": 1.0,
    "noise_multiplier": 1.0,
    "sample_rate": 0.1,
    "clip_norm": 1.0,
    "dataset_digest": str(Sha256.of(b"data")),
}


METRIC = {
    "name": "auroc",
    "value": 0.8123,
    "low": 0.7,
    "high": 0.9,
    "n": 60,
    "method": "DeLong, 95 %",
    "variance": 0.00123,
}
OTHER = [DiscreteGaussian(5.0, 1, 1).as_json()]
MANY = LEAST_NUMBERS * 4


def evaluated(**changes: Any) -> dict[str, Any]:
    """Return the change that makes a departure an evaluation with one metric."""
    metric = {key: value for key, value in {**METRIC, **changes}.items() if value != "gone"}
    report = {"heldout_patients": 60, "loss": 0.5, "metrics": [metric], "refused": None}
    return {"kind": TaskKind.EVALUATE, "update": None, "report": report}


def trained(size: int = MANY) -> Any:
    """Return an update as training leaves it: many rounded steps away from a model."""
    rng = np.random.default_rng(5)
    model = (0.05 * rng.standard_normal(size)).astype(np.float32)
    after = model.copy()
    for _ in range(8):
        after -= (1e-3 * rng.standard_normal(size)).astype(np.float32)
    return model, after - model


def with_text(update: Any) -> Any:
    """Return an update with a text written over its lowest bytes."""
    text = (b"Wang Hsiao-ming, 1958-03-04, chest film, consolidation; " * update.size)[
        : update.size
    ]
    bits = update.copy().view(np.uint32)
    return ((bits & ~np.uint32(0xFF)) | np.frombuffer(text, np.uint8)).view(np.float32)


def with_key(said: str) -> dict[str, Any]:
    """Return an evaluation's reply that brings a text as its key for a sum."""
    given = evaluated(n=20)
    return {**given, "report": {**given["report"], "sum_key": said}}


APART: dict[str, Any] = {
    "method": "lineage-book-1",
    "runs": ["cxr-2026.1"],
    "trained": str(Sha256.of(b"whom it saw")),
    "counted": str(Sha256.of(b"whom it counts")),
    "left_out": 120,
}


def leaving_out(*, study: Any = None, found: Any = None, **said: Any) -> dict[str, Any]:
    """Return an evaluation's reply that says whom it left out, as it was found or otherwise."""
    given, told = evaluated(n=20), {**APART, **said}
    report = {**given["report"], "disjointness": told}
    of_study = {"study": an_evaluation() if study is None else study}
    return {**given, **of_study, "report": report, "disjointness": found or told}


def large(update: Any, **changes: Any) -> dict[str, Any]:
    return {"update": update, "manifest": a_manifest(update.size), **changes}


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
    assert said.predicate["report"] == reply.report == REPORT
    assert reply.update is not None
    assert digest_of_array(reply.update) in {subject.digest for subject in said.subjects}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("has_declared_keys_only", {"report": {**REPORT, "paths": 1}}),
        ("has_declared_keys_only", {"report": {**REPORT, "events": [{"kind": "other"}]}}),
        ("has_declared_keys_only", {"report": {**REPORT, "events": [{**EVENT, "note": 1}]}}),
        ("has_declared_keys_only", {"report": {**REPORT, "events": 1}}),
        ("has_declared_keys_only", evaluated(王小明=1)),
        ("has_declared_keys_only", evaluated(n="gone")),
        ("has_no_free_text", {"report": {**REPORT, "loss": "王小明"}}),
        ("has_no_free_text", evaluated(name="王小明")),
        ("offers_its_own_key_only", with_key("somebody's")),
        ("offers_its_own_key_only", {**with_key("mine"), "sum_key": "another"}),
        ("offers_its_own_key_only", {**with_key("mine"), "sum_key": "mine"}),  # of no evaluation
        ("says_whom_it_left_out_as_found", leaving_out(study=a_study())),
        ("says_whom_it_left_out_as_found", leaving_out(found={**APART, "runs": ["other.1"]})),
        ("says_whom_it_left_out_as_found", leaving_out(method="王小明")),
        ("says_whom_it_left_out_as_found", leaving_out(runs=["王小明"])),
        ("says_whom_it_left_out_as_found", leaving_out(runs=[])),
        ("says_whom_it_left_out_as_found", leaving_out(runs=["cxr-2026.1"] * 51)),
        ("says_whom_it_left_out_as_found", leaving_out(trained="MRN12345678")),
        ("says_whom_it_left_out_as_found", leaving_out(people=["a"])),
        ("has_no_small_counts", leaving_out(left_out=9)),
        ("has_finite_numbers_only", {"report": {**REPORT, "loss": float("nan")}}),
        ("has_no_small_counts", {"report": {**REPORT, "patients": 9}}),
        ("has_no_small_counts", {"report": {**REPORT, "examples": 9}}),
        ("has_no_small_counts", evaluated(n=9)),
        ("has_coarse_numbers_only", {"report": {**REPORT, "loss": 0.123}}),
        ("has_coarse_numbers_only", {"report": {**REPORT, "loss": 1e9}}),
        ("has_no_small_counts", {"report": {**REPORT, "patients": -120}}),
        ("has_coarse_numbers_only", evaluated(value=0.81234567)),
        ("has_coarse_numbers_only", evaluated(variance=0.001234)),
        ("fits_the_declared_size", {"largest_update_bytes": 15}),
        ("fits_the_declared_size", {"report": {**REPORT, "events": [EVENT] * 500}}),
        ("carries_an_update_exactly_when_it_trains", {"update": None}),
        ("names_its_privacy_events", {"report": {**REPORT, "events": []}}),
        ("names_its_privacy_events", {"report": {**REPORT, "events": [EVENT, EVENT]}}),
        ("names_its_privacy_events", {"report": {**REPORT, "events": OTHER}}),
        ("names_its_privacy_events", {"report": {**REPORT, "noise_multiplier": 2.0}}),
        ("names_its_privacy_events", {"report": {**REPORT, "sample_rate": 0.2}}),
        ("names_its_privacy_events", {"report": {**REPORT, "clip_norm": 9.0}}),
        ("keeps_the_norm_of_its_mechanism", {"update": np.full(4, 99, np.float32)}),
        ("keeps_the_norm_of_its_mechanism", {"report": {**REPORT, "patients": 0}}),
        ("hides_nothing_in_low_bits", large(with_text(trained()[1]))),
        ("hides_nothing_in_low_bits", {"model": np.ones(3, np.float32)}),
        ("is_reserved_in_the_ledger", {"is_reserved": lambda: False}),
        ("is_still_approved", {"is_approved": lambda: False}),
    ],
)
def test_a_broken_rule_keeps_the_reply_inside(
    rule: str, changes: dict[str, Any], signer: Signer
) -> None:
    with pytest.raises(GateRefusedError, match=rule):
        release(a_departure(**changes), signer=signer)


def test_whom_an_evaluation_left_out_leaves_as_found_and_coarse(signer: Signer) -> None:
    reply = release(a_departure(**leaving_out()), signer=signer)
    assert reply.report["disjointness"] == APART


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


def test_an_evaluation_leaves_with_its_metric(signer: Signer) -> None:
    changes = evaluated()

    assert release(a_departure(**changes), signer=signer).report == changes["report"]


def test_counts_and_times_leave_coarse_whatever_the_caller_gave(signer: Signer) -> None:
    report = {**REPORT, "patients": 127, "examples": 1289, "seconds": 31.4159}
    said = release(a_departure(report=report), signer=signer).report

    assert (said["patients"], said["examples"], said["seconds"]) == (120, 1200, 50)


def test_what_training_made_leaves_and_its_low_bits_do_not(signer: Signer) -> None:
    model, update = trained()
    reply = release(a_departure(**large(update, model=model)), signer=signer)

    assert reply.update is not None
    assert not (reply.update.view(np.uint32) & 0xFF).any()
    assert np.allclose(reply.update, update, rtol=2**-16, atol=0)


def test_the_heads_are_signed_with_the_reply(signer: Signer) -> None:
    heads = Heads(LedgerHead(3, Sha256.of(b"book")), LogHead(9, Sha256.of(b"log")))
    reply = release(a_departure(heads=heads), signer=signer)
    trusted = trusted_keys([signer.public_key])

    said = verify_envelope(reply.signature, trusted=trusted, expected=PredicateType.UPDATE)
    assert Heads.from_json(said.predicate["heads"]) == heads


def test_the_digest_of_a_reply_covers_report_and_update(signer: Signer) -> None:
    first = release(a_departure(), signer=signer)
    other = release(a_departure(report={**REPORT, "loss": 0.25}), signer=signer)
    moved = release(a_departure(update=np.full(4, 0.5, np.float32)), signer=signer)

    assert len({digest_of_reply(one) for one in (first, other, moved)}) == 3
    assert digest_of_reply(first) == digest_of_reply(release(a_departure(), signer=signer))
