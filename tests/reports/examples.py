"""Documents with everything in them, as an evaluation and an economic analysis write them."""

import json
from datetime import UTC, datetime
from functools import cache, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

import federation.economics
from federation.economics.analysis import analyse
from federation.economics.model_file import read_model
from federation.economics.parameters import Accuracy
from federation.evaluation.assessment import Plan, assess
from federation.evaluation.curves import distribution_of, shown_counts, shown_curves
from federation.evaluation.drift import BinCounts, drift
from federation.evaluation.facts import facts_of
from federation.evaluation.fairness import Purpose
from federation.evaluation.membership import attack, loss_histogram
from federation.evaluation.policy import RiskClass, decide, default_policy
from federation.evaluation.report_document import (
    About,
    Beside,
    Drifted,
    Matrix,
    OwnFigure,
    report_document,
)
from federation.evaluation.robustness import Degradation, degradation
from federation.evaluation.scores import GRID, ScoreHistogram, quantise
from federation.evaluation.sliced import SlicedScores
from federation.evaluation.suppression import CellRule, Refusal
from federation.evidence.canonical import canonical
from registry.certification.completeness import Completeness, completeness
from registry.certification.dossier import Dossier
from registry.certification.rule_packs import pack_named
from registry.impact.study import ImpactStudy
from registry.reports.checklists.answers import Study
from registry.reports.documents import read_economics
from tests.registry.nouns_b import bodies

ENTRY = bodies.ENTRY
PROTOCOL = "sha256:" + "b2" * 32
SITES = {"tainan-1": 1400, "taipei-2": 900, "hualien-3": 60, "yilan-4": 700}
PLAN = Plan(
    threshold=0.5,
    decision_thresholds=(0.1, 0.2, 0.3, 0.4, 0.5),
    purpose=Purpose.CONFIRMATORY,
    rule=CellRule(),
    seed=7,
    references={"sex": "sex=M"},
)


def scored(seed: int, cases: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(-1.2, 1.7, cases)))
    return rng, scores, rng.random(cases) < scores


def a_site(seed: int, cases: int) -> SlicedScores:
    """Calibrated scores with two families of slices; some are small."""
    rng, scores, truths = scored(seed, cases)
    sex, scanner = rng.choice(2, cases), rng.choice(3, cases, p=[0.6, 0.39, 0.01])
    masks = {f"sex={name}": sex == at for at, name in enumerate("FM")}
    masks |= {f"scanner={name}": scanner == at for at, name in enumerate(("A", "B", "other"))}
    return SlicedScores.of(quantise(scores), truths, masks, bin_count=GRID + 1)


def corrupted(name: str, strength: float) -> Degradation:
    _, scores, truths = scored(99, 3000)
    rng = np.random.default_rng(5)
    logits = np.log(scores / (1 - scores))
    worse = [
        ScoreHistogram.of(
            1 / (1 + np.exp(-(logits + rng.normal(0, strength * at, len(logits))))), truths
        )
        for at in range(1, 6)
    ]
    return degradation(name, ScoreHistogram.of(scores, truths), worse)


@cache
def evaluation_bytes() -> bytes:
    """The document of an evaluation that has every part a report can show."""
    by_site = {name: a_site(at, cases) for at, (name, cases) in enumerate(SITES.items())}
    assessment = assess(by_site, PLAN)
    whole = reduce(add, by_site.values()).histogram("all")
    curves = shown_curves(whole, PLAN, assessment.decision_curve)
    edges = np.arange(1, 10) / 10
    old, new = (BinCounts.of("score", scored(at, 2500)[1] ** at, edges) for at in (1, 2))
    shown = shown_counts(old, new, PLAN.rule, curves.scores)
    assert not isinstance(shown, Refusal)
    losses, members = np.random.default_rng(3).exponential(0.4, 4000), np.arange(4000) < 2000
    attacked = attack(loss_histogram(losses, members))
    facts = facts_of(assessment, PLAN, claim=0.88, psi={"score": 0.1}, attack=attacked.points[0])
    about = About(ENTRY, bodies.DIGEST, "chest-eval-2026", "run-1", PROTOCOL, 4711, list(SITES))
    versions = [ENTRY, ENTRY.replace("v0", "v1")]
    beside = Beside(
        curves,
        [corrupted("noise", 0.5), corrupted("blur", 0.3)],
        [Drifted("score", drift(*shown), distribution_of(*shown)), Drifted("age", drift(old, old))],
        attacked,
        Matrix("AUROC", versions, list(SITES), [[0.81, 0.8, None, 0.83], [0.86, 0.84, None, 0.87]]),
        [OwnFigure("tainan-1", 0.84, 0.82, 0.86), OwnFigure("hualien-3", None, None, None)],
    )
    decision = decide(default_policy(), RiskClass.HIGH, facts)
    return canonical(report_document(about, PLAN, assessment, decision, beside))


def evaluation_json() -> dict[str, Any]:
    """The same document, to be changed."""
    found: dict[str, Any] = json.loads(evaluation_bytes())
    return found


@cache
def economics_bytes() -> bytes:
    """The results of the model that ships as an example."""
    path = Path(federation.economics.__file__).parent / "example.toml"
    model = read_model(path.read_bytes(), lambda _, name: Accuracy(name, 90, 10, 850, 50))
    return canonical(analyse(model, draws=1000).as_json())


def both(zh: str, en: str) -> dict[str, str]:
    return {"zh-TW": zh, "en": en}


def study_json(**changes: Any) -> dict[str, Any]:
    """The record of a study with results in three units."""
    measures = [
        {"id": name, "title": both(zh, en), "unit": unit, "better": "lower", "role": role}
        for name, zh, en, unit, role in (
            ("turn-around", "報告時間", "Turn-around time", "min", "primary"),
            ("cost", "每次就醫費用", "Cost of a visit", "TWD", "secondary"),
        )
    ]
    ratio = "ratio of means, gamma with log link"
    results = [
        bodies.result(),
        bodies.result(measure="cost", estimate=0.96, low=0.9, high=1.02, method=ratio),
    ]
    return bodies.impact_study(
        title=both("AI 輔助判讀之群集試驗", "Cluster trial of reading with AI"),
        measures=measures,
        sap_hash=bodies.DIGEST,
        results=results,
        irb=bodies.IRB,
        registration=bodies.REGISTRATION,
        data_cuts=[bodies.CUT],
        harms=[{"kind": "missed finding", "patients": None}, {"kind": "repeat", "patients": 22}],
        **changes,
    )


def a_study(**changes: Any) -> Study:
    body = ImpactStudy.model_validate_json(json.dumps(study_json(**changes)))
    return Study("impact-2026-001", body, read_economics(economics_bytes()))


def a_dossier() -> tuple[Dossier, Completeness]:
    """A dossier with nothing in it yet."""
    dossier = Dossier.model_validate_json(json.dumps(bodies.dossier()))
    now = datetime(2026, 11, 22, tzinfo=UTC)
    pack = pack_named("tfda-ai", "2026.1")
    return dossier, completeness(pack, dossier, {}, trained_at=["tainan-1"], now=now)
