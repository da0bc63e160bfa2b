"""A key of a sum is believed only when its site's node signed it for this very sum."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.errors.secure_sum import SumKeyRefusedError, SumPeersRefusedError
from federation.errors.signed import MalformedEnvelopeError
from federation.evidence.canonical import canonical
from federation.evidence.dsse import pae
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import verify_envelope
from federation.secure_sum import Cells, Session
from federation.secure_sum.masks import public_of
from federation.secure_sum.signed_keys import MOST_BYTES, PAYLOAD_TYPE, sign_key
from tests.secure_sum.sites import NAMES, SESSION, SUMS, Sites, three

A, B, C = NAMES[:3]
STUDY = StudyId("another")


def verified(federation: Sites, envelopes: list[str]) -> None:
    SUMS.verify(envelopes, session=federation.session, pinned=federation.pinned)


def with_payload(federation: Sites, payload: dict[str, Any]) -> str:
    """Return an envelope of any payload, signed by site C's node."""
    signer, content = federation.signers[C], canonical(payload)
    said = {
        "payload": base64.b64encode(content).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {
                "keyid": signer.keyid,
                "sig": base64.b64encode(signer.sign(pae(PAYLOAD_TYPE, content))).decode(),
            }
        ],
    }
    return canonical(said).decode()


def test_the_keys_of_all_sites_are_believed() -> None:
    roster = three().roster
    assert roster.sites == (A, B, C)
    assert roster.session == SESSION


@pytest.mark.parametrize(
    "session",
    [
        replace(SESSION, study=STUDY),
        replace(SESSION, study_digest=Sha256.of(b"version 2")),
        replace(SESSION, run=RunId.of(SESSION.study, 2)),
        replace(SESSION, number=3),
    ],
    ids=["study", "version", "run", "round"],
)
def test_a_key_of_another_session_is_refused(session: Session) -> None:
    federation = three()
    replayed = federation.envelope(C, session)

    with pytest.raises(SumKeyRefusedError, match="another study, run or round"):
        verified(federation, [*federation.envelopes[:2], replayed])
    with pytest.raises(SumKeyRefusedError):
        SUMS.check(replayed, session=SESSION, site=C, key=federation.pinned[C])


def test_a_key_that_no_node_of_the_approved_study_signed_is_refused() -> None:
    """The centre makes a key of its own and calls it that of a site."""
    federation = three()
    centre = Signer(Ed25519PrivateKey.generate())
    forged = sign_key(public_of(b"\x07" * 32), session=SESSION, site=C, signer=centre)

    with pytest.raises(SumKeyRefusedError, match="none of the node keys"):
        verified(federation, [*federation.envelopes[:2], forged])


def test_a_site_enrolled_after_the_approval_is_refused() -> None:
    federation = Sites(NAMES[:4])
    pinned = three(signers=federation.signers).pinned

    with pytest.raises(SumKeyRefusedError, match="none of the node keys"):
        SUMS.verify(federation.envelopes, session=SESSION, pinned=pinned)


def test_a_site_cannot_give_a_key_in_the_name_of_another() -> None:
    federation = three()
    forged = sign_key(
        public_of(b"\x07" * 32), session=SESSION, site=B, signer=federation.signers[C]
    )

    with pytest.raises(SumKeyRefusedError, match="in the name of another"):
        verified(federation, [federation.envelopes[0], forged, federation.envelopes[2]])
    with pytest.raises(SumKeyRefusedError):
        SUMS.check(forged, session=SESSION, site=B, key=federation.pinned[B])


def test_a_sites_key_twice_is_refused() -> None:
    federation = three()
    with pytest.raises(SumPeersRefusedError, match="twice"):
        verified(federation, [*federation.envelopes, federation.envelopes[0]])
    second = sign_key(
        public_of(b"\x07" * 32), session=SESSION, site=C, signer=federation.signers[C]
    )
    with pytest.raises(SumPeersRefusedError, match="twice"):
        verified(federation, [*federation.envelopes, second])


def test_two_sites_with_one_key_are_refused() -> None:
    federation = three()
    copied = sign_key(
        public_of(federation.secret(A)), session=SESSION, site=C, signer=federation.signers[C]
    )
    with pytest.raises(SumPeersRefusedError, match="twice"):
        verified(federation, [*federation.envelopes[:2], copied])


def test_the_second_spelling_of_a_key_is_refused() -> None:
    """RFC 7748, 5: the last bit of a key is ignored, so a copy could look like another."""
    federation = three()
    copied = bytearray(public_of(federation.secret(A)))
    copied[-1] |= 0x80
    envelope = sign_key(bytes(copied), session=SESSION, site=C, signer=federation.signers[C])

    with pytest.raises(SumKeyRefusedError, match="not an envelope"):
        verified(federation, [*federation.envelopes[:2], envelope])


