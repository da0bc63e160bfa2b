"""A card as the table of the 31 source attributes (HTI-1, 九大透明性指標): CSV, HTML, JSON.

All rows are always there; one without an answer says so, in both languages. The
table only repeats: which of the rows must be answered is checked at registration.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from federation.errors.exchange import ExportInvalidError
from federation.wording import Language, Text
from registry.exchange.attributes import ATTRIBUTES, Attribute
from registry.exchange.card import Card
from registry.exchange.rendering import json_bytes

NAME = "HTI-1"
SCHEMA = "trifed.hti1/1"
NOT_RECORDED = Text(en="Not recorded in the register.", zh="登錄系統未記載。")
COLUMNS = ("id", "group_en", "group_zh", "asked_en", "asked_zh", "answer_en", "answer_zh")
_SOURCE = "45 CFR 170.315(b)(11)(iv)(B)"
_TITLE = Text(en="Source attributes of {entry}", zh="{entry} 透明性指標")
_HEADINGS = (
    Text(en="No.", zh="編號"),
    Text(en="Attribute", zh="項目"),
    Text(en="Answer", zh="內容"),
)
_FORMULA = re.compile(r"^\s*[=+\-@\uff0b\uff0d\uff1d\uff20]|^[\t\r\n]")
"""What a spreadsheet would run (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute with its answer; `en` and `zh` are None where there is none."""

    attribute: Attribute
    en: str | None
    zh: str | None
    evaluations: tuple[str, ...]


def rows_of(card: Card) -> tuple[Row, ...]:
    """Return all 31 rows, in the order of the rule."""
    return tuple(_row(card, attribute) for attribute in ATTRIBUTES.values())


def write_json(card: Card) -> bytes:
    """Return the table as JSON; a row without an answer has `"answer": null`."""
    rows = [
        {
            "id": row.attribute.id,
            "group": _both(row.attribute.group),
            "asked": _both(row.attribute.asked),
            "answer": None if row.en is None else {"en": row.en, "zh-TW": row.zh},
            "evaluations": list(row.evaluations),
        }
        for row in rows_of(card)
    ]
    return json_bytes(
        {
            "schema": SCHEMA,
            "entry": card.entry,
            "record": card.digest,
            "source": _SOURCE,
            "rows": rows,
        }
    )


def write_csv(card: Card) -> bytes:
    """Return the table as CSV (RFC 4180, UTF-8 with a byte order mark for spreadsheets).

    A cell that a spreadsheet would run as a formula begins with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows_of(card):
        writer.writerow([_harmless(cell) for cell in _cells(row)])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def write_html(card: Card) -> bytes:
    """Return the table as one HTML page in both languages, without script or outside files."""
    title = " / ".join(_TITLE.say(language, entry=card.entry) for language in _BOTH)
    headings = "".join(f"<th scope=col>{escape(_pair(heading))}</th>" for heading in _HEADINGS)
    body = "".join(_html_rows(rows_of(card)))
    return (
        "<!DOCTYPE html>\n"
        '<html lang="zh-Hant-TW"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(card.called(Language.ZH_HANT_TW))}</h1><p>{escape(title)}</p>"
        f"<table><thead><tr>{headings}</tr></thead>\n<tbody>{body}</tbody></table>"
        "</body></html>\n"
    ).encode()


def check_rows(content: bytes) -> None:
    """Hold a written table (CSV) against its form: a heading and the 31 rows in order.

    Raises
    ------
    ExportInvalidError
        Naming the first line that is not of that form.
    """
    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    for place, (line, name) in enumerate(
        zip([*lines, *[[]] * len(ATTRIBUTES)], ("id", *ATTRIBUTES), strict=False)
    ):
        if len(line) != len(COLUMNS) or line[0] != name:
            raise ExportInvalidError(format=NAME, where=f"line {place + 1}", why=f"not {name}")


_BOTH = (Language.ZH_HANT_TW, Language.EN)
_STYLE = (
    "body{font-family:sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;line-height:1.5}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #777;padding:.4rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}td p{margin:.2rem 0;"
    "white-space:pre-line}tbody th{background:#eef}"
    "thead th:first-child{width:3rem}thead th:nth-child(2){width:38%}"
)


def _row(card: Card, attribute: Attribute) -> Row:
    answer = card.attributes.get(attribute.id)
    return Row(
        attribute,
        card.answer(attribute.id, Language.EN),
        card.answer(attribute.id, Language.ZH_HANT_TW),
        () if answer is None else answer.evaluations,
    )


def _cells(row: Row) -> tuple[str, ...]:
    asked, group = row.attribute.asked, row.attribute.group
    en = NOT_RECORDED.en if row.en is None else row.en
    zh = NOT_RECORDED.zh if row.zh is None else row.zh
    return (row.attribute.id, group.en, group.zh, asked.en, asked.zh, en, zh)


def _harmless(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _html_rows(rows: tuple[Row, ...]) -> Iterator[str]:
    seen = ""
    for row in rows:
        cells = _cells(row)
        if row.attribute.group.en != seen:
            seen = row.attribute.group.en
            group = escape(_pair(row.attribute.group))
            yield f"\n<tr><th colspan=3 scope=rowgroup>{group}</th></tr>"
        yield (
            f"\n<tr><td>{escape(cells[0])}</td><td>{escape(_pair(row.attribute.asked))}</td>"
            f'<td><p>{escape(cells[6])}</p><p lang="en">{escape(cells[5])}</p></td></tr>'
        )


def _pair(text: Text) -> str:
    return f"{text.zh} {text.en}"


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh-TW": text.zh}
