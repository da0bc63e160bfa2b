"""The node keeps the state of the centre's log: a centre that rewrites it is noticed."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.centre_heads import (
    centre_heads_file,
    check_centre_head,
    read_centre_heads,
)
from clients.centre_word import hear_centre
from clients.client_app import HospitalHandler
from clients.home import NodeHome
from federation.commands.node import books
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditKind
from federation.domain.ids import Sha256, SiteId
from federation.errors.base import PlatformError
from federation.errors.heads import (
    CentreHeadRefusedError,
    CentreLogForkedError,
    CentreLogRolledBackError,
)
from federation.errors.signed import UnknownSignerError
from federation.evidence.checkpoint import Checkpoint, sign_checkpoint
from federation.evidence.growth import Growth
from federation.evidence.inclusion import origin_of
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.operations.centre_head import CentreHead
from federation.operations.embedded_registry import audit
from federation.operations.evidence_entries import log_statements
from tests.control.builders import NORTH, a_centre, a_node
from tests.node import handling
from tests.training.arrays import a_cohort

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SITES = (NORTH, SiteId("south"), SiteId("west"))


def a_statement(centre: CentreHome, number: int, *, signer: Signer | None = None) -> str:
    subject = Subject(f"thing/{number}", Sha256.of(b"thing"))
    said = Statement((subject,), PredicateType.TRAINING_RUN, {"n": number})
    return sign_dsse(said, signer or Signer.load(centre.evidence_key))


def log(centre: CentreHome, *numbers: int) -> None:
    for number in numbers:
        log_statements(centre, [a_statement(centre, number)])


def shown(centre: CentreHome, site: SiteId = NORTH) -> bytes:
    return CentreHead(centre)(site)


def rewrite(centre: CentreHome) -> None:
    """Make the centre's database anew, with the first statement changed and one more."""
    centre.database.unlink()
    log(centre, 7, 2, 3)


def go_back(centre: CentreHome) -> None:
    centre.database.unlink()
    log(centre, 1)


def lose(centre: CentreHome) -> None:
    centre.database.unlink()


def same_size_other_root(centre: CentreHome) -> None:
    centre.database.unlink()
    log(centre, 7, 2)


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "centre")


@pytest.fixture
def node(tmp_path: Path, centre: CentreHome) -> NodeHome:
    return a_node(tmp_path / "north", centre)


def test_a_log_that_only_grew_is_kept_whatever_was_missed(
    centre: CentreHome, node: NodeHome
) -> None:
    hear_centre(node, shown(centre), now=NOW)  # nothing was ever logged
    check_centre_head(node)
    assert not centre_heads_file(node).exists()
    for upto in (1, 2, 9):
        log(centre, *range(upto))
        hear_centre(node, shown(centre), now=NOW)
        check_centre_head(node)

    assert f"\n{9}\n" in read_centre_heads(node).note
    assert audit(centre)["checkpoints"] == 9


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (rewrite, CentreLogForkedError),
        (same_size_other_root, CentreLogForkedError),
        (go_back, CentreLogRolledBackError),
        (lose, CentreLogRolledBackError),
    ],
)
def test_a_centre_that_rewrites_its_log_is_noticed_by_every_node(
    centre: CentreHome,
    tmp_path: Path,
    change: Callable[[CentreHome], None],
    refusal: type[PlatformError],
) -> None:
    nodes = {site: a_node(tmp_path / site, centre, site=site) for site in SITES}
    log(centre, 1, 2)
    for site, home in nodes.items():
        hear_centre(home, shown(centre, site), now=NOW)
    change(centre)

    for site, home in nodes.items():
        with pytest.raises(refusal):
            hear_centre(home, shown(centre, site), now=NOW + timedelta(days=1))
        with pytest.raises(refusal):
            check_centre_head(home)


def test_both_signed_states_are_kept_as_evidence_and_the_good_one_stays(
    centre: CentreHome, node: NodeHome
) -> None:
    log(centre, 1, 2)
    hear_centre(node, shown(centre), now=NOW)
    good = read_centre_heads(node).note
    forged = forge(centre, size=3)
    for day in (1, 2):
        with pytest.raises(CentreLogForkedError):
            hear_centre(node, forged, now=NOW + timedelta(days=day))

    kept = read_centre_heads(node)
    assert kept.note == good
    (problem,) = kept.problems  # said twice, written once
    assert problem.note == json.loads(forged)["growth"]["checkpoint"]
    assert (problem.code, problem.values) == ("TF648", {"kept": 2, "given": 3})


def forge(centre: CentreHome, *, size: int, signer: Signer | None = None) -> bytes:
    """Return a state of the log that the centre signed and that never was."""
    signer = signer or Signer.load(centre.evidence_key)
    checkpoint = Checkpoint(origin_of(signer.public_key), size, bytes(32))
    growth = Growth(sign_checkpoint(checkpoint, signer), {2: (bytes(32), bytes(32))})
    return json.dumps({"growth": growth.as_json(), "agreed": None}).encode()


def test_a_centre_that_puts_its_log_back_is_answered_again(
    centre: CentreHome, node: NodeHome
) -> None:
    log(centre, 1, 2)
    hear_centre(node, shown(centre), now=NOW)
    with pytest.raises(CentreLogRolledBackError):
        hear_centre(node, b"", now=NOW)
    log(centre, 3)
    hear_centre(node, shown(centre), now=NOW + timedelta(days=1))

    check_centre_head(node)
    assert [one.code for one in read_centre_heads(node).problems] == ["TF649"]


