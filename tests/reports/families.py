"""Documents of the later families and of an outcome study, computed by the pure parts."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from federation.evaluation.conformal import ValueCounts, selective_risk, threshold
from federation.evaluation.cox import fit_groups
from federation.evaluation.explainability import CaseMoments
from federation.evaluation.paired import JointHistogram, compare
from federation.evaluation.proportions import Proportion
from federation.evaluation.rounding import rounded
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.survival import (
    SurvivalCurve,
    SurvivalTable,
    kaplan_meier,
    log_rank,
    restricted_mean,
    survival_table,
)
from federation.evaluation.tails import Estimate
from federation.evidence.canonical import canonical
from tests.registry.nouns_b import bodies
from tests.reports.examples import ENTRY, SITES, evaluation_json

BEFORE = ENTRY.replace("v0", "v1")
STEPS = 200
ARMS = ("6-MP", "placebo")


def rate(hits: int, of: int) -> dict[str, Any]:
    found = Proportion(hits, of)
    return {"value": found.rate, "interval": found.wilson().as_json(), "of": of}


def _wilson(risk: float, answered: float) -> list[float]:
    cases = round(answered * 840)
    return Proportion(round(risk * cases), cases).wilson().as_json()


def told(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "interval": estimate.interval().as_json()}


def paired() -> dict[str, Any]:
    rng = np.random.default_rng(4)
    truths = rng.random(900) < 0.4
    scores = [np.clip(0.5 * truths + rng.normal(0.25, spread, 900), 0, 1) for spread in (0.2, 0.3)]
    first, second = ((one * STEPS).astype(np.int64) for one in scores)
    found = compare(JointHistogram.of_bins(first, second, truths, (STEPS + 1, STEPS + 1)))
    return {
        "against": BEFORE,
        "steps": STEPS,
        "cases": 900,
        "positives": int(truths.sum()),
        "negatives": int((~truths).sum()),
        "auroc": found.first,
        "auroc_against": found.second,
        "difference": told(found.difference),
        "z": found.z,
        "p_value": found.p_value,
    }


def uncertainty() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    found = threshold(ValueCounts.of(rng.beta(1, 4, 420)), 0.1)
    sure = rng.choice([0.55, 0.65, 0.75, 0.85], 840)
    points = selective_risk(ScoreHistogram.of(sure, rng.random(840) < sure))
    return {
        "alpha": 0.1,
        "calibration_cases": 420,
        "test_cases": 420,
        "rank": found.rank,
        "threshold": found.bin / 1000,
        "promised": found.coverage.as_json(),
        "coverage": {
            "all": rate(380, 420),
            "finding=yes": rate(130, 160),
            "finding=no": rate(250, 260),
            "sex=F": {"value": None, "band": [0.9, 1.0], "of": 60},
            "age-band=75 and over": {
                "value": None, "name": "x", "refused": "small-total", "k": 10
            },
        },
        "certain": rate(700, 840),
        "selective": [
            [one.least_confidence, one.answered, one.risk,
             *_wilson(one.risk, one.answered)]
            for one in points
        ],
    }  # fmt: skip


def statistic(seed: int, low: float, high: float, mean: float) -> dict[str, Any]:
    values = np.clip(np.random.default_rng(seed).normal(mean, (high - low) / 20, 96), low, high)
    found = CaseMoments.of("x", values, low=low, high=high)
    edges = np.linspace(low, high, 6)
    shares = np.histogram(values, edges)[0] / 96
    joined = [[edges[0], edges[-1], 1.0]] if (shares * 96 % 96 < 10).any() else []
    return {
        "cases": 96,
        "mean": told(found.mean),
        "deviation": found.variance**0.5,
        "span": [low, high],
        "histogram": joined
        or [[a, b, share] for a, b, share in zip(edges, edges[1:], shares, strict=False)],
    }


def explainability() -> dict[str, Any]:
    halves = statistic(2, -1.0, 1.0, 0.04)
    halves["histogram"] = [[-1.0, 0.0, 40 / 96], [0.0, 0.1, 30 / 96], [0.1, 1.0, 26 / 96]]
    return {
        "cases_per_site": 32,
        "path_steps": 32,
        "statistics": {
            "completeness": statistic(1, 0.0, 0.1, 0.01),
            "randomisation": halves,
            "structure": statistic(3, -1.0, 1.0, 0.3),
            "deletion": statistic(4, 0.0, 1.0, 0.3),
            "deletion-gain": statistic(5, -1.0, 1.0, 0.2),
        },
    }


@cache
def _families() -> str:
    """An evaluation's document in which every family was asked for, as text."""
    found = evaluation_json()
    found |= {
        "paired": rounded([paired()]),
        "uncertainty": rounded(uncertainty()),
        "explainability": rounded(explainability()),
    }
    return json.dumps(found)


def families_json() -> dict[str, Any]:
    """The same document, to be changed."""
    found: dict[str, Any] = json.loads(_families())
    return found


def leukaemia() -> SurvivalTable:
    """Freireich 1963, remission in weeks, as lifelines and textbooks have it; four times over."""
    treated = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    times = np.array([*treated[0], *treated[1], *placebo] * 4, dtype=float)
    events = np.array(([1] * 9 + [0] * 12 + [1] * 21) * 4)
    arms = np.array(([0] * 21 + [1] * 21) * 4)
    return survival_table(times, events, arms, groups=ARMS, times=np.arange(36.0))


