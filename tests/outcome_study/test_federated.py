"""Outcome studies through the real code of three hospitals: as all patients together."""

from typing import Any

import numpy as np
import pytest

from tests.evaluate.in_process import Federation
from tests.outcome_study.hospitals import analysis, hand_out, outcome_study, run
from tests.outcome_study.published import ROSSI, Data, array, leukaemia, nhefs, rossi


def test_the_leukaemia_trial_has_its_published_numbers(fed: Federation) -> None:
    """Freireich 1963; EVALUATION.md E17, E18: S, log-rank 16.79294, Breslow and Efron."""
    data = leukaemia()
    hand_out(fed, data)

    result = run(fed, outcome_study(fed, data))

    assert (result.status, result.errors, result.refused) == ("completed", [], [])
    survival = analysis(fed, "remission")
    six_mp = next(one for one in survival["curves"] if one["group"] == "6-MP")
    at = dict(zip(map(int, six_mp["times"]), six_mp["survival"], strict=True))
    expected = {
        6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482
    }  # fmt: skip
    assert {week: round(at[week], 4) for week in expected} == expected
    assert round(survival["log_rank"]["statistic"], 5) == 16.79294
    for ties, value, error in (("breslow", 1.509191, 0.409564), ("efron", 1.572125, 0.412397)):
        term = analysis(fed, f"rx-{ties}")["terms"][0]
        assert (round(term["value"], 6), round(term["error"], 6)) == (value, error)


def test_rossi_equals_lifelines_with_one_baseline_and_with_one_for_each_hospital(
    fed: Federation,
) -> None:
    """EVALUATION.md E18: lifelines on its own data, to 1e-6; here to 1e-8."""
    lifelines = pytest.importorskip("lifelines")
    data = rossi()
    hand_out(fed, data)

    assert run(fed, outcome_study(fed, data)).status == "completed"

    table = _table(data)
    pooled = lifelines.CoxPHFitter().fit(table, "time", "event", fit_options=PRECISE)
    _check_terms(fed, "shared", pooled)
    table = table.assign(hospital=np.arange(432) % 3)
    pooled = lifelines.CoxPHFitter().fit(
        table, "time", "event", strata="hospital", fit_options=PRECISE
    )
    _check_terms(fed, "by-hospital", pooled)


@pytest.mark.slow
def test_quitting_smoking_has_the_effect_of_the_pooled_gee(fed: Federation) -> None:
    """Hernán and Robins, program 12.2; EVALUATION.md E19: statsmodels' GEE to 1e-9."""
    sm = pytest.importorskip("statsmodels.api")
    data = nhefs()
    hand_out(fed, data)

    assert run(fed, outcome_study(fed, data)).status == "completed"

    found = analysis(fed, "quitting")
    assert found["refused"] is None
    treated, gain = array(data, "qsmk"), array(data, "wt82_71")
    columns = [np.ones(len(treated)), array(data, "sex"), array(data, "race")]
    for name, levels in (("education", 5), ("exercise", 3), ("active", 3)):
        first = 1 if name == "education" else 0
        values = array(data, name)
        columns += [(values == level).astype(float) for level in range(first + 1, first + levels)]
    for name in ("age", "smokeintensity", "smokeyrs", "wt71"):
        columns += [array(data, name), array(data, name) ** 2]
    x = np.column_stack(columns)
    glm = sm.GLM(treated, x, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100)
    p = glm.predict(x)
    weights = np.where(treated == 1, 1 / p, 1 / (1 - p))
    design = sm.add_constant(treated)
    gee = sm.GEE(gain, design, groups=np.arange(len(gain)), weights=weights).fit()
    assert found["effect"]["value"] == pytest.approx(gee.params[1], abs=1e-9)
    assert found["effect"]["error"] == pytest.approx(gee.bse[1], abs=1e-9)
    assert found["untreated"]["value"] == pytest.approx(gee.params[0], abs=1e-9)
    assert found["untreated"]["error"] == pytest.approx(gee.bse[0], abs=1e-9)
    other = sm.GEE(gain, sm.add_constant(1 - treated), groups=np.arange(len(gain)), weights=weights)
    assert found["treated"]["error"] == pytest.approx(other.fit().bse[0], abs=1e-9)


PRECISE = {"precision": 1e-12}


def _table(data: Data) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(list(data.rows))


def _check_terms(fed: Federation, name: str, pooled: Any) -> None:
    found = analysis(fed, name)
    terms = {one["term"]: one for one in found["terms"]}
    assert set(terms) == set(ROSSI) and found["events"] == 114
    for covariate, one in terms.items():
        assert one["value"] == pytest.approx(pooled.params_[covariate], abs=1e-8)
        assert one["error"] == pytest.approx(pooled.standard_errors_[covariate], abs=1e-8)
