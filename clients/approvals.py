"""The hospital's decision on a study: made by its staff, signed, checked before every message.

A proposal arrives over the control channel as `proposals/STUDY.json`. Staff read
it in words and approve or refuse; the decision is a DSSE statement by the data
officer's key. `approval_of` runs in the hospital's own process before any
training or evaluation: what the signed approval does not cover is refused,
whatever the centre says. With the two-person rule somebody else endorses first
(`clients.endorsements`), and `approve` binds that endorsement.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from clients.endorsements import IS_THE_OTHER, NOBODY, Proposer, check_not_proposer
from clients.persons import OFFICER, Person
from clients.policy.judgement import reasons_against
from clients.policy.rules import Policy
from clients.seals import instant_in, read_limited
from federation import provenance
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.recipe import Recipe
from federation.domain.study import Study
from federation.errors import PlatformError
from federation.errors.approval import (
    AlreadyDecidedError,
    ApprovalExpiredError,
    ApprovalReplayedError,
    ApprovalSignerError,
    ApprovalUnreadableError,
    ApprovalWithdrawnError,
    ApprovedThingChangedError,
    ApproverIsProposerError,
    EndorsementMissingError,
    NotApprovedError,
    PolicyRefusedError,
    ProposalMissingError,
)
from federation.errors.core import InvalidIdError, UnreadableRecordError
from federation.errors.signed import UnknownSignerError
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.storage import write_atomic
from federation.wire.study import study_from_json
from federation.wording import Text

VERSION = Text(en="version of it", zh="版本")
STUDY = Text(en="study", zh="研究")
SITE = Text(en="site", zh="站點")
CENTRE = Text(en="centre", zh="中心")
SOFTWARE = Text(en="installed software", zh="安裝的軟體")
RECIPE = Text(en="recipe", zh="配方")
SHAPE = Text(en="shape of the update", zh="模型更新的形狀")


class Decision(Enum):
    """What a hospital said of a study."""

    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a node keeps proposals and decisions, and whose key decides."""

    proposals: Path
    decisions: Path
    site: SiteId

    def decision_file(self, study: StudyId) -> Path:
        """Return where the decision on a study lies; the centre gets it."""
        return self.decisions / f"{study}.dsse.json"

    def endorsement_file(self, study: StudyId) -> Path:
        """Return where the second person's endorsement lies; it stays here."""
        return self.decisions / f"{study}.endorsement"

    def instances_file(self, study: StudyId) -> Path:
        """Return where the list of approved images lies; it stays here."""
        return self.decisions / f"{study}.instances"

    def proposed(self) -> list[Study]:
        """Return every study proposed to this hospital, by name."""
        return [self.proposal(StudyId(path.stem)) for path in sorted(self.proposals.glob("*.json"))]

    def proposal(self, study: StudyId) -> Study:
        """Return one proposed study.

        Raises
        ------
        ProposalMissingError
            If nobody proposed it here.
        UnreadableRecordError
            If the file is not the study its digest names.
        """
        path = self.proposals / f"{study}.json"
        if not path.exists():
            known = ", ".join(sorted(item.stem for item in self.proposals.glob("*.json")))
            raise ProposalMissingError(study=study, known=known or "none")
        try:
            found = study_from_json(json.loads(path.read_text(encoding="utf-8")))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UnreadableRecordError(kind="proposal", why=type(error).__name__) from error
        if found.id != study:
            raise UnreadableRecordError(kind="proposal", why="it names another study")
        return found


@dataclass(frozen=True, slots=True)
class Terms:
    """What an approval binds besides the study, as gathered at the desk.

    Without them a decision is signed, but no message passes `clients.standing`.

    Parameters
    ----------
    proposer
        Who asked; the approver must be somebody else.
    policy_number, policy_digest
        The signed policy it was approved under.
    instances_digest
        Content id of the list of approved images.
    endorsement
        The second person's word, verified, and its content id.
    """

    proposer: Proposer
    policy_number: int
    policy_digest: Sha256
    instances_digest: Sha256
    endorsement: tuple[Person, Sha256] | None = None

    def as_json(self) -> dict[str, object]:
        """Return the terms as the statement says them."""
        by, digest = self.endorsement or (None, None)
        return {
            "centre_keyid": str(self.proposer.keyid),
            "policy": {"number": self.policy_number, "digest": str(self.policy_digest)},
            "instances_digest": str(self.instances_digest),
            "endorsed_by": None
            if by is None
            else {"person": by.name, "keyid": str(by.key.keyid), "endorsement_digest": str(digest)},
        }