def test_a_key_beyond_the_prime_is_a_second_spelling() -> None:
    """RFC 7748, 5: 2^255-10 is taken modulo 2^255-19, so it is the base point 9 again."""
    federation = three()
    copied = (2**255 - 10).to_bytes(32, "little")
    envelope = sign_key(copied, session=SESSION, site=C, signer=federation.signers[C])
    with pytest.raises(SumKeyRefusedError, match="not an envelope"):
        verified(federation, [*federation.envelopes[:2], envelope])


def test_two_sites_with_one_node_key_are_refused() -> None:
    federation = three()
    pinned = {**federation.pinned, B: federation.pinned[A]}
    with pytest.raises(SumPeersRefusedError, match="same node key"):
        SUMS.verify(federation.envelopes, session=SESSION, pinned=pinned)


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)], ids=["0", "1"])
def test_a_point_of_small_order_masks_nothing(point: bytes) -> None:
    """With it the shared secret would be known to everybody."""
    federation = three()
    weak = sign_key(point, session=SESSION, site=C, signer=federation.signers[C])
    roster = SUMS.verify(
        [*federation.envelopes[:2], weak], session=SESSION, pinned=federation.pinned
    )
    cells = Cells.counts(2, most=9)
    with pytest.raises(SumKeyRefusedError, match="small order"):
        SUMS.mask(np.array([1, 2]), roster=roster, site=A, secret=federation.secret(A), cells=cells)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: {**said, "key": "00" * 31},
        lambda said: {**said, "key": "00" * 33},
        lambda said: {**said, "key": said["key"].upper() + "A"},
        lambda said: {**said, "key": "  " + said["key"]},
        lambda said: {**said, "key": 7},
        lambda said: {**said, "note": "more"},
        lambda said: {"site": said["site"], "key": said["key"]},
        lambda said: {**said, "session": {**said["session"], "round": "1"}},
        lambda said: {**said, "session": {**said["session"], "extra": 1}},
        lambda said: {**said, "site": "Site C"},
    ],
)
def test_a_signed_payload_of_another_form_is_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    federation = three()
    envelope = json.loads(federation.envelope(C))
    said = json.loads(base64.b64decode(envelope["payload"]))

    assert with_payload(federation, said) == federation.envelope(C)
    with pytest.raises(SumKeyRefusedError):
        verified(federation, [*federation.envelopes[:2], with_payload(federation, change(said))])


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "x" * (MOST_BYTES + 1), "[" * 3000, '{"payload":1}', "\ud800"],
)
def test_what_is_no_envelope_is_refused(text: str) -> None:
    federation = three()
    with pytest.raises(SumKeyRefusedError, match="not an envelope"):
        verified(federation, [*federation.envelopes[:2], text])


def test_what_is_too_long_is_refused_before_it_is_parsed() -> None:
    federation = three()
    for length, is_parsed in ((MOST_BYTES, True), (MOST_BYTES + 1, False)):
        with pytest.raises(SumKeyRefusedError) as told:
            SUMS.check("x" * length, session=SESSION, site=C, key=federation.pinned[C])
        assert (told.value.__cause__ is not None) is is_parsed


@pytest.mark.parametrize(
    "spelled", [lambda text: text + " ", lambda text: json.dumps(json.loads(text))]
)
def test_a_second_spelling_of_an_envelope_is_refused(spelled: Callable[[str], str]) -> None:
    federation = three()
    with pytest.raises(SumKeyRefusedError, match="not an envelope"):
        SUMS.check(
            spelled(federation.envelope(C)), session=SESSION, site=C, key=federation.pinned[C]
        )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_byte_of_a_signed_key_can_be_changed(data: st.DataObject) -> None:
    federation = three()
    envelope = federation.envelope(C)
    at = data.draw(st.integers(0, len(envelope) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    changed = envelope[:at] + other + envelope[at + 1 :]
    if changed == envelope:
        return
    with pytest.raises(SumKeyRefusedError):
        SUMS.check(changed, session=SESSION, site=C, key=federation.pinned[C])


def test_a_signed_key_is_no_statement_and_a_statement_is_no_signed_key() -> None:
    federation = three()
    signer = federation.signers[C]
    trusted = {signer.keyid: signer.public_key}
    statement = Statement(
        (Subject("study/cxr-eval", SESSION.study_digest),),
        PredicateType.EVALUATION,
        {"session": SESSION.as_json(), "site": str(C), "key": "00" * 32},
    )

    with pytest.raises(MalformedEnvelopeError, match="another type"):
        verify_envelope(federation.envelope(C), trusted=trusted, expected=PredicateType.EVALUATION)
    with pytest.raises(SumKeyRefusedError):
        verified(federation, [*federation.envelopes[:2], sign_dsse(statement, signer)])


def test_a_refusal_names_the_site_that_signed() -> None:
    federation = three()
    session = replace(SESSION, number=9)
    with pytest.raises(SumKeyRefusedError) as told:
        SUMS.check(
            federation.envelope(C, session), session=SESSION, site=C, key=federation.pinned[C]
        )
    assert told.value.values["site"] == SiteId(C)
