"""TF850-TF869: evaluations, their summaries, suppression and the policy of thresholds.

No message holds a count of cases that could be small, a score or a patient's value:
what is wrong is said by the name of the field, the slice or the rule.
"""

from federation.errors.base import PlatformError
from federation.errors.core import InvalidValueError
from federation.wording import Text


class ScoreInvalidError(InvalidValueError):
    """A model's score is not a number, or lies outside its grid."""

    code = "TF850"
    what = Text(
        en="{field} are {actual}: no figure can be computed from them.",
        zh="{field} 為 {actual}:無法據以計算任何指標。",
    )
    next_step = Text(
        en="Give {expected}; score the cases again with the registered model.",
        zh="請提供 {expected};並以已登錄的模型重新計分。",
    )


class EmptySliceError(PlatformError):
    """A slice of an evaluation has no case at all."""

    code = "TF851"
    what = Text(en="The slice {name} has no case.", zh="切片 {name} 沒有任何個案。")
    next_step = Text(
        en="Leave the slice out of the protocol, or widen its definition.",
        zh="請自計畫書移除此切片,或放寬其定義。",
    )


class AllTiedError(PlatformError):
    """Every case has the same score, or two readers never differ: nothing to compare."""

    code = "TF852"
    what = Text(
        en="All values are tied, so there is no {figure}.", zh="所有數值皆相同,無法計算 {figure}。"
    )
    next_step = Text(
        en="Check that the model answers each case by itself; a constant output is a fault.",
        zh="請確認模型逐案輸出;輸出固定不變即為故障。",
    )


class WeightsError(PlatformError):
    """Weights are negative, not finite, or sum to zero."""

    code = "TF853"
    what = Text(
        en="The weights of {name} cannot be used: {why}.", zh="{name} 的權重無法使用:{why}。"
    )
    next_step = Text(
        en="Check the propensity model: a treatment that somebody could never get has no weight.",
        zh="請檢查傾向分數模型:若有人完全不可能接受處置,便無法加權。",
    )


class SummaryInvalidError(InvalidValueError):
    """What a site sent is not the summary that was asked for."""

    code = "TF854"
    what = Text(
        en="{field} of a summary is {actual}, which is not allowed.",
        zh="彙總資料的 {field} 為 {actual},不被允許。",
    )
    next_step = Text(
        en="The site must send {expected}; update its software if it cannot.",
        zh="院所須傳送 {expected};若無法傳送,請更新其軟體。",
    )


class SummariesDifferError(PlatformError):
    """Two summaries do not speak of the same thing and cannot be added."""

    code = "TF855"
    what = Text(
        en="Two summaries cannot be added: they differ in {field}.",
        zh="兩份彙總資料無法相加:{field} 不一致。",
    )
    next_step = Text(
        en="Ask all sites with the same protocol, grid and coefficients.",
        zh="請以相同的計畫書、網格與係數向所有院所查詢。",
    )


class NotConvergedError(PlatformError):
    """A fit did not settle in the rounds it was given."""

    code = "TF856"
    what = Text(
        en="The fit of {model} did not settle in {rounds} rounds.",
        zh="{model} 的擬合在 {rounds} 輪內未收斂。",
    )
    next_step = Text(
        en="A covariate may tell the outcome apart completely: leave it out or join its groups.",
        zh="可能有變項可完全區分結果:請移除該變項或合併其組別。",
    )


class CollinearError(PlatformError):
    """Covariates repeat each other or do not vary, so they have no coefficients."""

    code = "TF857"
    what = Text(
        en="{model} has no unique solution: its covariates repeat each other or never vary.",
        zh="{model} 沒有唯一解:變項彼此重複或毫無變異。",
    )
    next_step = Text(
        en="Leave out a constant or repeated covariate.", zh="請移除固定不變或重複的變項。"
    )


class SumTooSmallError(PlatformError):
    """A sum over too few sites or cases would tell of one of them."""

    code = "TF858"
    what = Text(
        en="This sum is not taken: it needs {sites} sites and {cases} cases at every point.",
        zh="不進行此加總:每一點至少需要 {sites} 家院所與 {cases} 位個案。",
    )
    next_step = Text(
        en="Ask more sites, join groups, or end the follow-up earlier.",
        zh="請納入更多院所、合併組別,或提早結束追蹤期。",
    )


