"""Take in what the centre proposes: verified, then a file for the staff to read.

`proposals/STUDY.json` is the study itself, `proposals/STUDY.dsse` the centre's
signature over its digest. A withdrawn proposal moves to `proposals/withdrawn/`,
where no approval finds it.
"""

import json

from clients.home import NodeHome
from federation.domain.ids import StudyId
from federation.errors.control import ProposalUnsignedError
from federation.errors.core import UnreadableRecordError
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.protocol.mapping import Proposal
from federation.storage import write_atomic
from federation.wire.study import study_from_json


def take_proposal(home: NodeHome, proposal: Proposal) -> None:
    """Verify a proposal and keep it.

    1. The centre's enrolled key signed a statement of kind PROPOSAL.
    2. The statement is about this study digest.
    3. The study's fields have this digest, this name and this recipe digest.

    Raises
    ------
    PlatformError
        By the first of these that does not hold; nothing is written then.
    """
    verify_proposal(PublicKey.load(home.centre_evidence_key), proposal)
    write_atomic(home.proposals / f"{proposal.study}.dsse", proposal.envelope)
    write_atomic(home.proposal(proposal.study), proposal.content)


def verify_proposal(centre: PublicKey, proposal: Proposal) -> None:
    """Return if the centre signed this proposal; the checks of `take_proposal`."""
    statement = verify_envelope(
        proposal.envelope, trusted=trusted_keys([centre]), expected=PredicateType.PROPOSAL
    )
    if proposal.study_digest not in {subject.digest for subject in statement.subjects}:
        raise ProposalUnsignedError(study=proposal.study)
    try:
        study = study_from_json(json.loads(proposal.content))
    except ValueError as error:
        raise UnreadableRecordError(kind="proposal", why="not JSON") from error
    said = (study.id, study.digest, study.recipe_digest)
    if said != (proposal.study, proposal.study_digest, proposal.recipe_digest):
        raise ProposalUnsignedError(study=proposal.study)


def withdraw_proposal(home: NodeHome, study: StudyId) -> None:
    """Take a proposal away from where approvals look; nothing happens if it is not here."""
    path = home.proposal(study)
    if not path.exists():
        return
    folder = home.proposals / "withdrawn"
    folder.mkdir(mode=0o700, exist_ok=True)
    path.replace(folder / path.name)
