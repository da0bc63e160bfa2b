"""TF63x-TF65x: the privacy book, the outbound gate and the audit log."""

from federation.errors.base import PlatformError
from federation.wording import Text


class BudgetExceededError(PlatformError):
    """A plan would cost more than the hospital allows."""

    code = "TF630"
    what = Text(
        en="This would bring the dataset's privacy loss to epsilon {after} at delta {delta}, "
        "but {allowed} is allowed.",
        zh="此計畫將使資料集的隱私損失達到 epsilon {after}(delta {delta}),但上限為 {allowed}。",
    )
    next_step = Text(
        en="Ask for fewer rounds, more noise or a smaller epsilon, or let the data officer raise "
        "the budget.",
        zh="請減少輪數、增加雜訊或降低 epsilon,或由資料官調高預算。",
    )


class LedgerChainBrokenError(PlatformError):
    """The book was changed or cut behind the platform's back."""

    code = "TF631"
    what = Text(
        en="The privacy book does not hold at entry {index}: {why}.",
        zh="隱私帳本在第 {index} 筆不成立:{why}。",
    )
    next_step = Text(
        en="Stop training on this dataset, restore the book from a backup and compare it with the "
        "centre's copy.",
        zh="請停止使用此資料集訓練,由備份還原帳本並與中心的副本比對。",
    )


class LedgerEntryRefusedError(PlatformError):
    """An entry may not follow what the book says of its key."""

    code = "TF632"
    what = Text(
        en="The book cannot write {wanted} for {key}: it says {current}.",
        zh="帳本無法為 {key} 寫入 {wanted}:目前狀態為 {current}。",
    )
    next_step = Text(
        en="Reserve a key once, then commit or void it once.",
        zh="每個鍵只能保留一次,之後只能確認或作廢一次。",
    )


class LedgerDamagedError(PlatformError):
    """The file of the privacy book cannot be read as one."""

    code = "TF633"
    what = Text(
        en="The file of the privacy book cannot be used: {why}.",
        zh="無法使用隱私帳本檔案:{why}。",
    )
    next_step = Text(
        en="Nothing is trained until the book is whole: restore it from a backup, then "
        "`trifed node ledger verify`.",
        zh="帳本恢復完整之前不會進行訓練:請由備份還原,再執行 `trifed node ledger verify`。",
    )


class LedgerRolledBackError(PlatformError):
    """The book is not a continuation of what was signed of it before."""

    code = "TF634"
    what = Text(
        en="The privacy book is not the one of which a head over {expected} entries was signed: "
        "it has {actual}, and they differ or some are gone.",
        zh="隱私帳本並非先前簽署過的帳本:當時共 {expected} 筆,"
        "現在為 {actual} 筆,內容不同或有缺漏。",
    )
    next_step = Text(
        en="Stop training, put the newest book back, and let the data officer compare it with the "
        "centre's copy: `trifed node ledger compare`.",
        zh="請停止訓練,放回最新的帳本,並由資料官與中心的副本比對:`trifed node ledger compare`。",
    )


class BooksDifferError(PlatformError):
    """Two privacy books do not say the same."""

    code = "TF635"
    what = Text(
        en="The two privacy books differ in {count} rounds: {listed}.",
        zh="兩份隱私帳本有 {count} 輪不一致:{listed}。",
    )
    next_step = Text(
        en="Stop the study until both sides agree; a round that only the centre knows means that "
        "the hospital's book is incomplete.",
        zh="請先停止研究,直到雙方一致;若某輪僅中心有紀錄,表示院方帳本不完整。",
    )


class BudgetChangeRefusedError(PlatformError):
    """A change of the budget is not what the data officer signed for this book."""

    code = "TF636"
    what = Text(en="The change of the budget was refused: {why}.", zh="預算變更遭拒:{why}。")
    next_step = Text(
        en="Let the data officer sign it again here: `trifed node ledger budget`.",
        zh="請由資料官在此重新簽署:`trifed node ledger budget`。",
    )


class LedgerBusyError(PlatformError):
    """Another process holds the book for too long."""

    code = "TF637"
    what = Text(
        en="The privacy book was busy for {seconds} seconds.",
        zh="隱私帳本持續忙碌 {seconds} 秒。",
    )
    next_step = Text(
        en="Nothing was spent. Look for a second node on the same home, then try again.",
        zh="未消耗任何預算。請確認沒有其他節點使用同一工作目錄,再試一次。",
    )


