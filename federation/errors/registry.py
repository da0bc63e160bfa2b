"""TF7xx: registry, evidence and signatures.

TF701-TF709 values, keys, envelopes    TF710-TF719 log, checkpoints, audit
TF720-TF733 model versions, service    TF734-TF739 records, moves, roles
TF740-TF741 bundles                    TF742-TF759 what holds a move back
"""

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


class RecordNotFoundError(PlatformError):
    """The register has no record of that noun and id, or not in that revision."""

    code = "TF734"
    what = Text(en="The register has no {noun} {id}.", zh="登錄系統中沒有 {noun} {id}。")
    next_step = Text(
        en="Check the id; list the records you may read.", zh="請核對編號,或列出您可查閱的紀錄。"
    )


class StaleRecordError(PlatformError):
    """A write named a revision that is no longer the newest."""

    code = "TF735"
    what = Text(
        en="{noun} {id} is at revision {current}, you saw {seen}; since then changed: {changed}.",
        zh="{noun} {id} 目前為第 {current} 版,您看到的是第 {seen} 版;其間變更:{changed}。",
    )
    next_step = Text(
        en="Read it again, and repeat your change on the newest revision.",
        zh="請重新讀取,並在最新版本上再次提出變更。",
    )


class RecordShapeError(PlatformError):
    """A record's content has fields that are missing, unknown or out of range."""

    code = "TF736"
    what = Text(
        en="The {noun} record is not valid: {problems}.", zh="{noun} 紀錄不符合規定:{problems}。"
    )
    next_step = Text(en="Correct every field named.", zh="請修正列出的每個欄位。")


class MoveNotListedError(PlatformError):
    """A move is not in the table for this state and this role."""

    code = "TF737"
    what = Text(
        en="A {noun} in state {state} cannot be moved by {move} in the role {role}.",
        zh="狀態為 {state} 的 {noun},角色 {role} 不得進行 {move}。",
    )
    next_step = Text(
        en="Look up who may make which move; nothing else is allowed.",
        zh="請查閱各角色可進行的移轉;未列出者一律不允許。",
    )


class SignatureRefusedError(PlatformError):
    """A signature does not count for the move it was given for."""

    code = "TF738"
    what = Text(
        en="The signature for {move} does not count: {why}.", zh="對 {move} 的簽署不予採計:{why}。"
    )
    next_step = Text(
        en="Have another person with the right role sign the newest revision.",
        zh="請由具備正確角色的另一人簽署最新版本。",
    )


class SeparationError(PlatformError):
    """One person or organisation would do what must be kept apart."""

    code = "TF739"
    what = Text(en="Acting as {role} is refused: {why}.", zh="不得以 {role} 的身分處理:{why}。")
    next_step = Text(
        en="Have another person do it, from the centre or organisation the role belongs to.",
        zh="請改由該角色所屬中心或機構的其他人員處理。",
    )


class ReasonMissingError(PlatformError):
    """A decision came without a reason."""

    code = "TF742"
    what = Text(en="{move} needs a reason in words.", zh="{move} 必須填寫理由。")
    next_step = Text(
        en="Write why, in one to 2,000 characters, naming no patient.",
        zh="請以 1 至 2,000 字說明理由,不得提及病人。",
    )


class AttributeMissingError(PlatformError):
    """One of the 31 source attributes is empty."""

    code = "TF743"
    what = Text(
        en="Source attribute {attribute} ({title}) is empty.",
        zh="透明性指標 {attribute}({title})尚未填寫。",
    )
    next_step = Text(
        en="Fill it in both languages, or write none with a reason.",
        zh="請以中英文填寫;若無,請填「無」並說明理由。",
    )


class AttributeNotLinkedError(PlatformError):
    """A quantitative source attribute is not a link to evaluations that are there."""

    code = "TF744"
    what = Text(
        en="Source attribute {attribute} ({title}) must name evaluation records: {why}.",
        zh="透明性指標 {attribute}({title})必須連結評估紀錄:{why}。",
    )
    next_step = Text(
        en="Register the evaluation first, then give its id; numbers are never typed.",
        zh="請先登錄評估紀錄,再填入其編號;數值不得手動輸入。",
    )


class ArtefactGuardError(PlatformError):
    """A version's files or signatures do not hold."""

    code = "TF745"
    what = Text(
        en="The version's files or signatures do not hold: {why}.",
        zh="此版本的檔案或簽章不成立:{why}。",
    )
    next_step = Text(
        en="Restore the files the record names; nothing moves until they verify.",
        zh="請還原紀錄所列的檔案;驗證通過前不得移轉狀態。",
    )


class MlBomError(PlatformError):
    """A version's bill of materials is missing or not valid."""

    code = "TF746"
    what = Text(en="The ML-BOM cannot be accepted: {why}.", zh="ML-BOM 無法接受:{why}。")
    next_step = Text(
        en="Give a CycloneDX 1.6 (or later) ML-BOM that names the model file's SHA-256.",
        zh="請提供 CycloneDX 1.6(或更新)的 ML-BOM,並列出模型檔的 SHA-256。",
    )


