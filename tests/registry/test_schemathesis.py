"""The whole API against its own OpenAPI document: no request of any kind ends in a fault.

schemathesis makes the requests; its pytest plugin is not used, for it needs pytest's
internals. Two callers: an auditor and reviewer with every scope, and nobody.
"""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from registry.accounts.ports import Scope
from registry.roles import Role
from tests.registry.access_builders import House, a_house
from tests.registry.test_route_roles import whole

EXAMPLES = {True: 2, False: 1}
"""Requests generated for each of the hundred or so operations, for a known caller and nobody."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return a_house(tmp_path_factory.mktemp("house") / "house", nouns=())


@pytest.mark.parametrize("known", [True, False], ids=["known", "nobody"])
def test_no_request_ends_in_a_fault(house: House, known: bool, tmp_path: Path) -> None:
    headers = _headers(house) if known else {}
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", whole(house))
    asked: set[int] = set()
    operations = 0
    for found in schema.get_all_operations():
        operations += 1
        _try(found.ok(), headers, asked, EXAMPLES[known])
    assert operations > 100
    assert asked >= ({200, 404} if known else {200, 401})
    assert not [status for status in asked if status >= 500]


def _headers(house: House) -> dict[str, str]:
    house.person("all", Role.RAI_R, Role.RAI_A, Role.AUD, organisation="Centre One")
    made = house.accounts.tokens.make("all", label="t", scopes=list(Scope), days=1)
    return {"Authorization": f"Bearer {made.secret}", "X-Role": "RAI-A", "If-Match": '"1"'}


def _try(operation: Any, headers: dict[str, str], asked: set[int], examples: int) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        response = case.call(headers=headers)
        asked.add(response.status_code)
        assert response.status_code < 500, (operation.label, response.text[:500])

    ask()
