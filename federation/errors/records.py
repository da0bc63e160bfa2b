"""TF929, TF96x: records made of what was summed or signed: results, proofs, runs, cards."""

from federation.errors.base import PlatformError
from federation.wording import Text


class StatementNotLoggedError(PlatformError):
    """A statement that a record names is not in the evidence log, or not by who must sign it."""

    code = "TF960"
    what = Text(
        en="The record names {digest} as a statement of kind {kind} by {signer}; the log does "
        "not have it so.",
        zh="紀錄將 {digest} 列為 {signer} 的 {kind} 聲明,但證據紀錄中並無如此內容。",
    )
    next_step = Text(
        en="Let the platform write the record from the run itself; do not type digests.",
        zh="請由平台依該次執行產生紀錄,勿手動填寫摘要。",
    )


class DisjointnessProofError(PlatformError):
    """A proof that nobody evaluated was trained on is not one of this evaluation."""

    code = "TF961"
    what = Text(
        en="The proof that evaluation {evaluation} is of patients not trained on does not hold: "
        "{why}.",
        zh="評估 {evaluation} 的病人未參與訓練之證明不成立:{why}。",
    )
    next_step = Text(
        en="Run the evaluation again: each hospital then signs which runs' patients it left out.",
        zh="請重新執行評估:各院將簽署其排除了哪些訓練的病人。",
    )


class RunRecordError(PlatformError):
    """The record of a training run cannot be made."""

    code = "TF962"
    what = Text(
        en="The record of training run {run} cannot be written: {why}.",
        zh="無法產生訓練執行 {run} 的紀錄:{why}。",
    )
    next_step = Text(
        en="Name a run that has ended and trained; `trifed study show STUDY` lists them.",
        zh="請指定已結束的訓練執行;`trifed study show STUDY` 會列出。",
    )


class CardWordsError(PlatformError):
    """What people typed for a dataset card is not understood."""

    code = "TF963"
    what = Text(
        en="The words for the dataset card in {file} cannot be used: {why}.",
        zh="{file} 中的資料卡說明無法使用:{why}。",
    )
    next_step = Text(
        en="Make the file anew with `trifed node card new STUDY` and fill in what is asked.",
        zh="請以 `trifed node card new STUDY` 重新產生檔案並填寫。",
    )


class CardDataError(PlatformError):
    """A dataset card would not be of the data that the study used, or would tell too much."""

    code = "TF964"
    what = Text(
        en="No dataset card of study {study} can be signed: {why}.",
        zh="無法簽署研究 {study} 的資料卡:{why}。",
    )
    next_step = Text(
        en="Sign the card when the study is approved, or soon after its run; the one that was "
        "signed before stands.",
        zh="請於核准研究時或執行後儘速簽署資料卡;先前簽署的資料卡仍然有效。",
    )


class CardNotSignedError(PlatformError):
    """A dataset card that came from a hospital is not signed by its node, or by another."""

    code = "TF965"
    what = Text(
        en="The dataset card of {site} for study {study} is not taken into the register: {why}.",
        zh="{site} 於研究 {study} 的資料卡未列入登錄:{why}。",
    )
    next_step = Text(
        en="Ask the hospital to sign it: `trifed node card sign`.",
        zh="請該院簽署:`trifed node card sign`。",
    )


class NotItsPlannerError(PlatformError):
    """Results are entered by whoever planned the records, and nobody else."""

    code = "TF929"
    what = Text(
        en="The records of {study} were planned by {planners}.",
        zh="{study} 的紀錄由 {planners} 規劃。",
    )
    next_step = Text(
        en="Let this person enter the results; nothing was written.",
        zh="請由該人員填入結果;未寫入任何內容。",
    )
