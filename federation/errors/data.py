"""TF5xx: DICOM intake, de-identification, labels and cohorts.

TF501 to TF515, TF534 to TF539 and TF598 are what a file is quarantined with; they carry
nothing of the file. TF516 to TF519 are counted, the rest are raised.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class NotDicomFileError(PlatformError):
    """A file has no DICOM preamble or does not say its transfer syntax."""

    code = "TF501"
    what = Text(
        en="The file is not a DICOM Part 10 file.",
        zh="這不是 DICOM Part 10 檔案。",
    )
    next_step = Text(
        en="Export it again from the PACS as a DICOM file.",
        zh="請由 PACS 重新匯出為 DICOM 檔案。",
    )


class CutFileError(PlatformError):
    """A length in a file points past its end."""

    code = "TF502"
    what = Text(
        en="The file is cut short: a length in it points past its end.",
        zh="檔案不完整:其中的長度超出檔案結尾。",
    )
    next_step = Text(
        en="Copy or export the file again.",
        zh="請重新複製或匯出此檔案。",
    )


class UnreadableElementError(PlatformError):
    """A data element does not follow PS3.5."""

    code = "TF503"
    what = Text(
        en="A data element cannot be read at {where}.",
        zh="{where} 的資料元素無法讀取。",
    )
    next_step = Text(
        en=(
            "Export the file again; if it persists, ask the vendor of the modality to "
            "correct its encoding."
        ),
        zh="請重新匯出;若仍發生,請洽設備廠商修正編碼。",
    )


class TooManyElementsError(PlatformError):
    """A file is larger or more deeply nested than is safe to read."""

    code = "TF504"
    what = Text(
        en="The file passes a limit: {elements} elements, depth {depth}, {megabytes} MiB.",
        zh="檔案超過限制:{elements} 個元素、{depth} 層、{megabytes} MiB。",
    )
    next_step = Text(
        en="Split the file, or raise the limit in the node's policy if the file is trusted.",
        zh="請拆分檔案,或在確認可信後於節點政策中提高限制。",
    )


class NotAnImageError(PlatformError):
    """A SOP class that holds no source image."""

    code = "TF505"
    what = Text(
        en="The object is not a source image but {kind}.",
        zh="此物件不是原始影像,而是 {kind}。",
    )
    next_step = Text(
        en="Nothing needs to be done; give images only if you want this count to be zero.",
        zh="無須處理;若希望此數為零,請僅提供影像。",
    )


class SecondaryCaptureError(PlatformError):
    """A secondary capture or a derived screen shot."""

    code = "TF506"
    what = Text(
        en="The object is a secondary capture.",
        zh="此物件為二次擷取影像。",
    )
    next_step = Text(
        en="Send the original image of the modality instead.",
        zh="請改送設備的原始影像。",
    )


class ModalityNotWantedError(PlatformError):
    """A modality outside the cohort's rule."""

    code = "TF507"
    what = Text(
        en="The modality is not one that this intake accepts.",
        zh="此影像的設備類別不在收錄範圍。",
    )
    next_step = Text(
        en="Accepted here: {accepted}. Give another folder or widen the rule.",
        zh="收錄範圍:{accepted}。請改用其他資料夾或放寬規則。",
    )


class BodyPartNotWantedError(PlatformError):
    """A body part outside the intake's rule, or none named."""

    code = "TF598"
    what = Text(
        en="The body part is not one that this intake accepts, or the file names none.",
        zh="此影像的身體部位不在收錄範圍,或檔案未註明部位。",
    )
    next_step = Text(
        en="Accepted here: {accepted}. Give another folder or widen body_parts in intake.toml.",
        zh="收錄範圍:{accepted}。請改用其他資料夾,或放寬 intake.toml 的 body_parts。",
    )


class PixelsUndecodableError(PlatformError):
    """The pixels cannot be decoded."""

    code = "TF508"
    what = Text(
        en="The pixel data cannot be decoded.",
        zh="像素資料無法解碼。",
    )
    next_step = Text(
        en="Export the image again, uncompressed if possible.",
        zh="請重新匯出影像,盡可能不壓縮。",
    )


