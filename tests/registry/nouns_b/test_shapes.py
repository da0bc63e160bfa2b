"""What each evidence noun refuses to say."""

from typing import Any

import pytest

from federation.errors.moves import RecordShapeError
from registry.evaluations.evaluation import PRINCIPLE_OF, Dimension, Principle
from registry.models.version_card import MAY_BE_PLANNED, ChangePart
from registry.nouns import EVIDENCE
from tests.registry.nouns_b.bodies import (
    BODIES,
    BOTH,
    DIGEST,
    OTHER,
    change_plan,
    dataset_card,
    dossier,
    evaluation,
    impact_study,
    metric,
    payment,
    privacy,
    read,
    result,
    results,
    table,
    training_run,
)

NOUNS = {noun.name: noun for noun in EVIDENCE}
SITES = ["tainan-1", "taipei-2", "hualien-3"]


def card_without(excluded: int) -> dict[str, Any]:
    return dataset_card(opt_out=dataset_card()["opt_out"] | {"excluded": excluded})


def run_with(**first: Any) -> dict[str, Any]:
    rounds = training_run()["round_log"]
    return training_run(round_log=[rounds[0] | first, *rounds[1:]])


ITEM = {
    "id": "e-1",
    "noun": "evaluation",
    "record": "ev-1",
    "revision": 1,
    "sha256": DIGEST,
    "signer": "val-1",
    "signed_at": "2026-09-01T08:00:00Z",
    "log_index": 3,
    "valid_until": None,
}
REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("a small count", "dataset-card", dataset_card(patients=9)),
    (
        "a small excluded",
        "dataset-card",
        dataset_card() | {"opt_out": dataset_card()["opt_out"] | {"excluded": 1}},
    ),
    ("a small cell", "dataset-card", dataset_card(sex=table(F=111, M=9))),
    ("one hidden cell", "dataset-card", dataset_card(sex=table(F=70, M=None))),
    ("few hidden", "dataset-card", dataset_card(sex=table(F=113, M=None, O=None))),
    (
        "one hidden cell beside the patients",
        "dataset-card",
        dataset_card(sex=table(None, F=113, M=None)),
    ),
    (
        "few hidden beside the patients",
        "dataset-card",
        dataset_card(region=table(None, north=113, south=None, east=None)),
    ),
    ("excluded one by one", "dataset-card", card_without(11)),
    ("another total", "dataset-card", dataset_card(sex=table(130, F=70, M=60))),
    (
        "shown prevalence of hidden",
        "dataset-card",
        dataset_card(patients=None, sex=table(None), age_band=table(None), region=table(None)),
    ),
    (
        "no approval",
        "dataset-card",
        dataset_card(ethics={"board": "IRB", "number": None, "exemption": None}),
    ),
    ("approval for ever", "dataset-card", dataset_card(ethics_expires=None)),
    ("a day that is none", "dataset-card", dataset_card(ethics_expires="2026-02-30")),
    (
        "a period backwards",
        "dataset-card",
        dataset_card(period={"begin": "2026-01-02", "end": "2026-01-01"}),
    ),
    (
        "no representativeness",
        "dataset-card",
        dataset_card(
            opt_out=dataset_card()["opt_out"] | {"representativeness": {"smd": {}, "psi": 0.0}}
        ),
    ),
    (
        "a site twice",
        "training-run",
        training_run(participants=[training_run()["participants"][0]] * 2),
    ),
    ("a site without privacy", "training-run", training_run(privacy=[privacy("tainan-1")])),
    (
        "few examples",
        "training-run",
        training_run(
            participants=[part | {"examples": 3} for part in training_run()["participants"]]
        ),
    ),
    ("a round out of order", "training-run", run_with(round=2)),
    ("a round too many", "training-run", training_run(plan=training_run()["plan"] | {"rounds": 2})),
    ("an update of a stranger", "training-run", run_with(updates={"elsewhere-1": DIGEST})),
    (
        "a round of strangers",
        "training-run",
        run_with(participants=["elsewhere-1"], updates={"elsewhere-1": DIGEST}),
    ),
    ("a time that is none", "training-run", training_run(ended_at="2026-13-01T00:00:00Z")),
    ("an end before the start", "training-run", training_run(ended_at="2026-08-20T00:00:00Z")),
    ("a claim without results", "evaluation", evaluation(passed=True)),
    (
        "a claim against results",
        "evaluation",
        evaluation() | results(passed=False) | {"passed": True},
    ),
    (
        "a missing metric passed",
        "evaluation",
        evaluation() | results() | {"metrics": [metric("brier", 0.1)]},
    ),
    ("acceptance of a pass", "evaluation", evaluation() | results() | {"acceptance": BOTH}),
    ("few patients", "evaluation", evaluation() | results() | {"metrics": [metric(n=9)]}),
    (
        "an estimate outside",
        "evaluation",
        evaluation() | results() | {"metrics": [metric(low=0.9)]},
    ),
    ("a metric twice", "evaluation", evaluation() | results() | {"metrics": [metric(), metric()]}),
    ("no suppression told", "evaluation", evaluation() | results() | {"suppression": None}),
    (
        "cells below ten",
        "evaluation",
        evaluation() | results() | {"suppression": {"smallest_cell": 5, "slices_hidden": 0}},
    ),
    (
        "bounds of exact figures",
        "evaluation",
        evaluation() | results() | {"exactness": {"kind": "exact", "low": 0.1, "high": 0.2}},
    ),
    (
        "bounded without bounds",
        "evaluation",
        evaluation() | results() | {"exactness": {"kind": "bounded", "low": None, "high": None}},
    ),
    (
        "a threshold without limit",
        "evaluation",
        evaluation(
            thresholds=[
                {
                    "metric": "auroc",
                    "slice": "all",
                    "bound": "low",
                    "at_least": None,
                    "at_most": None,
                }
            ]
        ),
    ),
    ("results without a plan", "impact-study", impact_study(results=[result()])),
    ("results of another plan", "impact-study", impact_study(sap_hash=OTHER, results=[result()])),
    (
        "an unplanned measure",
        "impact-study",
        impact_study(sap_hash=DIGEST, results=[result(measure="other")]),
    ),
    (
        "no primary measure",
        "impact-study",
        impact_study(measures=[impact_study()["measures"][0] | {"role": "secondary"}]),
    ),
    ("few harmed", "impact-study", impact_study(harms=[{"kind": "fall", "patients": 2}])),
    (
        "an effect outside",
        "impact-study",
        impact_study(sap_hash=DIGEST, results=[result(high=-6.0)]),
    ),
    (
        "an item that is not there",
        "certification-dossier",
        dossier(answers=[{"requirement": "TFDA-AI-01", "evidence": ["e-1"]}]),
    ),
    ("an item twice", "certification-dossier", dossier(items=[ITEM, ITEM])),
    (
        "a requirement twice",
        "certification-dossier",
        dossier(items=[ITEM], answers=[{"requirement": "TFDA-AI-09", "evidence": ["e-1"]}] * 2),
    ),
    ("a payment of three years", "reimbursement", payment(end="2029-09-01T08:00:00Z")),
    ("two years and a second", "reimbursement", payment(end="2028-09-01T08:00:01Z")),
    ("an end before its start", "reimbursement", payment(end="2026-08-01T08:00:00Z")),
    ("a start without an end", "reimbursement", payment(end=None)),
    *[
        (f"a plan for {part.value}", "change-plan", change_plan(parts=[part.value]))
        for part in ChangePart
        if part not in MAY_BE_PLANNED
    ],
]


