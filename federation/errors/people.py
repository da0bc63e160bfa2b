"""TF56x, TF57x: pseudonym keys, those who opted out, which versions saw a person."""

from federation.errors.base import PlatformError
from federation.wording import Text


class OptOutSourceError(PlatformError):
    """A source of the opt-out register cannot be read."""

    code = "TF560"
    what = Text(
        en="The opt-out source cannot be used: {why}.",
        zh="退出來源無法使用:{why}。",
    )
    next_step = Text(
        en=(
            "Give a CSV or text list, a signed list, or FHIR Consent resources, within the size "
            "limit; the register is unchanged."
        ),
        zh="請提供 CSV 或文字名單、已簽署名單或 FHIR Consent 資源,且不超過大小上限;登記冊未變更。",
    )


class OptOutSignatureError(PlatformError):
    """A signed opt-out list cannot be believed."""

    code = "TF561"
    what = Text(
        en="The signed opt-out list is not accepted: {why}.",
        zh="不接受此份已簽署的退出名單:{why}。",
    )
    next_step = Text(
        en="Get the list again from its issuer, and check the issuer's public key in optout.toml.",
        zh="請向發行機關重新取得名單,並檢查 optout.toml 內的發行者公鑰。",
    )


class OptOutSerialError(PlatformError):
    """A signed list is older than one that was accepted."""

    code = "TF562"
    what = Text(
        en=(
            "The signed opt-out list has serial number {serial}, and number {accepted} of this "
            "issuer was accepted before."
        ),
        zh="此份退出名單的序號為 {serial},但先前已接受同一發行者的序號 {accepted}。",
    )
    next_step = Text(
        en="Import the issuer's newest list.",
        zh="請匯入發行者最新的名單。",
    )


class OptOutFetchError(PlatformError):
    """The opt-out list could not be fetched."""

    code = "TF563"
    what = Text(
        en="The opt-out list could not be fetched: {why}. The last good version stays in force.",
        zh="無法取得退出名單:{why}。仍沿用最後一個有效版本。",
    )
    next_step = Text(
        en=(
            "Check the address, the token file and the certificate in optout.toml, then run "
            "`trifed node optout fetch` again."
        ),
        zh="請檢查 optout.toml 的網址、權杖檔與憑證,再執行 `trifed node optout fetch`。",
    )


class OptOutStaleError(PlatformError):
    """The opt-out register is older than the hospital allows."""

    code = "TF564"
    what = Text(
        en="The opt-out register was last confirmed more than {hours} hours ago.",
        zh="退出登記冊已超過 {hours} 小時未確認。",
    )
    next_step = Text(
        en="Run `trifed node optout fetch`; nobody is trained on until it is known who opted out.",
        zh="請執行 `trifed node optout fetch`;在確知誰退出之前不會進行訓練。",
    )


class OptOutRulesError(PlatformError):
    """The hospital's opt-out settings are not understood."""

    code = "TF565"
    what = Text(
        en="optout.toml is not understood: {problems}.",
        zh="無法理解 optout.toml:{problems}。",
    )
    next_step = Text(
        en="Correct the file; `trifed node optout template` prints one with every key.",
        zh="請修正此檔;`trifed node optout template` 會印出含所有項目的範本。",
    )


class ConsentUnclearError(PlatformError):
    """Consents that name no patient who can be found."""

    code = "TF566"
    what = Text(
        en="{count} Consent resources that deny the use do not say whose they are.",
        zh="有 {count} 份拒絕使用的 Consent 未能指出屬於哪位病人。",
    )
    next_step = Text(
        en=(
            "Export the Consents with their Patients in one Bundle, or with patient.identifier; "
            "the register is unchanged."
        ),
        zh=(
            "請將 Consent 與其 Patient 一併匯出於同一 Bundl"
            "e,或填寫 patient.identifier;登記冊未變更。"
        ),
    )


class RotationUnfinishedError(PlatformError):
    """A key rotation was interrupted while it was switching."""

    code = "TF567"
    what = Text(
        en="A rotation of the pseudonym keys was interrupted half-way.",
        zh="假名金鑰輪替於切換途中中斷。",
    )
    next_step = Text(
        en="Run `trifed node keys rotate` again; it goes on where it stopped.",
        zh="請再次執行 `trifed node keys rotate`,會由中斷處繼續。",
    )