class WorkerLostError(PlatformError):
    """The process that read a file crashed or passed its limits."""

    code = "TF509"
    what = Text(
        en="The process reading this file ended before it answered ({why}).",
        zh="讀取此檔案的程序未回應即結束({why})。",
    )
    next_step = Text(
        en=("Keep the file aside and report it; it is not tried again until its content changes."),
        zh="請將檔案另存並回報;內容未變更前不會再試。",
    )


class BurnedInTextError(PlatformError):
    """The file says that text is burned into its pixels."""

    code = "TF510"
    what = Text(
        en="The image is marked as having text burned into its pixels.",
        zh="影像標示像素中含有文字。",
    )
    next_step = Text(
        en="Have the text blanked at the source, or leave the image out.",
        zh="請於來源端遮除文字,或排除此影像。",
    )


class BurnedInTextLikelyError(PlatformError):
    """A kind of image that usually shows the patient's name, and does not say it has none."""

    code = "TF511"
    what = Text(
        en=(
            "Images of this kind usually carry text in the pixels, and this one does not "
            "say it has none."
        ),
        zh="此類影像的像素中通常有文字,且此影像未聲明沒有。",
    )
    next_step = Text(
        en="Have the source set Burned In Annotation (0028,0301) to NO where it is true.",
        zh="請來源端在確實無文字時將 Burned In Annotation (0028,0301) 設為 NO。",
    )


class DuplicateError(PlatformError):
    """The same file, instance or pixels were admitted before."""

    code = "TF512"
    what = Text(
        en="The same image was already given.",
        zh="相同的影像已經提供過。",
    )
    next_step = Text(
        en="Nothing needs to be done.",
        zh="無須處理。",
    )


class InstanceConflictError(PlatformError):
    """Two different images claim the same SOP Instance UID."""

    code = "TF513"
    what = Text(
        en="Another image with the same SOP Instance UID but other pixels was admitted before.",
        zh="已有相同 SOP Instance UID 但像素不同的影像。",
    )
    next_step = Text(
        en="Find out at the source which of the two is right, and give only that one.",
        zh="請於來源端確認何者正確,僅提供該檔案。",
    )


class IdentityMissingError(PlatformError):
    """A file does not say whose image it is."""

    code = "TF514"
    what = Text(
        en="The file lacks what tells patients, studies and instances apart: {missing}.",
        zh="檔案缺少區分病人、檢查與影像的識別:{missing}。",
    )
    next_step = Text(
        en="Export it again with these attributes.",
        zh="請含這些屬性重新匯出。",
    )


class OptedOutError(PlatformError):
    """The patient opted out of secondary use."""

    code = "TF515"
    what = Text(
        en="The patient has opted out of secondary use.",
        zh="病人已選擇退出二次利用。",
    )
    next_step = Text(
        en="Nothing needs to be done; the file was not kept.",
        zh="無須處理;檔案未被保留。",
    )


class LabelWithoutImageError(PlatformError):
    """A label row names no admitted image."""

    code = "TF516"
    what = Text(
        en="{count} label rows have no admitted image.",
        zh="有 {count} 列標籤沒有對應的已收錄影像。",
    )
    next_step = Text(
        en="Check the key column of labels.csv, and the quarantine report for the images.",
        zh="請檢查 labels.csv 的鍵欄位,以及影像的隔離報告。",
    )


class ImageWithoutLabelError(PlatformError):
    """An admitted image has no label."""

    code = "TF517"
    what = Text(
        en="{count} admitted images have no label.",
        zh="有 {count} 張已收錄影像沒有標籤。",
    )
    next_step = Text(
        en=("Add rows to labels.csv and ingest again; images without a label are not trained on."),
        zh="請補上 labels.csv 後重新收錄;沒有標籤的影像不會用於訓練。",
    )


class LabelValueError(PlatformError):
    """A label is not a whole number or a word for yes or no."""

    code = "TF518"
    what = Text(
        en="{count} labels have a value that is not a class.",
        zh="有 {count} 個標籤的值不是類別。",
    )
    next_step = Text(
        en="Write whole numbers from 0, or yes and no.",
        zh="請填 0 起的整數,或 yes/no。",
    )


