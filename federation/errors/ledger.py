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


class UpdateNotFiniteError(PlatformError):
    """Training produced numbers that are not finite."""

    code = "TF641"
    what = Text(
        en="The update of round {round} holds values that are not finite.",
        zh="第 {round} 輪的更新含有非有限數值。",
    )
    next_step = Text(
        en="Lower the learning rate of the study and propose it again.",
        zh="請降低研究的學習率後重新提案。",
    )


class UpdateShapeError(PlatformError):
    """An update is not of the shape the recipe declares."""

    code = "TF642"
    what = Text(
        en="The array holds {actual} numbers, but the recipe declares {expected}.",
        zh="陣列有 {actual} 個數值,但配方宣告為 {expected} 個。",
    )
    next_step = Text(
        en="Check that the centre and the node run the same version and the same recipe.",
        zh="請確認中心與節點使用相同版本與相同配方。",
    )
