"""`python -m federation.conductor --home HOME`: the child of `trifed centre serve`."""

import argparse
import os
from pathlib import Path

from federation.conductor.conducting import serve_conductor


def main() -> None:
    """Conduct the studies of a centre until SIGTERM."""
    parser = argparse.ArgumentParser(prog="trifed-conductor")
    parser.add_argument("--home", type=Path, required=True)
    given = parser.parse_args()
    os.umask(0o077)
    serve_conductor(given.home)


if __name__ == "__main__":
    main()
