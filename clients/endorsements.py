"""The second of two persons: a signed word that this very study may be approved.

With `two_person = true` in the policy, somebody who is neither the data officer nor
the proposer endorses the study before the officer approves. The endorsement stays in
the hospital; the approval binds its digest, so it can be neither swapped nor taken away.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clients.persons import Person
from clients.seals import Matter, open_seal, read_limited, seal
from federation.domain.ids import Sha256, SiteId
from federation.domain.study import Study
from federation.errors import PlatformError
from federation.errors.approval import ApproverIsProposerError, EndorsementMissingError
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey, trusted_keys
from federation.storage import write_atomic
from federation.wording import Text

NOBODY = Text(en="nobody endorsed it", zh="無人背書")
INVALID = Text(
    en="its endorsement does not hold, or its signer may not sign any more",
    zh="其背書無效,或背書者已不得簽署",
)
OTHER_ENDORSEMENT = Text(
    en="the endorsement is not the one approved", zh="背書與核准時不同"
)  # fmt: skip
PROPOSED_IT = Text(en="the same key or name proposed it", zh="與提案者為同一金鑰或姓名")
IS_THE_OTHER = Text(en="the data officer is the other person", zh="資料官為另一名簽署者")


@dataclass(frozen=True, slots=True)
class Proposer:
    """Who asks: the centre's evidence key, and the person's name where the proposal says one."""

    keyid: Sha256
    person: str = ""


def endorse(
    path: Path,
    study: Study,
    *,
    site: SiteId,
    person: Person,
    signer: Signer,
    proposer: Proposer,
    now: datetime,
) -> None:
    """Sign, as the second of two persons, that this very study may be approved.

    Raises
    ------
    ApproverIsProposerError
        If that person proposed it.
    """
    check_not_proposer(study, proposer, person)
    content = seal(Matter.ENDORSEMENT, study.id, study.digest, site=site, signer=signer, now=now)
    write_atomic(path, content)


def endorsement_of(
    path: Path, study: Study, *, site: SiteId, people: Iterable[Person], officer: PublicKey
) -> tuple[Person, Sha256]:
    """Return who endorsed this very study, and the content id of their seal.

    Raises
    ------
    EndorsementMissingError
        If nobody did, or none of `people`, or the data officer alone.
    """
    try:
        content = read_limited(path)
    except OSError as error:
        raise EndorsementMissingError(study=study.id, why=NOBODY) from error
    others = {person.key.keyid: person for person in people if person.key.keyid != officer.keyid}
    trusted = trusted_keys(person.key for person in others.values())
    try:
        found = open_seal(content, Matter.ENDORSEMENT, study.id, site=site, trusted=trusted)
    except PlatformError as error:
        raise EndorsementMissingError(study=study.id, why=INVALID) from error
    if found.digest != study.digest:
        raise EndorsementMissingError(study=study.id, why=INVALID)
    return others[found.signer.keyid], Sha256.of(content)


def check_same_endorsement(study: Study, found: Sha256, approved: Sha256 | None) -> None:
    """Return if the endorsement here is the one that the approval binds.

    Raises
    ------
    EndorsementMissingError
        If not.
    """
    if found != approved:
        raise EndorsementMissingError(study=study.id, why=OTHER_ENDORSEMENT)


def check_not_proposer(study: Study, proposer: Proposer, person: Person) -> None:
    """Return if the person did not propose the study; raises `ApproverIsProposerError`."""
    if person.key.keyid == proposer.keyid or person.name == proposer.person:
        raise ApproverIsProposerError(person=person.name, study=study.id, why=PROPOSED_IT)