@pytest.mark.parametrize(
    "change",
    [
        lambda said: b"[",
        lambda said: b"{}",
        lambda said: said.replace(b'"agreed"', b'"agrees"'),
        lambda said: said.replace(b"trifed.growth/1", b"trifed.growth/2"),
        lambda said: said[:-40] + b" " * (5 << 20),
        lambda said: _with(said, proofs={}),
        lambda said: _with(said, proofs={"2": ["zz"]}),
        lambda said: _with(said, proofs={"2": ["00" * 32] * 200}),
        lambda said: _with(said, proofs={"-2": []}),
        lambda said: _with(said, checkpoint="no note"),
        lambda said: _with(said, checkpoint=_other_root(said)),
    ],
)
def test_a_word_that_is_none_is_refused_and_stands_in_the_way(
    centre: CentreHome, node: NodeHome, change: Callable[[bytes], bytes]
) -> None:
    log(centre, 1, 2)
    hear_centre(node, shown(centre), now=NOW)
    log(centre, 3)

    with pytest.raises(CentreHeadRefusedError):
        hear_centre(node, change(shown(centre)), now=NOW)
    with pytest.raises(CentreHeadRefusedError):
        check_centre_head(node)


def _with(said: bytes, **changes: object) -> bytes:
    word = json.loads(said)
    word["growth"] |= changes
    return json.dumps(word).encode()


def _other_root(said: bytes) -> str:
    lines = json.loads(said)["growth"]["checkpoint"].split("\n")
    lines[2] = base64.b64encode(bytes(32)).decode()
    return "\n".join(lines)


def test_a_state_signed_by_another_key_is_refused(
    centre: CentreHome, node: NodeHome, tmp_path: Path
) -> None:
    forged = forge(centre, size=3, signer=new_key(tmp_path / "other.key"))

    with pytest.raises(CentreHeadRefusedError):
        hear_centre(node, forged, now=NOW)


def test_with_a_new_key_of_the_centre_a_new_log_begins_and_the_old_state_stays_written(
    centre: CentreHome, node: NodeHome, tmp_path: Path
) -> None:
    log(centre, 1, 2)
    hear_centre(node, shown(centre), now=NOW)
    old, signer = read_centre_heads(node).note, new_key(tmp_path / "new.key")
    node.centre_evidence_key.write_bytes(signer.public_key.pem)
    hear_centre(node, forge(centre, size=1, signer=signer), now=NOW)

    check_centre_head(node)
    assert read_centre_heads(node).former == (old,)


def test_a_damaged_file_allows_nothing(node: NodeHome) -> None:
    for content in (b"{", b"[]", b'{"holds": true}', b'{"problems": [{"code": "TF1"}]}'):
        centre_heads_file(node).write_bytes(content)
        with pytest.raises(CentreHeadRefusedError):
            check_centre_head(node)


def test_no_message_is_answered_while_the_centres_word_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handling.hold(monkeypatch, a_cohort(patients=40, images_each=1, side=64))
    home = handling.a_home(tmp_path)
    kept = {"note": "", "at": "", "holds": False, "keyid": "", "former": [],
            "problems": [{"code": "TF649", "values": {"kept": 9, "given": 3}, "note": "",
                          "at": NOW.isoformat()}]}  # fmt: skip
    centre_heads_file(home).write_text(json.dumps(kept))

    with pytest.raises(CentreLogRolledBackError):
        HospitalHandler(home)(handling.a_task())

    assert handling.details(home, AuditKind.UPDATE_WITHHELD)[-1]["code"] == "TF649"
    centre_heads_file(home).unlink()
    assert HospitalHandler(home)(handling.a_task()).update is not None


def test_staff_see_what_is_kept_and_what_did_not_hold(centre: CentreHome, node: NodeHome) -> None:
    def heads(*words: str) -> tuple[int, str]:
        line = ["heads", "--home", str(node.folder), *words]
        done = CliRunner().invoke(books.ledger_app, line, env={"TRIFED_LANG": "en"})
        return done.exit_code, done.output

    assert "showed nothing" in heads()[1]
    log(centre, 1, 2)
    hear_centre(node, shown(centre), now=NOW)
    assert "2 entries" in heads()[1]
    with pytest.raises(CentreLogRolledBackError):
        hear_centre(node, b"", now=NOW)

    code, said = heads()
    assert code != 0
    assert "TF649" in said
    assert json.loads(heads("--json")[1])["holds"] is False


def test_a_statement_is_entered_once_and_only_of_a_known_key(
    centre: CentreHome, tmp_path: Path
) -> None:
    log(centre, 1)
    first = shown(centre)
    log(centre, 1)
    assert shown(centre) == first

    stranger = a_statement(centre, 2, signer=new_key(tmp_path / "stranger.key"))
    with pytest.raises(UnknownSignerError):
        log_statements(centre, [stranger])
    assert shown(centre) == first


def test_the_database_is_not_read_for_every_heartbeat(centre: CentreHome) -> None:
    time_s = 0.0
    head = CentreHead(centre, clock_s=lambda: time_s)
    assert head(NORTH) == b""
    log(centre, 1)
    assert head(NORTH) == b""
    time_s = 3.0
    assert b"checkpoint" in head(NORTH)
