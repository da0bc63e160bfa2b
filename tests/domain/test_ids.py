"""An id is checked when made, so that it can go anywhere."""

import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.ids import Id, RunId, Sha256, SiteId, StudyId
from federation.errors.core import InvalidIdError

KINDS = [SiteId, StudyId, RunId, Sha256]


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_kind_is_one(kind: type[Id]) -> None:
    assert kind(kind.example) == kind.example


@pytest.mark.parametrize("text", ["a", "tainan-1", "0", "x" * 40])
def test_short_lower_case_names_are_ids(text: str) -> None:
    assert SiteId(text) == text


@pytest.mark.parametrize(
    "text", ["", "A", "-a", "a-", "a_b", "a.b", "a/b", "../a", "a b", "x" * 41, "a\n", "é", "a\0"]
)
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidIdError):
        SiteId(text)


@given(st.text())
def test_an_id_is_safe_in_a_file_name_or_it_is_none(text: str) -> None:
    try:
        made = StudyId(text)
    except InvalidIdError as error:
        assert len(error.say()) < 400
    else:
        assert made.isascii()
        assert not set(made) & set("/\\. \n\0")


def test_a_run_is_named_after_its_study() -> None:
    assert RunId.of(StudyId("cxr-2026"), 3) == "cxr-2026.3"


@pytest.mark.parametrize("text", ["cxr", "cxr.0", "cxr.01", "cxr.-1", "cxr.1.1", ".1"])
def test_a_run_without_a_proper_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdError):
        RunId(text)


@given(st.binary(max_size=64))
def test_a_content_id_is_the_sha_256_of_the_bytes(content: bytes) -> None:
    digest = Sha256.of(content)

    assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert digest.hex == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "text", ["sha256:" + 63 * "0", "sha256:" + 64 * "A", 64 * "0", "sha512:" + 64 * "0"]
)
def test_other_spellings_of_a_digest_are_refused(text: str) -> None:
    with pytest.raises(InvalidIdError):
        Sha256(text)


def test_ids_survive_the_way_between_processes() -> None:
    site = pickle.loads(pickle.dumps(SiteId("north")))

    assert isinstance(site, SiteId)
