"""TF63x-TF65x: the privacy book and the outbound gate."""

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
