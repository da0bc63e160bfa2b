"""TF470-TF479: replaying a run or a round, and what is missing for it."""

from federation.errors.base import PlatformError
from federation.wording import Text


class RunMissingError(PlatformError):
    """No run of that name is kept."""

    code = "TF470"
    what = Text(
        en="There is no run {run} here; known: {known}.",
        zh="此處沒有執行 {run};已知:{known}。",
    )
    next_step = Text(
        en="Give one of the known names; `trifed study show STUDY` lists them.",
        zh="請使用已知的名稱;`trifed study show STUDY` 會列出。",
    )


class ReplayDiffersError(PlatformError):
    """A replay did not give what was kept."""

    code = "TF471"
    what = Text(
        en="The replay of {run} differs first in round {round}: {thing}.",
        zh="{run} 的重播自第 {round} 輪起不同:{thing}。",
    )
    next_step = Text(
        en="Compare the environments: {changes}. Where they are the same, the kept records "
        "were changed: keep the home as it is and report it.",
        zh="請比對執行環境:{changes}。若環境相同,代表保存的紀錄遭變更:請保留現狀並通報。",
    )


class ReplayIncompleteError(PlatformError):
    """Something that the replay needs is no longer kept."""

    code = "TF472"
    what = Text(
        en="{run} cannot be replayed in full: in round {round}, {thing} is no longer kept.",
        zh="{run} 無法完整重播:第 {round} 輪的{thing}已不再保存。",
    )
    next_step = Text(
        en="Restore the artefact store from a backup and replay again; what is kept was "
        "compared and is the same.",
        zh="請由備份還原成品庫後再重播;仍保存的部分已比對且相同。",
    )


class RoundModelMissingError(PlatformError):
    """The node does not have the model that a round started from."""

    code = "TF473"
    what = Text(
        en="Round {round} of {run} started from a model that is not kept at a hospital.",
        zh="{run} 第 {round} 輪的起始模型未保存於醫院。",
    )
    next_step = Text(
        en="Ask the centre for it (`trifed study checkpoint {run} {before} --out FILE`) and give "
        "it with --model FILE.",
        zh="請向中心索取(`trifed study checkpoint {run} {before} --out FILE`),"
        "再以 --model FILE 提供。",
    )


class ModelFileRefusedError(PlatformError):
    """A file given as a round's model is not a model."""

    code = "TF474"
    what = Text(
        en="{file} holds no model that can be replayed with ({why}).",
        zh="{file} 不是可用於重播的模型({why})。",
    )
    next_step = Text(
        en="Give a file that `trifed study checkpoint` wrote.",
        zh="請提供 `trifed study checkpoint` 寫出的檔案。",
    )


class ReplyNotKeptError(PlatformError):
    """The node kept no reply of the round that is to be replayed."""

    code = "TF475"
    what = Text(
        en="This node keeps no reply to round {round} of {run}; kept: {known}.",
        zh="本節點未保存 {run} 第 {round} 輪的回覆;已保存:{known}。",
    )
    next_step = Text(
        en="Give a round that this hospital answered; replies are deleted when a study is over.",
        zh="請指定本院曾回覆的輪次;研究結束後回覆會被刪除。",
    )


class CheckpointNotKeptError(PlatformError):
    """The centre has no model of that round."""

    code = "TF476"
    what = Text(
        en="{run} keeps no model of round {round}; kept: {known}.",
        zh="{run} 未保存第 {round} 輪的模型;已保存:{known}。",
    )
    next_step = Text(
        en="Give a round that was done; 0 is the model before the first.",
        zh="請指定已完成的輪次;0 為第一輪之前的模型。",
    )


class UpdatesNotRecordedError(PlatformError):
    """The run is older than the keeping of updates."""

    code = "TF477"
    what = Text(
        en="{run} was recorded without its updates, so nothing of it can be computed again.",
        zh="{run} 未保存各院的更新,因此無法重新計算。",
    )
    next_step = Text(
        en="Replay a run that this version made; its registry entry can still be verified.",
        zh="請重播由此版本產生的執行;其登錄項目仍可驗證。",
    )


class NoiseNotKeptError(PlatformError):
    """A private round cannot be trained again to the same bits."""

    code = "TF478"
    what = Text(
        en="Round {round} of {run} was private: its noise and its choice of patients were never "
        "kept, so no training gives the same bits again.",
        zh="{run} 第 {round} 輪為差分隱私訓練:雜訊與抽樣的病人從未保存,無法重新得到相同的位元。",
    )
    next_step = Text(
        en="This is meant so. What left was compared with its signature, the gate's rules and the "
        "privacy book instead.",
        zh="此為刻意設計。已改為比對送出內容的簽章、閘門規則與隱私帳本。",
    )


class StudyReplacedError(PlatformError):
    """The study of a run is no longer kept as it was launched."""

    code = "TF479"
    what = Text(
        en="{run} was launched with another version of its study than the one kept now.",
        zh="{run} 啟動時的研究版本與目前保存的不同。",
    )
    next_step = Text(
        en="Submit the study as it was then to a copy of the home, and replay there.",
        zh="請在工作目錄的副本中提交當時的研究版本,再於該處重播。",
    )
