"""What holds of every noun, of everyday governance and of evidence alike."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from federation.domain.diagrams import Machines, with_diagrams
from federation.errors.moves import MoveNotListedError, RecordShapeError, SeparationError
from registry import evidence_diagrams, nouns
from registry.auditing import audit_log
from registry.disclosure import OpenBody
from registry.nouns import ALL_NOUNS, EVIDENCE, GOVERNANCE, noun_rules
from registry.records.shapes import Noun
from registry.roles import CENTRE_OF, Author, Role
from tests.registry.nouns_a import bodies as governance
from tests.registry.nouns_b import bodies as evidence
from tests.registry.nouns_b.bodies import put, read, starting_in
from tests.registry.record_builders import Desk, a_desk, sqlite_url

ROOT = Path(__file__).parents[2]
BODIES = governance.BODIES | evidence.BODIES
IDENTIFIERS = (
    "A123456789",
    "病人身分證字號A123456789",
    "病歷號 0012345",
    "1.2.840.113619.2.1.1.604688119",
)


@dataclass(frozen=True)
class Family:
    """Nouns that share a page with their state machines."""

    name: str
    nouns: tuple[Noun[Any], ...]
    page: Path
    machines: Callable[[], Machines]

    @property
    def text(self) -> str:
        """Return the page as it lies in the repository."""
        return (ROOT / self.page).read_text(encoding="utf-8")


FAMILIES = (
    Family("governance", GOVERNANCE, nouns.PAGE, nouns.machines),
    Family("evidence", EVIDENCE, evidence_diagrams.PAGE, evidence_diagrams.machines),
)
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
each_noun = pytest.mark.parametrize("noun", GOVERNANCE + EVIDENCE, ids=lambda noun: noun.name)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return a_desk(sqlite_url(tmp_path))


def person(role: Role, name: str = "one") -> Author:
    """Return somebody of a role, of the role's own house."""
    return Author(f"{name}-of-{role.value}", role, f"house of {role.value}", CENTRE_OF.get(role))


def a_writer(noun: Noun[Any]) -> Author:
    """Return somebody who may write the noun."""
    return person(min(noun.authors, key=lambda role: role.value), "writer")


def every_state(noun: Noun[Any]) -> list[Any]:
    """Return all states of a noun."""
    states: Any = noun.moves.states
    return list(states)


def test_every_noun_is_listed_once_and_tested_here() -> None:
    names = [noun.name for noun in ALL_NOUNS]
    assert len(names) == len(set(names))
    assert len(governance.BODIES) == len(GOVERNANCE) and len(evidence.BODIES) == len(EVIDENCE)
    assert {noun.name for noun in GOVERNANCE + EVIDENCE} == set(BODIES)


@each_noun
def test_every_role_state_and_action_that_is_not_listed_is_refused(noun: Noun[Any]) -> None:
    table, states = noun.moves, every_state(noun)
    listed = {
        (role, state, move.number)
        for move in table.moves
        for state in move.before
        for role in move.roles
    }
    refused = 0
    for role, state, number in itertools.product(Role, states, (*table.numbers, "X9", "")):
        if (role, state, number) in listed:
            assert role in table.find(noun.name, str(state.value), number, role).roles
            continue
        with pytest.raises(MoveNotListedError):
            table.find(noun.name, str(state.value), number, role)
        refused += 1
    assert refused == len(Role) * len(states) * (len(table.numbers) + 2) - len(listed)


@each_noun
def test_the_register_itself_refuses_every_action_that_is_not_listed(
    desk: Desk, noun: Noun[Any]
) -> None:
    for state in every_state(noun):
        there = starting_in(noun, state)
        name = f"in-{state.value}"
        put(desk, there, name, BODIES[noun.name], a_writer(noun))

        def every_role(writing: Any, there: Noun[Any] = there, name: str = name) -> None:
            for role, number in itertools.product(Role, there.moves.numbers):
                start = there.moves.start
                if any(m.number == number and role in m.roles for m in there.moves.of(start)):
                    continue
                with pytest.raises(MoveNotListedError):
                    writing.move(there, name, number, author=person(role), revision=1, reason="x")

        desk.records.write(every_role)
        assert desk.records.get(noun.name, name).revision == 1


