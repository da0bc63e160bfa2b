"""Start Flower's SuperLink as a child, and keep its list of nodes.

The SuperLink listens on a Unix socket in the centre's private run folder: its
Control and Runtime APIs have no login, so nobody else on the machine may reach
them, and nodes come through the fleet gate only. It spawns nothing: runs are
driven by `server_app.driver`.

`python -m federation.server_app.superlink` is the child; its command line and
environment come from `plan_superlink`.
"""

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from federation.domain.ids import SiteId
from federation.errors.rounds import SiteNotRegisteredError, SuperLinkStartError
from federation.storage import write_atomic
from federation.wire.child_environment import flower_environment
from federation.wire.local_http import UnixTransport
from federation.wire.local_sockets import address_of, path_of, socket_path

_SECRET_BYTES = 48


@dataclass(frozen=True, slots=True)
class SuperLinkPlan:
    """How to start the SuperLink of a centre, and where it will listen."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    address: str
    secret_file: Path


def superlink_address(home: Path) -> str:
    """Return where the SuperLink of this centre's home listens (`unix:/path`)."""
    return address_of(socket_path(home / "run", "superlink.sock"))


def plan_superlink(home: Path, *, persistent: bool = False) -> SuperLinkPlan:
    """Return how to start the SuperLink of a centre; makes its secret if there is none.

    Parameters
    ----------
    home
        The centre's folder.
    persistent
        Keep Flower's messages in run/flower.db instead of memory. A restarted
        SuperLink then knows its nodes and messages; every model is written to
        disk: a round then takes two to four times as long (measured: empty 0.70 s
        for 0.18, 100 MB 7.7 s for 3.2). Nothing
        that must be kept depends on it.
    """
    address, secret_file = superlink_address(home), home / "run" / "superexec.secret"
    if not secret_file.exists():
        write_atomic(secret_file, secrets.token_bytes(_SECRET_BYTES))
    command = [sys.executable, "-m", "federation.server_app.superlink"]
    command += ["--socket", str(path_of(address)), "--secret-file", str(secret_file)]
    if persistent:
        command += ["--database", str(home / "run" / "flower.db")]
    return SuperLinkPlan(tuple(command), flower_environment(home), address, secret_file)


def wait_healthy(
    address: str, *, timeout_s: float = 30.0, is_running: Callable[[], bool] = lambda: True
) -> None:
    """Return once the SuperLink answers.

    Raises
    ------
    SuperLinkStartError
        If it does not within `timeout_s`, or `is_running` says that it ended.
    """
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and is_running():
        if is_healthy(address, within_s=2.0):
            return
        time.sleep(0.05)
    raise SuperLinkStartError(seconds=timeout_s)


def is_healthy(address: str, *, within_s: float) -> bool:
    """Say whether the SuperLink answers just now."""
    with httpx.Client(transport=UnixTransport(path_of(address)), timeout=within_s) as client:
        try:
            return client.get("http://localhost/health").status_code == httpx.codes.OK
        except httpx.RequestError:
            return False


@dataclass(frozen=True, slots=True)
class RegisteredSite:
    """A site's node at the SuperLink: Flower's id and whether it is connected."""

    site: SiteId
    node: int
    online: bool


def register_nodes(address: str, public_keys: Iterable[bytes]) -> dict[bytes, int]:
    """Let nodes in by their Flower keys (PEM); return all Flower ids by key. Again is harmless.

    Raises
    ------
    FlowerRefusedError, SuperLinkUnreachableError
        If a key is not usable, or the SuperLink does not answer.
    """
    from federation.wire.flwr_internals import centre

    return centre.register_nodes(path_of(address), public_keys)


def unregister_node(address: str, public_key: bytes) -> None:
    """Shut the node with this key out; nothing happens if it is not registered.

    Raises
    ------
    FlowerRefusedError, SuperLinkUnreachableError
        If the SuperLink refuses or does not answer.
    """
    from federation.wire.flwr_internals import centre

    for node in centre.list_nodes(path_of(address)):
        if node.public_key == public_key:
            centre.unregister_node(path_of(address), node.id)


def list_nodes(address: str, keys: Mapping[SiteId, bytes]) -> dict[SiteId, RegisteredSite]:
    """Return the sites that have a node at the SuperLink.

    Parameters
    ----------
    keys
        The enrolled Flower key (PEM) of each site; nodes of other keys are left out.

    Raises
    ------
    FlowerRefusedError, SuperLinkUnreachableError
        If the SuperLink refuses or does not answer.
    """
    from federation.wire.flwr_internals import centre

    nodes = {node.public_key: node for node in centre.list_nodes(path_of(address))}
    return {
        site: RegisteredSite(site, nodes[key].id, nodes[key].online)
        for site, key in keys.items()
        if key in nodes
    }


def node_of(site: SiteId, nodes: Mapping[SiteId, RegisteredSite]) -> int:
    """Return a site's Flower id.

    Raises
    ------
    SiteNotRegisteredError
        If it has none.
    """
    if site not in nodes:
        raise SiteNotRegisteredError(site=site)
    return nodes[site].node


def main() -> None:
    """Serve the SuperLink until stopped; the child's entry point."""
    parser = argparse.ArgumentParser(prog="trifed-superlink")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--database", type=Path)
    given = parser.parse_args()
    os.umask(0o077)
    from federation.wire.flwr_internals.names import check_version
    from federation.wire.parent import end_with_parent

    check_version()
    end_with_parent()
    from federation.wire.flwr_internals.superlink import serve_superlink

    secret = given.secret_file.read_bytes()
    serve_superlink(given.socket, database=given.database, secret=secret)


if __name__ == "__main__":
    main()
