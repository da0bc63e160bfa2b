import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from clients.data.catalogue.counting import Counted, _sums, counts_of
from clients.data.catalogue.suppression import (
    Sum,
    hidden_cells,
    rounded,
    suppressed,
    table,
)
from federation.domain.cells import SMALL_CELL


def people(count: int, start: int = 0) -> frozenset[str]:
    return frozenset(f"P{number}" for number in range(start, start + count))


def test_a_lone_small_cell_takes_the_next_smallest_with_it() -> None:
    cells = {"a": people(50), "b": people(20, 100), "c": people(3, 200), "all": people(300)}
    one = Sum("all", frozenset({"a", "b", "c"}))
    assert hidden_cells(cells, [one]) == {"b", "c"}


def test_a_hidden_total_cannot_be_added_up_from_its_parts() -> None:
    cells = {"row": people(4), "a": people(4), "b": people(30, 10), "all": people(60)}
    sums = [Sum("row", frozenset({"a"})), Sum("all", frozenset({"row", "b"}))]
    assert hidden_cells(cells, sums) == {"row", "a", "b"}


def test_counts_without_small_cells_are_all_shown() -> None:
    cells = {"a": people(50), "b": people(20, 100), "all": people(300)}
    assert hidden_cells(cells, [Sum("all", frozenset({"a", "b"}))]) == frozenset()


tables = st.dictionaries(
    st.tuples(st.sampled_from("CDMX"), st.sampled_from("AHKL")), st.integers(1, 40), min_size=1
)


@given(tables)
@settings(max_examples=200, deadline=None)
def test_no_hidden_cell_of_any_table_follows_from_one_sum(
    sizes: dict[tuple[str, str], int],
) -> None:
    numbers = itertools.count()
    rows = [
        Counted(modality, part, f"P{next(numbers)}", 1, 1, 1)
        for (modality, part), size in sizes.items()
        for _ in range(size)
    ]
    shown = counts_of(rows, studies=len(rows))
    count = {
        (c["modality"], c["body_part"]): c["patients"] for c in shown["by_modality_and_body_part"]
    }
    count |= {(c["modality"], None): c["patients"] for c in shown["by_modality"]}
    count |= {(None, c["body_part"]): c["patients"] for c in shown["by_body_part"]}
    count[None, None] = shown["patients"]
    truth = dict(sizes)
    for cell in count:
        inside = [
            n
            for key, n in sizes.items()
            if all(a in (None, b) for a, b in zip(cell, key, strict=True))
        ]
        truth[cell] = sum(inside)
    assert all(n == truth[cell] for cell, n in count.items() if isinstance(n, int))
    assert all(n >= SMALL_CELL for n in count.values() if isinstance(n, int))
    for one in _sums(set(count)):
        unknown = [cell for cell in (*one.parts, one.total) if not isinstance(count[cell], int)]
        assert len(unknown) != 1
        if isinstance(count[one.total], int):
            assert not unknown or sum(truth[cell] for cell in unknown) >= SMALL_CELL


def test_rare_scanners_are_counted_together_without_their_names() -> None:
    values = ["A"] * 40 + ["B"] * 6 + ["C"] * 7
    assert table(values, fold="other") == {"A": 40, "other": 13}
    assert table(["A"] * 40 + ["B"] * 6, fold="other") == {"other": 46}
    assert table(["B"] * 6, fold="other") == {"other": "suppressed"}


def test_rounding_is_the_same_for_the_same_patients_and_right_on_average() -> None:
    assert rounded(people(0)) == 0
    assert rounded(people(9)) == "<10" == suppressed(9)
    assert rounded(people(10)) == 10
    draws = [rounded(people(27, start)) for start in range(0, 27_000, 27)]
    assert set(draws) == {20, 30}
    assert abs(sum(map(int, draws)) / len(draws) - 27) < 0.6
    assert rounded(sorted(people(27))) == rounded(people(27))


def test_one_patient_more_does_not_show_in_a_rounded_count() -> None:
    """Of two questions that differ by one patient, most give the same number either way."""
    steps = [
        int(rounded(people(27, s))) - int(rounded(people(28, s))) for s in range(0, 28_000, 28)
    ]
    assert {abs(step) for step in steps} == {0, 10}
    assert 0.2 < sum(step > 0 for step in steps) / sum(step != 0 for step in steps) < 0.8
