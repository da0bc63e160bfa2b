"""TF824-TF827: reports of evaluations, studies, economic models and dossiers."""

from federation.errors.base import PlatformError
from federation.wording import Text


class ReportDocumentError(PlatformError):
    """What a report is made of cannot be read."""

    code = "TF824"
    what = Text(
        en="The {kind} document cannot be read: {problems}.", zh="無法讀取{kind}文件:{problems}。"
    )
    next_step = Text(
        en="Take the file that the run wrote, unchanged; compare its digest with the record's.",
        zh="請使用執行所產生且未經更動的檔案,並與紀錄中的摘要值比對。",
    )


class ReportCellError(PlatformError):
    """A document tells of fewer cases than its own rule allows."""

    code = "TF825"
    what = Text(
        en="The report is refused: {where} tells of fewer than {k} cases.",
        zh="已拒絕此報告:{where} 透露少於 {k} 位個案。",
    )
    next_step = Text(
        en="Do not pass the file on. Make it again with the platform, which hides small cells.",
        zh="請勿轉交該檔案;請以本平台重新產生,平台會隱藏小格數。",
    )


class PdfMissingError(PlatformError):
    """What makes PDF files is not installed."""

    code = "TF826"
    what = Text(en="PDF cannot be made here: {why}.", zh="此處無法產生 PDF:{why}。")
    next_step = Text(
        en="Install `trifed[registry]` and Pango (Debian: libpango-1.0-0, "
        "libpangoft2-1.0-0), or print the HTML page.",
        zh="請安裝 `trifed[registry]` 與 Pango(Debian 套件:libpango-1.0-0、"
        "libpangoft2-1.0-0),或改為列印 HTML 頁面。",
    )


class ReportMissingError(PlatformError):
    """A record has no report that may be shown."""

    code = "TF827"
    what = Text(en="{id} has no report to show.", zh="{id} 沒有可顯示的報告。")
    next_step = Text(
        en="A report is there once results were judged; ask who runs it if it should be.",
        zh="結果經審查後才會有報告;如認為應已提供,請洽執行單位。",
    )
