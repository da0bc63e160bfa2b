"""What reports call things, in both languages."""

from collections.abc import Mapping

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
_VARIABLES: Mapping[str, Text] = {
    "score": Text(en="score", zh="分數"),
    "age": Text(en="age", zh="年齡"),
    "age-band": Text(en="age", zh="年齡"),
    "sex": Text(en="sex", zh="性別"),
    "scanner": Text(en="scanner", zh="設備"),
    "site": Text(en="site", zh="院所"),
}
_EVERYONE = Text(en="everyone", zh="全部個案")


def corruption(name: str) -> Text:
    """Return what a corruption is called."""
    return _CORRUPTIONS.get(name, named(name))


def variable(name: str) -> Text:
    """Return a variable's name for people."""
    return _VARIABLES.get(name, named(name))


def slice_named(name: str) -> Text:
    """Return a slice's name for people: its family and value."""
    family, is_slice, value = name.partition("=")
    if name == EVERYONE:
        return _EVERYONE
    if not is_slice:
        return named(name)
    title, plain = variable(family), named(value)
    return Text(en=f"{title.en}: {plain.en}", zh=f"{title.zh}:{plain.zh}")