class LedgerClockError(PlatformError):
    """The clock says less than the book's newest entry."""

    code = "TF638"
    what = Text(
        en="The clock says {now}, but the privacy book was already written at {newest}.",
        zh="目前時鐘為 {now},但隱私帳本已有 {newest} 的紀錄。",
    )
    next_step = Text(
        en="Set the clock of this machine; a budget for a period needs the right date.",
        zh="請校正本機時鐘;以期間計算的預算需要正確日期。",
    )


class GateRefusedError(PlatformError):
    """The gate kept a reply inside the hospital."""

    code = "TF640"
    what = Text(
        en="The gate kept a reply inside the hospital: the rule {rule} does not hold.",
        zh="閘道將回覆留在院內:規則 {rule} 不成立。",
    )
    next_step = Text(
        en="Staff find the details in the node's audit log; nothing left and nothing was spent.",
        zh="工作人員可在節點稽核紀錄查閱細節;沒有資料離院,也沒有消耗預算。",
    )


class SmallGroupError(PlatformError):
    """A result rests on so few patients that it could be turned back into persons."""

    code = "TF641"
    what = Text(
        en="A result was kept inside: it rests on fewer than {threshold} patients of a group.",
        zh="結果留在院內:其中一組的病人少於 {threshold} 位。",
    )
    next_step = Text(
        en="Hold out more patients, or evaluate at more sites.",
        zh="請保留更多病人作評估,或在更多站點評估。",
    )


class AuditLogBrokenError(PlatformError):
    """The node's audit log was changed or cut in the middle."""

    code = "TF642"
    what = Text(
        en="The node's audit log does not hold at line {line}: {why}.",
        zh="節點稽核紀錄在第 {line} 行不成立:{why}。",
    )
    next_step = Text(
        en="Keep the file as it is, restore the log from a backup and find out who could write it.",
        zh="請保留該檔案原狀,由備份還原紀錄,並查明何人可寫入。",
    )


class AuditLogRolledBackError(PlatformError):
    """The audit log is not a continuation of what was signed of it before."""

    code = "TF643"
    what = Text(
        en="The node's audit log is not the one of which a head over {expected} lines was signed: "
        "it has {actual}.",
        zh="節點稽核紀錄並非先前簽署過的紀錄:當時共 {expected} 行,現在為 {actual} 行。",
    )
    next_step = Text(
        en="Put the newest log back; if there is none, report the loss to the centre.",
        zh="請放回最新的紀錄;若已遺失,請通報中心。",
    )


class KeptReplyDamagedError(PlatformError):
    """A reply kept for repeated requests cannot be given again."""

    code = "TF644"
    what = Text(
        en="The kept reply of round {round} of {run} is damaged, so it is not sent.",
        zh="{run} 第 {round} 輪保留的回覆已損壞,故不送出。",
    )
    next_step = Text(
        en="The round goes on without this hospital; a second answer would cost privacy twice.",
        zh="本輪將在沒有本院的情況下繼續;再次回答會重複消耗隱私預算。",
    )


class RoundAnsweredError(PlatformError):
    """A round was answered, and is asked again for something else."""

    code = "TF645"
    what = Text(
        en="Round {round} of {run} was answered already, with another model or in an ended run.",
        zh="{run} 第 {round} 輪已以其他模型回覆,或該次執行已結束。",
    )
    next_step = Text(
        en="Ask for the next round; one round of a run is answered once.",
        zh="請進行下一輪;每次執行的每一輪只回覆一次。",
    )


class RoundBusyError(PlatformError):
    """Another process of this node works on the same round."""

    code = "TF646"
    what = Text(
        en="Round {round} of {run} is being answered by another process of this node.",
        zh="{run} 第 {round} 輪正由本節點的另一程序處理。",
    )
    next_step = Text(
        en="Wait for it; the same request then gets the same reply.",
        zh="請等待其完成;相同要求將得到相同回覆。",
    )


class HeadsRefusedError(PlatformError):
    """A statement about the heads of book and log cannot be used."""

    code = "TF647"
    what = Text(
        en="The signed heads of the privacy book and the audit log cannot be used: {why}.",
        zh="無法使用隱私帳本與稽核紀錄的簽署摘要:{why}。",
    )
    next_step = Text(
        en="Use the newest heads that this node signed itself; the centre keeps them.",
        zh="請使用本節點自行簽署的最新摘要;中心保有副本。",
    )