@each_noun
def test_only_its_authors_write_it_and_only_where_it_may_be_edited(
    desk: Desk, noun: Noun[Any]
) -> None:
    body, writer = BODIES[noun.name], a_writer(noun)
    for role in set(Role) - noun.authors:
        with pytest.raises(MoveNotListedError):
            put(desk, noun, "x", body, person(role))
    for state in every_state(noun):
        put(desk, starting_in(noun, state), f"in-{state.value}", body, writer)
        if noun.may_edit(str(state.value)):
            put(desk, noun, f"in-{state.value}", body, writer)
            continue
        with pytest.raises(MoveNotListedError):
            put(desk, noun, f"in-{state.value}", body, writer)
    audit_log(desk.records.store, key=desk.signer.public_key)


@each_noun
def test_whoever_approves_is_never_the_author(desk: Desk, noun: Noun[Any]) -> None:
    seats = [
        (move, role)
        for move in noun.moves.moves
        for seat in move.seats
        if seat.approves
        for role in seat.roles
    ]
    assert all(role is not Role.DEV for _, role in seats)
    for number, (move, role) in enumerate(seats):
        start = min(move.before, key=lambda state: str(state.value))
        there = starting_in(noun, start, authors=frozenset({role}))
        put(desk, there, f"own-{number}", BODIES[noun.name], person(role))
        with pytest.raises(SeparationError):
            desk.records.move(
                there, f"own-{number}", move.number, author=person(role), revision=1, reason="x"
            )


@pytest.mark.parametrize("noun", EVIDENCE, ids=lambda noun: noun.name)
def test_all_evidence_is_approved_by_somebody(noun: Noun[Any]) -> None:
    assert any(seat.approves for move in noun.moves.moves for seat in move.seats)


@each_noun
def test_every_state_is_reached_and_every_move_says_what_follows(noun: Noun[Any]) -> None:
    table = noun.moves.as_transitions()
    reached = {table.start} | {after for following in table.table.values() for after in following}
    assert reached == set(every_state(noun))
    assert all(move.follows is not None for move in noun.moves.moves)


@each_noun
def test_the_clock_moves_only_what_its_rules_move(noun: Noun[Any]) -> None:
    mine = [rule for rule in noun_rules() if rule.noun.name == noun.name]
    listed = {move.number for move in noun.moves.moves if Role.CLOCK in move.roles}
    assert {rule.move for rule in mine if rule.move is not None} == listed
    for rule in mine:
        assert rule.states <= {str(state.value) for state in every_state(noun)}


def _texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _texts(item, (*path, place))


def _with(body: Any, path: tuple[Any, ...], value: str) -> Any:
    copy = json.loads(json.dumps(body))
    inside = copy
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return copy


@each_noun
def test_no_text_of_any_noun_takes_a_patients_identifier(noun: Noun[Any]) -> None:
    body = BODIES[noun.name]
    assert issubclass(noun.shape, OpenBody)
    paths = list(_texts(body))
    assert paths
    for path, identifier in itertools.product(paths, IDENTIFIERS):
        with pytest.raises(RecordShapeError) as refused:
            read(noun, _with(body, path, identifier))
        assert identifier not in refused.value.say(), "a refusal repeats nothing"


@each_noun
def test_every_free_text_has_a_limit(noun: Noun[Any]) -> None:
    for path in _texts(BODIES[noun.name]):
        with pytest.raises(RecordShapeError):
            read(noun, _with(BODIES[noun.name], path, "字" * 4001))


@each_noun
def test_unknown_fields_and_empty_records_are_refused(noun: Noun[Any]) -> None:
    for body in (BODIES[noun.name] | {"patient": "x"}, {}):
        with pytest.raises(RecordShapeError):
            read(noun, body)


@pytest.mark.parametrize("noun", EVIDENCE, ids=lambda noun: noun.name)
def test_evidence_says_what_it_is_found_by(noun: Noun[Any]) -> None:
    found = noun.found(read(noun, BODIES[noun.name]))
    assert found.words and found.facets
    assert any(link.noun in ("model-version", "dataset") for link in found.links)


@each_family
def test_the_page_has_the_diagrams_of_the_tables(family: Family) -> None:
    assert family.text == with_diagrams(family.text, family.machines()), (
        f"run: python -m {family.machines.__module__}"
    )


@each_family
def test_the_page_names_every_field_and_every_move(family: Family) -> None:
    for noun in family.nouns:
        section = family.text.partition(f"\n## {noun.name}\n")[2].partition("\n## ")[0]
        for name in noun.shape.model_json_schema(by_alias=True)["properties"]:
            assert f"`{name}`" in section, (noun.name, name)
        for number in noun.moves.numbers:
            assert f"`{number}`" in section, (noun.name, number)
