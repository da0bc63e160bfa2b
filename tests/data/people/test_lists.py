"""Lists as hospitals write them: nobody on a list is left out in silence."""

import pytest

from clients.data.people.lists import Kind, lines_of_text, read_list
from federation.errors.base import PlatformError

READ = {
    "lines of Windows": b"P1\r\nP2\r\n",
    "a byte order mark": b"\xef\xbb\xbfpatient_id\nP1\nP2\n",
    "semicolons": b"patient_id;name\nP1;Wang\nP2;Lee\n",
    "tabs": b"patient_id\tname\nP1\tWang\nP2\tLee\n",
    "Excel in Taiwan": "病歷號,姓名\nP1,王小明\nP2,許功蓋\n".encode("cp950"),
    "Unicode text of Excel": "病歷號\t姓名\r\nP1\t王\r\nP2\t李\r\n".encode("utf-16"),
    "a thousand columns": b"," * 999 + b"patient_id\n" + b"," * 999 + b"P1\n" + b"," * 999 + b"P2",
    "quotation marks": b'"P1"\n"P2"\n',
}
REFUSED = {
    "columns without a header": b"P1;Wang\nP2;Lee\n",
    "a quotation mark that swallows rows": b'patient_id,name\nP1,"Wang\nP2,Lee\nP3,Chen\n',
    "two that swallow rows": b'patient_id,name\nP1,"Wang\nP2,Lee\nP3,Chen"\nP4,x\n',
    "a row without an ID": b"patient_id,name\nP1,Wang\n,Lee\n",
    "a row that is too short": b"name,patient_id\nWang,P1\nLee\n",
    "a page of a web server": b"<!DOCTYPE html>\n<html>please log in</html>",
    "IDs in Big5": "王一\n許功\n".encode("cp950"),
    "UTF-16 without its mark": "P1\nP2\n".encode("utf-16-le"),
    "lines of an old Macintosh": b"P1\rP2\r",
    "noise": b"\xff\xff\x00\x81\xff",
    "a zero byte": b"P1\0\nP2\n",
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_a_list_is_read_as_it_is_written(content: bytes) -> None:
    assert read_list(content, kind=Kind.AUTO, trusted={}).patient_ids == ("P1", "P2")


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_a_list_that_would_lose_somebody_is_refused(content: bytes) -> None:
    with pytest.raises(PlatformError):
        read_list(content, kind=Kind.AUTO, trusted={})


def test_lines_to_check_in_an_unsure_spelling_are_refused() -> None:
    assert lines_of_text("P1\n王\n".encode()) == ["P1", "王"]
    with pytest.raises(PlatformError):
        lines_of_text("P1\n王\n".encode("cp950"))
