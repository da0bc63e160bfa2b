"""The one table of who may do what over HTTP; what is not in it is refused to everybody.

A rule names the roles (or everybody, or everybody who is known) and the scope that a
token needs; without a scope only a person in a session may. The rules of a noun follow
from its table: who writes it, who has a seat in a move, and those who watch over all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from registry.accounts.ports import Scope
from registry.records.shapes import Noun
from registry.roles import CENTRE_OF, Role

Place = tuple[str, str]
"""A method and a route's path as declared, for example ``("GET", "/v1/evidence/{index}")``."""

OVERSEERS = frozenset({Role.AUD, Role.TFD, Role.RAI_R, Role.RAI_A})
"""Who reads the records of every noun."""

VERSION_PATH = "version-records"
"""Where the cards and moves of model versions are, beside the signed entries."""


class Who(Enum):
    """Rules that name no role."""

    EVERYBODY = "everybody"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may use a route; `scope` is what a token needs, None: people in a session only."""

    who: Who | frozenset[Role]
    scope: Scope | None = None

    @property
    def is_public(self) -> bool:
        """Say whether nobody needs to be known."""
        return self.who is Who.EVERYBODY

    def fitting(self, roles: frozenset[Role]) -> frozenset[Role]:
        """Return which of somebody's roles may."""
        return roles & self.who if isinstance(self.who, frozenset) else roles

    def names(self) -> str:
        """Return the roles it takes, for people."""
        if not isinstance(self.who, frozenset):
            return self.who.value
        return ", ".join(sorted(role.value for role in self.who)) or "none"


PUBLIC = Rule(Who.EVERYBODY)
PERSON = Rule(Who.KNOWN)
KNOWN = Rule(Who.KNOWN, Scope.READ)
_REGISTRARS = Rule(frozenset({Role.RAI_R}))
_CONFIRMERS = Rule(frozenset({Role.RAI_A, Role.AUD}))
_ACCOUNT_READERS = Rule(frozenset({Role.RAI_R, Role.RAI_A, Role.AUD}), Scope.READ)

_CENTRES = frozenset(CENTRE_OF)
_INSURANCE = frozenset({Role.NHI_S, Role.NHI_C})
_HOUSES = frozenset({Role.HAO, Role.HAC, Role.DST, Role.IRB})
_LINEAGE = Rule(OVERSEERS | _CENTRES | _INSURANCE | _HOUSES, Scope.READ)
_WITNESSES = frozenset({Role.AUD, Role.RAI_A, Role.VAL_A, Role.IMP_P, Role.HAO, Role.DST})

SERVICE_RULES: Mapping[Place, Rule] = {
    ("GET", "/v1/health"): PUBLIC,
    ("GET", "/v1/openapi.json"): PUBLIC,
    ("GET", "/v1/model-versions"): Rule(OVERSEERS | _CENTRES | _INSURANCE, Scope.READ),
    ("GET", "/v1/model-versions/{entry}"): PUBLIC,  # what is not on the register is not there
    ("POST", "/v1/model-versions"): Rule(frozenset({Role.DEV, Role.HAO}), Scope.WRITE),
    ("GET", "/v1/evidence/checkpoint"): PUBLIC,
    ("GET", "/v1/evidence/growth"): PUBLIC,
    ("GET", "/v1/evidence/{index}/proof"): PUBLIC,
    ("GET", "/v1/evidence/{index}"): Rule(OVERSEERS, Scope.READ),
    ("POST", "/v1/session"): PUBLIC,
    ("POST", "/v1/session/passkey-question"): PUBLIC,
    ("POST", "/v1/session/passkey"): PUBLIC,
    ("GET", "/v1/session"): KNOWN,
    ("DELETE", "/v1/session"): PERSON,
    ("DELETE", "/v1/sessions"): PERSON,
    ("GET", "/v1/session/identity"): PUBLIC,
    ("GET", "/v1/session/identity/answer"): PUBLIC,
    ("POST", "/v1/enrolment/start"): PUBLIC,
    ("POST", "/v1/enrolment"): PUBLIC,
    ("POST", "/v1/passkeys/question"): PERSON,
    ("POST", "/v1/passkeys"): PERSON,
    ("GET", "/v1/tokens"): PERSON,
    ("POST", "/v1/tokens"): PERSON,
    ("DELETE", "/v1/tokens/{id}"): PERSON,
    ("GET", "/v1/signature-keys"): PERSON,
    ("POST", "/v1/signature-keys"): PERSON,
    ("DELETE", "/v1/signature-keys/{id}"): PERSON,
    ("GET", "/v1/accounts"): _ACCOUNT_READERS,
    ("GET", "/v1/accounts/{name}"): _ACCOUNT_READERS,
    ("POST", "/v1/accounts"): _REGISTRARS,
    ("POST", "/v1/accounts/{name}/confirmation"): _CONFIRMERS,
    ("DELETE", "/v1/accounts/{name}"): _REGISTRARS,
}
"""The rules of what is no noun."""

