"""The book of which rounds saw whom."""

import time
from pathlib import Path

import pytest

from clients.data.people.lineage import Lineage, RoundState, TrainedRound
from clients.data.people.sightings import of_pseudonym
from federation.domain.ids import RunId, Sha256
from federation.errors.people import LineageError, PseudonymSpellingError
from tests.data.people.conftest import NOW

RUN = RunId("cxr.1")
MODEL, UPDATE, DATA = (Sha256.of(name) for name in (b"model", b"update", b"data"))


def train(
    book: Lineage,
    number: int,
    *patients: str,
    register: str = "one",
    state: RoundState | None = RoundState.RELEASED,
) -> None:
    book.begin(TrainedRound("cxr", RUN, number, MODEL, DATA, register, patients), now=NOW)
    if state is not None:
        book.end(RUN, number, state, model_out=UPDATE)


def test_a_person_is_told_which_rounds_saw_them(tmp_path: Path) -> None:
    book = Lineage(tmp_path)
    train(book, 1, "a", "b")
    train(book, 2, "a")
    book.name_version(run=RUN, version="cxr-model 1.0.0")
    assert [(one.round, one.model_out) for one in book.sightings(["b"])] == [(1, UPDATE)]
    assert [one.version for one in book.sightings(["a"])] == ["cxr-model 1.0.0"] * 2
    assert book.sightings(["c"]) == []


def test_a_withheld_round_saw_nobody_and_an_unknown_one_did(tmp_path: Path) -> None:
    book = Lineage(tmp_path)
    train(book, 1, "a", state=RoundState.WITHHELD)
    train(book, 2, "a", state=None)
    assert [(one.round, one.state) for one in book.sightings(["a"])] == [(2, "training")]


def test_what_changed_between_rounds_is_counted(tmp_path: Path) -> None:
    book = Lineage(tmp_path)
    train(book, 1, "a", "b", "c")
    assert book.last_round(RUN).left is None
    train(book, 2, "a", "d", register="two")
    change = book.last_round(RUN)
    assert (change.register_changed, change.left, change.joined) == (True, 2, 1)
    train(book, 3, "a", "d", register="two")
    assert [one.register_changed for one in book.changes()] == [False, True, False]
    assert book.changes()[-1] == book.last_round(RUN)


def test_a_cohort_is_stored_once_however_many_rounds_it_trains(tmp_path: Path) -> None:
    book = Lineage(tmp_path)
    people = [f"P{n:032x}" for n in range(20_000)]
    train(book, 1, *people)
    size = book.path.stat().st_size
    started = time.process_time()
    for number in range(2, 12):
        train(book, number, *people)
        book.last_round(RUN)
    assert book.path.stat().st_size < size * 1.05
    assert time.process_time() - started < 5


def test_the_book_is_for_its_owner_alone(tmp_path: Path) -> None:
    book = Lineage(tmp_path)
    train(book, 1, "a")
    assert book.path.stat().st_mode & 0o077 == 0


def test_a_round_that_cannot_be_written_down_does_not_take_place(tmp_path: Path) -> None:
    book = Lineage(tmp_path)
    with pytest.raises(LineageError, match="who"):
        train(book, 1)
    book.path.write_bytes(b"not a database, sixteen bytes and more" * 30)
    with pytest.raises(LineageError):
        train(book, 1, "a")


def test_renaming_twice_renames_once(tmp_path: Path) -> None:
    book = Lineage(tmp_path)
    train(book, 1, "a")
    for _ in range(2):
        book.rename(lambda name: name + "x", keys=2)
    assert [one.round for one in book.sightings(["ax"])] == [1]


def test_a_patient_id_in_place_of_a_pseudonym_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(PseudonymSpellingError) as caught:
        of_pseudonym(tmp_path, "A123456789")
    assert "A123456789" not in str(caught.value)
