"""What gives a person away is recognised; what does not is let through."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from registry.codes import SPELLING, Coded, System
from registry.disclosure import Cell, CountTable, gives_away, identifies


@pytest.mark.parametrize(
    "text",
    [
        "A123456789",
        "the man a123456789.",
        "居留證 A800000014",
        "病歷號:0012345",
        "病歷號碼 12345",
        "MRN 00123",
        "chart no. 00123",
        "Patient ID=7788",
        "健保卡號 000012345678",
        "1.2.840.113619.2.55.3.604688119",
        "2.25.123456789012345678901234567890",
        "see Patient/abc-1",
        "The study is 1.2.840.113619.2.55.3.604688119.",
        "...1.2.840.113619.2.55.3.604688119",
        "A123456789",
    ],
)
def test_what_identifies_a_patient_is_found(text: str) -> None:
    assert identifies(text)


@pytest.mark.parametrize(
    "text",
    [
        "A123456788",  # another check digit
        "衛部醫器製字第006789號",
        "0421040011",
        "version 1.2.3, threshold 0.45",
        "sha256:" + "a123456789" * 6 + "abcd",
        "2026-09-01T08:00:00Z",
        "NCT01234567",
        "the patient identified the button",
        "(01)04711234567890",
        "病歷品質良好,共 12345 例",
    ],
)
def test_what_identifies_nobody_is_let_through(text: str) -> None:
    assert not identifies(text)


def test_the_check_digit_of_a_national_id_is_that_of_the_ministry() -> None:
    valid = [
        f"A1234567{number:02d}" for number in range(100) if identifies(f"A1234567{number:02d}")
    ]
    assert "A123456789" in valid and len(valid) == 10
    assert all(int(b[-2:]) - int(a[-2:]) in (9, 19) for a, b in pairwise(valid))


@pytest.mark.parametrize(
    ("total", "cells", "holds"),
    [
        (100, [80, 20, 0], True),
        (100, [95, 5], False),
        (5, [], False),
        (100, [90, None], False),
        (100, [95, None, None], False),
        (100, [85, None, None], True),
        (100, [50, 40], False),
        (100, [60, 50], False),
        (None, [60, None], True),
        (None, [60, 3], False),
        (0, [0, 0], True),
        (100, [], True),
    ],
)
def test_no_count_below_ten_is_shown_nor_follows(
    total: int | None, cells: list[int | None], holds: bool
) -> None:
    assert (gives_away(total, cells) is None) is holds


@given(st.lists(st.one_of(st.none(), st.integers(0, 60)), max_size=6), st.integers(10, 30))
def test_what_is_accepted_leaves_at_least_k_people_to_every_hidden_group(
    cells: list[int | None], smallest: int
) -> None:
    shown = sum(cell for cell in cells if cell is not None)
    hidden = [cell for cell in cells if cell is None]
    for left in range(40):
        if gives_away(shown + left, cells, smallest=smallest) is None and cells:
            assert not any(cell and cell < smallest for cell in cells if cell is not None)
            assert (left == 0 and not hidden) or len(hidden) != 1
            assert not hidden or left >= smallest


def test_a_policys_larger_k_holds_and_a_smaller_one_is_refused() -> None:
    cells = (Cell(name="yes", n=15), Cell(name="no", n=85))
    assert CountTable(total=100, cells=cells).as_mapping() == {"yes": 15, "no": 85}
    with pytest.raises(ValidationError):
        CountTable(total=100, cells=cells, smallest=20)
    with pytest.raises(ValidationError):
        CountTable(total=100, cells=cells, smallest=5)
    with pytest.raises(ValidationError):
        CountTable(total=100, cells=(cells[0], cells[0], *cells[1:]))


GOOD = {
    System.LOINC: "24627-2",
    System.SNOMED: "39607008",
    System.ICD10_CM: "J18.9",
    System.ICD10_PCS: "0BH17EZ",
    System.DICOM: "CR",
    System.NHI_PAYMENT: "33070B",
    System.IMDRF_PROBLEM: "A090807",
    System.IMDRF_IMPACT: "F0801",
}


@pytest.mark.parametrize("system", System)
def test_a_code_is_spelled_as_its_system_spells_codes(system: System) -> None:
    assert set(GOOD) == set(SPELLING) == set(System)
    assert Coded(system=system, code=GOOD[system]).code == GOOD[system]
    for code in ("", "pneumonia", "<b>", f"{GOOD[system]} "):
        with pytest.raises(ValidationError):
            Coded(system=system, code=code)
