"""Make A4 PDF of a report's HTML: fonts embedded, nothing fetched, the same bytes again.

WeasyPrint and Pango do it, both optional: what runs no reports need not install them.
"""

from typing import Any

from federation.errors.reports import PdfMissingError
from federation.wording import Text

_NOT_INSTALLED = Text(en="WeasyPrint is not installed", zh="尚未安裝 WeasyPrint")
_NO_PANGO = Text(en="Pango cannot be loaded", zh="無法載入 Pango")


def as_pdf(html: str) -> bytes:
    """Return a report as PDF.

    Raises
    ------
    PdfMissingError
        If WeasyPrint or Pango is not installed.
    """
    library = _library()
    nothing_else = library.urls.URLFetcher(allowed_protocols=("data",))
    return bytes(library.HTML(string=html, url_fetcher=nothing_else).write_pdf())


def _library() -> Any:
    try:
        import weasyprint
        import weasyprint.urls
    except ImportError as error:
        raise PdfMissingError(why=_NOT_INSTALLED) from error
    except OSError as error:
        raise PdfMissingError(why=_NO_PANGO) from error
    return weasyprint
