"""What the register recorded of an entry is whole in its bundle, with whoever signed it off."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from federation.evidence.certificates import (
    CertifiedKey,
    KeyOwner,
)
from federation.evidence.members import (
    CHECKPOINT,
    DOSSIER,
    REGISTERED,
)
from registry.bundle import export
from registry.records.service import Records
from registry.records.statements import PersonKey, SignOff, sign_off
from tests.registry.builders import (
    NOW,
    Centre,
    candidate,
    make_centre,
)
from tests.registry.bundles import (
    certified,
    members_of,
    named,
    rebuilt,
    resigned,
    statements,
    verdict,
    with_keys,
)
from tests.registry.record_builders import DEV, HAC, LAMP, RAI_A, Lamp, new_signer

ENTRY_RECORD = replace(LAMP, name="model-version")


@pytest.fixture
def moved(tmp_path: Path) -> tuple[Centre, dict[str, list[PersonKey]], Path]:
    """An entry that two people moved, each with a key of their own."""
    home = make_centre(tmp_path / "moved")
    given = candidate(home, statements=statements(home))
    stored, _ = home.registrar.register(given, actor="centre")
    people: dict[str, list[PersonKey]] = {}
    records = Records(
        home.registrar.store, home.signer, lambda: NOW, keys=lambda who: people.get(who, [])
    )
    records.put(ENTRY_RECORD, stored.entry, Lamp(colour="red"), author=DEV)
    seen = records.get("model-version", stored.entry)
    for author in (RAI_A, HAC):
        signer = new_signer()
        people[author.person] = [
            PersonKey(
                author.person,
                signer.public_key,
                frozenset({author.role}),
                NOW - timedelta(days=1),
                NOW + timedelta(days=9),
            )
        ]
        wanted = SignOff(
            seen.noun, seen.id, 1, seen.digest, "light", author.role, "ok", "2026-09-01T08:00:00Z"
        )
        records.move(
            ENTRY_RECORD,
            stored.entry,
            "light",
            author=author,
            revision=1,
            reason="ok",
            signature=sign_off(wanted, signer),
        )
    path = export(home.registrar, stored.entry, tmp_path / "moved.zip", people=records.keys)
    return home, people, path


def test_what_was_recorded_of_an_entry_and_who_signed_it_is_inside(
    moved: tuple[Centre, dict[str, list[PersonKey]], Path],
) -> None:
    _, people, path = moved
    members = members_of(path)
    said = [json.loads(members[f"items/register-{n:05}.json"]) for n in (1, 2, 3)]
    assert [(one["noun"], one["state"]) for one in said] == [
        ("model-version", "new"),
        ("sign-off", "open"),
        ("model-version", "lit"),
    ]
    assert len([name for name in members if name.startswith("dsse/person-")]) == len(people)
    assert verdict(path).verified
    assert members[CHECKPOINT] != members[REGISTERED]


def test_a_revision_left_out_or_a_signature_left_out_is_named(
    tmp_path: Path, moved: tuple[Centre, dict[str, list[PersonKey]], Path]
) -> None:
    home, _, path = moved
    members = members_of(path)
    for folder in ("dsse", "items", "log/inclusion"):
        gone = f"{folder}/register-00001.json"
        rest = {name: content for name, content in members.items() if name != gone}
        found = named(tmp_path, resigned(rest, home.signer))
        assert found == (gone if folder != "dsse" else DOSSIER)
    second = {
        name.replace("00003", "00001"): members[name]
        for name in members
        if "register-00003" in name
    }
    rest = {name: content for name, content in members.items() if "register-" not in name}
    assert named(tmp_path, resigned(rest | second, home.signer)) == "items/register-00001.json"
    person = next(name for name in members if name.startswith("dsse/person-"))
    rest = {name: content for name, content in members.items() if name != person}
    assert named(tmp_path, resigned(rest, home.signer)) == person


def test_a_persons_signature_by_a_key_that_no_longer_counted_is_named(
    tmp_path: Path, moved: tuple[Centre, dict[str, list[PersonKey]], Path]
) -> None:
    home, people, path = moved
    keys = certified(home, {})
    (mine,) = people[HAC.person]
    for dates, holds in (
        ({"revoked": NOW}, False),
        ({"until": NOW}, False),
        ({"revoked": NOW + timedelta(seconds=1)}, True),
    ):
        listed = [*keys, CertifiedKey(mine.key, KeyOwner(person=HAC.person), **dates)]
        changed_ = with_keys(home, members_of(path), listed)
        found = verdict(rebuilt(tmp_path / "person.zip", changed_))
        assert found.verified is holds
        assert holds or str(found.item).startswith("dsse/person-")