class LabelConflictError(PlatformError):
    """Two rows of the label file contradict each other."""

    code = "TF519"
    what = Text(
        en="{count} images have two different values of one label.",
        zh="有 {count} 張影像的同一標籤有兩個不同的值。",
    )
    next_step = Text(
        en="Correct labels.csv; until then these images count as not labelled.",
        zh="請修正 labels.csv;在此之前這些影像視為未標註。",
    )


class LabelFileError(PlatformError):
    """The label file cannot be read as a table with a key."""

    code = "TF520"
    what = Text(
        en="The label file cannot be used: {why}.",
        zh="標籤檔無法使用:{why}。",
    )
    next_step = Text(
        en=(
            "Give a UTF-8 CSV with a header, a key column (file, sop_instance_uid or "
            "patient_id) and one column per label."
        ),
        zh="請提供含標題列的 UTF-8 CSV,含鍵欄位(file、sop_instance_uid 或 patient_id)與標籤欄。",
    )


class IntakeRulesError(PlatformError):
    """The hospital's intake rules are not understood."""

    code = "TF599"
    what = Text(
        en="intake.toml is not understood: {problems}.",
        zh="無法理解 intake.toml:{problems}。",
    )
    next_step = Text(
        en="Correct the file; `trifed node rules --template` prints one with every key.",
        zh="請修正此檔;`trifed node rules --template` 會印出含所有項目的範本。",
    )


class IntakeFolderError(PlatformError):
    """There is nothing at the path to take in."""

    code = "TF521"
    what = Text(
        en="The folder to ingest does not exist or holds no file.",
        zh="要收錄的資料夾不存在或沒有檔案。",
    )
    next_step = Text(
        en="Give a folder with DICOM files, or one DICOM file.",
        zh="請指定含 DICOM 檔案的資料夾或單一檔案。",
    )


class IntakeBusyError(PlatformError):
    """Another intake is running on the same home."""

    code = "TF522"
    what = Text(
        en="Another intake is already writing to this data folder.",
        zh="另一個收錄程序正在寫入此資料夾。",
    )
    next_step = Text(
        en="Wait until it has ended, then try again.",
        zh="請等待其結束後再試。",
    )


class CatalogueVersionError(PlatformError):
    """The catalogue was written by another version."""

    code = "TF523"
    what = Text(
        en="The catalogue has schema {found}, this version reads {wanted}.",
        zh="目錄的結構版本為 {found},此版本讀取 {wanted}。",
    )
    next_step = Text(
        en="Use the version of TriFed that wrote it, or ingest into a new home.",
        zh="請使用寫入它的 TriFed 版本,或收錄到新的工作目錄。",
    )


class PseudonymKeyError(PlatformError):
    """The key of the pseudonyms is missing, damaged or open to others."""

    code = "TF524"
    what = Text(
        en="The pseudonym key cannot be used: {why}.",
        zh="假名金鑰無法使用:{why}。",
    )
    next_step = Text(
        en=(
            "Restore the key file from the hospital's backup with mode 0600; a new key "
            "would give every patient a new pseudonym."
        ),
        zh="請由院內備份還原金鑰檔並設為 0600;新金鑰會使所有病人的假名改變。",
    )


class ProfileTableError(PlatformError):
    """The de-identification table is not the one that was released."""

    code = "TF525"
    what = Text(
        en="The table of PS3.15 Annex E does not have its recorded checksum.",
        zh="PS3.15 附錄 E 表格的校驗碼不符。",
    )
    next_step = Text(
        en="Reinstall TriFed; no file is de-identified until the table is whole.",
        zh="請重新安裝 TriFed;表格完整前不會去識別化任何檔案。",
    )


