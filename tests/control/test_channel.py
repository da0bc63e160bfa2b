"""The control channel over real TLS and gRPC on loopback: who is let in, and what is said."""

import asyncio
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clients.control import CAPABILITIES, ChannelState, diagnose
from clients.progress import read_progress, write_progress
from federation.coordinator.admin import AdminClient
from federation.domain.ids import RunId, SiteId
from federation.errors.approval import SignatureNotEnrolledError
from federation.errors.control import (
    CentreUnreachableError,
    ClockSkewError,
    ConnectionReplacedError,
    ProposalUnsignedError,
    SiteMismatchError,
    UnaskedDecisionError,
    VersionMismatchError,
)
from federation.errors.enrolment import (
    ForeignCentreCertificateError,
    ForeignNodeCertificateError,
    NodeCertificateExpiredError,
    NodeCertificateRevokedError,
    NodeCertificateUnknownError,
)
from federation.pki.authority import certificate_pem
from federation.protocol.generated import control_pb2 as pb
from federation.protocol.generated import control_pb2_grpc
from federation.protocol.mapping import Progress, Proposal, RunNotice
from federation.protocol.transport import grpc
from tests.builders import a_study
from tests.control.builders import (
    NORTH,
    a_centre,
    a_node,
    a_proposal,
    connected,
    connecting,
    decide,
    revoke,
    run,
    serving,
    until,
)


