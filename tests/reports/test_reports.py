"""Reports are whole in both languages, the same again, and say what they do not show."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from federation.wording import Language
from registry.reports import (
    dossier_report,
    economics,
    economics_report,
    evaluation,
    evaluation_report,
    impact,
    impact_report,
    outcome_report,
)
from registry.reports.documents import read_economics, read_evaluation, read_outcomes
from registry.reports.layout import Chip, Report, Table
from tests.reports.examples import (
    SITES,
    a_dossier,
    a_study,
    economics_bytes,
    evaluation_bytes,
    evaluation_json,
)
from tests.reports.families import families_json, outcomes_json

EN, ZH = Language.EN, Language.ZH_HANT_TW
CHINESE = re.compile("[\u3400-\u9fff]")
VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """The tags of a page, every one of which must be closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.said.append(data.strip())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def _dossier(language: Language) -> str:
    dossier, found = a_dossier()
    return dossier_report("dossier-1", dossier, found, language)


MAKERS: dict[str, Callable[[Language], str]] = {
    "evaluation": lambda language: evaluation_report(read_evaluation(evaluation_bytes()), language),
    "economics": lambda language: economics_report(read_economics(economics_bytes()), language),
    "impact": lambda language: impact_report(a_study(), language),
    "families": lambda language: evaluation_report(read_evaluation(families_json()), language),
    "outcomes": lambda language: outcome_report(read_outcomes(outcomes_json()), language),
    "dossier": _dossier,
}


@pytest.fixture(scope="module")
def pages() -> dict[tuple[str, Language], str]:
    return {(name, one): make(one) for name, make in MAKERS.items() for one in Language}


@pytest.mark.parametrize("name", MAKERS)
def test_a_report_is_whole_in_both_languages(
    name: str, pages: dict[tuple[str, Language], str]
) -> None:
    english, chinese = Page(pages[name, EN]), Page(pages[name, ZH])
    for tag in ("section", "table", "tr", "td", "figure", "img", "dt", "h2"):
        assert english.count(tag) == chinese.count(tag), tag
    assert not CHINESE.search(" ".join(english.said))
    headings = re.findall(r"<h2[^>]*>([^<]*)", pages[name, ZH])
    assert headings and all(CHINESE.search(one) for one in headings)
    for page in (english, chinese):
        assert page.count("script") == 0 and page.count("h1") == 1
        assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
        assert not any(attr.startswith("on") for _, attrs in page.tags for attr in attrs)


def test_the_same_document_makes_the_same_bytes(pages: dict[tuple[str, Language], str]) -> None:
    for name in ("evaluation", "economics"):
        assert MAKERS[name](ZH) == pages[name, ZH]


def test_an_evaluation_shows_every_figure_with_its_numbers() -> None:
    figures = evaluation.layout(read_evaluation(evaluation_bytes())).figures()
    assert set(figures) == {
        "roc", "reliability", "groups", "gaps", "sites", "cross-site", "decision-curve",
        "robustness", "drift-score",
    }  # fmt: skip
    for one in figures.values():
        lines = one.as_csv().decode().splitlines()
        assert lines[0] == ",".join(one.columns) and len(lines) == len(one.rows) + 1
        assert len(json.loads(one.as_json())["rows"]) == len(one.rows)


def _cells(report: Report) -> list[tuple[str, str]]:
    """Every cell of every table with its column's name."""
    tables = [
        block for section in report.sections for block in section.blocks if isinstance(block, Table)
    ]
    return [
        (str(getattr(name, "en", name)), str(getattr(cell, "en", cell)))
        for table in tables
        for row in table.rows
        for name, cell in zip(table.columns, row, strict=True)
        if not isinstance(cell, Chip)
    ]


def test_no_count_below_k_stands_in_the_report_or_its_data() -> None:
    report = evaluation.layout(read_evaluation(evaluation_bytes()))
    counts = [int(cell.replace(",", "")) for name, cell in _cells(report) if name == "cases"]
    assert counts and min(counts) >= 10
    for figure in report.figures().values():
        if "cases" in figure.columns:
            at = figure.columns.index("cases")
            assert all(row[at] is None or float(row[at] or 0) >= 10 for row in figure.rows)


def test_what_is_not_shown_is_said_with_its_reason(
    pages: dict[tuple[str, Language], str],
) -> None:
    english, chinese = pages["evaluation", EN], pages["evaluation", ZH]
    assert "Not shown never means zero" in english and "不代表為零" in chinese
    assert "one of its classes has fewer than 10 cases" in english
    assert "scanner: other" in english and "設備\uff1a其他" in chinese
    assert "not shown" in english and "不予顯示" in chinese


