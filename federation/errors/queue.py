"""TF440-TF449: the queue of launched studies, the conductor and the Prefect server."""

from federation.errors.base import PlatformError
from federation.wording import Text


class StudyNotLaunchedError(PlatformError):
    """A wish names a study that was never put into the queue."""

    code = "TF440"
    what = Text(en="The study {study} has not been launched.", zh="研究 {study} 尚未啟動。")
    next_step = Text(
        en="Launch it with `trifed study launch {study}`; `trifed study list` shows all.",
        zh="請以 `trifed study launch {study}` 啟動;`trifed study list` 可列出全部研究。",
    )


class StudyOverError(PlatformError):
    """A wish comes after the launched study has ended."""

    code = "TF441"
    what = Text(en="The study {study} has already ended.", zh="研究 {study} 已經結束。")
    next_step = Text(
        en="Read its result with `trifed study watch {study}`, or launch it again.",
        zh="請以 `trifed study watch {study}` 查看結果,或再次啟動。",
    )


class CampaignBrokenError(PlatformError):
    """A study's process ended again and again without a result."""

    code = "TF442"
    what = Text(
        en="The process of study {study} ended {times} times in a row without a result "
        "(status {status}).",
        zh="研究 {study} 的程序連續 {times} 次結束而沒有結果(狀態 {status})。",
    )
    next_step = Text(
        en="Read {log} in the centre's logs folder; then launch the study again: it goes on "
        "where it was.",
        zh="請查看中心 logs 資料夾中的 {log};再次啟動研究後,會由中斷處繼續。",
    )


class CentreOptionError(PlatformError):
    """`[prefect]` or `[queue]` in `centre.toml` cannot be used."""

    code = "TF443"
    what = Text(
        en="The table [{table}] in centre.toml cannot be used: {why}.",
        zh="centre.toml 的 [{table}] 無法使用:{why}。",
    )
    next_step = Text(
        en="Correct the table as docs/queue.md says, or remove it for the defaults; then start "
        "the centre again.",
        zh="請依 docs/queue.md 修正該段,或刪除以使用預設值;再重新啟動中心。",
    )


class PrefectAwayError(PlatformError):
    """The Prefect server that runs the flows does not answer."""

    code = "TF444"
    what = Text(
        en="The Prefect server at {url} does not answer; studies wait for it.",
        zh="位於 {url} 的 Prefect 伺服器沒有回應;研究將等待其恢復。",
    )
    next_step = Text(
        en="Nothing while the centre starts. If it stays, read logs/prefect.log, or the outside "
        "server's own log.",
        zh="中心啟動期間無須處理。若持續發生,請查看 logs/prefect.log,或外部伺服器的紀錄。",
    )


class StudyTakenOutError(PlatformError):
    """A person stopped a launched study before its campaign began."""

    code = "TF445"
    what = Text(
        en="The study {study} was taken out of the queue by {actor} before it began ({reason}).",
        zh="研究 {study} 在開始前由 {actor} 移出佇列({reason})。",
    )
    next_step = Text(
        en="No hospital was asked for anything. Launch it again when it shall run.",
        zh="尚未向任何醫院提出要求。需要時請再次啟動。",
    )


class TurnGivenUpError(PlatformError):
    """A study was paused or stopped while it waited in line for its turn."""

    code = "TF446"
    what = Text(
        en="The study {study} left the line for its turn: somebody asked to {wish}.",
        zh="研究 {study} 已離開等候行列:有人要求 {wish}。",
    )
    next_step = Text(
        en="Nothing: the study does what was asked; `trifed study resume` brings it back.",
        zh="無須處理:研究會依要求執行;可用 `trifed study resume` 恢復。",
    )


class SiteNotInStudyError(PlatformError):
    """A site is named that takes no part in the study."""

    code = "TF447"
    what = Text(
        en="{site} is not a site of the study {study}.", zh="{site} 不是研究 {study} 的站點。"
    )
    next_step = Text(
        en="Its sites are: {sites}. Name one of them.", zh="其站點為:{sites}。請指定其中之一。"
    )
