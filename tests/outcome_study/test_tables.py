"""A hospital's table of outcomes is taken whole or refused with line numbers, never with values."""

from pathlib import Path

import pytest

from clients.data.outcomes.reading import read_outcomes
from clients.data.outcomes.store import add_table, delete_table, present_rows, read_table, tables
from clients.outcome_study.columns import check_fits, columns_for
from federation.domain.outcome_plan import Clock, Numeric, OutcomePlan, Unit
from federation.errors.base import PlatformError, ProblemsFound
from federation.errors.outcomes import (
    OutcomeTableError,
    OutcomeTableMissingError,
    TableDoesNotFitError,
)
from federation.wording import Language
from tests.outcome_study.made_up import ANALYSES, CLOCK, QUICK, VARIABLES

PLAN = OutcomePlan(VARIABLES, CLOCK, ANALYSES, QUICK, None, ())
HEAD = "patient_id,time,event,ai,age,sex,died,remark\n"
GOOD = HEAD + "S1234567,3.2,1,0,61,F,0,secret\nS7654321,30,1,1,45.5,M,1,\n"


def refused(text: str) -> list[PlatformError]:
    with pytest.raises(PlatformError) as found:
        read_outcomes(text.encode(), PLAN)
    error = found.value
    return list(error.problems) if isinstance(error, ProblemsFound) else [error]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("3.2", "", "time is missing"),
        ("3.2", "NaN", "time is no finite number"),
        ("3.2", "inf", "time is no finite number"),
        ("3.2", "3,2", "no CSV"),
        ("3.2", "1_0", "time is no finite number"),
        ("3.2", "2026-03-02", "time is no finite number"),
        ("61", "=61", "age is no finite number"),
        ("3.2", "-3.2", "time is negative"),
        (",1,0,61", ",2,0,61", "event is neither 0 nor 1"),
        ("61", "130", "age is outside its declared bounds"),
        ("61,F", "61,f", "sex is none of its declared levels"),
        ("61,F", "61,", "sex is missing"),
        ("S1234567", "", "no patient is named"),
        ("S7654321", "S1234567", "a patient has two lines"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_by_line(old: str, new: str, why: str) -> None:
    found = refused(GOOD.replace(old, new, 1))

    assert [one.code for one in found] == [OutcomeTableError.code]
    assert why in found[0].say()
    for language in Language:
        said = found[0].say(language)
        assert "S1234567" not in said and "3.2" not in said and "secret" not in said


def test_every_problem_is_told_at_once_with_its_lines() -> None:
    found = refused(GOOD.replace("61,F", "500,Q").replace("45.5", "x"))

    lines = sorted(str(one.values["lines"]) for one in found)
    assert lines == ["2", "2", "3"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\n\n").encode() + b",,,,,,,\n",
        GOOD.replace("secret", "\u5bb6\u5c6c").encode("cp950"),
        ("\ufeff" + GOOD).encode("utf-16-le"),
        GOOD.replace("secret", '"two\nlines"').encode(),
    ],
    ids=["mark", "crlf", "empty-lines", "big5", "utf-16", "quoted-newline"],
)
def test_what_a_clerks_program_writes_is_read(content: bytes) -> None:
    assert [one.patient for one in read_outcomes(content, PLAN)] == ["S1234567", "S7654321"]


def test_ids_beyond_ascii_are_taken_from_unicode_only() -> None:
    """In another character set than Big5 they would be other ids, unknown to the opt-outs."""
    text = GOOD.replace("S1234567", "\u7532123")

    assert read_outcomes(text.encode(), PLAN)[0].patient == "\u7532123"
    with pytest.raises(OutcomeTableError, match="UTF-8"):
        read_outcomes(text.encode("cp950"), PLAN)


def test_lines_are_numbered_as_an_editor_shows_them() -> None:
    text = GOOD.replace("secret", '"two\nlines"').replace("45.5", "x")

    assert refused(text)[0].values["lines"] == "4"
    assert refused(GOOD.replace("45.5,M", "45.5"))[0].values["lines"] == "3"


@pytest.mark.parametrize("text", ["", HEAD, "a,b\n1,2\n", HEAD.replace("sex", "age") + "1,2\n"])
def test_what_is_no_table_is_refused(text: str) -> None:
    assert refused(text)[0].code == OutcomeTableError.code


def test_two_spellings_of_one_patient_are_one_patient(tmp_path: Path) -> None:
    lines = read_outcomes(GOOD.replace("S7654321", "\uff33\uff11234567").encode(), PLAN)

    with pytest.raises(OutcomeTableError):
        add_table(tmp_path, "wards", lines)


def test_a_kept_table_has_pseudonyms_and_declared_columns_only(tmp_path: Path) -> None:
    kept = add_table(tmp_path, "wards", read_outcomes(GOOD.encode(), PLAN))

    content = (tmp_path / "outcomes" / "wards.json").read_text(encoding="utf-8")
    assert "S1234567" not in content and "secret" not in content and "remark" not in content
    assert tables(tmp_path) == [kept] and len(present_rows(tmp_path, "wards")) == 2
    assert delete_table(tmp_path, "wards") and not delete_table(tmp_path, "wards")


@pytest.mark.parametrize("name", ["../keys", "", ".hidden", "none", "a/b"])
def test_a_table_of_a_strange_name_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutcomeTableMissingError):
        read_table(tmp_path, name)


def test_times_go_up_to_the_grid_and_end_with_the_clock(tmp_path: Path) -> None:
    add_table(tmp_path, "wards", read_outcomes(GOOD.encode(), PLAN))

    columns = columns_for(read_table(tmp_path, "wards"), PLAN)

    assert sorted(columns.time.tolist()) == [4.0, 24.0]
    assert dict(zip(columns.time, columns.event, strict=True)) == {
        4.0: 1, 24.0: 0,
    }  # fmt: skip


def test_a_table_kept_for_other_variables_does_not_fit(tmp_path: Path) -> None:
    add_table(tmp_path, "wards", read_outcomes(GOOD.encode(), PLAN))
    rows = read_table(tmp_path, "wards")
    narrow = tuple(Numeric("age", 50, 60) if one.name == "age" else one for one in VARIABLES)

    check_fits(rows, PLAN, table="wards")
    with pytest.raises(TableDoesNotFitError):
        check_fits(rows, OutcomePlan(narrow, CLOCK, ANALYSES, QUICK, None, ()), table="wards")
    clock = Clock(Unit.DAY, 1.0, 9.0)
    assert OutcomePlan(VARIABLES, clock, ANALYSES, QUICK, None, ()).clock == clock
