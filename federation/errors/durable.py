"""TF428-TF429, TF433-TF438: runs that go on where they were, and what ends them."""

from federation.errors.base import PlatformError
from federation.wording import Text


class RunTakenOverError(PlatformError):
    """Another process went on with the same run; this one may write no more."""

    code = "TF428"
    what = Text(
        en="The run of {study} is continued by another process.",
        zh="{study} 的執行已由另一個程序接手。",
    )
    next_step = Text(
        en="Nothing was written twice. Follow it with `trifed study watch {study}`.",
        zh="沒有重複寫入。請以 `trifed study watch {study}` 查看進度。",
    )


class RunOpenError(PlatformError):
    """A study that has an open run was asked to begin another one."""

    code = "TF429"
    what = Text(
        en="{study} has an open run, {run}; a study has one at a time.",
        zh="{study} 已有進行中的執行 {run};一個研究同時只能有一個。",
    )
    next_step = Text(
        en="Launch the study again: the open run goes on where it was.",
        zh="請再次啟動研究;進行中的執行會從原處繼續。",
    )


class StudyStoppedError(PlatformError):
    """A person asked for a study to stop, and it did after the round in flight."""

    code = "TF433"
    what = Text(
        en="{study} was stopped after {rounds} finished rounds.",
        zh="{study} 已在完成 {rounds} 回合後停止。",
    )
    next_step = Text(
        en="Everything of the finished rounds is kept. `trifed study launch {study}` begins a "
        "new run, which costs privacy again.",
        zh="已完成回合的所有資料都已保留。"
        "`trifed study launch {study}` 會開始新的執行,並再次花費隱私預算。",
    )


class RoundStoppedError(PlatformError):
    """A person asked for a study to stop at once, and its round was given up."""

    code = "TF434"
    what = Text(
        en="Round {round} of {study} was given up: somebody asked to stop at once.",
        zh="{study} 的第 {round} 回合已放棄:有人要求立即停止。",
    )
    next_step = Text(
        en="What hospitals had spent on it stays spent. `trifed study launch {study}` begins a "
        "new run, which costs privacy again.",
        zh="醫院在此回合已使用的預算不會退回。"
        "`trifed study launch {study}` 會開始新的執行,並再次花費隱私預算。",
    )


class ReplyChangedError(PlatformError):
    """A site answered a round again, and not with the bytes that were accepted."""

    code = "TF435"
    what = Text(
        en="{site} answered round {round} again, and differently.",
        zh="{site} 再次回覆第 {round} 回合,且內容不同。",
    )
    next_step = Text(
        en="The first answer counts. Ask the hospital whether its node was put back from a backup.",
        zh="以第一次的回覆為準。請向醫院確認其節點是否由備份還原。",
    )


class RunNotContinuableError(PlatformError):
    """What a run was begun with is not what is here now."""

    code = "TF436"
    what = Text(
        en="{run} cannot go on: its {thing} is not the one it was begun with.",
        zh="{run} 無法繼續:其{thing}與開始時不同。",
    )
    next_step = Text(
        en="Put it back, or stop the study and launch it again as a new run.",
        zh="請還原,或停止研究後以新的執行重新啟動。",
    )


class FlowLostError(PlatformError):
    """Prefect does not answer; the campaign ends and is started again."""

    code = "TF437"
    what = Text(
        en="Prefect was lost while {study} ran ({kind}).",
        zh="{study} 執行期間與 Prefect 失去連線({kind})。",
    )
    next_step = Text(
        en="Nothing is lost; the study goes on when Prefect answers again.",
        zh="沒有遺失任何資料;Prefect 恢復後研究會繼續。",
    )


class ProgramFaultError(PlatformError):
    """The centre's own code failed in a way that nobody foresaw."""

    code = "TF438"
    what = Text(
        en="The centre's own code failed while {study} ran ({kind}).",
        zh="{study} 執行期間,中心的程式發生未預期的錯誤({kind})。",
    )
    next_step = Text(
        en="Please report it with logs/campaign-{study}.log; it holds nothing of a patient.",
        zh="請附上 logs/campaign-{study}.log 回報;其中不含病人資料。",
    )


class FilesRefusedError(PlatformError):
    """The system does not let the centre write or open something that it must."""

    code = "TF439"
    what = Text(
        en="The centre's machine refuses to read or write ({condition}).",
        zh="中心主機拒絕讀取或寫入({condition})。",
    )
    next_step = Text(
        en="Look whether the centre's home can be written (mount, owner, limits); the study goes "
        "on by itself then.",
        zh="請檢查中心工作目錄是否可寫入(掛載、擁有者、限制);修正後研究會自動繼續。",
    )
