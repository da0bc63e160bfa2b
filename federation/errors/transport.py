"""TF418-TF427: what carries a round lost something; the round itself does not fail.

Told by the round driver. A site that has such a code did nothing wrong by it.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class KeptUpdateDamagedError(PlatformError):
    """An update that was accepted and kept is missing, or not what it was."""

    code = "TF418"
    what = Text(
        en="The kept update of {site} is missing or is not what was accepted.",
        zh="{site} 已保存的更新遺失,或與當時接受的內容不符。",
    )
    next_step = Text(
        en="The site is asked again and answers from its kept reply, at no cost. If this "
        "happens twice, check the disk of the centre.",
        zh="系統會再次詢問該院,由其保存的回覆作答,不另耗用額度。若再次發生,請檢查中心的磁碟。",
    )


class AskedInVainError(PlatformError):
    """A site lost the same task again and again."""

    code = "TF419"
    what = Text(
        en="{site} was asked {times} times in this round and lost the task each time.",
        zh="{site} 在本回合已被詢問 {times} 次,每次任務皆遺失。",
    )
    next_step = Text(
        en="Ask the site's staff to read logs/executor.log on the node; often its memory is "
        "too small for the model.",
        zh="請該院人員查看節點上的 logs/executor.log;常見原因是記憶體不足以容納模型。",
    )


class RoundStoppedError(PlatformError):
    """Somebody stopped the round before a site had answered."""

    code = "TF424"
    what = Text(
        en="The round was stopped before {site} had answered.",
        zh="{site} 回覆之前,本回合已被停止。",
    )
    next_step = Text(
        en="Nothing is wrong with the site; what it has spent on the round stays spent.",
        zh="該院並無問題;本回合已耗用的額度維持已耗用。",
    )


class ReplyCutShortError(PlatformError):
    """A reply began to arrive and never became whole."""

    code = "TF425"
    what = Text(
        en="A reply began to arrive and was cut short.",
        zh="有一份回覆開始傳送後中斷。",
    )
    next_step = Text(
        en="The site is asked again by itself; if it goes on, look at its line.",
        zh="系統會自動再次詢問該院;若持續發生,請檢查其網路連線。",
    )
