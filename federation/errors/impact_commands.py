"""TF90x: what the commands of impact studies, dossiers and reimbursement refuse."""

from federation.errors.base import PlatformError
from federation.wording import Text


class OtherVersionEvidenceError(PlatformError):
    """Evidence was named that belongs to another version."""

    code = "TF900"
    what = Text(
        en="{evidence} belongs to another version; evidence of {wanted} is needed.",
        zh="{evidence} 屬於其他版本;此處須為 {wanted} 的證據。",
    )
    next_step = Text(
        en="Name a record of this version, or evaluate this version first.",
        zh="請改列此版本的紀錄,或先評估此版本。",
    )


class EvidenceNotInForceError(PlatformError):
    """Evidence was named that is not, or no longer, in a state that counts."""

    code = "TF901"
    what = Text(
        en="{evidence} is {state}; in this state it counts for nothing.",
        zh="{evidence} 的狀態為 {state};此狀態不予採計。",
    )
    next_step = Text(
        en="Have it judged, confirmed or reported first, then name it again.",
        zh="請先完成審查、確認或報告,再列為證據。",
    )


class EvidenceExpiredError(PlatformError):
    """Evidence was named whose last day has passed."""

    code = "TF902"
    what = Text(en="{evidence} has expired.", zh="{evidence} 已逾有效期限。")
    next_step = Text(
        en="Renew it, file the new one, have it confirmed, then name that.",
        zh="請辦理展延並登錄新文件,經確認後再列為證據。",
    )


class EvidenceNotFittingError(PlatformError):
    """Evidence was named for a requirement that needs another kind."""

    code = "TF903"
    what = Text(
        en="{evidence} is not what {requirement} asks for.",
        zh="{evidence} 並非 {requirement} 所要求的證據。",
    )
    next_step = Text(
        en="Here it answers: {fitting}. `trifed dossier status` says what each requirement needs.",
        zh="此證據可用於:{fitting}。`trifed dossier status` 會列出各項要求所需的證據。",
    )


class EvidenceNotAsSignedError(PlatformError):
    """A record is not what the register signed of it."""

    code = "TF904"
    what = Text(
        en="{evidence} is not what the register signed of it.",
        zh="{evidence} 與登錄系統所簽署的內容不符。",
    )
    next_step = Text(
        en="Name nothing of it. Run `trifed evidence log audit` and report what it says.",
        zh="請勿引用。請執行 `trifed evidence log audit` 並通報結果。",
    )


class PlanDisagreesError(PlatformError):
    """An analysis plan or an economic model says something else than the study's record."""

    code = "TF905"
    what = Text(
        en="The plan and the record of study {study} disagree on {fields}.",
        zh="分析計畫與研究 {study} 的紀錄在 {fields} 不一致。",
    )
    next_step = Text(
        en="Correct the plan, or the protocol while it is not locked; nothing was written.",
        zh="請更正計畫,或於資料鎖定前更正計畫書;未寫入任何內容。",
    )


class DataCutChangedError(PlatformError):
    """The tables are not those that were frozen."""

    code = "TF906"
    what = Text(
        en="These tables are not the frozen ones of study {study}: {found} is not {frozen}.",
        zh="資料表並非研究 {study} 凍結的內容:{found} 不等於 {frozen}。",
    )
    next_step = Text(
        en="Give exactly the frozen tables of all hospitals. If one was wrong, stop the study's "
        "analysis and say so in its report.",
        zh="請提供各院凍結時的原始資料表。若資料有誤,請停止分析並於報告中說明。",
    )


class StudyStageError(PlatformError):
    """A study is not in the state in which this may be done."""

    code = "TF907"
    what = Text(
        en="The study {study} is {state}; this is done when it is {wanted}.",
        zh="研究 {study} 的狀態為 {state};此步驟須於 {wanted} 時進行。",
    )
    next_step = Text(
        en="`trifed impact show {study}` says what comes next.",
        zh="`trifed impact show {study}` 會說明下一步。",
    )


class ProtocolUnwrittenError(PlatformError):
    """A protocol still has the template's words in it."""

    code = "TF908"
    what = Text(en="The protocol is not written yet: {fields}.", zh="計畫書尚未填寫完成:{fields}。")
    next_step = Text(
        en="Replace the template's words in both languages, then hand it in again.",
        zh="請以中英文填寫範本內容後再提交。",
    )


class FileNotWrittenError(PlatformError):
    """A command could not write what it made."""

    code = "TF909"
    what = Text(en="{file} was not written: {why}.", zh="未寫入 {file}:{why}。")
    next_step = Text(
        en="Name a new folder or file that may be written; nothing that is there is overwritten.",
        zh="請指定可寫入的新資料夾或檔案;既有檔案不會被覆寫。",
    )
