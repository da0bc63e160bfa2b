"""TF535, TF536: text burned into pixels, and pixels that nobody could inspect for it."""

from enum import Enum

from federation.errors.base import PlatformError
from federation.wording import Text


class WhyUnchecked(Enum):
    """Why a picture could not be inspected or cleaned."""

    NO_MODELS = Text(
        en="the text detection models are not installed or are not the released ones",
        zh="文字偵測模型未安裝或不是發行的版本",
    )
    TOO_MUCH = Text(
        en="more of it looks like text than one file is given time for",
        zh="疑似文字的範圍超過單一檔案的處理上限",
    )
    STILL_THERE = Text(
        en="text is still seen after blanking",
        zh="遮除後仍偵測到文字",
    )
    COLOURS = Text(
        en="its way of storing colours cannot be read or written here",
        zh="無法讀取或重新寫入其色彩儲存方式",
    )


class PixelTextError(PlatformError):
    """Text was found in the pixels, and the policy is to quarantine."""

    code = "TF535"
    what = Text(
        en="The picture shows text that may identify the patient.",
        zh="影像中顯示可能識別病人的文字。",
    )
    next_step = Text(
        en=(
            "Export the image without its annotations, or let the study's policy blank "
            "text in pixels."
        ),
        zh="請匯出不含註記的影像,或由研究政策允許遮除像素中的文字。",
    )


class PixelTextUncheckedError(PlatformError):
    """A picture could not be inspected for text, or its text could not be blanked."""

    code = "TF536"
    what = Text(
        en="The picture could not be cleared of text: {why}.",
        zh="無法確認影像不含文字:{why}。",
    )
    next_step = Text(
        en=(
            "Install the node's extra again if models are missing; otherwise blank the text at "
            "the source, or leave the image out."
        ),
        zh="若缺少模型請重新安裝節點套件;否則請於來源端遮除文字,或排除此影像。",
    )
