"""TF970-TF974: what keeps a centre and its register whole while they run."""

from federation.errors.base import PlatformError
from federation.wording import Text


class QuestionFailedError(PlatformError):
    """A supervised process could not even be asked whether it answers."""

    code = "TF970"
    what = Text(
        en="The process {name} could not be asked whether it answers ({why}); it is left alone.",
        zh="無法詢問行程 {name} 是否有回應({why});該行程維持不動。",
    )
    next_step = Text(
        en="Look at the machine: free disk, open files, and the rights of the home's run folder.",
        zh="請檢查主機:磁碟空間、開啟檔案數,以及工作目錄 run 資料夾的權限。",
    )


class RevokedUnloggedError(PlatformError):
    """A site was revoked, and what it had signed by then could not be logged in time."""

    code = "TF971"
    what = Text(
        en="{site} is revoked. What it had signed by then is not all in the evidence log ({why}).",
        zh="{site} 已撤銷,但其先前簽署的內容未能全部記入證據紀錄({why})。",
    )
    next_step = Text(
        en="The site is shut out. A run that it took part in and that is not registered yet may "
        "have to be run again without it.",
        zh="該院所已無法連線。其參與且尚未登錄的訓練,可能需要在不含該院所的情況下重新執行。",
    )


class KeyClaimRefusedError(PlatformError):
    """A person's key for signatures was not added to their account."""

    code = "TF972"
    what = Text(en="The key for signatures was not added: {why}.", zh="簽署用金鑰未登錄:{why}。")
    next_step = Text(
        en="On your own machine, with the right time, run `trifed registry key add` with a "
        "new key file.",
        zh="請在您自己的電腦上校正時間,以新的金鑰檔執行 `trifed registry key add`。",
    )
