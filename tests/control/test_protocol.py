"""The generated code and the mapping between wire and domain."""

from pathlib import Path

import pytest

from federation.domain.ids import SiteId
from federation.errors.control import (
    ProtocolBrokenError,
    RefusedByPeerError,
    SiteMismatchError,
)
from federation.protocol import generate, mapping
from federation.protocol.generated import control_pb2 as pb
from federation.wording import Language


def test_the_generated_code_is_that_of_the_proto_files(tmp_path: Path) -> None:
    (tmp_path / generate.PACKAGE).mkdir(parents=True)
    generate.generate(tmp_path)
    fresh = {path.name: path.read_bytes() for path in (tmp_path / generate.PACKAGE).iterdir()}
    kept = {path.name: path.read_bytes() for path in (generate.HERE / "generated").glob("*.py*")}
    assert fresh == kept, "run `python -m federation.protocol.generate`"


def test_a_refusal_arrives_as_the_error_it_was_in_both_languages() -> None:
    error = SiteMismatchError(said="a", certified="b")
    read = mapping.read_refusal(mapping.write_refusal(error))
    assert isinstance(read, SiteMismatchError)
    assert read.say(Language.ZH_HANT_TW) == error.say(Language.ZH_HANT_TW)


@pytest.mark.parametrize(
    "refused",
    [
        pb.Refused(code="TF999", what="No.", next_step="Wait."),
        pb.Refused(code="TF232", what="No.", next_step="Wait.", values={"other": "field"}),
        pb.Refused(code="TF100", what="No.", next_step="Wait."),
    ],
)
def test_a_refusal_of_an_unknown_code_is_shown_in_the_peers_words(refused: pb.Refused) -> None:
    read = mapping.read_refusal(refused)
    assert isinstance(read, RefusedByPeerError)
    assert "No." in read.say() and "Wait." in read.say()


@pytest.mark.parametrize(
    "message",
    [
        pb.FromNode(),
        pb.FromNode(heartbeat=pb.NodeHeartbeat()),
        pb.FromNode(hello=pb.Hello(site="Not A Site")),
        pb.FromNode(hello=pb.Hello(site="north", software_version="\x1b[31m")),
        pb.FromNode(hello=pb.Hello(site="north", capabilities=["x"] * 65)),
        pb.FromNode(hello=pb.Hello(site="north", wheel_digest="x" * 129)),
    ],
)
def test_a_hello_that_is_none_is_refused(message: pb.FromNode) -> None:
    with pytest.raises(ProtocolBrokenError):
        mapping.read_hello(message)


def test_a_hello_survives_the_wire() -> None:
    hello = mapping.Hello(SiteId("north"), 1, "0.1.0", ("train",), "sha256:0", 5)
    assert mapping.read_hello(mapping.write_hello(hello)) == hello


def test_an_empty_document_is_refused() -> None:
    with pytest.raises(ProtocolBrokenError):
        mapping.read_card(pb.DatasetCard(study="cxr-2026"))
