"""What reports call things, in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass

from federation.evaluation.fairness import Figure as GapFigure
from federation.evaluation.fairness import Purpose
from federation.evaluation.policy import RiskClass, Verdict
from federation.evaluation.sliced import EVERYONE
from federation.wording import Text
from registry.reports.layout import Chip, Tone, named

VERDICTS: Mapping[Verdict, Chip] = {
    Verdict.MET: Chip(Text(en="passed", zh="通過"), Tone.GOOD),
    Verdict.ALERT: Chip(Text(en="passed with an alert", zh="通過,但有警示"), Tone.CARE),
    Verdict.ACCEPT: Chip(Text(en="needs a written acceptance", zh="須書面接受"), Tone.CARE),
    Verdict.FAIL: Chip(Text(en="not passed", zh="未通過"), Tone.STOP),
}
VERDICT_SAID: Mapping[Verdict, Text] = {
    Verdict.MET: Text(
        en="Every threshold of the policy for {risk} is met.", zh="符合政策對{risk}的所有門檻。"
    ),
    Verdict.ALERT: Text(
        en="Under the policy for {risk} nothing stands against it, but an alert was raised.",
        zh="依政策對{risk}的門檻並無不符,但有警示。",
    ),
    Verdict.ACCEPT: Text(
        en="Under the policy for {risk} a threshold was missed that people may accept in writing.",
        zh="依政策對{risk}的門檻,有未達者,可由負責人員書面接受。",
    ),
    Verdict.FAIL: Text(
        en="Under the policy for {risk} a threshold was missed or something was not measured.",
        zh="依政策對{risk}的門檻,有未達或未量測的項目。",
    ),
}
FINDINGS: Mapping[Verdict, Chip] = {
    Verdict.MET: Chip(Text(en="met", zh="符合"), Tone.GOOD),
    Verdict.ALERT: Chip(Text(en="alert", zh="警示"), Tone.CARE),
    Verdict.ACCEPT: Chip(Text(en="accept in writing", zh="須書面接受"), Tone.CARE),
    Verdict.FAIL: Chip(Text(en="missed", zh="未達"), Tone.STOP),
}
NEXT: Mapping[Verdict, Text] = {
    Verdict.MET: Text(en="Nothing.", zh="無須處理。"),
    Verdict.ALERT: Text(
        en="Look into the cause and note it at the next review.",
        zh="請查明原因,並於下次定期審查時記錄。",
    ),
    Verdict.ACCEPT: Text(
        en="Write down why it is acceptable, signed by approver and reviewer, or improve the "
        "version and evaluate again.",
        zh="請書面說明可接受的理由,並由核准者與審查者簽署;或改善版本後重新評估。",
    ),
    Verdict.FAIL: Text(
        en="Measure what is missing or improve the version, under a new protocol.",
        zh="請補足量測或改善版本,並以新方案重新評估。",
    ),
}
RISKS: Mapping[RiskClass, Text] = {
    RiskClass.HIGH: Text(en="high risk", zh="高風險"),
    RiskClass.MEDIUM: Text(en="medium risk", zh="中風險"),
    RiskClass.LOW: Text(en="low risk", zh="低風險"),
}
RULES: Mapping[str, Text] = {
    "claim": Text(en="AUROC against the claim", zh="AUROC 與宣稱值"),
    "slope": Text(en="Calibration slope", zh="校準斜率"),
    "ece": Text(en="Calibration error", zh="校準誤差"),
    "tpr-gap": Text(en="Sensitivity between groups", zh="各組敏感度差距"),
    "psi": Text(en="Drift", zh="資料漂移"),
    "membership": Text(en="Membership attack", zh="成員推論攻擊"),
    "net-benefit": Text(en="Net benefit", zh="淨效益"),
}
RATES: Mapping[str, Text] = {
    "sensitivity": Text(en="Sensitivity", zh="敏感度"),
    "specificity": Text(en="Specificity", zh="特異度"),
    "positive_predictive_value": Text(en="Positive predictive value", zh="陽性預測值"),
    "negative_predictive_value": Text(en="Negative predictive value", zh="陰性預測值"),
}
GAPS: Mapping[GapFigure, Text] = {
    GapFigure.TPR: Text(en="Sensitivity", zh="敏感度"),
    GapFigure.FPR: Text(en="False positive rate", zh="偽陽性率"),
    GapFigure.PPV: Text(en="Positive predictive value", zh="陽性預測值"),
    GapFigure.AUROC: Text(en="AUROC", zh="AUROC"),
    GapFigure.SLOPE: Text(en="Calibration slope", zh="校準斜率"),
}
GAPS_SHORT: Mapping[GapFigure, Text] = {
    GapFigure.TPR: Text(en="sensitivity", zh="敏感度"),
    GapFigure.FPR: Text(en="false positives", zh="偽陽性率"),
    GapFigure.PPV: Text(en="PPV", zh="陽性預測值"),
    GapFigure.AUROC: Text(en="AUROC", zh="AUROC"),
    GapFigure.SLOPE: Text(en="slope", zh="校準斜率"),
}
PURPOSES: Mapping[Purpose, Text] = {
    Purpose.CONFIRMATORY: Text(
        en="Confirmatory: intervals and p-values are corrected for all comparisons (Holm).",
        zh="驗證性比較:區間與 p 值均已就所有比較校正(Holm 法)。",
    ),
    Purpose.SCREENING: Text(
        en="Screening: p-values are corrected for all comparisons (Benjamini-Hochberg).",
        zh="篩檢性比較:p 值已就所有比較校正(Benjamini-Hochberg 法)。",
    ),
}
_CORRUPTIONS: Mapping[str, Text] = {
    "noise": Text(en="noise", zh="雜訊"),
    "blur": Text(en="blur", zh="模糊"),
    "contrast": Text(en="contrast", zh="對比"),
    "rotation": Text(en="rotation", zh="旋轉"),
    "down-sampling": Text(en="lower resolution", zh="解析度降低"),
    "window-shift": Text(en="shifted window", zh="窗位偏移"),
    "jpeg": Text(en="JPEG", zh="JPEG 壓縮"),
}
EXACTNESS: Mapping[str, Text] = {
    "exact": Text(
        en="Exact: equal to a run over all cases in one place.", zh="精確:等同於集中所有個案計算。"
    ),
    "exact-on-grid": Text(
        en="Exact on the grid: scores were rounded to 1/1000 at the hospitals; on these scores "
        "every figure equals that of all cases in one place.",
        zh="格點上精確:分數於院內即四捨五入至 1/1000;就此分數,各項數值等同於集中所有個案計算。",
    ),
    "bounded": Text(en="Bounded: the true figure lies between bounds.", zh="有界:真值介於界限內。"),
    "approximate": Text(en="Approximate.", zh="近似。"),
}
MASKED: Mapping[bool, Text] = {
    True: Text(
        en="Under masks: the centre saw the sum of the hospitals' counts, never one hospital's.",
        zh="以遮罩加總:中心僅見各院計數的總和,無法看到單一院所的計數。",
    ),
    False: Text(
        en="In the clear: the centre saw each hospital's counts.", zh="未遮罩:中心可見各院計數。"
    ),
}
PERSPECTIVES: Mapping[str, Text] = {
    "nhi": Text(en="National Health Insurance", zh="全民健康保險"),
    "societal": Text(en="society", zh="社會"),
}
_CORRECTIONS: Mapping[str, Text] = {
    "half-cycle": Text(en="half-cycle", zh="半週期校正"),
    "simpson": Text(en="Simpson's 1/3", zh="辛普森 1/3 法"),
    "none": Text(en="none", zh="無"),
    "start-of-cycle": Text(en="counted at the start of each cycle", zh="以週期起點計"),
    "end-of-cycle": Text(en="counted at the end of each cycle", zh="以週期終點計"),
}
DESIGNS: Mapping[str, Text] = {
    "individual-rct": Text(en="randomised trial", zh="個人隨機試驗"),
    "cluster-rct": Text(en="cluster-randomised trial", zh="群集隨機試驗"),
    "stepped-wedge": Text(en="stepped-wedge trial", zh="階梯楔形試驗"),
    "before-after": Text(en="before and after", zh="前後比較"),
    "interrupted-time-series": Text(en="interrupted time series", zh="中斷時間序列"),
    "matched-cohort": Text(en="matched cohort", zh="配對世代研究"),
    "reader-study": Text(en="reader study", zh="判讀研究"),
    "silent-accuracy": Text(en="accuracy in silent mode", zh="靜默模式準確度"),
}


@dataclass(frozen=True, slots=True)
class Statistic:
    """What a check of explanations is called, its axis, and what is right; `at` as a number."""

    title: Text
    axis: Text
    right: Text
    at: float | None = None


_STATISTICS: Mapping[str, Statistic] = {
    "completeness": Statistic(
        Text(en="Completeness gap", zh="完備性差距"),
        Text(en="|sum of attributions − change of the score|", zh="|歸因總和 − 分數變化|"),
        Text(en="near 0", zh="接近 0"),
        0.0,
    ),
    "randomisation": Statistic(
        Text(en="Likeness after random weights", zh="隨機權重後之相似度"),
        Text(en="rank correlation of both maps", zh="兩圖之等級相關"),
        Text(en="near 0", zh="接近 0"),
        0.0,
    ),
    "structure": Statistic(
        Text(en="Structural likeness after random weights", zh="隨機權重後之結構相似度"),
        Text(en="SSIM of both maps", zh="兩圖之 SSIM"),
        Text(en="well below 1", zh="明顯低於 1"),
        1.0,
    ),
    "deletion": Statistic(
        Text(en="Area under deletion", zh="刪除曲線下面積"),
        Text(
            en="area under the score, strongest pixels first", zh="由最強像素起刪除之分數曲線下面積"
        ),
        Text(en="low", zh="愈低愈好"),
    ),
    "deletion-gain": Statistic(
        Text(en="Gain over random deletion", zh="相對於隨機刪除之增益"),
        Text(en="random order minus the map's order", zh="隨機順序減歸因順序"),
        Text(en="above 0", zh="大於 0"),
        0.0,
    ),
}
_VARIABLES: Mapping[str, Text] = {
    "score": Text(en="score", zh="分數"),
    "age": Text(en="age", zh="年齡"),
    "age-band": Text(en="age", zh="年齡"),
    "sex": Text(en="sex", zh="性別"),
    "scanner": Text(en="scanner", zh="設備"),
    "site": Text(en="site", zh="院所"),
    "finding": Text(en="finding", zh="所見"),
}
_VALUES: Mapping[tuple[str, str], Text] = {
    ("sex", "F"): Text(en="female", zh="女"),
    ("sex", "M"): Text(en="male", zh="男"),
    ("sex", "O"): Text(en="other", zh="其他"),
    ("finding", "yes"): Text(en="present", zh="有"),
    ("finding", "no"): Text(en="absent", zh="無"),
    ("age-band", "under 18"): Text(en="under 18", zh="未滿 18 歲"),
    ("age-band", "18-39"): Text(en="18–39", zh="18–39 歲"),
    ("age-band", "40-59"): Text(en="40–59", zh="40–59 歲"),
    ("age-band", "60-74"): Text(en="60–74", zh="60–74 歲"),
    ("age-band", "75 and over"): Text(en="75 and over", zh="75 歲以上"),
}
_ANYWHERE: Mapping[str, Text] = {
    "unknown": Text(en="unknown", zh="不明"),
    "other": Text(en="other", zh="其他"),
}
_EVERYONE = Text(en="everyone", zh="全部個案")


def correction(name: str) -> Text:
    """Return what a within-cycle correction is called."""
    return _CORRECTIONS.get(name, named(name))


def corruption(name: str) -> Text:
    """Return what a corruption is called."""
    return _CORRUPTIONS.get(name, named(name))


def variable(name: str) -> Text:
    """Return a variable's name for people."""
    return _VARIABLES.get(name, named(name))


def value_named(family: str, value: str) -> Text:
    """Return the value of a slice for people, as it was given where it is not known."""
    return _VALUES.get((family, value)) or _ANYWHERE.get(value) or named(value)


def statistic(name: str) -> Statistic:
    """Return what a check of explanations is called and what is right."""
    plain = named(name)
    return _STATISTICS.get(name, Statistic(plain, plain, Text(en="–", zh="–")))


def slice_named(name: str) -> Text:
    """Return a slice's name for people: its family and value."""
    family, is_slice, value = name.partition("=")
    if name == EVERYONE:
        return _EVERYONE
    if not is_slice:
        return named(name)
    title, plain = variable(family), value_named(family, value)
    return Text(en=f"{title.en}: {plain.en}", zh=f"{title.zh}\uff1a{plain.zh}")
