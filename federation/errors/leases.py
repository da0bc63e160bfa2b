"""TF46x: why a round went on without a site, and why a run pauses one.

None of them is a fault of what a site sent: nothing was received. The numbers in
them are seconds and rounds that the centre measured.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class SiteGoneError(PlatformError):
    """A site was disconnected for longer than a restart takes."""

    code = "TF460"
    what = Text(
        en="{site} was disconnected for {seconds} s; the round went on without it.",
        zh="{site} 已離線 {seconds} 秒;本回合不再等待該院。",
    )
    next_step = Text(
        en="Start `trifed node serve` at the site or mend its line; it is asked again in the "
        "next round.",
        zh="請在該院執行 `trifed node serve` 或修復連線;下一回合會再次邀請該院。",
    )


class SiteStalledError(PlatformError):
    """A site is connected, but nothing has moved for far longer than ever before."""

    code = "TF461"
    what = Text(
        en="{site} is connected, but neither bytes nor batches moved for {seconds} s.",
        zh="{site} 仍在線上,但已有 {seconds} 秒沒有任何資料傳輸或批次進度。",
    )
    next_step = Text(
        en="Ask the site's staff to read logs/executor.log on the node; it is asked again in "
        "the next round.",
        zh="請該院人員查看節點上的 logs/executor.log;下一回合會再次邀請該院。",
    )


class SiteStragglerError(PlatformError):
    """Enough sites have replied, and this one would need much longer than they did."""

    code = "TF462"
    what = Text(
        en="{site} would have needed {seconds} s more, while the slowest of the others took "
        "{slowest} s in all; the round went on without it.",
        zh="{site} 還需要 {seconds} 秒,而其他院所中最慢者總共只花 {slowest} 秒;"
        "本回合不再等待該院。",
    )
    next_step = Text(
        en="Nothing to do: it is asked again in the next round. If this happens every round, "
        "look at the site's line and load.",
        zh="無須處理:下一回合會再次邀請該院。若每回合都發生,請檢查該院的網路與負載。",
    )


class SitePausedError(PlatformError):
    """A site failed in three rounds in a row and is not asked any more in this run."""

    code = "TF463"
    what = Text(
        en="{site} failed in rounds {rounds} in a row ({codes}) and is paused in this run.",
        zh="{site} 在第 {rounds} 回合連續失敗({codes}),本次執行暫停邀請該院。",
    )
    next_step = Text(
        en="Mend what `trifed explain` says of these codes, then bring it back with "
        "`trifed study readmit STUDY {site}`.",
        zh="請依 `trifed explain` 對這些代碼的說明修復,再以 `trifed study readmit STUDY {site}` "
        "恢復該院。",
    )


class SiteKeepsRestartingError(PlatformError):
    """A site's processes started anew again and again while it worked on one round."""

    code = "TF464"
    what = Text(
        en="The node of {site} started anew {times} times in this round and never replied.",
        zh="{site} 的節點在本回合重新啟動了 {times} 次,始終沒有回覆。",
    )
    next_step = Text(
        en="Ask the site's staff to read logs/executor.log and logs/supernode.log on the node; "
        "often its memory is too small for the study.",
        zh="請該院人員查看節點上的 logs/executor.log 與 logs/supernode.log;"
        "常見原因是記憶體不足以執行此研究。",
    )
