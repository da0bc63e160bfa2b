from pathlib import Path

import pytest

from clients.data.cohort.definition import cohort_names, named_cohort, query_of, read_cohort
from clients.data.cohort.query import EVERYTHING, CohortQuery, LabelQuery
from federation.errors.cohorts import CohortFileError, CohortUnknownError
from federation.errors.core import InvalidValueError

WHOLE = """
title = "Adult chest radiographs"
modalities = ["CR", "DX"]
body_parts = ["CHEST"]
sexes = ["F"]
views = ["PA"]
lateralities = ["L"]
manufacturers = ["ACME"]
models = ["X1"]
age = { from = 18, to = 89 }
study_year = { from = 2019 }
frames_from = 1
slices_from = 2

[[labels]]
name = "pneumonia"
values = [0, 1]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "cohorts").mkdir()
    return tmp_path / "data"


def write(data: Path, text: str, name: str = "adults") -> Path:
    path = data.parent / "cohorts" / f"{name}.toml"
    path.write_text(text)
    return path


def test_every_key_of_a_file_is_asked(data: Path) -> None:
    write(data, WHOLE)
    assert named_cohort(data, "adults").query == CohortQuery(
        modalities=("CR", "DX"),
        body_parts=("CHEST",),
        sexes=("F",),
        views=("PA",),
        lateralities=("L",),
        manufacturers=("ACME",),
        models=("X1",),
        age_from_y=18,
        age_to_y=89,
        year_from=2019,
        frames_from=1,
        slices_from=2,
        labels=(LabelQuery("pneumonia", (0, 1)),),
    )
    assert cohort_names(data) == ["adults"]


def test_all_problems_of_a_file_are_named_at_once(data: Path) -> None:
    path = write(data, 'modality = ["CR"]\nsexes = ["female!"]\nage = { over = 18 }\n')
    with pytest.raises(CohortFileError) as raised:
        read_cohort(path)
    assert all(word in str(raised.value) for word in ("modality", "sexes.0", "age.over"))


@pytest.mark.parametrize(
    "text",
    [
        "age = { from = 60, to = 18 }",
        "age = { from = 95 }",
        "study_year = { from = 20240101 }",
        "frames_from = 0",
        'sexes = "F"',
        "age = { from = true }",
        "title = ",
        "x" * 70_000,
    ],
)
def test_a_file_that_is_not_understood_is_no_question_at_all(data: Path, text: str) -> None:
    write(data, text)
    with pytest.raises(CohortFileError):
        query_of(data, "adults")


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        CohortQuery(year_from=2024, year_to=2020)


def test_a_cohort_without_a_file_is_everything_but_cannot_be_shown(data: Path) -> None:
    write(data, "", name="other")
    assert query_of(data, "adults") == query_of(data, None) == EVERYTHING
    with pytest.raises(CohortUnknownError, match="other"):
        named_cohort(data, "adults")


def test_a_name_from_the_centre_is_no_path(data: Path) -> None:
    (data.parent / "secret.toml").write_text("title = 'x'")
    for name in ("../secret", "/etc/passwd", "a/../../secret", "Ä"):
        assert query_of(data, name) == EVERYTHING
        with pytest.raises(CohortUnknownError):
            named_cohort(data, name)


@pytest.mark.parametrize(
    "text",
    [
        "frames_from = " + "9" * 5000,
        "labels = " + "[" * 5000 + "]" * 5000,
        "labels = [" + '{ name = "a" },' * 60 + "]",
        "modalities = [" + '"CR",' * 300 + "]",
        'title = "\\u001b[31mred"',
    ],
)
def test_a_hostile_definition_is_a_coded_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(CohortFileError):
        read_cohort(path)
