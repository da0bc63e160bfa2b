"""TF795-TF799: witnesses of the evidence log, and the signatures of model weights."""

from federation.errors.base import PlatformError
from federation.wording import Text


class WitnessForkError(PlatformError):
    """A log asks a witness to sign what does not contain what the witness signed before."""

    code = "TF795"
    what = Text(
        en="The log {origin} was rewritten: its {given} entries do not contain the {kept} entries "
        "that this witness signed.",
        zh="紀錄 {origin} 已遭改寫:其 {given} 筆紀錄並不包含本見證者先前簽署的 {kept} 筆。",
    )
    next_step = Text(
        en="Nothing was signed. Both signed states are kept in witness.json: show them to the "
        "other witnesses and ask the centre.",
        zh="並未簽署。兩份簽署狀態均保存在 witness.json:請出示給其他見證者並詢問中心。",
    )


class WitnessRollbackError(PlatformError):
    """A log asks a witness to sign fewer entries than the witness signed before."""

    code = "TF796"
    what = Text(
        en="The log {origin} went back: it shows {given} entries, and this witness signed {kept}.",
        zh="紀錄 {origin} 倒退:目前顯示 {given} 筆,本見證者先前簽署 {kept} 筆。",
    )
    next_step = Text(
        en="Nothing was signed. Let the centre put its newest register back and ask again.",
        zh="並未簽署。請中心放回最新的登錄資料後再提出請求。",
    )


class CosignatureRefusedError(PlatformError):
    """A request for a co-signature, a co-signature or a witness's file cannot be used."""

    code = "TF797"
    what = Text(en="The co-signature was refused: {why}.", zh="共同簽章遭拒:{why}。")
    next_step = Text(
        en="Make a new request with `trifed registry witness request NAME`, let the witness sign "
        "it with `trifed registry witness sign`, and bring back what it wrote, unchanged.",
        zh="請以 `trifed registry witness request NAME` 產生新的請求,由見證者執行 "
        "`trifed registry witness sign` 簽署,並原封不動地交回其輸出。",
    )


class TooFewWitnessesError(PlatformError):
    """A signed state of the log has fewer witnesses than the reader demands."""

    code = "TF798"
    what = Text(
        en="{found} of the named witnesses signed this state of the log; {needed} are needed.",
        zh="指名的見證者中有 {found} 位簽署此紀錄狀態;需要 {needed} 位。",
    )
    next_step = Text(
        en="Ask the centre for an export whose log state the others have signed as well, or "
        "check the names and keys of the witnesses you gave.",
        zh="請向中心索取其他見證者也已簽署的匯出檔,或核對您提供的見證者名稱與金鑰。",
    )


class WeightsSignatureError(PlatformError):
    """The signature of a model's weights is missing or does not hold."""

    code = "TF799"
    what = Text(
        en="The signature of the model weights does not hold: {why}.",
        zh="模型權重的簽章不成立:{why}。",
    )
    next_step = Text(
        en="Use only the model file that the entry names, and let the centre sign it again where "
        "the file is right.",
        zh="僅可使用登錄項目所指的模型檔;若檔案無誤,請中心重新簽署。",
    )
