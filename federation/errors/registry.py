"""TF72x, TF73x, TF74x, TF757 and TF759: model versions, the register's service, bundles, cards."""

from federation.errors.base import PlatformError
from federation.wording import Text

_ASK_SENDER = Text(
    en="Do not rely on it; ask whoever sent it for a fresh copy.",
    zh="請勿採信;請向寄送者索取新的副本。",
)


class RecordInvalidError(PlatformError):
    """A model version record has fields that are missing, unknown or out of range."""

    code = "TF720"
    what = Text(
        en="The model version record is not valid: {problems}.",
        zh="模型版本紀錄不符合規定:{problems}。",
    )
    next_step = Text(
        en="Correct every field named; docs/registry-record.md explains each.",
        zh="請修正列出的每個欄位;各欄位說明見 docs/registry-record.md。",
    )


class SmallCountError(PlatformError):
    """A count is so small that it could point at a patient."""

    code = "TF721"
    what = Text(
        en="{field} is between 1 and {highest}, too small to be registered.",
        zh="{field} 介於 1 與 {highest} 之間,人數過少,不得登錄。",
    )
    next_step = Text(
        en="Suppress it (null) or leave the estimate out at the site, before it is sent.",
        zh="請在院端送出前將其隱匿(null),或略去該項估計值。",
    )


class RecordInconsistentError(PlatformError):
    """Two parts of a record contradict each other."""

    code = "TF722"
    what = Text(
        en="The record contradicts itself at {field}: {why}.",
        zh="紀錄在 {field} 前後不一致:{why}。",
    )
    next_step = Text(
        en="Build the record again from the run; do not correct it by hand.",
        zh="請由訓練執行結果重新產生紀錄,不要手動修改。",
    )


class ArtefactError(PlatformError):
    """The model file is missing or not the one the record names."""

    code = "TF723"
    what = Text(
        en="The model file {path} cannot be registered: {why}.",
        zh="模型檔 {path} 無法登錄:{why}。",
    )
    next_step = Text(
        en="Put the file the run wrote back into the artefact store and try again.",
        zh="請將該次訓練寫出的檔案放回成品庫後再試一次。",
    )


class StatementOfAnotherError(PlatformError):
    """A correctly signed statement belongs to another site, study or run."""

    code = "TF724"
    what = Text(
        en="Statement {number} ({kind}) is not about study {study} and run {run}.",
        zh="第 {number} 份聲明({kind})並非針對研究 {study} 與執行 {run}。",
    )
    next_step = Text(
        en="Hand in only statements made for this study and this run.",
        zh="請只提交為此研究與此次執行所作的聲明。",
    )


class RunRegisteredError(PlatformError):
    """A run already has another record."""

    code = "TF725"
    what = Text(
        en="Run {run} is already registered as {entry}, with other content.",
        zh="執行 {run} 已登錄為 {entry},但內容不同。",
    )
    next_step = Text(
        en="Records never change; to correct it, hand in the new one with supersedes={entry}.",
        zh="紀錄不可更改;若需更正,請以 supersedes={entry} 提交新紀錄。",
    )


class EntryNotFoundError(PlatformError):
    """The registry has no entry of that name."""

    code = "TF726"
    what = Text(en="The register has no entry {asked}.", zh="登錄系統中沒有 {asked} 這筆登錄。")
    next_step = Text(
        en="List the entries with `trifed registry list`; ids end in a check digit.",
        zh="請以 `trifed registry list` 列出所有登錄;編號末碼為檢查碼。",
    )


class BusyRegisterError(PlatformError):
    """Other writers were always faster."""

    code = "TF727"
    what = Text(
        en="The register was busy; nothing was written after {tries} attempts.",
        zh="登錄系統忙碌中;嘗試 {tries} 次後仍未寫入。",
    )
    next_step = Text(en="Try again in a minute.", zh="請於一分鐘後再試。")


class RegisterDatabaseError(PlatformError):
    """The register's database cannot be read or written."""

    code = "TF728"
    what = Text(
        en="The register's database cannot be used: {why}.",
        zh="登錄系統的資料庫無法使用:{why}。",
    )
    next_step = Text(
        en="Check the disk and the file's permissions; restore a backup if it is damaged.",
        zh="請檢查磁碟空間與檔案權限;若檔案損毀,請由備份還原。",
    )


class NotAllowedError(PlatformError):
    """A request came without the right to what it asked for."""

    code = "TF730"
    what = Text(
        en="This request needs a service token that it does not have.",
        zh="此請求需要服務權杖,但未提供有效的權杖。",
    )
    next_step = Text(
        en="Send the header `Authorization: Bearer …` with the centre's token.",
        zh="請在標頭 `Authorization: Bearer …` 附上中心的權杖。",
    )


class RequestTooLargeError(PlatformError):
    """A request body is larger than is ever read."""

    code = "TF731"
    what = Text(en="The request body is over {limit} bytes.", zh="請求內容超過 {limit} 位元組。")
    next_step = Text(
        en="Send less; files belong in the artefact store.", zh="請縮小內容;檔案應放入成品庫。"
    )


class RequestInvalidError(PlatformError):
    """A request is not one the service knows, or its parameters are wrong."""

    code = "TF732"
    what = Text(en="The service cannot do what was asked: {why}.", zh="服務無法處理此請求:{why}。")
    next_step = Text(
        en="Look the request up in /v1/openapi.json.", zh="請查閱 /v1/openapi.json 的說明。"
    )


class RegistryAnswerError(PlatformError):
    """The registry cannot be reached or answers what cannot be understood."""

    code = "TF733"
    what = Text(
        en="The register at {address} gave no usable answer: {why}.",
        zh="位於 {address} 的登錄系統沒有給出可用的回應:{why}。",
    )
    next_step = Text(
        en="Check the address and that the service runs the same version.",
        zh="請檢查位址,並確認服務的版本相同。",
    )


class BundleUnreadableError(PlatformError):
    """A file cannot be written or read as an evidence bundle at all."""

    code = "TF740"
    what = Text(en="The bundle {name} cannot be used: {why}.", zh="證據包 {name} 無法使用:{why}。")
    next_step = Text(
        en="Check the path, or export the entry again.", zh="請檢查路徑,或重新匯出該筆登錄。"
    )


class BundleItemError(PlatformError):
    """One item of a bundle does not hold."""

    code = "TF741"
    what = Text(
        en="{item} in the bundle does not hold: {why}.", zh="證據包中的 {item} 不成立:{why}。"
    )
    next_step = _ASK_SENDER


class SchemaVersionError(PlatformError):
    """The register's tables are of another version than this program knows."""

    code = "TF757"
    what = Text(
        en="The register's tables are at version {found}, unknown to this program ({known}).",
        zh="登錄系統的資料表版本為 {found},本程式僅支援至 {known}。",
    )
    next_step = Text(
        en="Run the newest version of the program; tables are never moved back.",
        zh="請改用最新版本的程式;資料表不會降版。",
    )


class CardFileError(PlatformError):
    """A card file cannot be read or does not belong to the entry."""

    code = "TF759"
    what = Text(
        en="The card file {name} cannot be used: {why}.", zh="登錄卡檔 {name} 無法使用:{why}。"
    )
    next_step = Text(
        en="Make a fresh one with `trifed registry card new` and fill it in.",
        zh="請以 `trifed registry card new` 重新產生並填寫。",
    )
