"""TF87x: why an economic model is not computed."""

from federation.errors.base import PlatformError
from federation.wording import Text


class PriceBaseError(PlatformError):
    """A cost stands in another currency or price year than the model."""

    code = "TF870"
    what = Text(
        en="{name} is given in {given}, the model counts in {wanted}.",
        zh="{name} 的幣別與年度為 {given},模型使用 {wanted}。",
    )
    next_step = Text(
        en="Convert it with a rate and a price index that you name, or change the model's base.",
        zh="請以註明來源的匯率與物價指數換算,或改變模型的基準。",
    )


class UtilityRangeError(PlatformError):
    """A health-state utility lies outside its value set."""

    code = "TF871"
    what = Text(
        en="The utility of {name} reaches {value}; the value set {value_set} goes from {low} to "
        "{high}.",
        zh="{name} 的效用值為 {value};價值集 {value_set} 的範圍為 {low} 至 {high}。",
    )
    next_step = Text(
        en="Correct the utility or its distribution, or name the value set that it comes from.",
        zh="請更正效用值或其分布,或註明其所屬的價值集。",
    )


class TransitionRowError(PlatformError):
    """A row of transition probabilities is no distribution."""

    code = "TF872"
    what = Text(
        en="The transitions from {state} are no probabilities: {why}.",
        zh="由 {state} 出發的轉移機率不成立:{why}。",
    )
    next_step = Text(
        en="Each must lie between 0 and 1 and a row must sum to 1; give staying as the rest.",
        zh="每一機率須介於 0 與 1,且每列總和為 1;請將停留機率設為餘數。",
    )


class ModelValueError(PlatformError):
    """A number of an economic model cannot be used."""

    code = "TF873"
    what = Text(
        en="{name} is {actual}; {expected} is needed.", zh="{name} 為 {actual};應為 {expected}。"
    )
    next_step = Text(
        en="Correct the number in the model file; nothing was computed.",
        zh="請更正模型檔中的數值;尚未進行任何計算。",
    )


class ModelFileError(PlatformError):
    """A model file cannot be read as an economic model."""

    code = "TF874"
    what = Text(en="The model file cannot be used: {why}.", zh="無法使用模型檔:{why}。")
    next_step = Text(
        en="Compare it with the one that `trifed impact new` writes.",
        zh="請與 `trifed impact new` 產生的範例比對。",
    )


class AccuracyMissingError(PlatformError):
    """A model takes sensitivity or specificity from an evaluation that does not give it."""

    code = "TF875"
    what = Text(
        en="{name} refers to evaluation {evaluation}, which has no count of {counts}.",
        zh="{name} 引用的評估 {evaluation} 沒有 {counts} 的計數。",
    )
    next_step = Text(
        en="Refer to an operating-point evaluation of this version; typed numbers are refused.",
        zh="請引用此版本之操作點評估;不接受手動輸入的數值。",
    )
