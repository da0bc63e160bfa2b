"""Believe a hospital's decision only when its enrolled data officer signed it.

The centre keeps decisions as received, so that anyone can verify them again
later; here it decides whether one is kept at all.
"""

from federation.domain.ids import SiteId
from federation.errors.approval import SignatureNotEnrolledError
from federation.errors.signed import BadSignatureError, UnknownSignerError
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.pki.roster import Roster
from federation.protocol.mapping import SignedDecision


def verify_decision(roster: Roster, site: SiteId, decision: SignedDecision) -> None:
    """Return if this decision holds.

    1. The officer key in the roster signed a statement of kind APPROVAL.
    2. The statement is about this study digest.
    3. It names this site and this study.

    Raises
    ------
    SignatureNotEnrolledError
        If another key signed it, or it speaks of something else.
    PlatformError
        If it is no envelope, or the roster does not know the site.
    """
    officer = roster.entry(site).officer_key
    unbelieved = SignatureNotEnrolledError(thing="decision", site=site)
    if officer is None:
        raise unbelieved
    key = PublicKey.from_pem(officer.encode(), name="officer key")
    try:
        statement = verify_envelope(
            decision.envelope, trusted=trusted_keys([key]), expected=PredicateType.APPROVAL
        )
    except (UnknownSignerError, BadSignatureError) as error:
        raise unbelieved from error
    said = (statement.predicate.get("site"), statement.predicate.get("study"))
    about = {subject.digest for subject in statement.subjects}
    if said != (site, decision.study) or decision.study_digest not in about:
        raise unbelieved