class TooFewEstimatesError(PlatformError):
    """Heterogeneity was asked of fewer than two estimates with a variance."""

    code = "TF860"
    what = Text(
        en="{found} sites have an estimate with a variance; {needed} are needed.",
        zh="僅有 {found} 家院所具備估計值與變異數;至少需要 {needed} 家。",
    )
    next_step = Text(
        en="Evaluate at more sites, or at sites with cases of both classes.",
        zh="請於更多院所,或兩類個案皆有的院所進行評估。",
    )


class NoBaselineError(PlatformError):
    """A relative degradation was asked of a model that is no better than chance."""

    code = "TF861"
    what = Text(
        en="There is nothing to lose: the model without corruption is no better than chance.",
        zh="無退化可言:模型在未受干擾時並不優於隨機。",
    )
    next_step = Text(
        en="Look at the discrimination first; robustness is judged afterwards.",
        zh="請先檢視鑑別力,再評估穩健性。",
    )


class PolicyInvalidError(PlatformError):
    """A policy of thresholds is not one."""

    code = "TF862"
    what = Text(en="The policy is not usable: {why}.", zh="此政策無法使用:{why}。")
    next_step = Text(
        en="Compare it with federation/evaluation/policy.toml, which is complete.",
        zh="請對照 federation/evaluation/policy.toml,其內容完整。",
    )


class NotBinaryError(PlatformError):
    """A label, an event or a treatment is neither yes nor no."""

    code = "TF863"
    what = Text(en="{name} must be 0 or 1 for every case.", zh="{name} 於每位個案皆須為 0 或 1。")
    next_step = Text(
        en="Leave out cases without it, as the protocol says, and code it 0 or 1.",
        zh="請依計畫書排除缺漏的個案,並編碼為 0 或 1。",
    )


class GroupsError(PlatformError):
    """A comparison names a group that is not there, or has only one group."""

    code = "TF864"
    what = Text(en="The groups cannot be compared: {why}.", zh="各組無法比較:{why}。")
    next_step = Text(
        en="Name two or more groups that have cases, one of them as the reference.",
        zh="請指定兩組以上有個案的組別,並以其中一組為參考組。",
    )


class OutOfRangeError(InvalidValueError):
    """A threshold, level or rate of an evaluation is outside what it may be."""

    code = "TF865"
    what = Text(
        en="{field} is {actual}, which is not allowed.", zh="{field} 為 {actual},不被允許。"
    )
    next_step = Text(en="Give {expected}.", zh="請填寫:{expected}。")


class CalibrationTooSmallError(PlatformError):
    """A conformal threshold was asked of too few calibration cases."""

    code = "TF866"
    what = Text(
        en="The calibration set is too small for a miss rate of {alpha}; it needs {needed} cases.",
        zh="校正集過小,無法達到 {alpha} 的漏失率;至少需要 {needed} 位個案。",
    )
    next_step = Text(
        en="Set aside more calibration cases, or allow a higher miss rate.",
        zh="請保留更多校正個案,或放寬漏失率。",
    )


class TableInvalidError(PlatformError):
    """A table to be published is empty, ragged or has a negative count."""

    code = "TF867"
    what = Text(en="This is not a table of counts: {why}.", zh="這不是次數表:{why}。")
    next_step = Text(
        en="Give one or two dimensions of whole counts with a name for each row and column.",
        zh="請提供一維或二維的整數次數表,且每列每欄皆有名稱。",
    )


class TimesInvalidError(PlatformError):
    """Times of a follow-up are negative, missing or not on the agreed grid."""

    code = "TF868"
    what = Text(en="The times of {name} cannot be used: {why}.", zh="{name} 的時間無法使用:{why}。")
    next_step = Text(
        en="Put each time on the protocol's grid first, rounding up.",
        zh="請先將每個時間無條件進位至計畫書的網格。",
    )