MORE_RULES: Mapping[Place, Rule] = {
    ("GET", "/v1/certification/packs"): KNOWN,
    ("GET", "/v1/certification/packs/{id}/{version}"): KNOWN,
    ("GET", "/v1/certification/dossiers/{id}/completeness"): Rule(
        OVERSEERS | _CENTRES | {Role.DEV, Role.HAO}, Scope.READ
    ),
    ("GET", "/v1/certification/items/{noun}/{id}"): Rule(OVERSEERS | _CENTRES, Scope.READ),
    ("POST", "/v1/certification/changes"): KNOWN,  # asks what would follow; changes nothing
    ("GET", "/v1/lineage/versions/{entry}"): _LINEAGE,
    ("GET", "/v1/lineage/datasets/{id}"): _LINEAGE,
    ("GET", "/v1/lineage/sites/{id}"): _LINEAGE,
    ("GET", "/v1/lineage/runs/{id}"): _LINEAGE,
    ("GET", "/v1/cosignatures/witnesses"): PUBLIC,
    ("GET", "/v1/cosignatures/witnesses/{name}/request"): PUBLIC,
    ("GET", "/v1/cosignatures/checkpoint"): PUBLIC,
    ("POST", "/v1/cosignatures/checkpoint"): Rule(_WITNESSES, Scope.WRITE),
}
"""The rules of what the nouns offer beyond their records."""


def noun_rules(noun: Noun[Any], path: str | None = None) -> dict[Place, Rule]:
    """Return the rules of a noun's routes, as `record_routes` makes them."""
    prefix = f"/v1/{path or noun.name + 's'}"
    reading = Rule(readers(noun), Scope.READ)
    return {
        ("GET", prefix): reading,
        ("GET", f"{prefix}/{{id}}"): reading,
        ("GET", f"{prefix}/{{id}}/history"): reading,
        ("PUT", f"{prefix}/{{id}}"): Rule(noun.authors - {Role.CLOCK}, Scope.WRITE),
        ("POST", f"{prefix}/{{id}}/moves"): Rule(movers(noun), Scope.MOVE),
    }


def movers(noun: Noun[Any]) -> frozenset[Role]:
    """Return the roles that have a seat in any move of a noun."""
    seated = {role for move in noun.moves.moves for role in move.roles}
    return frozenset(seated) - {Role.CLOCK}


def readers(noun: Noun[Any]) -> frozenset[Role]:
    """Return the roles that may read a noun: who writes it, who moves it, who watches over all."""
    return (noun.authors | movers(noun) | OVERSEERS) - {Role.CLOCK, Role.SUB, Role.PUB}


def all_rules(
    nouns: Iterable[tuple[Noun[Any], str | None]], places: Iterable[Place]
) -> dict[Place, Rule]:
    """Return the table of the API: the service's rules and those of the nouns.

    A summary under a record's address (GET) is read by whoever reads the record.
    """
    declared = set(places)
    found = {
        **SERVICE_RULES,
        **{place: MORE_RULES[place] for place in MORE_RULES.keys() & declared},
    }
    for noun, path in nouns:
        mine = noun_rules(noun, path)
        found |= mine
        record = f"/v1/{path or noun.name + 's'}/{{id}}"
        for method, place in declared:
            if method == "GET" and place.startswith(f"{record}/"):
                found.setdefault((method, place), mine["GET", record])
    return found


def page_rules(places: Iterable[Place], public: frozenset[Place]) -> dict[Place, Rule]:
    """Return the rules of pages: public ones are named, the rest is for people in a session."""
    return {place: PUBLIC if place in public else PERSON for place in places}
