"""Comparison, uncertainty, explanations and outcome studies: their parts, limits and figures."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from federation.errors.reports import ReportCellError, ReportDocumentError
from federation.figures.canvas import caption_of
from federation.wording import Language, Text
from registry.impact.study import ImpactStudy
from registry.reports import (
    evaluation,
    evaluation_report,
    impact,
    outcome_report,
    outcomes,
)
from registry.reports.checklists.answers import Study
from registry.reports.documents import read_evaluation, read_outcomes
from registry.reports.impact.methods import method_named
from registry.reports.impact.results import null_of
from registry.reports.layout import Chip, Facts, Figure, Notice, Report, Table
from tests.reports.examples import ENTRY, a_study, evaluation_json, study_json
from tests.reports.families import BEFORE, families_json, outcomes_json
from tests.reports.test_reports import HOSTILE, Page

EN, ZH = Language.EN, Language.ZH_HANT_TW
Document = dict[str, Any]
Change = Callable[[Document], object]


def told(report: Report, language: Language = EN) -> str:
    """Every word of a report but those of its figures."""
    blocks = [block for section in report.sections for block in section.blocks]
    return "\n".join(word for block in blocks for word in _words(block, language))


def _words(block: object, language: Language) -> Iterator[str]:
    match block:
        case Text():
            yield block.say(language)
        case str():
            yield block
        case Chip() | Notice():
            yield from _words(block.words, language)
        case Facts():
            for pair in block.rows:
                yield from (word for one in pair for word in _words(one, language))
        case Table():
            for row in ((block.caption,), block.columns, *block.rows):
                yield from (word for one in row for word in _words(one, language))


def test_an_evaluation_has_a_figure_and_a_table_for_each_family() -> None:
    report = evaluation.layout(read_evaluation(families_json()))
    figures = report.figures()
    assert {"coverage", "selective-risk", "explanation-randomisation"} <= set(figures)
    assert any(name.startswith("paired-") for name in figures)
    assert {"compared", "uncertainty", "explanations"} <= {one.id for one in report.sections}


def test_a_document_without_these_families_has_no_such_parts() -> None:
    report = evaluation.layout(read_evaluation(evaluation_json()))
    assert not {"compared", "uncertainty", "explanations"} & {one.id for one in report.sections}


def test_a_comparison_says_which_version_tells_better() -> None:
    english = told(evaluation.layout(read_evaluation(families_json())))
    assert f"It tells better than {BEFORE}" in english and "unseen by both" in english
    document = families_json()
    document["paired"][0]["difference"] = {"value": -0.01, "interval": [-0.03, 0.01]}
    assert "No sure difference" in told(evaluation.layout(read_evaluation(document)))


def test_a_group_that_is_covered_less_than_promised_is_named() -> None:
    report = evaluation.layout(read_evaluation(families_json()))
    assert "finding: present. The promise holds on average" in told(report)
    assert "所見\uff1a有" in told(report, ZH)


def test_a_coverage_that_is_only_a_band_has_no_point_in_its_figure() -> None:
    rows = {row[0]: row for row in _figure(families_json(), "coverage").rows}
    assert rows["sex=F"][2:] == (None, 0.9, 1.0)
    assert rows["age-band=75 and over"][1:] == (None, None, None, None)


def test_a_distribution_of_one_interval_is_not_drawn() -> None:
    figures = evaluation.layout(read_evaluation(families_json())).figures()
    assert "explanation-completeness" not in figures


def _figure(document: Document, name: str) -> Figure:
    return evaluation.layout(read_evaluation(document)).figures()[name]


def test_versions_that_a_reader_may_not_know_of_are_left_out_everywhere() -> None:
    document = families_json()
    hidden = {"name": f"paired {BEFORE}", "refused": "small-cell", "k": 10}
    document["assessment"]["refusals"].append(hidden)
    document["assessment"]["failures"].append({"name": f"paired {BEFORE}", "code": "TF850"})
    read = read_evaluation(document)
    assert read.others == {BEFORE}
    hides = evaluation.layout(read.without({BEFORE}), read.digest)
    assert BEFORE in told(evaluation.layout(read)) and BEFORE not in told(hides)
    assert ENTRY in told(hides) and read.digest in told(hides)
    assert not any(BEFORE in str(one.rows) for one in hides.figures().values())


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["paired"][0].update(cases=909, positives=9, negatives=900),
        lambda one: one["uncertainty"].update(test_cases=9),
        lambda one: one["uncertainty"]["coverage"]["all"].update(value=0.98, of=420),
        lambda one: one["uncertainty"]["certain"].update(value=0.005, of=840),
        lambda one: one["uncertainty"]["selective"].append([0.9, 0.005, 0.2, 0.0, 0.4]),
        lambda one: one["explainability"]["statistics"]["deletion"].update(cases=9),
        lambda one: one["explainability"]["statistics"]["randomisation"]["histogram"].append(
            [0.95, 1.0, 0.05]
        ),
    ],
)
def test_a_part_that_tells_of_too_few_patients_is_refused_whole(change: Change) -> None:
    document = families_json()
    change(document)
    with pytest.raises(ReportCellError, match="fewer than 10"):
        read_evaluation(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["paired"][0].update(cases=1),
        lambda one: one["paired"][0].update(z=1e300),
        lambda one: one["uncertainty"].update(more=1),
        lambda one: one["explainability"]["statistics"]["deletion"]["histogram"].append(
            [0.5, 0.5, 0.2]
        ),
    ],
)
def test_a_part_that_does_not_fit_is_refused(change: Change) -> None:
    document = families_json()
    change(document)
    with pytest.raises(ReportDocumentError):
        read_evaluation(document)


def test_an_outcome_study_shows_curves_ratios_and_means() -> None:
    document = read_outcomes(outcomes_json())
    figures = outcomes.layout(document).figures()
    assert list(figures) == ["survival-1-1", "ratios-1-2", "ratios-1-3", "weighted-1-4"]
    english = told(outcomes.layout(document))
    assert "Too few are at risk. End the follow-up earlier. (TF950)" in english
    assert "hazard ratio" in english and "風險比" in told(outcomes.layout(document), ZH)
    rows = figures["ratios-1-3"].rows
    assert [row[0] for row in rows] == ["age^2"]


def test_hazard_ratios_are_those_of_the_coefficients() -> None:
    """Freireich: log hazard 1.572 (Efron), so 4.8; four copies of each patient change ties."""
    (row,) = [
        one
        for one in outcomes.layout(read_outcomes(outcomes_json())).figures()["ratios-1-2"].rows
        if one[0] == "arm=placebo"
    ]
    assert 4.5 < float(row[2] or 0) < 5.5


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(patients=9),
        lambda one: one["analyses"][0]["curves"][0].update(patients=3),
        lambda one: one["analyses"][0]["at_risk"]["groups"][0]["counts"].__setitem__(5, 4),
        lambda one: one["analyses"][1].update(events=2),
        lambda one: one["analyses"][3]["patients"].update(treated=7),
    ],
)
def test_an_outcome_study_that_tells_of_too_few_patients_is_refused_whole(change: Change) -> None:
    document = outcomes_json()
    change(document)
    with pytest.raises(ReportCellError, match="fewer than 10"):
        read_outcomes(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["analyses"][0]["curves"][0]["times"].pop(),
        lambda one: one["analyses"][0]["at_risk"]["times"].pop(),
        lambda one: one["analyses"][1]["terms"][0]["ratio"].update(low=0.0),
        lambda one: one["analyses"][1].update(kind="other"),
        lambda one: one["about"].update(sites=[]),
        lambda one: one["analyses"].clear(),
    ],
)
def test_an_outcome_study_that_does_not_fit_is_refused(change: Change) -> None:
    document = outcomes_json()
    change(document)
    with pytest.raises(ReportDocumentError):
        read_outcomes(document)


def test_the_k_of_an_outcome_study_is_that_of_its_plan() -> None:
    document = outcomes_json()
    document["plan"]["limits"]["smallest_cell"] = 20
    document["analyses"][0]["at_risk"]["groups"][0]["counts"][5] = 16
    with pytest.raises(ReportCellError, match="fewer than 20"):
        read_outcomes(document)


def test_a_study_shows_the_outcome_studies_that_it_names_apart_from_each_other() -> None:
    study, found = a_study(), read_outcomes(outcomes_json())
    report = impact.layout(type(study)(study.id, study.body, outcomes=(found, found)))
    ids = [one.id for one in report.sections]
    assert len(set(ids)) == len(ids)
    assert {"survival-1-1", "survival-2-1"} <= set(report.figures())


def _hostile(value: object) -> object:
    """The same document with every name in it hostile; what is chosen from a list stays."""
    match value:
        case dict():
            return {
                name: HOSTILE if name in _NAMES and isinstance(one, str) else _hostile(one)
                for name, one in value.items()
            }
        case list():
            return [_hostile(one) for one in value]
    return value


_NAMES = {"against", "title", "study", "run", "table", "name", "group", "term", "reference",
          "outcome", "treatment", "en", "zh-Hant-TW"}  # fmt: skip


def test_hostile_names_in_an_outcome_study_are_only_names() -> None:
    raw = _hostile(outcomes_json())
    assert isinstance(raw, dict)
    raw["about"]["sites"] = [HOSTILE]
    read = read_outcomes(raw)
    html = outcome_report(read, ZH)
    assert Page(html).count("script") == 0
    for figure in outcomes.layout(read).figures().values():
        assert b"<script" not in figure.draw(EN)


def test_hostile_names_in_the_families_are_only_names() -> None:
    document = families_json()
    document["paired"][0]["against"] = HOSTILE
    found = document["uncertainty"]["coverage"]
    found[HOSTILE] = found.pop("finding=yes")
    checks = document["explainability"]["statistics"]
    checks[HOSTILE] = checks.pop("randomisation")
    checks[HOSTILE + "2"] = json.loads(json.dumps(checks[HOSTILE]))
    read = read_evaluation(document)
    assert Page(evaluation_report(read, EN)).count("script") == 0
    figures = evaluation.layout(read).figures()
    hostile = [one for name, one in figures.items() if name.startswith(("explanation-", "paired"))]
    assert len(hostile) == 3
    assert all(b"<script" not in one.draw(ZH) for one in hostile)


READERS = (0.92, 0.859, 0.904, 0.973, 0.83), (0.948, 0.905, 0.922, 0.999, 0.93)


def _arm(name: str, values: tuple[float, ...]) -> Document:
    mean = sum(values) / len(values)
    readers = [{"reader": f"reader-{at}", "value": one} for at, one in enumerate(values, start=1)]
    return {"arm": name, "value": mean, "low": mean - 0.04, "high": mean + 0.04, "readers": readers}


def _studied(first: Document, second: Document) -> Study:
    """The record of a study whose two results tell more than their effects."""
    results = study_json()["results"]
    results[0] |= first
    results[1] |= second
    body = ImpactStudy.model_validate_json(json.dumps(study_json() | {"results": results}))
    return Study("impact-2026-002", body)


def test_a_reader_study_shows_every_reader_without_and_with_the_ai() -> None:
    method = "Obuchowski-Rockette, auroc, delong; random readers and cases"
    arms = [_arm("ai", READERS[1]), _arm("usual", READERS[0])]
    medians = [
        {"arm": arm, "value": value, "low": value - 6, "high": value + 7}
        for arm, value in (("ai", 42), ("usual", 55))
    ]
    study = _studied({"arms": arms, "method": method}, {"arms": medians})
    report = impact.layout(study)
    figures = report.figures()
    rows = figures["readers-1"].rows
    assert [row[0] for row in rows] == [*(f"reader-{at}" for at in range(1, 6)), "mean"]
    assert rows[4][1:3] == (0.83, 0.93) and figures["arms-2"].rows[0][1:] == (42.0, 36.0, 49.0)
    assert "5 of 5 are higher with ai" in caption_of(figures["readers-1"].draw(EN))
    assert "判讀者與個案均為隨機" in told(report, ZH)


def test_an_interrupted_series_shows_its_months_before_and_after() -> None:
    months = [60.0 + 0.1 * at for at in range(12)] + [52.0 + 0.1 * at for at in range(12)]
    study = _studied({"series": {"began": 12, "months": months}}, {})
    report = impact.layout(study)
    figure, english = report.figures()["series-1"], told(report)
    assert [row[1] for row in figure.rows] == ["before"] * 12 + ["after"] * 12
    assert "61.1" in english and "介入前" in told(report, ZH)
    assert "12 of them before" in caption_of(figure.draw(EN))


def test_the_verdict_waits_for_every_primary_measure() -> None:
    study = a_study()
    body = study.body.model_copy(update={"results": study.body.results[1:]})
    report = impact.layout(Study(study.id, body))
    assert report.verdict is not None
    assert getattr(report.verdict[0].words, "en", "") == "no results yet"


def test_a_method_is_said_in_both_languages_and_a_foreign_one_stays() -> None:
    told = method_named("difference of means, Welch; matched 1:1, caliper 0.2 SD")
    assert told.zh == "平均差,Welch 法;1:1 配對,卡尺 0.2 SD"
    assert method_named("GEE, duration").zh == "GEE, duration"
    result = a_study().body.results[0].model_copy(update={"method": "GEE, duration"})
    assert null_of(result) == 0.0
