"""TF600-TF629: mechanisms, accountants and training."""

from federation.errors.base import PlatformError
from federation.wording import Text


class UnknownPrivacyEventError(PlatformError):
    """A book or report names an event this version cannot add up."""

    code = "TF600"
    what = Text(
        en="{kind} is not a privacy event this version knows ({known}).",
        zh="本版本不認識隱私事件 {kind}(已知:{known})。",
    )
    next_step = Text(
        en="Use the version of TriFed that wrote it; nothing is spent until every event is known.",
        zh="請使用寫入它的 TriFed 版本;在所有事件都可辨識之前,不會支用任何預算。",
    )


class InvalidPrivacyEventError(PlatformError):
    """A privacy event's number cannot be true."""

    code = "TF601"
    what = Text(
        en="The privacy event {kind} has {field} {actual}, which cannot be.",
        zh="隱私事件 {kind} 的 {field} 為 {actual},不可能成立。",
    )
    next_step = Text(en="Give {expected}.", zh="請填寫:{expected}。")


class PrivacyPlanUnreachableError(PlatformError):
    """No noise within reason keeps the plan inside its epsilon."""

    code = "TF602"
    what = Text(
        en="No noise multiplier up to {limit} keeps {steps} steps at sampling rate {rate} within "
        "epsilon {epsilon} at delta {delta}.",
        zh="在抽樣率 {rate}、{steps} 步之下,雜訊倍數即使達 {limit},仍無法使隱私損失維持在 "
        "epsilon {epsilon}(delta {delta})以內。",
    )
    next_step = Text(
        en="Plan fewer rounds or smaller batches, or ask for a larger epsilon.",
        zh="請減少輪數或批次大小,或申請較大的 epsilon。",
    )


class TrainingDivergedError(PlatformError):
    """A loss, gradient or weight stopped being a number."""

    code = "TF603"
    what = Text(
        en="Training stopped at step {step}: the {quantity} is not a finite number.",
        zh="訓練於第 {step} 步停止:{quantity} 不是有限的數值。",
    )
    next_step = Text(
        en="Lower the learning rate of the study, and check the cohort with `trifed node doctor`.",
        zh="請降低研究的學習率,並以 `trifed node doctor` 檢查資料。",
    )


class NetworkNotPrivateError(PlatformError):
    """A network has a layer through which one patient changes another's result."""

    code = "TF604"
    what = Text(
        en="This network cannot be trained patient by patient: {layers}.",
        zh="此網路無法逐一病人訓練:{layers}。",
    )
    next_step = Text(
        en="Use a recipe with GroupNorm or InstanceNorm without running statistics.",
        zh="請使用採 GroupNorm 或不含移動統計量之 InstanceNorm 的配方。",
    )


class SingleClassError(PlatformError):
    """An AUROC was asked of patients who all have the same label."""

    code = "TF605"
    what = Text(
        en="There is no AUROC here: {positives} patients with the finding, {negatives} without.",
        zh="此處無法計算 AUROC:有此發現的病人 {positives} 位,沒有的 {negatives} 位。",
    )
    next_step = Text(
        en="Nothing is wrong; a site with one class still takes part in training. "
        "Hold out more patients if both classes were expected.",
        zh="這不是故障;只有單一類別的院所仍可參與訓練。若預期兩類皆有,請保留更多病人作為測試。",
    )


class NoPatientsError(PlatformError):
    """Training or evaluation was asked on an empty cohort."""

    code = "TF606"
    what = Text(
        en="There are {patients} patients to work on, at least {needed} are needed.",
        zh="可用的病人為 {patients} 位,至少需要 {needed} 位。",
    )
    next_step = Text(
        en="Admit studies with `trifed node ingest`, or check the cohort of the study.",
        zh="請以 `trifed node ingest` 納入影像,或檢查研究的收案條件。",
    )


class UnknownOptimizerError(PlatformError):
    """A study names an optimiser the trainers do not have."""

    code = "TF607"
    what = Text(en="There is no optimizer {name}.", zh="沒有名為 {name} 的最佳化方法。")
    next_step = Text(en="Choose one of: {known}.", zh="請擇一使用:{known}。")


class InvalidTrainingPlanError(PlatformError):
    """A number of the local training cannot be used."""

    code = "TF608"
    what = Text(
        en="The local training has {field} {actual}, which cannot be.",
        zh="本地訓練的 {field} 為 {actual},不可使用。",
    )
    next_step = Text(en="Give {expected}.", zh="請填寫:{expected}。")


class CohortDoesNotFitError(PlatformError):
    """A cohort's images or labels are not what the network takes."""

    code = "TF609"
    what = Text(
        en="The cohort has {field} {actual}, but the network needs {expected}.",
        zh="資料的 {field} 為 {actual},但網路需要 {expected}。",
    )
    next_step = Text(
        en="Build the cohort again with the recipe of the study.",
        zh="請以研究的配方重新建立資料集。",
    )


class CentralReleaseRefusedError(PlatformError):
    """The centre's own mechanism cannot make the promise it was asked for."""

    code = "TF610"
    what = Text(
        en="The private mean over hospitals was not made: {why}.",
        zh="未產生跨院的隱私平均值:{why}。",
    )
    next_step = Text(
        en="Declare the hospitals and the largest weight before the round; nothing was released.",
        zh="請在該輪之前宣告參與醫院與最大權重;未釋出任何結果。",
    )