class RotationRefusedError(PlatformError):
    """A key rotation is not possible now."""

    code = "TF568"
    what = Text(
        en="The pseudonym keys cannot be rotated now: {why}.",
        zh="目前無法輪替假名金鑰:{why}。",
    )
    next_step = Text(
        en=(
            "End what is named first: withdraw or finish the study, or wait for the intake, then "
            "rotate again."
        ),
        zh="請先結束所述事項:撤回或完成研究,或等待收錄結束,再行輪替。",
    )


class KeyUnknownError(PlatformError):
    """No pseudonym key has that name."""

    code = "TF569"
    what = Text(
        en="There is no pseudonym key of that name here.",
        zh="此處沒有該名稱的假名金鑰。",
    )
    next_step = Text(
        en="List the keys with `trifed node keys list`.",
        zh="請以 `trifed node keys list` 列出金鑰。",
    )


class LineageError(PlatformError):
    """The book of which rounds saw whom cannot be used."""

    code = "TF570"
    what = Text(
        en="The lineage book cannot be used: {why}.",
        zh="無法使用歷程帳本:{why}。",
    )
    next_step = Text(
        en=(
            "Restore data/lineage.db from the hospital's backup or free disk space; no round "
            "trains without it."
        ),
        zh="請由院內備份還原 data/lineage.db 或釋出磁碟空間;缺少它時不會訓練。",
    )


class PeopleFileError(PlatformError):
    """The list of persons who may ask or approve is not understood."""

    code = "TF571"
    what = Text(
        en="people.toml is not understood: {problems}.",
        zh="無法理解 people.toml:{problems}。",
    )
    next_step = Text(
        en=(
            "List at least two persons with name and public key; `trifed node keys "
            "people-template` prints an example."
        ),
        zh="請列出至少兩位人員及其公鑰;`trifed node keys people-template` 會印出範例。",
    )


class RevealRefusedError(PlatformError):
    """A request to resolve a pseudonym is refused."""

    code = "TF572"
    what = Text(
        en="The pseudonym is not resolved: {why}.",
        zh="不予解析此假名:{why}。",
    )
    next_step = Text(
        en=(
            "Make a new request with `trifed node keys request-reveal` and let a second person "
            "approve it."
        ),
        zh="請以 `trifed node keys request-reveal` 重新申請,並由第二人核准。",
    )


class CandidateMissingError(PlatformError):
    """None of the candidates has the pseudonym."""

    code = "TF573"
    what = Text(
        en="None of the {count} Patient IDs in the file has this pseudonym.",
        zh="檔案中的 {count} 個病歷號都不對應此假名。",
    )
    next_step = Text(
        en=(
            "Give a file with the Patient IDs that come into question, with issuer where the "
            "images have one."
        ),
        zh="請提供可能的病歷號檔案;若影像含發行者,請一併提供。",
    )


class PseudonymSpellingError(PlatformError):
    """What was given is not a pseudonym."""

    code = "TF574"
    what = Text(
        en="That is not a pseudonym of this platform.",
        zh="這不是本平台的假名。",
    )
    next_step = Text(
        en="Give P and 32 hexadecimal digits, as in the Patient ID of a stored image.",
        zh="請提供 P 加 32 個十六進位數字,如已儲存影像的 Patient ID。",
    )


class OptOutRemovalsError(PlatformError):
    """A full list would bring back unusually many people."""

    code = "TF575"
    what = Text(
        en="The list would take {share} percent of those registered off the opt-out register.",
        zh="此名單會使登記者的 {share}% 不再列為退出。",
    )
    next_step = Text(
        en="Check the list with its issuer; if it is right, import it with --many-removals.",
        zh="請向發行者確認名單;若正確,請加上 --many-removals 匯入。",
    )


class OptOutChainError(PlatformError):
    """The opt-out register was changed outside the platform."""

    code = "TF576"
    what = Text(
        en="The opt-out register does not hold together: {why}.",
        zh="退出登記冊前後不一致:{why}。",
    )
    next_step = Text(
        en="Restore data/optout from the hospital's backup, then import the newest full list.",
        zh="請由院內備份還原 data/optout,再匯入最新的完整名單。",
    )
