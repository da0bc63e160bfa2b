"""TF945-TF954: outcome studies over hospitals, from the table to the result.

`why` is a text in both languages, given by the caller. Lines of a hospital's table are named
by their number; no message holds a value, a name of a patient or a count that could be small.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class OutcomeTableError(PlatformError):
    """A table of outcomes cannot be taken as it is."""

    code = "TF945"
    what = Text(
        en="This table of outcomes cannot be taken: {why} (lines {lines}).",
        zh="無法接受此結果資料表:{why}(第 {lines} 列)。",
    )
    next_step = Text(
        en="Correct the table where it was made and add it again; nothing of it was kept.",
        zh="請於來源處修正資料表後重新加入;未保存任何內容。",
    )


class OutcomeTableMissingError(PlatformError):
    """There is no table of outcomes of this name here."""

    code = "TF946"
    what = Text(
        en="There is no readable table of outcomes named {table} here.",
        zh="此處沒有名為 {table} 的可讀取結果資料表。",
    )
    next_step = Text(
        en="Add it with `trifed node outcomes add FILE --study STUDY` before you approve.",
        zh="核准前請以 `trifed node outcomes add FILE --study STUDY` 加入。",
    )


class OutcomeStepError(PlatformError):
    """A step of an outcome study was asked that its protocol does not have, or not now."""

    code = "TF947"
    what = Text(
        en="This is not a step of the approved outcome study {study}: {why}.",
        zh="這不是已核准結果研究 {study} 的步驟:{why}。",
    )
    next_step = Text(
        en="Nothing was computed. Launch the study again as it was approved, or propose another.",
        zh="未進行任何計算。請依核准內容重新啟動研究,或另提研究。",
    )


class CoefficientsRefusedError(PlatformError):
    """A site was asked at coefficients at which it does not answer."""

    code = "TF948"
    what = Text(
        en="The coefficients of an outcome study were refused: {why}.",
        zh="已拒絕結果研究的係數:{why}。",
    )
    next_step = Text(
        en="Nothing was sent. Where the model fits badly, declare narrower bounds or fewer "
        "covariates in a new study; else ask the centre why it asked for these.",
        zh="沒有送出任何內容。若模型配適不佳,請於新研究中縮小變數範圍或減少共變數;"
        "否則請向中心查證提問原因。",
    )


class OutcomePlanError(PlatformError):
    """An outcome study cannot be planned as asked."""

    code = "TF949"
    what = Text(en="This outcome study cannot be planned: {why}.", zh="無法規劃此結果研究:{why}。")
    next_step = Text(
        en="Correct the plan; see docs/outcome-studies.md.",
        zh="請修正計畫;見 docs/outcome-studies.md。",
    )


class NotSettledError(PlatformError):
    """A fit's last step was larger than the protocol's tolerance."""

    code = "TF950"
    what = Text(
        en="{name} did not settle in {rounds} rounds: its last step was {step}, more than {most}.",
        zh="{name} 於 {rounds} 輪內未收斂:最後一步為 {step},大於 {most}。",
    )
    next_step = Text(
        en="Propose a new study with more `newton_rounds`; where steps grow instead of shrinking, "
        "a covariate separates the outcomes: leave it out or join its levels.",
        zh="請以較多的 `newton_rounds` 提出新研究;若步幅反而變大,表示有共變數完全區分結果:"
        "請移除該變數或合併其類別。",
    )


class FewInColumnError(PlatformError):
    """A group, level, arm or class of an analysis has too few patients."""

    code = "TF951"
    what = Text(
        en="{name} is not shown: {column} has fewer than {k} patients.",
        zh="{name} 不予顯示:{column} 的病人少於 {k} 位。",
    )
    next_step = Text(
        en="Join it with another level in a new study, or wait for more patients.",
        zh="請於新研究中與其他類別合併,或等待更多病人。",
    )


class WeightTooLargeError(PlatformError):
    """Somebody was all but certain to be in the other arm."""

    code = "TF952"
    what = Text(
        en="{name} is not shown: at a hospital a patient's weight is larger than {most}.",
        zh="{name} 不予顯示:有院所的病人權重大於 {most}。",
    )
    next_step = Text(
        en="The arms hardly overlap. Choose overlap weights or a narrower population in a new "
        "study; a larger `largest_weight` lets one patient decide the result.",
        zh="兩組重疊不足。請於新研究改用重疊權重或縮小族群;調高 `largest_weight` 會使單一病人"
        "左右結果。",
    )


class OutcomesMissingError(PlatformError):
    """There is no such outcome study, or it has no result yet."""

    code = "TF953"
    what = Text(
        en="There is no result of an outcome study {asked} here.",
        zh="此處沒有結果研究 {asked} 的結果。",
    )
    next_step = Text(
        en="List studies with `trifed study list`; run one with `trifed impact fit run PLAN`.",
        zh="以 `trifed study list` 列出研究;以 `trifed impact fit run PLAN` 執行。",
    )


class TableDoesNotFitError(PlatformError):
    """A kept table does not have what the approved protocol asks for."""

    code = "TF954"
    what = Text(
        en="The table of outcomes {table} does not fit the study: {why}.",
        zh="結果資料表 {table} 與研究不符:{why}。",
    )
    next_step = Text(
        en="Add the table again for this study: `trifed node outcomes add FILE --study STUDY`.",
        zh="請為此研究重新加入資料表:`trifed node outcomes add FILE --study STUDY`。",
    )
