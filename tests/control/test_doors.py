"""The front door and the admin socket, beside the control channel itself."""

import asyncio
import json
import socket
import stat
from pathlib import Path

import pytest

from clients.home import NodeHome
from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.errors.control import CentreNotRunningError, ProtocolBrokenError
from federation.errors.machine import PortTakenError
from federation.pki.handshakes import client_context
from federation.protocol import mapping
from federation.protocol.mapping import Proposal
from tests.control.builders import a_centre, a_node, a_proposal, revoke, run, serving, until


async def _dial(
    centre: CentreHome, node: NodeHome, *alpn: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = client_context(
        certificate=node.tls_certificate,
        key=node.tls_key,
        authority=node.authority_certificate,
        alpn=alpn,
    )
    host, _, port = centre.settings().address.rpartition(":")
    return await asyncio.open_connection(host, int(port), ssl=context, server_hostname=host)


def test_the_fleet_gate_learns_whose_certificate_it_serves(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre):
            reader, writer = await _dial(centre, node, "trifed-fleet/1")
            assert await reader.read(100) == b"fleet north"
            writer.close()

    run(work())


def test_a_revoked_node_gets_403_in_words_at_the_fleet_gate(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    revoke(centre)

    async def work() -> None:
        async with serving(centre):
            reader, writer = await _dial(centre, node, "trifed-fleet/1")
            writer.write(b"POST /v1/fleet/pull-messages HTTP/1.1\r\nhost: x\r\n\r\n")
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 403")
            assert json.loads(body)["error"]["code"] == "TF214"
            writer.close()

    run(work())


def test_revoking_closes_an_open_fleet_connection(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served:
            reader, writer = await _dial(centre, node, "trifed-fleet/1")
            await reader.read(100)
            revoke(centre)
            assert served.door.recheck() == 1
            async with asyncio.timeout(2):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
            writer.close()

    run(work())


def test_a_client_that_names_no_protocol_gets_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre):
            reader, writer = await _dial(centre, node, "http/1.1")
            assert await reader.read() == b""
            writer.close()
            await until(lambda: "[TF241]" in caplog.text)

    run(work())


def test_a_taken_port_has_a_code(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    port = int(centre.settings().address.rpartition(":")[2])

    async def work() -> None:
        with socket.create_server(("127.0.0.1", port)):
            async with serving(centre):
                pass

    with pytest.raises(PortTakenError) as caught:
        run(work())
    assert caught.value.values == {"port": port}


def test_a_command_without_a_running_centre_says_so(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    with pytest.raises(CentreNotRunningError):
        AdminClient(centre.folder)


def test_a_command_to_a_centre_that_died_says_so(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")

    async def work() -> None:
        async with serving(centre):
            pass
        with socket.socket(socket.AF_UNIX) as dead:  # the file stays, nobody listens
            dead.bind(str(centre.admin_socket))
        with AdminClient(centre.folder) as admin, pytest.raises(CentreNotRunningError):
            await asyncio.to_thread(admin.status)

    run(work())


def test_the_admin_socket_is_its_owners_alone(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")

    async def work() -> None:
        async with serving(centre):
            assert stat.S_IMODE(centre.admin_socket.stat().st_mode) == 0o600
            assert stat.S_IMODE(centre.run.stat().st_mode) == 0o700

    run(work())


def test_a_coded_error_of_the_centre_reaches_the_command_as_itself(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    good = a_proposal(centre)
    large = b" " * (mapping.MAX_DOCUMENT_BYTES + 1)
    bad = Proposal(good.study, large, good.study_digest, good.recipe_digest, good.envelope)

    async def work() -> None:
        async with serving(centre):
            with AdminClient(centre.folder) as admin:
                with pytest.raises(ProtocolBrokenError, match="1048577 bytes"):
                    await asyncio.to_thread(admin.propose, bad, sites=[])
                assert await asyncio.to_thread(admin.decisions, StudyId("cxr-2026")) == {}

    run(work())
