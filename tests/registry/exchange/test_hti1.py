"""The table has all 31 rows in both languages, and runs nothing where it is opened."""

import csv
import io
import json

import pytest

from federation.errors.exchange import ExportInvalidError
from registry.exchange.attributes import ATTRIBUTES
from registry.exchange.hti1 import COLUMNS, check_rows, rows_of, write_csv, write_html, write_json
from tests.registry.exchange.builders import answers, bare, full, words


def cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_all_rows_are_there_also_without_answers() -> None:
    lines = cells(write_csv(bare()))

    assert lines[0] == list(COLUMNS)
    assert [line[0] for line in lines[1:]] == list(ATTRIBUTES)
    assert {line[5] for line in lines[1:]} == {"Not recorded in the register."}
    assert {line[6] for line in lines[1:]} == {"登錄系統未記載。"}


def test_answers_are_in_both_languages() -> None:
    lines = {line[0]: line for line in cells(write_csv(full()))}

    assert lines["1a"][1:] == [
        "Details and output of the intervention",
        "介入詳情及輸出",
        "Developer's name and contact",
        "開發者名稱及聯絡方式",
        "answer 1a\nsecond line",
        "答覆 1a\n第二行",
    ]
    assert lines["7d"][5:] == ["None: no external data yet", "無:尚無外部資料"]


def test_the_json_links_to_evaluations_and_says_null_for_nothing() -> None:
    rows = {row["id"]: row for row in json.loads(write_json(full()))["rows"]}

    assert rows["7a"]["evaluations"] == ["eval-1"]
    assert rows["2b"]["answer"]["zh-TW"] == "答覆 2b\n第二行"
    assert all(row["answer"] is None for row in json.loads(write_json(bare()))["rows"])


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\uff1d1"])
def test_no_answer_is_a_formula_in_a_spreadsheet(formula: str) -> None:
    card = full(attributes=answers(**{"1b": {"text": words(formula, formula)}}))

    line = cells(write_csv(card))[2]
    assert line[5] == line[6] == f"'{formula}"


def test_the_page_has_no_script_and_loads_nothing() -> None:
    hostile = words("<script>x()</script>", '"><img src=http://127.0.0.1/x>')
    page = write_html(full(attributes=answers(**{"1b": {"text": hostile}}))).decode()

    assert "<script" not in page and "<img" not in page
    assert "&lt;script&gt;x()&lt;/script&gt;" in page
    assert "default-src 'none'" in page
    assert page.count("<tr>") == 1 + 9 + 31


def test_the_rows_are_pure_values() -> None:
    assert rows_of(full()) == rows_of(full())
    assert rows_of(bare())[0].en is None


@pytest.mark.parametrize("lost", [b"9b,", b"1a,"])
def test_a_table_without_a_row_is_refused(lost: bytes) -> None:
    kept = [line for line in write_csv(bare()).splitlines() if not line.startswith(lost)]

    with pytest.raises(ExportInvalidError, match=f"not {lost.decode()[:2]}"):
        check_rows(b"\r\n".join(kept))