@pytest.mark.parametrize(
    ("noun", "body"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_must_not_be_said_is_refused(noun: str, body: dict[str, Any]) -> None:
    with pytest.raises(RecordShapeError):
        read(NOUNS[noun], body)


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_good_body_is_read_again_word_for_word(name: str) -> None:
    noun = NOUNS[name]
    body = read(noun, BODIES[name])
    plain, digest = noun.canonical(body)
    assert noun.canonical(noun.read(plain)) == (plain, digest)


def test_a_hidden_count_is_null_and_hides_what_rests_on_it() -> None:
    hidden: dict[str, Any] = {
        "patients": None,
        "studies": None,
        "images": None,
        "label_prevalence": None,
    }
    for name in ("sex", "age_band", "region"):
        hidden[name] = table(None, F=None, M=None)
    assert read(NOUNS["dataset-card"], dataset_card(**hidden)).patients is None


def test_every_dimension_serves_one_of_the_seven_principles() -> None:
    assert set(PRINCIPLE_OF) == set(Dimension)
    assert len(Principle) == 7
    assert set(PRINCIPLE_OF.values()) == set(Principle)
    body = read(NOUNS["evaluation"], evaluation("fairness"))
    assert body.facets()["principle"] == ["fairness"]
    assert all(one.title.zh for one in Principle)