def test_the_decision_says_why_and_what_to_do_next(
    pages: dict[tuple[str, Language], str],
) -> None:
    english = pages["evaluation", EN]
    assert "not passed" in english and "the claim needs at least" in english
    assert "under a new protocol" in english
    assert "sha256:" + "b2" * 32 in english and "4,711" in english
    assert all(site in english for site in SITES)


def test_sites_that_only_gave_to_a_sum_show_what_they_signed_themselves() -> None:
    document = evaluation_json()
    document["assessment"]["sites"] = {}
    report = evaluation.layout(read_evaluation(document))
    rows = report.figures()["sites"].rows
    assert [row[0] for row in rows] == ["tainan-1", "hualien-3", "all"]
    assert rows[1][1] is None


def test_an_evaluation_of_which_nothing_may_be_shown_says_so() -> None:
    document = evaluation_json()
    found = document["assessment"]
    found |= {"slices": {}, "sites": {}, "bootstrap": None, "net_benefit": []}
    found |= {"fairness": None, "heterogeneity": None}
    document |= {"curves": None, "robustness": [], "drift": [], "attack": None, "matrix": None}
    document["own"] = []
    html = evaluation_report(read_evaluation(document), EN)
    assert "Nothing of this evaluation may be shown" in html and "<img" not in html


HOSTILE = "<script>alert(1)</script>\"'&{0}$x$"


def test_a_name_that_would_break_the_page_is_only_a_name() -> None:
    document: dict[str, Any] = evaluation_json()
    document["about"] |= {"entry": HOSTILE, "study": HOSTILE, "sites": [HOSTILE]}
    slices = document["assessment"]["slices"]
    slices[f"sex={HOSTILE}"] = slices.pop("sex=F")
    document["assessment"]["refusals"][0]["name"] = HOSTILE
    document["matrix"]["sites"][0] = HOSTILE
    document["drift"][0]["variable"] = HOSTILE
    document["robustness"][0]["corruption"] = HOSTILE
    document["decision"]["findings"][0]["reason"]["en"] = HOSTILE
    document["own"][0]["site"] = HOSTILE
    read = read_evaluation(document)
    for language in Language:
        page = Page(evaluation_report(read, language))
        assert page.count("script") == 0
    for figure in evaluation.layout(read).figures().values():
        svg = figure.draw(EN)
        assert b"<script" not in svg


def test_a_cell_that_a_spreadsheet_would_compute_is_quoted() -> None:
    document = evaluation_json()
    document["matrix"]["sites"][0] = "=HYPERLINK(1)"
    csv = evaluation.layout(read_evaluation(document)).figures()["cross-site"].as_csv()
    assert b",'=HYPERLINK(1)," in csv


def test_numbers_without_a_source_are_called_assumptions(
    pages: dict[tuple[str, Language], str],
) -> None:
    document = read_economics(economics_bytes())
    assumed = sum(source == "assumption" for source in document.sources.values())
    assert f"{assumed} of {len(document.sources)} numbers are assumptions" in pages["economics", EN]
    assert set(economics.layout(document).figures()) == {
        "plane", "acceptability", "information", "tornado", "budget",
    }  # fmt: skip


def test_a_study_reports_by_units_with_harms_hidden_below_ten(
    pages: dict[tuple[str, Language], str],
) -> None:
    english = pages["impact", EN]
    assert {"effects-1", "effects-2", "plane"} <= set(impact.layout(a_study()).figures())
    assert "fewer than ten, not shown" in english and ">22<" in english
    assert "All primary measures improved" in english
    assert "−5.0 (−8.0, −2.0)" in english and "0.96 (0.90–1.02)" in english


@pytest.mark.parametrize(
    ("ends", "said"),
    [((-8.0, -2.0), "better"), ((2.0, 8.0), "worse"), ((-1.0, 3.0), "no sure difference")],
)
def test_the_verdict_of_a_study_follows_from_the_interval_and_the_direction(
    ends: tuple[float, float], said: str
) -> None:
    study = a_study()
    (first, *rest) = study.body.results
    changed = first.model_copy(update={"low": ends[0], "high": ends[1], "estimate": sum(ends) / 2})
    body = study.body.model_copy(update={"results": (changed, *rest)})
    report = impact.layout(type(study)(study.id, body))
    assert report.verdict is not None and getattr(report.verdict[0].words, "en", "") == said


def test_a_dossier_lists_every_gap_with_what_to_do(
    pages: dict[tuple[str, Language], str],
) -> None:
    _, found = a_dossier()
    english = pages["dossier", EN]
    assert found.gaps and all(one.requirement in english for one in found.gaps)
    assert f"{len(found.open_musts)} requirements that must be met are not" in english
    assert "then name it as evidence" in english and "not the regulator" in english