@dataclass(frozen=True, slots=True)
class Approval:
    """A verified approval that stands: the study and what else was signed.

    The fields after `at` are None for an approval without `Terms`.
    """

    study: Study
    at: datetime
    update_manifest_digest: Sha256
    centre_keyid: Sha256 | None
    policy_number: int | None
    instances_digest: Sha256 | None
    endorsement_digest: Sha256 | None

    def check_update_shape(self, manifest_digest: Sha256) -> None:
        """Return if the update that would be built is of the approved names and shapes.

        Raises
        ------
        ApprovedThingChangedError
            If not.
        """
        if manifest_digest != self.update_manifest_digest:
            raise ApprovedThingChangedError(study=self.study.id, thing=SHAPE)

    def check_centre(self, keyid: Sha256) -> None:
        """Return if the approval was given to the centre with this evidence key.

        Raises
        ------
        ApprovalReplayedError
            If to another, or to none.
        """
        if keyid != self.centre_keyid:
            raise ApprovalReplayedError(study=self.study.id, thing=CENTRE)


def approve(
    desk: Desk,
    study: Study,
    *,
    policy: Policy,
    recipe: Recipe,
    manifest_digest: Sha256,
    dataset_digest: Sha256,
    officer: Signer,
    now: datetime,
    terms: Terms | None = None,
) -> Path:
    """Sign an approval of exactly this study, recipe, code, dataset and update shape.

    Raises
    ------
    PolicyRefusedError
        If the hospital's policy has a reason against it.
    EndorsementMissingError
        If the policy asks for two persons and nobody endorsed it.
    ApproverIsProposerError
        If the officer proposed or endorsed it.
    AlreadyDecidedError
        If there is a decision on this very study.
    """
    reasons = reasons_against(study, policy, recipe=recipe, now=now)
    if desk.site not in study.sites:
        reasons.append("this hospital is not among its sites")
    if reasons:
        raise PolicyRefusedError(study=study.id, reasons="; ".join(reasons))
    if policy.two_person and (terms is None or terms.endorsement is None):
        raise EndorsementMissingError(study=study.id, why=NOBODY)
    if terms is not None:
        _check_others(study, terms, officer.public_key)
    covered: dict[str, object] = {
        "recipe_digest": str(study.recipe_digest),
        "code_digest": str(provenance.code_digest()),
        "dataset_digest": str(dataset_digest),
        "update_manifest_digest": str(manifest_digest),
        "purpose": study.purpose.value,
        "epsilon": study.privacy.epsilon if study.privacy else None,
        "delta": study.privacy.delta if study.privacy else None,
        "expires": study.expires,
        **(terms.as_json() if terms else {}),
    }
    return _decide(desk, study, Decision.APPROVED, covered, officer=officer, now=now)


def refuse(desk: Desk, study: Study, *, reason: str, officer: Signer, now: datetime) -> Path:
    """Sign a refusal with the reason that the centre may read.

    Raises
    ------
    AlreadyDecidedError
        If there is a decision on this very study.
    """
    return _decide(desk, study, Decision.REFUSED, {"reason": reason}, officer=officer, now=now)


def withdraw(desk: Desk, study: Study, *, reason: str, officer: Signer, now: datetime) -> Path:
    """Sign the end of an approval; the node refuses from the next message on.

    Raises
    ------
    NotApprovedError
        If there is no approval of this very study to withdraw.
    """
    decided = decision_of(desk, study, officer.public_key)
    _require(decided is Decision.APPROVED, study.id, "there is no approval to withdraw")
    said: dict[str, object] = {"reason": reason}
    return _sign(desk, study, Decision.WITHDRAWN, said, officer=officer, now=now)


def approval_of(
    desk: Desk,
    *,
    study: StudyId,
    study_digest: Sha256,
    recipe_digest_of: Callable[[str], Sha256],
    officer: PublicKey,
    now: datetime,
) -> Approval:
    """Return the approval that covers a message, or refuse.

    1. A proposal of that name and digest is here.
    2. A decision is here, signed by this hospital's data officer.
    3. It is about this study, this version of it, and this site.
    4. It says yes.
    5. The installed code and recipe are the ones approved.
    6. It has not expired.

    Raises
    ------
    NotApprovedError
        By the first of these that does not hold, one code each.
    """
    proposal = desk.proposal(study)
    _require(proposal.digest == study_digest, study, "the centre asks for another version of it")
    statement = _read_decision(desk, study, officer)
    said = statement.predicate
    _check_place(statement, proposal, desk.site)
    if said.get("decision") == Decision.WITHDRAWN.value:
        raise ApprovalWithdrawnError(study=study, date=said.get("at"))
    decision = said.get("decision")
    _require(decision == Decision.APPROVED.value, study, f"it was {decision}")
    if said.get("code_digest") != str(provenance.code_digest()):
        raise ApprovedThingChangedError(study=study, thing=SOFTWARE)
    recipe = recipe_digest_of(proposal.recipe)
    if not recipe == proposal.recipe_digest == said.get("recipe_digest"):
        raise ApprovedThingChangedError(study=study, thing=RECIPE)
    if now >= datetime.fromisoformat(proposal.expires):
        raise ApprovalExpiredError(study=study, date=proposal.expires)
    return _approval(proposal, statement)


