"""TF78x: the formats in which entries leave the register and cards come in."""

from federation.errors.base import PlatformError
from federation.wording import Text


class CardRefusedError(PlatformError):
    """What the register knows of a model cannot be written in any exchange format."""

    code = "TF780"
    what = Text(
        en="The card of {entry} cannot be exported: {problems}.",
        zh="{entry} 的資訊卡無法匯出:{problems}。",
    )
    next_step = Text(
        en="Register a correction without what is named here.",
        zh="請登錄更正版本,移除此處所列的內容。",
    )


class ExportInvalidError(PlatformError):
    """An export does not satisfy the rules of its own format."""

    code = "TF781"
    what = Text(
        en="The {format} file does not satisfy its format at {where}: {why}.",
        zh="{format} 檔案於 {where} 不符合其格式規範:{why}。",
    )
    next_step = Text(
        en="Nothing was written. Report it with this sentence; the entry itself is unharmed.",
        zh="未寫入任何檔案。請附上此訊息回報;登錄項目本身不受影響。",
    )


class ImportRefusedError(PlatformError):
    """A file is not taken for a CHAI Applied Model Card."""

    code = "TF782"
    what = Text(
        en="The file was not read as a CHAI Applied Model Card: {why}.",
        zh="無法將檔案讀取為 CHAI 模型資訊卡:{why}。",
    )
    next_step = Text(
        en="Ask its sender for the XML of version 0.1 or 0.2, in UTF-8, without a document type.",
        zh="請向提供者索取 0.1 或 0.2 版的 XML,採 UTF-8 編碼且不含文件類型宣告。",
    )


class ImportInvalidError(PlatformError):
    """A CHAI Applied Model Card lacks fields or has some that it may not have."""

    code = "TF783"
    what = Text(
        en="The CHAI Applied Model Card does not satisfy its schema: {problems}.",
        zh="CHAI 模型資訊卡不符合其結構定義:{problems}。",
    )
    next_step = Text(
        en="Mend the lines that are named, or ask the card's author to.",
        zh="請修正所列各行,或請資訊卡作者修正。",
    )


class SiteUnclearError(PlatformError):
    """A format that describes one dataset was asked for without saying whose."""

    code = "TF784"
    what = Text(
        en="This format describes the data of one site, and {asked} is not one of {sites}.",
        zh="此格式僅描述單一院所的資料,而 {asked} 不在 {sites} 之中。",
    )
    next_step = Text(en="Name one with --site.", zh="請以 --site 指定其中一個院所。")


class ExchangeUnequippedError(PlatformError):
    """A package that checks a format is not installed."""

    code = "TF785"
    what = Text(
        en="The {format} format cannot be handled here: the package {package} is missing.",
        zh="此處無法處理 {format} 格式:缺少套件 {package}。",
    )
    next_step = Text(
        en='Install it with `pip install -c constraints.txt "trifed[registry]"`.',
        zh='請執行 `pip install -c constraints.txt "trifed[registry]"` 安裝。',
    )


class ExportNotWrittenError(PlatformError):
    """The file of an export could not be written."""

    code = "TF786"
    what = Text(en="{file} could not be written: {why}.", zh="無法寫入 {file}:{why}。")
    next_step = Text(
        en="Name a file in a folder that you may write to with --out.",
        zh="請以 --out 指定可寫入資料夾中的檔案。",
    )
