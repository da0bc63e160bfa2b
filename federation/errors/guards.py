"""TF743-TF756: what holds a move of a model version back."""

from federation.errors.base import PlatformError
from federation.wording import Text


class AttributeMissingError(PlatformError):
    """One of the 31 source attributes is empty."""

    code = "TF743"
    what = Text(
        en="Source attribute {attribute} ({title}) is empty.",
        zh="透明性指標 {attribute}({title})尚未填寫。",
    )
    next_step = Text(
        en="Fill it in both languages, or write none with a reason.",
        zh="請以中英文填寫;若無,請填「無」並說明理由。",
    )


class AttributeNotLinkedError(PlatformError):
    """A quantitative source attribute is not a link to evaluations that are there."""

    code = "TF744"
    what = Text(
        en="Source attribute {attribute} ({title}) must name evaluation records: {why}.",
        zh="透明性指標 {attribute}({title})必須連結評估紀錄:{why}。",
    )
    next_step = Text(
        en="Register the evaluation first, then give its id; numbers are never typed.",
        zh="請先登錄評估紀錄,再填入其編號;數值不得手動輸入。",
    )


class ArtefactGuardError(PlatformError):
    """A version's files or signatures do not hold."""

    code = "TF745"
    what = Text(
        en="The version's files or signatures do not hold: {why}.",
        zh="此版本的檔案或簽章不成立:{why}。",
    )
    next_step = Text(
        en="Restore the files the record names; nothing moves until they verify.",
        zh="請還原紀錄所列的檔案;驗證通過前不得移轉狀態。",
    )


class MlBomError(PlatformError):
    """A version's bill of materials is missing or not valid."""

    code = "TF746"
    what = Text(en="The ML-BOM cannot be accepted: {why}.", zh="ML-BOM 無法接受:{why}。")
    next_step = Text(
        en="Give a CycloneDX 1.6 (or later) ML-BOM that names the model file's SHA-256.",
        zh="請提供 CycloneDX 1.6(或更新)的 ML-BOM,並列出模型檔的 SHA-256。",
    )


class UnsafeFormatError(PlatformError):
    """A version has a file whose format can run code when it is loaded."""

    code = "TF747"
    what = Text(
        en="Model file {number} is not safetensors: {why}.",
        zh="第 {number} 個模型檔不是 safetensors:{why}。",
    )
    next_step = Text(
        en="Convert the weights to safetensors; nothing else is registered.",
        zh="請將權重轉為 safetensors;其他格式一律不予登錄。",
    )


class ProtocolNotLoggedError(PlatformError):
    """An evaluation has no protocol that was logged before it ran."""

    code = "TF748"
    what = Text(
        en="No evaluation protocol for {entry} was logged before a run: {why}.",
        zh="{entry} 沒有在執行前登錄的評估方案:{why}。",
    )
    next_step = Text(
        en="Log the protocol's digest first; then run the evaluation.",
        zh="請先登錄評估方案的摘要,再執行評估。",
    )


class EvaluationMissingError(PlatformError):
    """An evaluation that a move needs is not registered."""

    code = "TF749"
    what = Text(
        en="The evaluation of {dimension} is missing or too old.",
        zh="缺少 {dimension} 的評估紀錄,或紀錄已過舊。",
    )
    next_step = Text(en="Register that evaluation, then try again.", zh="請登錄該項評估後再試。")


class TooFewSitesError(PlatformError):
    """Too few sites that were not trained on took part in the evaluation."""

    code = "TF750"
    what = Text(
        en="{found} sites outside training were evaluated; {needed} are needed.",
        zh="訓練以外的評估院所有 {found} 家;至少需要 {needed} 家。",
    )
    next_step = Text(
        en="Evaluate at further hospitals that did not train this model.",
        zh="請在未參與此模型訓練的其他醫院進行評估。",
    )


class DisjointnessMissingError(PlatformError):
    """It is not shown that test patients are none of the training patients."""

    code = "TF751"
    what = Text(
        en="Evaluation {evaluation} has no proof that its patients were not trained on.",
        zh="評估 {evaluation} 未附測試與訓練病人不重疊的證明。",
    )
    next_step = Text(
        en="Have the site run the disjointness check and register the evaluation again.",
        zh="請院端執行不重疊檢查,並重新登錄評估。",
    )


class ThresholdMissedError(PlatformError):
    """An evaluation missed its threshold and nobody accepted that in writing."""

    code = "TF752"
    what = Text(
        en="Evaluation {evaluation} ({dimension}) missed its threshold without acceptance.",
        zh="評估 {evaluation}({dimension})未達門檻,且無書面接受。",
    )
    next_step = Text(
        en="Improve the model, or record a written acceptance of this miss.",
        zh="請改善模型,或以書面記錄接受此項未達標。",
    )


class CardIncompleteError(PlatformError):
    """The card lacks something that approval or use depends on."""

    code = "TF753"
    what = Text(en="The card of {entry} lacks {missing}.", zh="{entry} 的登錄卡缺少 {missing}。")
    next_step = Text(
        en="Add it to the card while the version is a draft.", zh="請於草稿階段補入登錄卡。"
    )


class LocalUseError(PlatformError):
    """What a hospital must show before use on patients is not there."""

    code = "TF754"
    what = Text(en="Local use is held back: {why}.", zh="院內使用條件未成立:{why}。")
    next_step = Text(
        en="Complete it at the hospital and record it with the deployment.",
        zh="請於院內完成,並記錄於部署紀錄。",
    )


class SafetyGuardError(PlatformError):
    """Restricting, or returning from a suspension, lacks its ground."""

    code = "TF755"
    what = Text(en="The move lacks its ground: {why}.", zh="此移轉缺乏依據:{why}。")
    next_step = Text(
        en="Record the alert, the corrective action or the evaluation it rests on.",
        zh="請先登錄所依據的警示、矯正措施或評估。",
    )


class ChangePlanError(PlatformError):
    """A change is not covered by the approved change control plan."""

    code = "TF756"
    what = Text(
        en="The change is not covered by a change control plan: {why}.",
        zh="此變更不在預定變更控制計畫(PCCP)範圍內:{why}。",
    )
    next_step = Text(
        en="Take the full way: registration, evaluation and approval (T2 to T5).",
        zh="請改走完整程序:登錄、評估、核可(T2 至 T5)。",
    )