def check_approval(
    desk: Desk,
    *,
    study: StudyId,
    study_digest: Sha256,
    recipe_digest_of: Callable[[str], Sha256],
    officer: PublicKey,
    now: datetime,
) -> Study:
    """Return the approved study, or refuse as `approval_of`."""
    found = approval_of(
        desk,
        study=study,
        study_digest=study_digest,
        recipe_digest_of=recipe_digest_of,
        officer=officer,
        now=now,
    )
    return found.study


def decision_of(desk: Desk, study: Study, officer: PublicKey) -> Decision | None:
    """Return what this hospital decided on this version of a study; None when nothing yet."""
    if not desk.decision_file(study.id).exists():
        return None
    statement = _read_decision(desk, study.id, officer)
    if statement.subjects[0].digest != study.digest:
        return None
    return Decision(statement.predicate["decision"])


def check_undecided(desk: Desk, study: Study, *, officer: PublicKey) -> None:
    """Return if nothing was decided on this very version of a study.

    Raises
    ------
    AlreadyDecidedError
        If something was.
    """
    if not desk.decision_file(study.id).exists():
        return
    earlier = _read_decision(desk, study.id, officer)
    if earlier.subjects[0].digest == study.digest:
        raise AlreadyDecidedError(study=study.id, decision=earlier.predicate["decision"])


def _decide(
    desk: Desk,
    study: Study,
    decision: Decision,
    details: dict[str, object],
    *,
    officer: Signer,
    now: datetime,
) -> Path:
    check_undecided(desk, study, officer=officer.public_key)
    return _sign(desk, study, decision, details, officer=officer, now=now)


def _sign(
    desk: Desk,
    study: Study,
    decision: Decision,
    details: dict[str, object],
    *,
    officer: Signer,
    now: datetime,
) -> Path:
    path = desk.decision_file(study.id)
    statement = Statement(
        subjects=(Subject(f"study/{study.id}", study.digest),),
        predicate_type=PredicateType.APPROVAL,
        predicate={
            "site": str(desk.site),
            "study": str(study.id),
            "decision": decision.value,
            "at": now.isoformat(),
            **details,
        },
    )
    write_atomic(path, sign_dsse(statement, officer).encode(), mode=0o600)
    return path


def _read_decision(desk: Desk, study: StudyId, officer: PublicKey) -> Statement:
    path = desk.decision_file(study)
    _require(path.exists(), study, "nobody decided on it yet")
    try:
        return verify_envelope(
            read_limited(path), trusted=trusted_keys([officer]), expected=PredicateType.APPROVAL
        )
    except UnknownSignerError as error:
        raise ApprovalSignerError(study=study) from error
    except PlatformError as error:
        raise ApprovalUnreadableError(study=study) from error


def _check_place(statement: Statement, proposal: Study, site: SiteId) -> None:
    """Return if a genuine decision lies where it belongs: this study, version and site."""
    said, subject = statement.predicate, statement.subjects[0]
    places = (
        (subject.name == f"study/{proposal.id}" and said.get("study") == proposal.id, STUDY),
        (subject.digest == proposal.digest, VERSION),
        (said.get("site") == site, SITE),
    )
    for holds, thing in places:
        if not holds:
            raise ApprovalReplayedError(study=proposal.id, thing=thing)


def _approval(study: Study, statement: Statement) -> Approval:
    said = statement.predicate
    policy, endorsed = said.get("policy"), said.get("endorsed_by")
    number = policy.get("number") if isinstance(policy, dict) else None
    endorsement = endorsed.get("endorsement_digest") if isinstance(endorsed, dict) else None
    try:
        return Approval(
            study=study,
            at=instant_in(said, "at"),
            update_manifest_digest=Sha256(str(said.get("update_manifest_digest"))),
            centre_keyid=_digest_or_none(said.get("centre_keyid")),
            policy_number=number if isinstance(number, int) else None,
            instances_digest=_digest_or_none(said.get("instances_digest")),
            endorsement_digest=_digest_or_none(endorsement),
        )
    except (PlatformError, InvalidIdError) as error:
        raise ApprovalUnreadableError(study=study.id) from error


def _check_others(study: Study, terms: Terms, officer: PublicKey) -> None:
    check_not_proposer(study, terms.proposer, Person(OFFICER, officer))
    if terms.endorsement is None:
        return
    second = terms.endorsement[0]
    check_not_proposer(study, terms.proposer, second)
    if second.key.keyid == officer.keyid:
        raise ApproverIsProposerError(person=second.name, study=study.id, why=IS_THE_OTHER)


def _digest_or_none(value: object) -> Sha256 | None:
    return None if value is None else Sha256(str(value))


def _require(holds: bool, study: StudyId, why: str) -> None:
    if not holds:
        raise NotApprovedError(study=study, why=why)
