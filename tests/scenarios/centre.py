"""The centre whose campaigns have gates: `python -m tests.scenarios.centre`."""

import argparse
from dataclasses import replace
from pathlib import Path

from federation.coordinator import serve
from federation.supervision.children import ChildPlan
from federation.supervision.process import with_large_buffers

PRODUCTS, OURS = "federation.conductor", "tests.scenarios.conductor"


def main() -> None:
    """Serve the centre until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    given = parser.parse_args()
    with_large_buffers()
    of_the_product = serve._Centre._conductor_plan

    def conductor_plan(centre: serve._Centre) -> ChildPlan:
        plan = of_the_product(centre)
        command = [OURS if word == PRODUCTS else word for word in plan.command()]
        assert OURS in command
        return replace(plan, command=lambda: command)

    serve._Centre._conductor_plan = conductor_plan  # type: ignore[assignment,method-assign]
    serve.serve_centre(given.home)


if __name__ == "__main__":
    main()
