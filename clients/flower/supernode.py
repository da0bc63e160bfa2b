"""Run Flower's SuperNode for a node: `python -m clients.flower.supernode --home N`.

Flower's own loop, with its waits replaced by events (see
`federation.wire.flwr_internals.node`), its centre behind the forwarder's socket
and its executor on another. It never starts an app itself. `wake(home)` makes
it look for a task at once.
"""

import argparse
import os
import secrets
import socket
import sys
import threading
from pathlib import Path

from clients.flower.forwarder import fleet_socket
from federation.storage import write_atomic
from federation.wire.child_environment import flower_environment
from federation.wire.local_sockets import socket_path

_SECRET_BYTES = 48
_NOWHERE = "centre.invalid:443"


def runtime_socket(home: Path) -> Path:
    """Return the socket on which the SuperNode serves the executor."""
    return socket_path(home / "run", "runtime.sock")


def wake_socket(home: Path) -> Path:
    """Return the datagram socket on which the SuperNode hears wakes."""
    return socket_path(home / "run", "wake.sock")


def secret_file(home: Path) -> Path:
    """Return the file with the secret that SuperNode and executor share; makes it if missing."""
    path = home / "run" / "superexec.secret"
    if not path.exists():
        write_atomic(path, secrets.token_bytes(_SECRET_BYTES))
    return path


def supernode_command(home: Path) -> list[str]:
    """Return the command that runs the SuperNode of a node's home."""
    secret_file(home)
    return [sys.executable, "-m", "clients.flower.supernode", "--home", str(home)]


def node_environment(home: Path) -> dict[str, str]:
    """Return the environment of a node's Flower children."""
    return flower_environment(home)


def wake(home: Path) -> None:
    """Make the node's SuperNode look for a task now; harmless when it does not run."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.setblocking(False)
        try:
            speaker.sendto(b"w", str(wake_socket(home)))
        except OSError:
            return


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


def main() -> None:
    """Run until stopped."""
    parser = argparse.ArgumentParser(prog="trifed-supernode")
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args().home.absolute()
    os.umask(0o077)
    from federation.wire.flwr_internals.names import check_version
    from federation.wire.parent import end_with_parent

    check_version()
    end_with_parent()
    from federation.wire.flwr_internals.node import Waits, run_supernode

    waits, listener = Waits(), _listen(wake_socket(home))

    def hear() -> None:
        while listener.recv(16):
            waits.redial()

    threading.Thread(target=hear, daemon=True, name="wake").start()
    sys.argv = ["flower-supernode", "--superlink", _NOWHERE, "--isolation", "process"]
    sys.argv += ["--superexec-auth-secret-file", str(secret_file(home))]
    sys.argv += ["--auth-supernode-private-key", str(home / "keys" / "flower.key")]
    run_supernode(fleet=fleet_socket(home), runtime=runtime_socket(home), waits=waits)


if __name__ == "__main__":
    main()
