"""TF84x: data cards, runs, evaluations, impact studies, dossiers, payment and lineage."""

from federation.errors.base import PlatformError
from federation.wording import Text


class DataGuardError(PlatformError):
    """A dataset card may not be used."""

    code = "TF840"
    what = Text(
        en="The data of {site} may not be used under this card: {why}.",
        zh="{site} 的資料不得依此資料卡使用:{why}。",
    )
    next_step = Text(
        en="Correct the card while it is a draft, then ask again.",
        zh="請於草稿狀態更正資料卡後再提出。",
    )


class RunDisagreesError(PlatformError):
    """The record of a training run is not what was signed of it."""

    code = "TF841"
    what = Text(
        en="The record of training run {run} does not hold at {field}: {why}.",
        zh="訓練執行 {run} 的紀錄在 {field} 不成立:{why}。",
    )
    next_step = Text(
        en="Write the record again from what the run left; do not correct it by hand.",
        zh="請依該次執行留下的資料重新產生紀錄,不要手動修改。",
    )


class EvaluationGuardError(PlatformError):
    """An evaluation was not planned, logged and done in this order, or lacks something."""

    code = "TF842"
    what = Text(
        en="The evaluation {evaluation} does not count: {why}.",
        zh="評估 {evaluation} 不予採計:{why}。",
    )
    next_step = Text(
        en="Add what is missing; where the order was broken, plan and log a new evaluation.",
        zh="請補齊缺漏;若順序不符,請重新擬定並登錄新的評估。",
    )


class BlindingError(PlatformError):
    """Somebody saw or wrote an outcome of a study before its plan was logged."""

    code = "TF843"
    what = Text(
        en="The blinding of study {study} was broken: {why}.",
        zh="研究 {study} 的盲性遭破壞:{why}。",
    )
    next_step = Text(
        en="The revisions stay. Stop the study with the reason, and plan a new one.",
        zh="紀錄將保留。請載明理由終止研究,並重新規劃。",
    )


class StudyGuardError(PlatformError):
    """An impact study lacks what its next state needs."""

    code = "TF844"
    what = Text(en="The study {study} lacks {missing}.", zh="研究 {study} 缺少{missing}。")
    next_step = Text(
        en="Write it into the record, then make the move again.", zh="請補入紀錄後再移轉。"
    )


class RequirementGapError(PlatformError):
    """A dossier does not show what a requirement asks for."""

    code = "TF845"
    what = Text(en="{requirement} is not met: {why}.", zh="{requirement} 未符合:{why}。")
    next_step = Text(en="{next_step}", zh="{next_step}")


class DossierGuardError(PlatformError):
    """A dossier, or a document in one, lacks what its next state needs."""

    code = "TF846"
    what = Text(
        en="The dossier or document {dossier} cannot be moved: {why}.",
        zh="文件 {dossier} 無法移轉:{why}。",
    )
    next_step = Text(
        en="Write what is missing into it, then make the move again.", zh="請補齊缺漏後再移轉。"
    )


class DossierChangedError(PlatformError):
    """A dossier was changed after it was signed."""

    code = "TF847"
    what = Text(
        en="The dossier {dossier} was changed since it was signed: {fields}.",
        zh="文件 {dossier} 簽署後已變更:{fields}。",
    )
    next_step = Text(
        en="Write it as it was signed, or open it again (C8) and have it signed anew.",
        zh="請回復為簽署時的內容,或重新開啟(C8)並再次簽署。",
    )


class PaymentGuardError(PlatformError):
    """A payment lacks what its next state needs."""

    code = "TF848"
    what = Text(
        en="The payment {payment} cannot be decided on: {why}.",
        zh="給付案 {payment} 無法作成決定:{why}。",
    )
    next_step = Text(
        en="Write what is missing into it, then make the move again.", zh="請補齊缺漏後再移轉。"
    )


class RulePackError(PlatformError):
    """A rule pack is not installed, or its file is not one."""

    code = "TF849"
    what = Text(
        en="The rule pack {pack} cannot be used: {why}.", zh="規則包 {pack} 無法使用:{why}。"
    )
    next_step = Text(
        en="Name an edition that `GET /v1/certification/packs` lists.",
        zh="請使用 `GET /v1/certification/packs` 所列的版本。",
    )
