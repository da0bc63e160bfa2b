"""TF890-TF894: evaluations of registered versions at hospitals, from the protocol to the document.

What is wrong with the numbers themselves is in `evaluation`, with the sum in `secure_sum`.
No message holds anything of a patient or a count that could be small.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class DisjointnessError(PlatformError):
    """It cannot be shown which patients a version was trained on here."""

    code = "TF890"
    what = Text(
        en="This hospital took part in {run}, which trained {entry}, and its book of lineage "
        "does not know with whom: nobody can be scored as unseen.",
        zh="本院參與訓練 {entry} 的 {run},但血緣簿中查無當時的病人:無法確認任何病人未曾用於訓練。",
    )
    next_step = Text(
        en="Restore data/lineage.db from the backup, or evaluate this version at hospitals that "
        "did not train it.",
        zh="請自備份還原 data/lineage.db,或改於未參與訓練的醫院評估此版本。",
    )


class EvaluationStepError(PlatformError):
    """A step of an evaluation was asked that its protocol does not have, or not now."""

    code = "TF891"
    what = Text(
        en="This is not a step of the approved evaluation {study}: {why}.",
        zh="這不是已核准評估 {study} 的步驟:{why}。",
    )
    next_step = Text(
        en="Nothing was scored. Launch the study again from the plan that was approved; to "
        "evaluate another version, propose another study.",
        zh="未進行任何計分。請以已核准的計畫重新啟動;若要評估其他版本,請另提研究。",
    )


class ProtocolChangedError(PlatformError):
    """A protocol is not the one that was logged before the run."""

    code = "TF892"
    what = Text(
        en="The protocol of {study} is {found}; {logged} was logged before the run.",
        zh="{study} 的方案為 {found};執行前登錄者為 {logged}。",
    )
    next_step = Text(
        en="Use the plan as it was logged, or plan a new evaluation under another name.",
        zh="請使用已登錄的計畫,或以其他名稱另行規劃評估。",
    )


class EvaluationPlanError(PlatformError):
    """An evaluation cannot be planned as asked."""

    code = "TF893"
    what = Text(en="This evaluation cannot be planned: {why}.", zh="無法規劃此評估:{why}。")
    next_step = Text(
        en="Correct the plan; see docs/evaluate.md.", zh="請修正計畫;見 docs/evaluate.md。"
    )


class EvaluationMissingError(PlatformError):
    """There is no such evaluation, or it has no results yet."""

    code = "TF894"
    what = Text(en="There is no evaluation of {asked} here.", zh="此處沒有 {asked} 的評估。")
    next_step = Text(
        en="List studies with `trifed study list`; run one with `trifed evaluate run PLAN`.",
        zh="以 `trifed study list` 列出研究;以 `trifed evaluate run PLAN` 執行。",
    )
