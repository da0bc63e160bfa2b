"""The hospital's decision on a study: made by its staff, signed, checked before every message.

A proposal arrives over the control channel as `proposals/STUDY.json`. Staff read
it in words and approve or refuse; the decision is a DSSE statement by the data
officer's key. `check_approval` runs in the hospital's own process before any
training or evaluation: what the signed approval does not cover is refused,
whatever the centre says.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from clients.policy import Policy, reasons_against
from federation import provenance
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.recipe import Recipe
from federation.domain.study import Study
from federation.errors import PlatformError
from federation.errors.approval import (
    AlreadyDecidedError,
    NotApprovedError,
    PolicyRefusedError,
    ProposalMissingError,
)
from federation.errors.core import UnreadableRecordError
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.storage import write_atomic
from federation.wire.study import study_from_json


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
        """Return where the decision on a study lies."""
        return self.decisions / f"{study}.dsse.json"

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
) -> Path:
    """Sign an approval of exactly this study, recipe, code, dataset and update shape.

    Raises
    ------
    PolicyRefusedError
        If the hospital's policy has a reason against it.
    AlreadyDecidedError
        If there is a decision on this very study.
    """
    reasons = reasons_against(study, policy, recipe=recipe, now=now)
    if desk.site not in study.sites:
        reasons.append("this hospital is not among its sites")
    if reasons:
        raise PolicyRefusedError(study=study.id, reasons="; ".join(reasons))
    covered: dict[str, object] = {
        "recipe_digest": str(study.recipe_digest),
        "code_digest": str(provenance.code_digest()),
        "dataset_digest": str(dataset_digest),
        "update_manifest_digest": str(manifest_digest),
        "purpose": study.purpose.value,
        "epsilon": study.privacy.epsilon if study.privacy else None,
        "delta": study.privacy.delta if study.privacy else None,
        "expires": study.expires,
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


def check_approval(
    desk: Desk,
    *,
    study: StudyId,
    study_digest: Sha256,
    recipe_digest_of: Callable[[str], Sha256],
    officer: PublicKey,
    now: datetime,
) -> Study:
    """Return the approved study, or refuse.

    1. A proposal of that name and digest is here.
    2. A decision on it is here, signed by this hospital's data officer.
    3. It says yes to this study digest and this site.
    4. The installed code and recipe are the ones approved.
    5. It has not expired.

    Raises
    ------
    NotApprovedError
        By the first of these that does not hold.
    """
    proposal = desk.proposal(study)
    _require(proposal.digest == study_digest, study, "the centre asks for another version of it")
    statement = _read_decision(desk, study, officer)
    said = statement.predicate
    _require(_subject_of(statement) == study_digest, study, "the decision is about another version")
    _require(said.get("site") == str(desk.site), study, "the decision is of another site")
    decision = said.get("decision")
    _require(decision == Decision.APPROVED.value, study, f"it was {decision}")
    _require(
        said.get("code_digest") == str(provenance.code_digest()),
        study,
        "the installed software changed after the approval",
    )
    _require(
        recipe_digest_of(proposal.recipe) == proposal.recipe_digest == said.get("recipe_digest"),
        study,
        "the recipe changed after the approval",
    )
    expires = datetime.fromisoformat(proposal.expires)
    _require(now < expires, study, f"it expired on {proposal.expires}")
    return proposal


def decision_of(desk: Desk, study: Study, officer: PublicKey) -> Decision | None:
    """Return what this hospital decided on this version of a study; None when nothing yet."""
    if not desk.decision_file(study.id).exists():
        return None
    statement = _read_decision(desk, study.id, officer)
    if _subject_of(statement) != study.digest:
        return None
    return Decision(statement.predicate["decision"])


def _decide(
    desk: Desk,
    study: Study,
    decision: Decision,
    details: dict[str, object],
    *,
    officer: Signer,
    now: datetime,
) -> Path:
    path = desk.decision_file(study.id)
    if path.exists():
        trusted = trusted_keys([officer.public_key])
        earlier = verify_envelope(
            path.read_text(encoding="utf-8"), trusted=trusted, expected=PredicateType.APPROVAL
        )
        if _subject_of(earlier) == study.digest:
            raise AlreadyDecidedError(study=study.id, decision=earlier.predicate["decision"])
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
            path.read_text(encoding="utf-8"),
            trusted=trusted_keys([officer]),
            expected=PredicateType.APPROVAL,
        )
    except PlatformError as error:
        raise NotApprovedError(
            study=study, why=f"its decision does not verify ({error.code})"
        ) from error


def _subject_of(statement: Statement) -> Sha256:
    return statement.subjects[0].digest


def _require(holds: bool, study: StudyId, why: str) -> None:
    if not holds:
        raise NotApprovedError(study=study, why=why)
