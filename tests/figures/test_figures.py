"""Figures are the same for the same data, speak both languages, and can be read aloud."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import federation.economics
from federation.economics.analysis import Analysis, analyse
from federation.economics.model_file import read_model
from federation.economics.parameters import Accuracy
from federation.figures import evaluation, studies
from federation.figures.canvas import description_of
from federation.wording import Language, Text

RISING = np.linspace(0, 1, 30)
NAME = Text(en="AUROC by site", zh="各院所 AUROC")


def row(name: str, value: float | None, *, is_summary: bool = False) -> evaluation.Estimated:
    low, high = (None, None) if value is None else (value - 0.03, value + 0.03)
    return evaluation.Estimated(Text(en=name, zh=name), value, low, high, is_summary)


@pytest.fixture(scope="module")
def economics() -> Analysis:
    path = Path(federation.economics.__file__).parent / "example.toml"
    model = read_model(path.read_bytes(), lambda _, name: Accuracy(name, 90, 10, 850, 50))
    return analyse(model, draws=1000)


def roc(language: Language) -> bytes:
    curve = evaluation.Roc(RISING, RISING**0.3, RISING**0.4, RISING**0.2, 0.87, 0.84, 0.9)
    return evaluation.roc(curve, language)


def reliability(language: Language) -> bytes:
    found = evaluation.Reliability(RISING, RISING**1.1, RISING**1.3, RISING**0.9)
    return evaluation.reliability(found, language)


def forest(language: Language) -> bytes:
    rows = [row("tainan-1", 0.87), row("taipei-2", None), row("pooled", 0.86, is_summary=True)]
    return evaluation.forest(NAME, NAME, rows, language, line=0.86)


def decision_curve(language: Language) -> bytes:
    at = np.linspace(0.01, 0.5, 20)
    return evaluation.decision_curve(
        evaluation.DecisionCurve(at, 0.14 - 0.2 * at, 0.14 - 0.86 * at / (1 - at)), language
    )


def drift(language: Language) -> bytes:
    shares, names = np.arange(1, 5) / 10, ["< 1", "1–2", "2–3", "≥ 3"]
    age = Text(en="age", zh="年齡")
    found = evaluation.Drifted(age, names, list(shares), list(shares[::-1]), 0.5)
    return evaluation.drift(found, language)


def robustness(language: Language) -> bytes:
    lines = [(Text(en="noise", zh="雜訊"), [0.85, 0.8, 0.7]), (NAME, [0.86, 0.84])]
    return evaluation.robustness(0.87, lines, language)


def cross_site(language: Language) -> bytes:
    values: list[list[float | None]] = [[0.8, None], [0.85, 0.9]]
    return evaluation.cross_site("AUROC", ["v1", "v2"], ["a-1", "b-2"], values, language)


def survival(language: Language) -> bytes:
    groups = [(Text(en="treated", zh="治療"), np.arange(5.0), np.linspace(1, 0.5, 5))]
    return evaluation.survival(groups, language)


def series(language: Language) -> bytes:
    return studies.series({"ward": [60.0, 61, 55, 54]}, 2, "min", language)


DRAWN = [
    roc,
    reliability,
    forest,
    decision_curve,
    drift,
    robustness,
    cross_site,
    survival,
    series,
]


@pytest.mark.parametrize("draw", DRAWN)
def test_a_figure_is_the_same_again_and_other_in_the_other_language(
    draw: Callable[[Language], bytes],
) -> None:
    check(draw)


def test_the_figures_of_an_economic_model(economics: Analysis) -> None:
    base = str(economics.model.base)
    points = np.stack(
        [
            economics.draws.effect[:, 1] - economics.draws.effect[:, 0],
            economics.draws.cost[:, 1] - economics.draws.cost[:, 0],
        ],
        axis=-1,
    )
    best = [economics.model.strategies.index(one) for one in economics.best]
    check(lambda language: studies.plane(points, 1e6, base, language))
    check(lambda language: studies.budget(economics.budget, base, language))
    check(lambda language: studies.tornado(economics.outcome, economics.tornado, base, language))
    rows = [(Text(en="everything", zh="全部參數"), 40.0), (NAME, 0.0)]
    check(lambda language: studies.information(rows, base, language))
    check(
        lambda language: studies.acceptability(
            np.array(economics.model.thresholds),
            economics.model.strategies,
            economics.acceptability,
            best,
            base,
            language,
        )
    )


def check(draw: Callable[[Language], bytes]) -> None:
    """Hold a figure against what every figure must be."""
    both = {language: draw(language) for language in Language}
    assert draw(Language.EN) == both[Language.EN]
    assert both[Language.EN] != both[Language.ZH_HANT_TW]
    for language, svg in both.items():
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        first, second = list(root)[:2]
        assert sum(one.tag.endswith("title") for one in root) == 1
        assert first.tag.endswith("title") and second.tag.endswith("desc") and second.text
        is_chinese = re.search("[\u4e00-\u9fff]", first.text or "") is not None
        assert is_chinese == (language is Language.ZH_HANT_TW)
        assert b"<script" not in svg and b"<dc:date" not in svg


def test_text_stays_text_so_that_it_can_be_searched_and_read() -> None:
    assert "敏感度".encode() in roc(Language.ZH_HANT_TW)
    assert b"0.870 (0.840 to 0.900)" in roc(Language.EN)


def test_a_suppressed_estimate_is_said_to_be_and_has_no_number() -> None:
    svg = forest(Language.EN).decode()
    assert "not shown: too few people" in svg and svg.count("0.870 (") == 1
    assert "–" in cross_site(Language.EN).decode()


def test_a_name_that_would_break_the_markup_is_only_a_name() -> None:
    rows = [row("<script>alert(1)</script>&{0}".replace("{0}", "(0)"), 0.8)]
    svg = evaluation.forest(NAME, NAME, rows, Language.EN)
    ElementTree.fromstring(svg)
    assert b"<script>" not in svg


def test_chinese_words_in_a_figure_are_set_with_full_width_marks() -> None:
    svg = roc(Language.ZH_HANT_TW).decode()
    assert "AUROC 0.870\uff080.840 至 0.900\uff09" in svg
    assert "(0.840" not in svg


def test_what_a_screen_reader_says_is_had_from_the_figure() -> None:
    assert description_of(drift(Language.EN)).startswith("Share of cases by age")


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    svg = evaluation.forest(NAME, NAME, [row("$x$ \\frac", 0.8)], Language.EN)
    assert b"$x$ \\frac" in svg
