"""TF70x and TF71x: what is signed (values, keys, envelopes), and the log that holds it."""

from federation.errors.base import PlatformError
from federation.wording import Text

_ASK_SENDER = Text(
    en="Do not rely on it; ask whoever sent it for a fresh copy.",
    zh="請勿採信;請向寄送者索取新的副本。",
)


class NotCanonicalError(PlatformError):
    """A value has no canonical JSON bytes, so it cannot be signed or hashed."""

    code = "TF701"
    what = Text(
        en="The value cannot be written as canonical JSON: {why}.",
        zh="此值無法寫成標準化 JSON:{why}。",
    )
    next_step = Text(
        en="Use text, lists, objects with unique text keys, and finite numbers below 2^53.",
        zh="請只使用文字、清單、鍵名不重複的物件,以及小於 2^53 的有限數值。",
    )


class KeyFileError(PlatformError):
    """A signing or public key file cannot be used."""

    code = "TF702"
    what = Text(
        en="The key file {name} cannot be used: {why}.", zh="金鑰檔 {name} 無法使用:{why}。"
    )
    next_step = Text(
        en="Give an Ed25519 key in PEM form; a private one must have mode 0600.",
        zh="請提供 PEM 格式的 Ed25519 金鑰;私鑰檔的權限必須是 0600。",
    )


class MalformedEnvelopeError(PlatformError):
    """A signed envelope or statement is not of the one form that is accepted."""

    code = "TF703"
    what = Text(en="The signed statement is malformed: {why}.", zh="簽署的聲明格式不正確:{why}。")
    next_step = _ASK_SENDER


class UnknownSignerError(PlatformError):
    """A statement was signed by a key nobody here trusts."""

    code = "TF704"
    what = Text(
        en="The statement is signed by a key that is not trusted here: {keyid}.",
        zh="此聲明由這裡不信任的金鑰簽署:{keyid}。",
    )
    next_step = Text(
        en="Compare the key's fingerprint with its owner; enrol the key if it is theirs.",
        zh="請與金鑰所有人核對指紋;確認無誤後再登錄該金鑰。",
    )


class BadSignatureError(PlatformError):
    """A signature does not fit the bytes it came with."""

    code = "TF705"
    what = Text(
        en="The signature of key {keyid} does not fit the content: something was changed.",
        zh="金鑰 {keyid} 的簽章與內容不符:內容已遭更動。",
    )
    next_step = _ASK_SENDER


class WrongPredicateError(PlatformError):
    """A correctly signed statement says something else than was expected."""

    code = "TF706"
    what = Text(
        en="The statement is about {actual}, not {expected}.",
        zh="此聲明的種類是 {actual},不是 {expected}。",
    )
    next_step = Text(en="Give the statement of the expected kind.", zh="請提供正確種類的聲明。")


class StatementTooLargeError(PlatformError):
    """A signed statement is larger than is ever read."""

    code = "TF707"
    what = Text(
        en="The statement has {actual} bytes; at most {limit} are read.",
        zh="此聲明有 {actual} 位元組;最多只讀取 {limit} 位元組。",
    )
    next_step = Text(
        en="Put large content into a file and sign its digest.",
        zh="請將大型內容存成檔案,只簽署其摘要。",
    )


class LogRangeError(PlatformError):
    """A proof was asked for a place the log does not have."""

    code = "TF710"
    what = Text(
        en="The log of {size} entries has no place {asked}.",
        zh="此紀錄共有 {size} 筆,沒有第 {asked} 個位置。",
    )
    next_step = Text(
        en="Ask for a place the log has; the first is 0.",
        zh="請指定紀錄中存在的位置;第一筆是 0。",
    )


class ProofError(PlatformError):
    """A Merkle proof does not lead to the root it should."""

    code = "TF711"
    what = Text(
        en="The {kind} proof does not lead to the signed root of the log.",
        zh="{kind} 證明無法導出紀錄的已簽署根雜湊。",
    )
    next_step = Text(
        en="Do not rely on the entry; fetch the proof again and tell the register's auditor.",
        zh="請勿採信此筆登錄;請重新取得證明,並通知登錄系統的稽核人員。",
    )


class CheckpointError(PlatformError):
    """A log checkpoint is not of the one form that is accepted."""

    code = "TF712"
    what = Text(
        en="The log checkpoint cannot be accepted: {why}.",
        zh="紀錄檢查點無法接受:{why}。",
    )
    next_step = Text(
        en="Fetch the checkpoint again; compare its origin and key with the register's.",
        zh="請重新取得檢查點,並核對其來源名稱與登錄系統的金鑰。",
    )


class LogTamperedError(PlatformError):
    """The stored log, records or audit trail are not what was once signed."""

    code = "TF713"
    what = Text(
        en="The stored {item} is not what was signed: {why}.",
        zh="已儲存的 {item} 與當初簽署的內容不符:{why}。",
    )
    next_step = Text(
        en="Stop writing, keep a copy of the database, and restore it from a verified backup.",
        zh="請停止寫入、保留資料庫副本,並由驗證過的備份還原。",
    )
