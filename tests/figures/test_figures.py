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
from federation.figures import evaluation, forests, numerals, outcomes, readers, studies, trust
from federation.figures.canvas import caption_of, description_of
from federation.wording import Language, Text

RISING = np.linspace(0, 1, 30)
NAME = Text(en="AUROC by site", zh="各院所 AUROC")


def row(name: str, value: float | None, *, is_summary: bool = False) -> forests.Estimated:
    low, high = (None, None) if value is None else (value - 0.03, value + 0.03)
    return forests.Estimated(Text(en=name, zh=name), value, low, high, is_summary)


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
    return forests.forest(NAME, NAME, rows, language, forests.Scale(line=0.86))


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
    times, shares = np.arange(5.0), np.linspace(1, 0.5, 5)
    treated = Text(en="treated", zh="治療")
    curve = outcomes.Curve(treated, 120, times, shares, shares - 0.05, shares)
    below = outcomes.AtRisk((0, 2, 4), [(treated, (120, 60, None))])
    return outcomes.survival([curve], below, Text(en="months", zh="月"), language)


def selective(language: Language) -> bytes:
    answered = np.array([1.0, 0.7, 0.4])
    found = trust.Selective(answered, answered / 5, answered / 6, answered / 4)
    return trust.selective_risk(found, language, cases=900)


def histogram(language: Language) -> bytes:
    right = Text(en="near 0", zh="接近 0")
    bins = ((-1.0, 0.0, 0.4), (0.0, 0.1, 0.35), (0.1, 1.0, 0.25))
    found = trust.Histogram(bins, 0.04, 96, right, 0.0)
    return trust.histogram(NAME, NAME, found, language)


def ratios(language: Language) -> bytes:
    rows = [forests.Estimated(NAME, 1.6, 1.1, 2.4), forests.Estimated(NAME, None, 0.5, 0.9)]
    scale = forests.Scale(line=1.0, decimals=None, is_ratio=True)
    return forests.forest(NAME, NAME, rows, language, scale)


def reader_study_of(arms: tuple[str, str]) -> bytes:
    rows = [readers.Reader(NAME, 0.85, 0.9)]
    return readers.readers(rows, arms, NAME, Language.EN)


def reader_study(language: Language) -> bytes:
    rows = [
        readers.Reader(NAME, 0.85, 0.9),
        readers.Reader(Text(en="mean", zh="平均"), 0.85, 0.84, is_mean=True),
    ]
    auroc = Text(en="AUROC", zh="AUROC")
    return readers.readers(rows, ("usual", "ai"), auroc, language, cases=200)


def series(language: Language) -> bytes:
    return studies.series(NAME, [60.0, 61, 55, 54], 2, "min", language)


DRAWN = [
    roc,
    reliability,
    forest,
    decision_curve,
    drift,
    robustness,
    cross_site,
    survival,
    selective,
    histogram,
    ratios,
    reader_study,
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
    _, _, svg = forest(Language.EN).decode().partition("</desc>")
    assert "not shown: too few people" in svg and svg.count("0.870 (") == 1
    assert "–" in cross_site(Language.EN).decode()


def test_a_name_that_would_break_the_markup_is_only_a_name() -> None:
    rows = [row("<script>alert(1)</script>&{0}".replace("{0}", "(0)"), 0.8)]
    svg = forests.forest(NAME, NAME, rows, Language.EN, forests.Scale())
    ElementTree.fromstring(svg)
    assert b"<script>" not in svg


def test_chinese_words_in_a_figure_are_set_with_full_width_marks() -> None:
    svg = roc(Language.ZH_HANT_TW).decode()
    assert "AUROC 0.870\uff080.840 至 0.900\uff09" in svg
    assert "(0.840" not in svg


def test_what_a_screen_reader_says_is_had_from_the_figure() -> None:
    assert description_of(drift(Language.EN)).startswith("Share of cases by age")


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    svg = forests.forest(NAME, NAME, [row("$x$ \\frac", 0.8)], Language.EN, forests.Scale())
    assert b"$x$ \\frac" in svg


def test_a_name_that_is_not_ours_is_neither_mathematics_nor_left_out_of_a_legend() -> None:
    hostile = "$\\frac$_"
    values: list[list[float | None]] = [[0.8, 0.9]]
    svg = evaluation.cross_site("AUROC", [hostile], ["_a", hostile], values, Language.EN)
    assert svg.count(hostile.encode()) == 2
    assert b"> _kept<" in reader_study_of(("_kept", "ai"))
    assert hostile.encode() in studies.series(NAME, [1.0, 2.0], 1, hostile, Language.EN)


def test_a_long_name_leaves_room_for_the_drawing() -> None:
    svg = forests.forest(NAME, NAME, [row("x" * 200, 0.8)], Language.EN, forests.Scale())
    assert b"x" * 40 not in svg.partition(b"</desc>")[2] and "…".encode() in svg


@pytest.mark.parametrize(
    ("ends", "decimals"),
    [((-14.0, -5.4), 1), ((0.9, 1.02), 2), ((0.79, 0.884), 3), ((900, 2400), 0), ((1, 1), 4)],
)
def test_a_number_has_no_more_decimals_than_its_interval_is_wide(
    ends: tuple[float, float], decimals: int
) -> None:
    assert numerals.decimals_for(*ends) == decimals


def test_a_figure_says_of_how_many_it_is() -> None:
    assert b"(n = 900)" in selective(Language.EN)
    assert "\uff08n = 900\uff09".encode() in selective(Language.ZH_HANT_TW)


def test_the_caption_is_short_and_a_screen_reader_hears_every_row() -> None:
    svg = forest(Language.EN)
    assert caption_of(svg) == "Estimates with their intervals, one in each row."
    assert description_of(svg).endswith("taipei-2 not shown; pooled: 0.860 (0.830, 0.890)")


def test_numbers_at_risk_stand_below_the_curve_and_few_are_a_dash() -> None:
    svg = survival(Language.EN).decode()
    assert all(told in svg for told in (">at risk<", ">120<", ">60<", ">–<"))


def test_heat_colours_do_not_make_a_small_difference_look_large() -> None:
    values: list[list[float | None]] = [[0.841, 0.842]]
    svg = evaluation.cross_site("AUROC", ["v1"], ["a", "b"], values, Language.EN)
    assert "from 0.80 to 0.85" in description_of(svg)
