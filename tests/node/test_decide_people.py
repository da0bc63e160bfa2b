"""Who may sign at a hospital: names and keys that the data officer signed."""

from pathlib import Path

import pytest

from clients.persons import OFFICER, People
from federation.errors.approval import PersonRefusedError
from federation.errors.signed import KeyFileError
from federation.evidence.signing import new_key
from tests.node.hospital import NOW, a_hospital


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People.of(a_hospital(tmp_path).home)


def test_the_data_officer_is_the_first_person(people: People) -> None:
    assert people.names() == [OFFICER]
    assert people.signer(OFFICER).keyid == people.person(OFFICER).key.keyid


def test_a_person_gets_a_private_key_that_only_they_can_read(people: People) -> None:
    added = people.add("wang", now=NOW)

    assert people.signer("wang").keyid == added.key.keyid
    assert (people.folder / "wang.key").stat().st_mode & 0o777 == 0o600
    assert people.folder.stat().st_mode & 0o777 == 0o700
    assert [person.name for person in people.all()] == [OFFICER, "wang"]
    assert people.owner_of(added.key.keyid).name == "wang"


def test_a_person_may_keep_the_private_key_elsewhere(people: People, tmp_path: Path) -> None:
    elsewhere = new_key(tmp_path / "token.key")
    people.add("chen", now=NOW, key=elsewhere.public_key)

    with pytest.raises(PersonRefusedError, match="--key"):
        people.signer("chen")
    assert people.signer("chen", key=tmp_path / "token.key").keyid == elsewhere.keyid


def test_a_key_of_somebody_else_is_not_theirs(people: People, tmp_path: Path) -> None:
    people.add("wang", now=NOW)
    new_key(tmp_path / "eve.key")

    with pytest.raises(PersonRefusedError, match="not theirs"):
        people.signer("wang", key=tmp_path / "eve.key")


@pytest.mark.parametrize("name", ["", "Wang", "../eve", "a" * 33, "1st", "wang.key", "王"])
def test_a_name_is_a_short_word(people: People, name: str) -> None:
    with pytest.raises(PersonRefusedError, match="name"):
        people.add(name, now=NOW)
    with pytest.raises(PersonRefusedError):
        people.person(name)


def test_names_and_keys_are_taken_once(people: People) -> None:
    added = people.add("wang", now=NOW)

    for name, key in (("wang", None), (OFFICER, None), ("chen", added.key), ("li", people.officer)):
        with pytest.raises(PersonRefusedError, match="taken"):
            people.add(name, now=NOW, key=key)


def test_a_key_dropped_into_the_folder_is_nobodys(people: People) -> None:
    people.folder.mkdir(mode=0o700)
    new_key(people.folder / "eve.key")

    with pytest.raises(PersonRefusedError, match="signature"):
        people.person("eve")
    assert [person.name for person in people.all()] == [OFFICER]


def test_the_word_for_one_person_is_not_a_word_for_another(people: People) -> None:
    people.add("wang", now=NOW)
    (people.folder / "eve.pub").write_bytes((people.folder / "wang.pub").read_bytes())
    (people.folder / "eve.seal").write_bytes((people.folder / "wang.seal").read_bytes())

    with pytest.raises(PersonRefusedError):
        people.person("eve")


def test_a_persons_key_is_not_exchanged(people: People, tmp_path: Path) -> None:
    people.add("wang", now=NOW)
    (people.folder / "wang.pub").write_bytes(new_key(tmp_path / "eve.key").public_key.pem)

    with pytest.raises(PersonRefusedError, match="signature"):
        people.person("wang")


def test_a_removed_person_does_not_come_back_with_their_key(people: People) -> None:
    people.add("wang", now=NOW)
    kept = (people.folder / "wang.pub").read_bytes()
    people.remove("wang", now=NOW)
    (people.folder / "wang.pub").write_bytes(kept)

    with pytest.raises(PersonRefusedError, match="removed"):
        people.person("wang")
    with pytest.raises(PersonRefusedError, match="taken"):
        people.add("wang", now=NOW)


def test_the_data_officer_cannot_be_removed(people: People) -> None:
    with pytest.raises(PersonRefusedError):
        people.remove(OFFICER, now=NOW)


def test_without_the_officers_key_nobody_is_added(people: People) -> None:
    people.officer_key.unlink()

    with pytest.raises(KeyFileError):
        people.add("wang", now=NOW)
