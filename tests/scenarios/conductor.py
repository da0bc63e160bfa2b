"""The conductor whose campaigns have gates: `python -m tests.scenarios.conductor`."""

from collections.abc import Sequence

from federation.conductor import __main__ as product
from federation.conductor import conducting
from federation.coordinator.home import CentreHome
from federation.operations.store.queue import Entry

PRODUCTS, OURS = "federation.flows.campaign", "tests.scenarios.campaign"


def campaign_command(home: CentreHome, entry: Entry) -> Sequence[str]:
    """Return the product's command with the test's module in it."""
    command = _of_the_product(home, entry)
    assert PRODUCTS in command
    return [OURS if word == PRODUCTS else word for word in command]


_of_the_product = conducting.campaign_command


def main() -> None:
    """Conduct the studies until stopped."""
    conducting.Conductor.__init__.__kwdefaults__["command"] = campaign_command  # type: ignore[index]
    product.main()


if __name__ == "__main__":
    main()
