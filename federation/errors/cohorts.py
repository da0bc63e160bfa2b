"""TF58x, TF59x: the catalogue's database, cohort queries, labels and masks from DICOM and FHIR.

TF585 to TF588 are counted, the rest are raised.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class CatalogueDatabaseError(PlatformError):
    """The catalogue's database cannot be opened, read or written."""

    code = "TF580"
    what = Text(
        en="The catalogue's database does not answer: {why}.",
        zh="目錄資料庫沒有回應:{why}。",
    )
    next_step = Text(
        en="Check that its disk has space and its server runs, then run the same command again.",
        zh="請確認磁碟空間與資料庫伺服器正常,再執行相同指令。",
    )


class CohortFileError(PlatformError):
    """A cohort's file does not follow the rules of a cohort query."""

    code = "TF581"
    what = Text(
        en="The cohort {cohort} is not understood: {problems}.",
        zh="無法理解世代 {cohort}:{problems}。",
    )
    next_step = Text(
        en="Correct the named entries; docs/catalogue.md lists what may be asked.",
        zh="請修正所列項目;docs/catalogue.md 列有可查詢的條件。",
    )


class CohortUnknownError(PlatformError):
    """No cohort of that name was defined at this hospital."""

    code = "TF582"
    what = Text(
        en="There is no cohort called {cohort} here; defined are: {known}.",
        zh="本院沒有名為 {cohort} 的世代;已定義:{known}。",
    )
    next_step = Text(
        en="Write cohorts/NAME.toml in the node's home, or name one of these.",
        zh="請在節點工作目錄撰寫 cohorts/名稱.toml,或改用已定義者。",
    )


class LabelMappingError(PlatformError):
    """The file that says which code means which label does not follow its rules."""

    code = "TF583"
    what = Text(
        en="The label mapping is not understood: {problems}.",
        zh="無法理解標籤對應檔:{problems}。",
    )
    next_step = Text(
        en="Correct the named entries; docs/catalogue.md shows an example.",
        zh="請修正所列項目;docs/catalogue.md 有範例。",
    )


class LabelSourceError(PlatformError):
    """What was given as labels is none of the kinds that are read."""

    code = "TF584"
    what = Text(
        en="The labels cannot be read: {why}.",
        zh="無法讀取標籤:{why}。",
    )
    next_step = Text(
        en=(
            "Give a CSV, a DICOM SR or SEG file or a folder of them, or FHIR Observations "
            "as JSON or NDJSON."
        ),
        zh="請提供 CSV、DICOM SR 或 SEG 檔案(或其資料夾),或 JSON/NDJSON 的 FHIR Observation。",
    )


class LabelOfAnotherPatientError(PlatformError):
    """A report or segmentation refers to images of somebody else."""

    code = "TF585"
    what = Text(
        en="{count} reports or segmentations name images of another patient than their own.",
        zh="有 {count} 份報告或分割指向其他病人的影像。",
    )
    next_step = Text(
        en="Correct the patient of the report at its source; nothing of these was used.",
        zh="請於來源端更正報告的病人;這些內容均未使用。",
    )


class SegmentationUnusableError(PlatformError):
    """A DICOM segmentation cannot be laid over its images."""

    code = "TF586"
    what = Text(
        en="{count} segmentations do not fit the admitted images they were drawn on.",
        zh="有 {count} 個分割與其所依據的已收錄影像不符。",
    )
    next_step = Text(
        en=(
            "Ingest the whole series first; export the segmentation as BINARY or FRACTIONAL "
            "with its source images."
        ),
        zh="請先收錄完整系列;並將分割匯出為 BINARY 或 FRACTIONAL 且含來源影像。",
    )


class AnswerNotMappedError(PlatformError):
    """A finding has an answer that the mapping does not name."""

    code = "TF587"
    what = Text(
        en="{count} answers to mapped questions are not in the label mapping.",
        zh="有 {count} 個已對應問題的答案不在標籤對應檔中。",
    )
    next_step = Text(
        en="Add their codes, words or units to the mapping, and read the labels again.",
        zh="請將其編碼、用詞或單位加入對應檔後重新讀取。",
    )


class LabelDocumentError(PlatformError):
    """A report or resource cannot be read, or is not final."""

    code = "TF588"
    what = Text(
        en="{count} reports or resources are damaged, not final, or of no known kind.",
        zh="有 {count} 份報告或資源損壞、非最終版本,或種類不明。",
    )
    next_step = Text(
        en="Export them again once they are final (FHIR status final, amended or corrected).",
        zh="請於定稿後重新匯出(FHIR 狀態為 final、amended 或 corrected)。",
    )


class CohortCacheError(PlatformError):
    """Prepared arrays cannot be kept in the data folder."""

    code = "TF589"
    what = Text(
        en="The prepared images could not be written: {why}.",
        zh="無法寫入已備妥的影像:{why}。",
    )
    next_step = Text(
        en="Free some space in the node's data folder, then let the round be tried again.",
        zh="請釋出節點資料夾的空間,再重試該回合。",
    )
