"""A node's forwarder alone, for measuring: `python -m benchmarks.fleet_forward N`."""

import sys
import threading
from pathlib import Path

from clients.flower.forwarder import Forwarder
from clients.home import NodeHome
from federation.wire.parent import end_with_parent


def main() -> None:
    end_with_parent()
    home = NodeHome.open(Path(sys.argv[1]))
    forwarder = Forwarder(home, home.settings(), on_error=lambda error: print(error.say(), flush=True))
    forwarder.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