def test_a_node_says_hello_and_is_welcome(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await connected(client)
            view = served.sites.view(NORTH)
            assert view.connected
            assert view.capabilities == CAPABILITIES
            assert client.status.centre_software == "1.0"

    run(work())


def test_heartbeats_tell_the_centre_what_the_node_does(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    doing = Progress(10**9, True, "cxr-2026.1", 3, 5, 9)

    async def work() -> None:
        async with serving(centre) as served, connecting(node, progress=lambda: doing) as client:
            await connected(client)
            await until(lambda: served.sites.view(NORTH).progress == doing)
            first = served.sites.view(NORTH).last_heard
            await until(lambda: served.sites.view(NORTH).last_heard != first)

    run(work())


def test_a_node_of_another_protocol_version_is_refused_in_words_and_does_not_hammer(
    tmp_path: Path,
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node, protocol_version=99) as client:
            await until(lambda: client.status.state is ChannelState.REFUSED)
            assert isinstance(client.status.error, VersionMismatchError)
            assert "99" in client.status.error.say()
            assert served.sites.view(NORTH).refused_code == VersionMismatchError.code
            since = client.status.since
            await asyncio.sleep(0.5)
            assert client.status.since == since

    run(work())


def test_a_node_may_not_call_itself_another_site_than_its_certificate(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    node.write_settings(replace(node.settings(), site=SiteId("south")))

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await until(lambda: client.status.state is ChannelState.REFUSED)
            assert isinstance(client.status.error, SiteMismatchError)
            assert not served.sites.view(SiteId("south")).connected

    run(work())


def test_a_clock_more_than_five_minutes_off_is_refused_on_both_sides(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    def late() -> datetime:
        return datetime.now(UTC) - timedelta(minutes=6)

    async def work() -> None:
        async with serving(centre) as served, connecting(node, clock=late) as client:
            await until(lambda: client.status.state is ChannelState.REFUSED)
            assert isinstance(client.status.error, ClockSkewError)
            assert served.sites.view(NORTH).refused_code == ClockSkewError.code

    run(work())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_node_of_another_centre_is_told_whose_certificate_is_foreign(
    tmp_path: Path, loop: str
) -> None:
    factory = pytest.importorskip(loop).new_event_loop
    centre = a_centre(tmp_path / "c")
    other = a_node(tmp_path / "o", a_centre(tmp_path / "d"))
    other.authority_certificate.write_bytes(centre.authority_certificate.read_bytes())
    other.write_settings(replace(other.settings(), address=centre.settings().address))

    async def work() -> None:
        async with serving(centre) as served, connecting(other) as client:
            await until(lambda: client.status.error is not None)
            assert isinstance(client.status.error, ForeignNodeCertificateError)
            assert any(isinstance(item, ForeignNodeCertificateError) for item in served.refusals)

    run(work(), loop_factory=factory)


def test_a_node_refuses_a_centre_it_was_not_invited_by(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    other = a_node(tmp_path / "o", a_centre(tmp_path / "d"))
    other.write_settings(replace(other.settings(), address=centre.settings().address))

    async def work() -> None:
        async with serving(centre), connecting(other) as client:
            await until(lambda: client.status.error is not None)
            assert isinstance(client.status.error, ForeignCentreCertificateError)

    run(work())


def test_an_expired_certificate_is_named_on_both_sides(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    old = centre.authority().issue_node(
        node.load_tls_key().public_key(),  # type: ignore[arg-type]
        site=NORTH,
        now=datetime.now(UTC) - timedelta(days=30),
        lifetime=timedelta(days=10),
    )
    node.tls_certificate.write_text(certificate_pem(old))

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await until(lambda: client.status.error is not None)
            assert isinstance(client.status.error, NodeCertificateExpiredError)
            assert any(isinstance(item, NodeCertificateExpiredError) for item in served.refusals)

    run(work())


def test_a_revoked_node_gets_words_not_a_dead_line(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    revoke(centre)

    async def work() -> None:
        async with serving(centre), connecting(node) as client:
            await until(lambda: client.status.state is ChannelState.REFUSED)
            assert isinstance(client.status.error, NodeCertificateRevokedError)

    run(work())


def test_revoking_a_connected_node_ends_its_line_within_two_seconds(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await connected(client)
            revoke(centre)
            assert served.door.recheck() == 1
            await until(lambda: client.status.state is ChannelState.REFUSED, within_s=2)
            assert isinstance(client.status.error, NodeCertificateRevokedError)
            assert not served.sites.view(NORTH).connected
            await until(lambda: not served.callers, within_s=2)

    run(work())


def test_the_loopback_port_behind_the_front_door_serves_nobody_directly(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")

    async def work() -> None:
        async with serving(centre) as served:
            address = f"127.0.0.1:{served.control_port}"
            async with grpc.aio.insecure_channel(address) as channel:
                stream = control_pb2_grpc.ControlStub(channel).Connect()
                await stream.write(pb.FromNode(hello=pb.Hello(site=NORTH, protocol_version=1)))
                answer = await stream.read()
                assert answer.refused.code == "TF230"
                assert await stream.code() is grpc.StatusCode.PERMISSION_DENIED
            assert not served.sites.view(NORTH).connected

    run(work())


def test_a_second_connection_of_a_site_replaces_the_first(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as first:
            await connected(first)
            async with connecting(node) as second:
                await connected(second)
                await until(lambda: first.status.state is ChannelState.REFUSED)
                assert isinstance(first.status.error, ConnectionReplacedError)
                assert served.sites.view(NORTH).connected

    run(work())


def test_a_node_comes_back_after_the_centre_restarted(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with connecting(node) as client:
            await until(lambda: isinstance(client.status.error, CentreUnreachableError))
            async with serving(centre):
                await connected(client)
            await until(lambda: client.status.state is ChannelState.LOST)
            async with serving(centre) as again:
                await connected(client)
                assert again.sites.view(NORTH).connected

    run(work())


def test_a_proposal_reaches_a_node_that_connects_later_also_after_a_restart(
    tmp_path: Path,
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    proposal = a_proposal(centre)

    async def work() -> None:
        async with serving(centre):
            client = await asyncio.to_thread(AdminClient, centre.folder)
            assert await asyncio.to_thread(client.propose, proposal, sites=[NORTH]) == ()
            client.close()
        async with serving(centre), connecting(node):
            await until(node.proposal(proposal.study).exists)
            assert node.proposal(proposal.study).read_bytes() == proposal.content

    run(work())


def test_a_proposal_the_centre_did_not_sign_is_kept_out_and_the_centre_is_told(
    tmp_path: Path,
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    signed, other = a_proposal(centre), a_proposal(centre, a_study(title="Another one"))
    forged = Proposal(
        other.study, other.content, other.study_digest, other.recipe_digest, signed.envelope
    )

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await connected(client)
            with AdminClient(centre.folder) as admin:
                got = await asyncio.to_thread(admin.propose, forged, sites=[NORTH], wait_s=0.3)
            assert got == ()
            assert served.sites.view(NORTH).refused_code == ProposalUnsignedError.code
            assert not node.proposal(forged.study).exists()

    run(work())


def test_a_withdrawn_proposal_leaves_the_node(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    proposal = a_proposal(centre)

    async def work() -> None:
        async with serving(centre), connecting(node) as client:
            await connected(client)
            with AdminClient(centre.folder) as admin:
                got = await asyncio.to_thread(admin.propose, proposal, sites=[NORTH], wait_s=3.0)
                assert got == (NORTH,)
                await asyncio.to_thread(admin.withdraw, proposal.study)
            await until(lambda: not node.proposal(proposal.study).exists())

    run(work())


def test_a_signed_decision_is_sent_by_itself_and_again_until_the_centre_has_it(
    tmp_path: Path,
) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    study = a_study()

    async def work() -> None:
        async with connecting(node) as client:
            async with serving(centre) as served:
                await connected(client)
                with AdminClient(centre.folder) as admin:
                    proposal = a_proposal(centre, study)
                    await asyncio.to_thread(admin.propose, proposal, sites=[NORTH], wait_s=3.0)
            path = decide(node, study)  # while nobody listens
            async with serving(centre) as served:
                await until(lambda: served.records.decisions(study.id))
                assert served.records.decisions(study.id) == {NORTH: path.read_bytes()}
                with AdminClient(centre.folder) as admin:
                    found = await asyncio.to_thread(admin.decisions, study.id)
                assert found == {NORTH: path.read_bytes()}

    run(work())


def test_a_decision_reaches_the_centre_within_half_a_second(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    study = a_study()

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await connected(client)
            with AdminClient(centre.folder) as admin:
                proposal = a_proposal(centre, study)
                await asyncio.to_thread(admin.propose, proposal, sites=[NORTH], wait_s=3.0)
            decide(node, study)
            await until(lambda: served.records.decisions(study.id), within_s=0.5)

    run(work())


def test_a_decision_by_another_key_than_the_officers_is_not_kept(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    study = a_study()

    async def work() -> None:
        async with serving(centre) as served, connecting(node) as client:
            await connected(client)
            with AdminClient(centre.folder) as admin:
                proposal = a_proposal(centre, study)
                await asyncio.to_thread(admin.propose, proposal, sites=[NORTH], wait_s=3.0)
            decide(node, study, officer=node.node_key)
            await until(lambda: isinstance(client.status.error, SignatureNotEnrolledError))
            assert not served.records.decisions(study.id)

    run(work())


def test_a_decision_on_what_was_never_proposed_is_not_kept(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    study = a_study()

    async def work() -> None:
        decide(node, study)
        async with serving(centre) as served, connecting(node) as client:
            await until(lambda: isinstance(client.status.error, UnaskedDecisionError))
            assert not served.records.decisions(study.id)

    run(work())


def test_a_dataset_card_reaches_the_centre(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    study = a_study()
    (node.folder / "cards").mkdir()
    (node.folder / "cards" / f"{study.id}.json").write_bytes(b'{"patients": 120}')

    async def work() -> None:
        async with serving(centre) as served, connecting(node):
            await until(lambda: served.records.cards(study.id))
            assert served.records.cards(study.id) == {NORTH: b'{"patients": 120}'}

    run(work())


def test_a_wake_reaches_the_node_in_milliseconds(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    woken: list[float] = []

    async def work() -> None:
        woke = lambda: woken.append(time.perf_counter())  # noqa: E731
        async with serving(centre), connecting(node, on_wake=woke) as client:
            await connected(client)
            delays = []
            with AdminClient(centre.folder) as admin:
                for count in range(1, 21):
                    start = time.perf_counter()
                    assert await asyncio.to_thread(admin.wake, [NORTH]) == (NORTH,)
                    await until(lambda count=count: len(woken) == count)  # type: ignore[misc]
                    delays.append(woken[-1] - start)
            print("wake ms:", [round(delay * 1000, 1) for delay in sorted(delays)])
            assert sorted(delays)[len(delays) // 2] < 0.05  # far below on a quiet machine

    run(work())


def test_a_run_notice_is_at_the_node_before_notify_returns(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    run_id = RunId.of(a_study().id, 1)
    path = node.run / "notices" / f"{run_id}.json"

    async def work() -> None:
        async with serving(centre), connecting(node) as client:
            await connected(client)
            notice = RunNotice(a_study().id, run_id, "42", "fab-hash")
            over = RunNotice(a_study().id, run_id, "42", "fab-hash", over=True)
            with AdminClient(centre.folder) as admin:
                assert await asyncio.to_thread(admin.notify, notice, sites=[NORTH]) == (NORTH,)
                assert '"flower_run": "42"' in path.read_text()
                assert await asyncio.to_thread(admin.notify, over, sites=[NORTH]) == (NORTH,)
                assert not path.exists()

    run(work())


def test_status_shows_who_is_connected(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre), connecting(node) as client:
            await connected(client)
            with AdminClient(centre.folder) as admin:
                status = await asyncio.to_thread(admin.status)
            assert [view.site for view in status.sites if view.connected] == [NORTH]
            assert status.superlink_alive

    run(work())


def test_diagnose_finds_nothing_wrong_with_a_good_certificate(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)

    async def work() -> None:
        async with serving(centre):
            assert await asyncio.to_thread(diagnose, node, node.settings()) is None

    run(work())


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64], ids=["http", "zeros"])
def test_who_speaks_no_tls_is_logged_with_a_code(tmp_path: Path, words: bytes) -> None:
    centre = a_centre(tmp_path / "c")

    async def work() -> None:
        async with serving(centre) as served:
            port = int(centre.settings().address.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(words)
                stranger.shutdown(socket.SHUT_WR)
                await until(lambda: served.refusals)
            assert served.refusals[0].code in ("TF223", "TF224")

    run(work())


def test_what_the_executor_says_it_does_is_read_back(tmp_path: Path) -> None:
    assert read_progress(tmp_path).run == ""
    write_progress(tmp_path, Progress(busy=True, run="cxr-2026.1", round=2, batches_done=1))
    said = read_progress(tmp_path)
    assert (said.busy, said.run, said.round, said.batches_done) == (True, "cxr-2026.1", 2, 1)
    assert said.free_disk_bytes > 0
    (tmp_path / "progress.json").write_text('{"unknown": 1}')
    assert not read_progress(tmp_path).busy


def test_a_renewed_certificate_ends_the_long_pause_after_a_refusal(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    good = node.tls_certificate.read_bytes()
    unknown = centre.authority().issue_node(
        node.load_tls_key().public_key(),  # type: ignore[arg-type]
        site=NORTH,
        now=datetime.now(UTC),
    )
    node.tls_certificate.write_text(certificate_pem(unknown))

    async def work() -> None:
        async with serving(centre), connecting(node) as client:
            await until(lambda: client.status.state is ChannelState.REFUSED)
            assert isinstance(client.status.error, NodeCertificateUnknownError)
            node.tls_certificate.write_bytes(good)
            await connected(client)

    run(work())


def test_a_node_learns_that_the_superlink_started_anew_and_only_once(tmp_path: Path) -> None:
    centre = a_centre(tmp_path / "c")
    node = a_node(tmp_path / "n", centre)
    told: list[int] = []

    async def work() -> None:
        def tell() -> None:
            told.append(1)

        async with serving(centre) as served, connecting(node, on_fleet_started=tell) as client:
            await connected(client)
            assert not told
            served.control.fleet_started()
            await until(lambda: told)
            first = served.sites.view(NORTH).last_heard
            await until(lambda: served.sites.view(NORTH).last_heard != first)
            assert len(told) == 1

    run(work())