def _curve(curve: SurvivalCurve, patients: int) -> dict[str, Any]:
    low, high = curve.bands()
    end = int((curve.at_risk >= 10).sum())
    return {
        "group": curve.group,
        "patients": patients,
        "ends": float(curve.times[end - 1]),
        "times": list(curve.times[:end]),
        "survival": list(curve.survival[:end]),
        "low": list(low[:end]),
        "high": list(high[:end]),
    }


def _counts(at_risk: Sequence[int]) -> list[int | None]:
    return [int(at_risk[at]) if at_risk[at] >= 10 else None for at in (0, 6, 12, 18, 24, 30)]


def survival() -> dict[str, Any]:
    table = leukaemia()
    curves = [kaplan_meier(table, group) for group in ARMS]
    means = [restricted_mean(one, 20.0) for one in curves]
    gap = means[1].minus(means[0])
    tested = log_rank(table)
    return {
        "kind": "survival", "name": "remission", "unit": "week", "group": "arm", "refused": None,
        "curves": [_curve(one, 84) for one in curves],
        "at_risk": {
            "times": [0, 6, 12, 18, 24, 30],
            "groups": [
                {"group": group, "counts": _counts(table.at_risk[at])}
                for at, group in enumerate(ARMS)
            ],
        },
        "hidden": [
            {"group": "other", "reason": {"en": "too few", "zh-Hant-TW": "人數過少"}}
        ],
        "log_rank": {"statistic": tested.statistic, "freedom": tested.freedom, "p": tested.p_value},
        "means": [{"group": group, "horizon": 20.0, **_interval(one)}
                  for group, one in zip(ARMS, means, strict=True)],
        "difference": {"groups": list(ARMS), "horizon": 20.0, **_interval(gap), "p": gap.p_value()},
    }  # fmt: skip


def _interval(found: Estimate) -> dict[str, float]:
    ends = found.interval()
    return {"value": found.value, "error": found.error, "low": ends.low, "high": ends.high}


def _term(name: str, reference: str | None, found: Estimate, *, has_ratio: bool) -> dict[str, Any]:
    ends = found.interval()
    ratio = {
        "value": float(np.exp(found.value)),
        "low": float(np.exp(ends.low)),
        "high": float(np.exp(ends.high)),
    }
    return {
        "term": name, "reference": reference, **_interval(found), "z": found.value / found.error,
        "p": found.p_value(), "ratio": ratio if has_ratio else None,
    }  # fmt: skip


def regressions() -> list[dict[str, Any]]:
    fit = fit_groups(leukaemia())
    effect = Estimate(float(fit.coefficients[0]), float(fit.covariance[0, 0]))
    shared = {
        "refused": None, "patients": 168, "rounds": 6, "tolerance": 1e-6, "last_step": 3e-9,
        "log_likelihood": -689.12,
    }  # fmt: skip
    cox = {
        "kind": "cox", "name": "arms", "ratio": "hazard", "outcome": None, "ties": "efron",
        "baseline": "shared", "events": 120,
        "terms": [_term("arm=placebo", "6-MP", effect, has_ratio=True),
                  _term("age", None, Estimate(0.02, 1e-4), has_ratio=True),
                  _term("sex=M", "F", Estimate(-0.3, 0.04), has_ratio=True)],
    }  # fmt: skip
    logistic = {
        "kind": "logistic", "name": "death", "ratio": "odds", "outcome": "death", "ties": None,
        "baseline": None, "events": None,
        "terms": [_term("intercept", None, Estimate(-2.1, 0.05), has_ratio=False),
                  _term("age^2", None, Estimate(0.001, 1e-7), has_ratio=True)],
    }  # fmt: skip
    return [shared | cox, shared | logistic]


def weighted() -> dict[str, Any]:
    effect = Estimate(3.44, 0.27)
    return {
        "kind": "weighted", "name": "quitting", "treatment": "qsmk", "outcome": "wt82_71",
        "weights": "stabilised", "refused": None, "rounds": 5, "tolerance": 1e-6,
        "last_step": 1e-9,
        "patients": {"untreated": 1163, "treated": 403},
        "effective": {"untreated": 1140.2, "treated": 371.9},
        "untreated": _interval(Estimate(1.78, 0.05)), "treated": _interval(Estimate(5.22, 0.22)),
        "effect": {**_interval(effect), "z": effect.value / effect.error, "p": effect.p_value()},
    }  # fmt: skip


@cache
def _outcomes() -> str:
    refused: dict[str, Any] = {
        "kind": "cox", "name": "rare", "ratio": "hazard", "outcome": None, "ties": "efron",
        "baseline": "shared", "terms": [],
        "refused": {
            "code": "TF950",
            "what": {"en": "Too few are at risk.", "zh-Hant-TW": "追蹤人數過少。"},
            "next": {"en": "End the follow-up earlier.", "zh-Hant-TW": "請提早結束追蹤。"},
        },
    }  # fmt: skip
    about = {
        "study": "outcomes-2026", "run": "outcomes-2026.1", "title": "Remission under 6-MP",
        "table": "leukaemia", "protocol": bodies.DIGEST, "log_index": 12, "sites": list(SITES),
        "impact_study": None,
    }  # fmt: skip
    found = {
        "schema": "trifed.outcomes/1", "about": about, "plan": {"limits": {"smallest_cell": 10}},
        "patients": 168, "analyses": [survival(), *regressions(), weighted(), refused],
    }  # fmt: skip
    return canonical(rounded(found)).decode()


def outcomes_json() -> dict[str, Any]:
    """The document of an outcome study, to be changed."""
    found: dict[str, Any] = json.loads(_outcomes())
    return found
