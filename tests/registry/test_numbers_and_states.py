"""Model numbers catch slips of the hand; states move only as the table says."""

import itertools

import pytest

from federation.errors.core import TransitionRefusedError
from federation.errors.registry import EntryNotFoundError
from federation.evidence.model_version import ModelVersionState as State
from registry.models.numbers import check_digit, model_id, next_version, parse_entry
from registry.models.states import FINAL, MODEL_VERSION, MOVES, Role


def test_damms_published_example() -> None:
    assert check_digit("572") == "4"  # H. M. Damm, 2004


def test_a_number_with_its_check_digit_checks_to_zero() -> None:
    for number in (1, 42, 99_999):
        digits = model_id(year=2026, number=number).removeprefix("TWAI-").replace("-", "")
        assert check_digit(digits) == "0"


def test_every_wrong_digit_is_found() -> None:
    good = model_id(year=2026, number=12345)
    for place, digit in itertools.product(range(len(good)), "0123456789"):
        if good[place].isdigit() and good[place] != digit:
            with pytest.raises(EntryNotFoundError):
                parse_entry(good[:place] + digit + good[place + 1 :])


def test_every_swap_of_neighbours_is_found() -> None:
    good = model_id(year=2026, number=12345)
    for place in range(5, len(good) - 1):
        pair = good[place : place + 2]
        if pair.isdigit() and pair[0] != pair[1]:
            with pytest.raises(EntryNotFoundError):
                parse_entry(good[:place] + pair[::-1] + good[place + 2 :])


@pytest.mark.parametrize(
    ("taken", "corrects", "expected"),
    [
        ([], None, "0.1.0"),
        (["0.1.0"], None, "0.2.0"),
        (["0.1.0", "0.1.1", "0.2.0"], None, "0.3.0"),
        (["0.9.0", "0.10.0"], None, "0.11.0"),
        (["0.1.0"], "0.1.0", "0.1.1"),
        (["0.1.0", "0.1.1", "0.2.0"], "0.1.1", "0.1.2"),
        (["0.1.0", "0.2.0"], "0.1.0", "0.1.1"),
    ],
)
def test_versions_count_up(taken: list[str], corrects: str | None, expected: str) -> None:
    assert next_version(taken, corrects=corrects) == expected


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    listed = {(before, move.after) for move in MOVES for before in move.before}
    for before, after in itertools.product(State, State):
        if (before, after) in listed:
            MODEL_VERSION.check(before, after)
        else:
            with pytest.raises(TransitionRefusedError):
                MODEL_VERSION.check(before, after)


def test_a_version_starts_as_a_draft_and_nothing_leaves_a_final_state() -> None:
    assert MODEL_VERSION.start is State.DRAFT
    assert all(not MODEL_VERSION.table[state] for state in FINAL)


def test_every_move_of_the_design_is_there() -> None:
    assert {move.number for move in MOVES} == {f"T{number}" for number in range(2, 14)}


def test_the_developer_never_approves_alone() -> None:
    approving = {State.REGISTERED, State.EXTERNAL_EVAL, State.RAI_APPROVED, State.LIVE}
    for move in MOVES:
        if move.after in approving:
            assert Role.DEV not in move.roles or move.signatures > 1


def test_suspension_takes_one_signature_and_return_takes_two() -> None:
    signatures = {move.number: move.signatures for move in MOVES}
    assert signatures["T9"] == 1 and signatures["T10"] == 2
