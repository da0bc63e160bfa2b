"""TF537 to TF539: what de-identification itself refuses in a file.

A file that meets one of these is quarantined with it; they carry nothing of the file.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class UncleanableFramesError(PlatformError):
    """Pixel data stored in a way that cannot be cleaned of what hides beside the picture."""

    code = "TF537"
    what = Text(
        en="The pixel data is stored in a way that cannot be cleaned of hidden text.",
        zh="像素資料的儲存方式無法清除其中隱藏的文字。",
    )
    next_step = Text(
        en="Export the image again, uncompressed or as JPEG, JPEG-LS, JPEG 2000 or RLE.",
        zh="請重新匯出影像,採不壓縮或 JPEG、JPEG-LS、JPEG 2000、RLE 格式。",
    )


class TooManyIdentifiersError(PlatformError):
    """A file with more names and numbers of people than can be looked for in the rest."""

    code = "TF538"
    what = Text(
        en="The file holds more than {most} words that identify people.",
        zh="檔案中可識別個人的字詞超過 {most} 個。",
    )
    next_step = Text(
        en="Look at the file at its source: an image names a handful of people at most.",
        zh="請於來源端檢視此檔案:一張影像通常僅涉及少數人。",
    )


class DirectoryError(PlatformError):
    """A DICOMDIR or another object of media storage: a list of patients, no image."""

    code = "TF539"
    what = Text(
        en="The file is a directory of a medium (DICOMDIR), not an image.",
        zh="此檔案為儲存媒體的目錄 (DICOMDIR),並非影像。",
    )
    next_step = Text(
        en="Nothing needs to be done: its images are taken in by themselves, it is not kept.",
        zh="無須處理:其影像會個別收錄,目錄內容不予保留。",
    )
