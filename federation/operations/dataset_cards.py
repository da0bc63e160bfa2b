"""Take the dataset cards that hospitals signed into the register.

    import_cards(home, StudyId("cxr-2026"))     # every signed card that came for a study

A card is taken as it was signed by the hospital's node, in the name of the data steward
whom it names; nothing of it is typed here. The statement is entered in the log first, and
the record names it, so that whoever lets the data be used (D1) can have it compared.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.errors.base import PlatformError
from federation.errors.moves import RecordNotFoundError
from federation.errors.records import CardNotSignedError
from federation.evidence.statements import PredicateType, Statement
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.operations.embedded_registry import Actor, RecordDesk, desk
from federation.operations.evidence_entries import log_statements
from federation.operations.store.studies import StudyStore
from federation.wire.study import study_from_json
from federation.wording import Text

if TYPE_CHECKING:
    from registry.records.ports import StoredRecord

NOUN = "dataset-card"
STEWARD = "DST"
SIGNED = "signed_card"
REASON = "as the hospital's node signed it"

_UNSIGNED = Text(en="it was not signed yet", zh="尚未簽署")
_OTHER_KEY = Text(en="another key than its node's signed it", zh="簽署者並非該院節點金鑰")
_OTHER = Text(en="it is of another hospital or study", zh="屬於其他醫院或研究")
_NO_STEWARD = Text(en="it does not say who answers for the data", zh="未載明資料管理人")


@dataclass(frozen=True, slots=True)
class TakenCard:
    """A site's card in the register, or why it is not there."""

    site: SiteId
    record: "StoredRecord | None"
    refusal: PlatformError | None


def import_cards(home: CentreHome, study: StudyId) -> list[TakenCard]:
    """Take every card of a study's hospitals that came here; again changes nothing.

    Raises
    ------
    StudyMissingError
        If the centre knows no study of that name.
    """
    with closing(StudyStore.of(home)) as store:
        digest = study_from_json(store.study(study).record).digest
    register = desk(home)
    return list(_taken(home, register, study, digest))


def _taken(
    home: CentreHome, register: RecordDesk, study: StudyId, digest: Sha256
) -> Iterator[TakenCard]:
    for site, content in sorted(ControlRecords(home.folder).cards(study).items()):
        try:
            yield TakenCard(site, _take(home, register, site, study, digest, content), None)
        except PlatformError as error:
            yield TakenCard(site, None, error)


def _take(
    home: CentreHome,
    register: RecordDesk,
    site: SiteId,
    study: StudyId,
    digest: Sha256,
    content: bytes,
) -> "StoredRecord":
    envelope = _envelope(content)
    if envelope is None:
        raise CardNotSignedError(site=site, study=study, why=_UNSIGNED)
    said = _verified(home, site, study, digest, envelope)
    log_statements(home, [envelope])
    body = {**_object(said.predicate.get("card")), "signed": str(Sha256.of(envelope.encode()))}
    id = card_id(site, study)
    try:
        head = register.get(NOUN, id)
    except RecordNotFoundError:
        return register.put(NOUN, id, body, _steward(site, study, said), revision=0, reason=REASON)
    if head.body.get("signed") == body["signed"]:
        return head
    writer = _steward(site, study, said)
    return register.put(NOUN, id, body, writer, revision=head.revision, reason=REASON)


def card_id(site: SiteId, study: StudyId) -> str:
    """Return what the register calls a site's card of a study."""
    return f"{site}.{study}"


def _envelope(content: bytes) -> str | None:
    """Return the signed card in what a hospital sent, None where there is none."""
    try:
        sent = json.loads(content)
    except ValueError:
        return None
    found = sent.get(SIGNED) if isinstance(sent, dict) else None
    return found if isinstance(found, str) else None


def _verified(
    home: CentreHome, site: SiteId, study: StudyId, digest: Sha256, envelope: str
) -> Statement:
    pem = home.roster().entry(site).node_key
    unbelieved = CardNotSignedError(site=site, study=study, why=_OTHER_KEY)
    if pem is None:
        raise unbelieved
    key = PublicKey.from_pem(pem.encode(), name="node key")
    try:
        said = verify_envelope(
            envelope, trusted=trusted_keys([key]), expected=PredicateType.DATASET_CARD
        )
    except PlatformError as error:
        raise unbelieved from error
    card = _object(said.predicate.get("card"))
    named = tuple(said.predicate.get(name) for name in ("what", "site", "study"))
    is_ours = named == (NOUN, site, study) and card.get("site") == site
    if not is_ours or digest not in {one.digest for one in said.subjects}:
        raise CardNotSignedError(site=site, study=study, why=_OTHER)
    return said


def _steward(site: SiteId, study: StudyId, said: Statement) -> Actor:
    """Return the data steward whom the hospital's node names."""
    match said.predicate.get("by"):
        case {"person": str(person), "organisation": str(house)}:
            return Actor(person, house, STEWARD)
    raise CardNotSignedError(site=site, study=study, why=_NO_STEWARD)


def _object(said: object) -> dict[str, Any]:
    return dict(said) if isinstance(said, dict) else {}