class UnsafeFormatError(PlatformError):
    """A version has a file whose format can run code when it is loaded."""

    code = "TF747"
    what = Text(
        en="Model file {number} is not safetensors: {why}.",
        zh="第 {number} 個模型檔不是 safetensors:{why}。",
    )
    next_step = Text(
        en="Convert the weights to safetensors; nothing else is registered.",
        zh="請將權重轉為 safetensors;其他格式一律不予登錄。",
    )


class ProtocolNotLoggedError(PlatformError):
    """An evaluation has no protocol that was logged before it ran."""

    code = "TF748"
    what = Text(
        en="No evaluation protocol for {entry} was logged before a run: {why}.",
        zh="{entry} 沒有在執行前登錄的評估方案:{why}。",
    )
    next_step = Text(
        en="Log the protocol's digest first; then run the evaluation.",
        zh="請先登錄評估方案的摘要,再執行評估。",
    )


class EvaluationMissingError(PlatformError):
    """An evaluation that a move needs is not registered."""

    code = "TF749"
    what = Text(
        en="The evaluation of {dimension} is missing or too old.",
        zh="缺少 {dimension} 的評估紀錄,或紀錄已過舊。",
    )
    next_step = Text(en="Register that evaluation, then try again.", zh="請登錄該項評估後再試。")


class TooFewSitesError(PlatformError):
    """Too few sites that were not trained on took part in the evaluation."""

    code = "TF750"
    what = Text(
        en="{found} sites outside training were evaluated; {needed} are needed.",
        zh="訓練以外的評估院所有 {found} 家;至少需要 {needed} 家。",
    )
    next_step = Text(
        en="Evaluate at further hospitals that did not train this model.",
        zh="請在未參與此模型訓練的其他醫院進行評估。",
    )


class DisjointnessMissingError(PlatformError):
    """It is not shown that test patients are none of the training patients."""

    code = "TF751"
    what = Text(
        en="Evaluation {evaluation} has no proof that its patients were not trained on.",
        zh="評估 {evaluation} 未附測試與訓練病人不重疊的證明。",
    )
    next_step = Text(
        en="Have the site run the disjointness check and register the evaluation again.",
        zh="請院端執行不重疊檢查,並重新登錄評估。",
    )


class ThresholdMissedError(PlatformError):
    """An evaluation missed its threshold and nobody accepted that in writing."""

    code = "TF752"
    what = Text(
        en="Evaluation {evaluation} ({dimension}) missed its threshold without acceptance.",
        zh="評估 {evaluation}({dimension})未達門檻,且無書面接受。",
    )
    next_step = Text(
        en="Improve the model, or record a written acceptance of this miss.",
        zh="請改善模型,或以書面記錄接受此項未達標。",
    )


class CardIncompleteError(PlatformError):
    """The card lacks something that approval or use depends on."""

    code = "TF753"
    what = Text(en="The card of {entry} lacks {missing}.", zh="{entry} 的登錄卡缺少 {missing}。")
    next_step = Text(
        en="Add it to the card while the version is a draft.", zh="請於草稿階段補入登錄卡。"
    )


class LocalUseError(PlatformError):
    """What a hospital must show before use on patients is not there."""

    code = "TF754"
    what = Text(en="Local use is held back: {why}.", zh="院內使用條件未成立:{why}。")
    next_step = Text(
        en="Complete it at the hospital and record it with the deployment.",
        zh="請於院內完成,並記錄於部署紀錄。",
    )


class SafetyGuardError(PlatformError):
    """Restricting, or returning from a suspension, lacks its ground."""

    code = "TF755"
    what = Text(en="The move lacks its ground: {why}.", zh="此移轉缺乏依據:{why}。")
    next_step = Text(
        en="Record the alert, the corrective action or the evaluation it rests on.",
        zh="請先登錄所依據的警示、矯正措施或評估。",
    )


class ChangePlanError(PlatformError):
    """A change is not covered by the approved change control plan."""

    code = "TF756"
    what = Text(
        en="The change is not covered by a change control plan: {why}.",
        zh="此變更不在預定變更控制計畫(PCCP)範圍內:{why}。",
    )
    next_step = Text(
        en="Take the full way: registration, evaluation and approval (T2 to T5).",
        zh="請改走完整程序:登錄、評估、核可(T2 至 T5)。",
    )


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


class PersonKeyError(PlatformError):
    """A person's own signature is by a key that may not sign this now."""

    code = "TF758"
    what = Text(
        en="The personal signature cannot be accepted: {why}.", zh="個人簽章無法接受:{why}。"
    )
    next_step = Text(
        en="Sign the newest revision with a key of yours that is valid today.",
        zh="請以您目前有效的金鑰簽署最新版本。",
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
