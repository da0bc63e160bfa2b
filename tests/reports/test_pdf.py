"""Reports print on A4 with their fonts inside, and fetch nothing."""

import re
import sys
import zlib

import pytest

from federation.errors.reports import PdfMissingError
from federation.wording import Language
from registry.reports import as_pdf, economics_report
from registry.reports.documents import read_economics
from tests.reports.examples import economics_bytes

try:
    import weasyprint  # noqa: F401

    HAS_WEASYPRINT = True
except (ImportError, OSError):
    HAS_WEASYPRINT = False

needs_weasyprint = pytest.mark.skipif(
    not HAS_WEASYPRINT, reason="WeasyPrint or Pango is not installed (apt: libpango-1.0-0)"
)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.S)


@pytest.fixture(scope="module")
def pdf() -> bytes:
    html = economics_report(read_economics(economics_bytes()), Language.ZH_HANT_TW)
    return as_pdf(html)


def objects(pdf: bytes) -> bytes:
    """What stands in a PDF, its compressed streams opened."""
    opened = [pdf]
    for found in _STREAM.finditer(pdf):
        try:
            opened.append(zlib.decompress(found[1]))
        except zlib.error:
            continue
    return b"\n".join(opened)


@needs_weasyprint
def test_a_report_has_its_pages_on_a4_and_embeds_its_fonts(pdf: bytes) -> None:
    inside = objects(pdf)
    pages = re.findall(rb"/Type\s*/Page\b", inside)
    sizes = set(re.findall(rb"/MediaBox\s*\[([^\]]*)\]", inside))
    fonts = re.findall(rb"/Type\s*/FontDescriptor\b", inside)
    assert pdf.startswith(b"%PDF-") and 5 <= len(pages) <= 20
    assert {tuple(round(float(one)) for one in size.split()) for size in sizes} == {
        (0, 0, 595, 842)
    }
    assert fonts and len(re.findall(rb"/FontFile[23]?\s+\d+ 0 R", inside)) == len(fonts)


@needs_weasyprint
def test_a_pdf_is_the_same_again() -> None:
    html = "<!doctype html><html lang=en><body class=alone><p>報告 1</p></body></html>"
    assert as_pdf(html) == as_pdf(html)


@needs_weasyprint
def test_nothing_is_fetched_for_a_pdf(caplog: pytest.LogCaptureFixture) -> None:
    address = "file:///etc/hostname"
    as_pdf(f"<!doctype html><html lang=en><body><img src='{address}' alt='x'></body></html>")
    assert "disallowed protocol" in caplog.text


def test_without_weasyprint_the_refusal_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(PdfMissingError, match=r"libpango-1\.0-0"):
        as_pdf("<p>x</p>")
