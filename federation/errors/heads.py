"""TF648-TF659: what hospital and centre keep of each other's records, and books that are lost."""

from federation.errors.base import PlatformError
from federation.wording import Text


class CentreLogForkedError(PlatformError):
    """The centre's log is not a continuation of the one this node was shown before."""

    code = "TF648"
    what = Text(
        en="The centre's log was rewritten: what it signed with {given} entries does not contain "
        "the {kept} entries that it signed for this node before.",
        zh="中心的紀錄已遭改寫:其簽署的 {given} 筆紀錄並不包含先前為本節點簽署的 {kept} 筆。",
    )
    next_step = Text(
        en="Nothing is answered now. Both signed states are kept in centre-heads.json: compare "
        "them with other hospitals and ask the centre.",
        zh="目前不回覆任何要求。兩份簽署狀態均在 centre-heads.json:請與其他醫院比對並詢問中心。",
    )


class CentreLogRolledBackError(PlatformError):
    """The centre's log is shorter than it was."""

    code = "TF649"
    what = Text(
        en="The centre's log went back: it has {given} entries, and had {kept}.",
        zh="中心的紀錄倒退:目前 {given} 筆,先前為 {kept} 筆。",
    )
    next_step = Text(
        en="Nothing is answered until the centre puts its newest register back.",
        zh="在中心放回最新的登錄資料之前,不回覆任何要求。",
    )


class CentreHeadRefusedError(PlatformError):
    """What the centre says of its log cannot be used."""

    code = "TF650"
    what = Text(
        en="What the centre says of its log cannot be used: {why}.",
        zh="無法使用中心對其紀錄的說明:{why}。",
    )
    next_step = Text(
        en="Ask the centre for a newer software or for its signed state; "
        "`trifed node ledger heads` shows what is kept here.",
        zh="請向中心要求較新的軟體或其簽署狀態;`trifed node ledger heads` 顯示此處保存的內容。",
    )


class NothingLostError(PlatformError):
    """A loss is to be accepted where nothing is lost."""

    code = "TF651"
    what = Text(
        en="Book and audit log continue what was signed of them: nothing is lost.",
        zh="帳本與稽核紀錄均延續先前簽署的內容:沒有遺失。",
    )
    next_step = Text(en="Do nothing; the node answers as before.", zh="無須處理;節點照常回覆。")


class LossNotAgreedError(PlatformError):
    """The hospital accepted a loss and the centre has not agreed yet."""

    code = "TF652"
    what = Text(
        en="The data officer accepted on {date} that book or audit log are lost; the centre has "
        "not agreed yet.",
        zh="資料官已於 {date} 接受帳本或稽核紀錄遺失;中心尚未同意。",
    )
    next_step = Text(
        en="Ask the centre for `trifed centre accept-loss SITE`; until then nothing is answered.",
        zh="請中心執行 `trifed centre accept-loss SITE`;在此之前不回覆任何要求。",
    )


class LossRefusedError(PlatformError):
    """A statement about a lost book, or the agreement to it, cannot be used."""

    code = "TF653"
    what = Text(
        en="The statement about the lost book or log was refused: {why}.",
        zh="關於帳本或紀錄遺失的聲明遭拒:{why}。",
    )
    next_step = Text(
        en="Let the data officer sign it anew here: `trifed node ledger accept-loss`.",
        zh="請資料官在此重新簽署:`trifed node ledger accept-loss`。",
    )


class ExportRefusedError(PlatformError):
    """An exported book is not signed by whom it must be."""

    code = "TF654"
    what = Text(
        en="The exported book cannot be believed: {why}.",
        zh="無法採信匯出的帳本:{why}。",
    )
    next_step = Text(
        en="Ask the other side to export it again and bring the file unchanged.",
        zh="請對方重新匯出,並原封不動地交付檔案。",
    )
