"""What the platform's analyses of impact studies are called in Chinese.

A method is one line, its parts joined by semicolons; what is not ours stays as it was written.
"""

import re
from collections.abc import Mapping

from federation.wording import Text
from registry.reports.layout import named

_ANALYSES: Mapping[str, str] = {
    "difference of means, Welch": "平均差,Welch 法",
    "difference of means given the baseline (ANCOVA)": "校正基線之平均差(ANCOVA)",
    "ratio of means, gamma with log link": "平均比,gamma 分布、對數連結",
    "OLS with period effects, cluster-robust (Kauermann-Carroll)": "含期間效應之最小平方法,"
    "群集穩健變異(Kauermann-Carroll)",
    "mixed model with period effects, REML": "含期間效應之混合模型(REML)",
    "segmented regression, Newey-West": "分段迴歸,Newey-West 變異",
    "level change": "水準變化",
    "difference of medians from grid counts (Price-Bonett)": "由格點計數之中位數差(Price-Bonett)",
    "difference in differences, cluster-robust (Kauermann-Carroll)": "雙重差分,"
    "群集穩健變異(Kauermann-Carroll)",
    "OLS given baseline and period, cluster-robust (Kauermann-Carroll)": "校正基線與期間之"
    "最小平方法,群集穩健變異(Kauermann-Carroll)",
    "difference of means, overlap weights of each hospital": "平均差,各院重疊權重",
    "random readers and cases": "判讀者與個案均為隨機",
    "these readers, random cases": "固定判讀者、隨機個案",
    "random readers, these cases": "隨機判讀者、固定個案",
}
_WITH_NUMBERS: Mapping[str, str] = {
    r"matched 1:1, caliper (\S+) SD": r"1:1 配對,卡尺 \1 SD",
    r"(\d+) imputations \(Rubin\)": r"\1 次插補(Rubin)",
}


def method_named(method: str) -> Text:
    """Return a method in both languages."""
    told = named(method)
    return Text(en=told.en, zh=";".join(_part(one) for one in told.zh.split("; ")))


def _part(part: str) -> str:
    for pattern, zh in _WITH_NUMBERS.items():
        if re.fullmatch(pattern, part):
            return re.sub(pattern, zh, part)
    return _ANALYSES.get(part, part)