class OptOutListError(PlatformError):
    """The opt-out list cannot be read."""

    code = "TF526"
    what = Text(
        en="The opt-out list cannot be read: {why}.",
        zh="退出清單無法讀取:{why}。",
    )
    next_step = Text(
        en=(
            "Give a text or CSV file with one Patient ID a line, or a patient_id column, best in "
            "UTF-8."
        ),
        zh="請提供文字或 CSV 檔(建議 UTF-8),每列一個病歷號,或含 patient_id 欄位。",
    )


class StoredImageError(PlatformError):
    """A stored image is missing or was changed."""

    code = "TF527"
    what = Text(
        en=("{count} admitted images are missing or no longer have the content that was admitted."),
        zh="有 {count} 張已收錄影像遺失或內容已變更。",
    )
    next_step = Text(
        en="Restore the node's data folder from a backup, or ingest the originals again.",
        zh="請由備份還原節點資料夾,或重新收錄原始檔案。",
    )


class CohortEmptyError(PlatformError):
    """The catalogue has no patient that a recipe can train on."""

    code = "TF528"
    what = Text(
        en="No admitted, labelled image fits the recipe {recipe} (label {label}).",
        zh="沒有已收錄且有標籤的影像符合配方 {recipe}(標籤 {label})。",
    )
    next_step = Text(
        en="Ingest images of modality {modalities} with the label column {wanted}.",
        zh="請收錄設備類別 {modalities} 且含標籤欄 {wanted} 的影像。",
    )


class OneClassOnlyError(PlatformError):
    """A site's training patients are all of one class."""

    code = "TF529"
    what = Text(
        en="All training patients of this site have the same class of {label}.",
        zh="本院所有訓練病人的 {label} 類別都相同。",
    )
    next_step = Text(
        en="Add patients of the other classes, or do not take part in this study.",
        zh="請加入其他類別的病人,或不參與此研究。",
    )


class TooFewPatientsError(PlatformError):
    """A site has fewer patients than the least that may be trained on."""

    code = "TF530"
    what = Text(
        en="This site has fewer patients than the {least} that training needs.",
        zh="本院病人數少於訓練所需的 {least} 位。",
    )
    next_step = Text(
        en="Ingest more patients, or do not take part in this study.",
        zh="請收錄更多病人,或不參與此研究。",
    )


class MaskMissingError(PlatformError):
    """Segmentation images without a usable mask."""

    code = "TF531"
    what = Text(
        en="{count} images of the cohort have no usable mask.",
        zh="世代中有 {count} 張影像沒有可用的遮罩。",
    )
    next_step = Text(
        en=(
            "Name a .npy file of whole numbers in the column mask of labels.csv, of the "
            "volume's shape."
        ),
        zh="請在 labels.csv 的 mask 欄填入與體積同形狀的整數 .npy 檔。",
    )


class VolumeGapError(PlatformError):
    """The slices of a series do not make a volume."""

    code = "TF532"
    what = Text(
        en=(
            "{count} series do not make a volume: slices of other size or orientation, or "
            "no position."
        ),
        zh="有 {count} 個系列無法組成體積:切片大小或方向不同,或缺少位置。",
    )
    next_step = Text(
        en=(
            "Export complete series with Image Position (Patient) and Image Orientation (Patient)."
        ),
        zh="請匯出含影像位置與方向的完整系列。",
    )


class IntakeDiskError(PlatformError):
    """The disk did not take what intake had to write."""

    code = "TF533"
    what = Text(
        en="The data folder could not be written: {why}.",
        zh="資料夾無法寫入:{why}。",
    )
    next_step = Text(
        en=(
            "Free some space or correct the folder's owner, then run the same command "
            "again; it goes on where it stopped."
        ),
        zh="請釋出空間或修正資料夾擁有者,再執行相同指令;會由中斷處繼續。",
    )


class PatientWithTwoIdentitiesError(PlatformError):
    """Two patients' files claim one study or series."""

    code = "TF534"
    what = Text(
        en="A study of this file was already admitted for another patient.",
        zh="此檔案所屬的檢查已歸於另一位病人。",
    )
    next_step = Text(
        en="Merge or correct the patients at the PACS, then ingest again.",
        zh="請於 PACS 合併或更正病人後重新收錄。",
    )
