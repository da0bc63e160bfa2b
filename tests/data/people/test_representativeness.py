"""Who remains after opt-out: known answers, and nothing that shows one person."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.data.people.holdings import PatientFacts
from clients.data.people.representativeness import (
    AGE_BANDS,
    OTHER,
    Shift,
    age_band,
    in_tens,
    psi,
    rename_snapshot,
    reported,
    representativeness,
    smd,
)


def a_person(
    number: int, *, sex: str = "F", age: str = "050Y", scanner: str = "Acme"
) -> PatientFacts:
    name = f"P{number:032x}"
    return PatientFacts(name, name, sex, age, "CR", scanner)


def names(people: list[PatientFacts]) -> frozenset[str]:
    return frozenset(one.patient for one in people)


def test_psi_of_the_published_example() -> None:
    """EVALUATION.md E10: PSI(.5/.5 against .6/.4) = 0.0405465."""
    assert psi([0.5, 0.5], [0.6, 0.4], floor=1e-9) == pytest.approx(0.0405465, abs=1e-7)


def test_psi_is_the_sum_of_both_relative_entropies() -> None:
    from scipy.stats import entropy

    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.25, 0.25, 0.5])
    assert psi(list(p), list(q), floor=0) == pytest.approx(entropy(p, q) + entropy(q, p))


def test_smd_of_a_known_answer() -> None:
    """0.6 and 0.4: 0.2 over the square root of 0.24 (Austin 2009, for proportions)."""
    assert smd(0.6, 0.4) == pytest.approx(0.2 / math.sqrt(0.24))
    assert smd(0.0, 0.0) == smd(1.0, 1.0) == 0


def test_floor_keeps_an_empty_category_finite() -> None:
    assert math.isfinite(psi([1.0, 0.0], [0.5, 0.5], floor=0.005))


def test_a_shift_of_a_known_answer() -> None:
    """Of 60 women and 60 men, 30 women and 10 men leave: 0.5 becomes 30/80."""
    people = [a_person(n, sex="F" if n < 60 else "M") for n in range(120)]
    left = names(people[:30] + people[60:70])
    shift = (representativeness(people, left).variables or {})["sex"]
    p, q = 0.5, 30 / 80
    wanted = (p - q) / math.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    index = (p - q) * math.log(p / q) + (q - p) * math.log((1 - p) / (1 - q))
    assert shift == Shift(psi=round(index, 2), smd={"F": round(wanted, 2), "M": round(-wanted, 2)})


@pytest.mark.parametrize(("left", "kept"), [(9, 50), (50, 9), (0, 50)])
def test_nothing_is_said_of_fewer_than_ten(left: int, kept: int) -> None:
    people = [a_person(n) for n in range(left + kept)]
    assert representativeness(people, names(people[:left])).variables is None


def test_small_categories_are_folded_until_none_is_small() -> None:
    scanners = {"A": (40, 40), "B": (30, 30), "C": (3, 30), "D": (4, 2)}
    people, left = [], []
    for scanner, (going, staying) in scanners.items():
        for number in range(going + staying):
            one = a_person(len(people), scanner=scanner)
            people.append(one)
            if number < going:
                left.append(one)
    shift = (representativeness(people, names(left)).variables or {})["scanner"]
    assert shift is not None
    assert set(shift.smd) == {"A", OTHER}  # C and D are 7 who left, so B goes with them


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=200))
def test_every_category_shown_holds_ten_who_left_and_ten_who_stayed(
    drawn: list[tuple[int, bool]],
) -> None:
    people = [a_person(n, scanner=f"S{kind}") for n, (kind, _) in enumerate(drawn)]
    left = names([one for one, (_, goes) in zip(people, drawn, strict=True) if goes])
    report = representativeness(people, left)
    if report.variables is None or report.variables["scanner"] is None:
        return
    shown = report.variables["scanner"].smd
    for category, goes in product(shown, (True, False)):
        inside = (
            {f"S{kind}" for kind in range(5)} - shown.keys() if category == OTHER else {category}
        )
        members = [p for p in people if p.scanner in inside and (p.patient in left) is goes]
        assert len(members) >= 10


def test_a_report_stands_until_ten_people_moved(tmp_path: Path) -> None:
    people = [a_person(n, sex="FM"[n % 2]) for n in range(200)]
    first = reported(tmp_path, people, names(people[:40]), at="one")
    for more in range(41, 50):
        assert reported(tmp_path, people, names(people[:more]), at="two") == first
    second, made = reported(tmp_path, people, names(people[:50]), at="two")
    assert (made, second.left) == ("two", "50+")


def test_a_standing_report_survives_a_renaming(tmp_path: Path) -> None:
    people = [a_person(n, sex="FM"[n % 2]) for n in range(100)]
    first = reported(tmp_path, people, names(people[:40]), at="one")
    for _ in range(2):
        rename_snapshot(tmp_path, lambda name: "Q" + name, keys=2)
    again = [
        PatientFacts("Q" + p.patient, "Q" + p.any_issuer, p.sex, p.age, p.modality, p.scanner)
        for p in people
    ]
    assert reported(tmp_path, again, names(again[:41]), at="two") == first


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0"), (1, "<10"), (9, "<10"), (10, "10+"), (29, "20+"), (30, "30+")]
)
def test_people_are_counted_in_tens(count: int, said: str) -> None:
    assert in_tens(count) == said


def test_ages_fall_into_bands() -> None:
    ages = ("017Y", "018Y", "059Y", "060Y", "090Y", "006M", "", "abc")
    bands = [age_band(age) for age in ages]
    assert bands[:6] == [AGE_BANDS[n] for n in (0, 1, 2, 3, 4, 0)]
    assert bands[6:] == ["unknown", "unknown"]
