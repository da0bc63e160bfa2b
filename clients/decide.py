"""What staff do at the desk: read a proposal, sign a yes or a no.

Gathers what a signed approval must cover from the node's own home. Imports
torch, because the approved update is that of the network the recipe builds.
"""

import json
from datetime import datetime
from pathlib import Path

from clients import approvals, audit_log
from clients.approvals import Desk
from clients.data.catalogue.cards import dataset_card
from clients.data.catalogue.store import cohort_digest
from clients.data.cohort.load import select
from clients.home import NodeHome
from clients.policy import read_policy
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import StudyId
from federation.domain.recipe import Recipe
from federation.domain.site import Site, SiteState
from federation.errors.approval import ProposalChangedError
from federation.evidence.signing import Signer
from federation.recipes import catalogue, flat, networks
from federation.storage import write_atomic

DIGITS = 12
"""How much of a study's digest people are shown and give back."""


def desk_of(home: NodeHome) -> Desk:
    """Return the desk of a node."""
    return Desk(home.proposals, home.decisions, home.settings().site)


def approve_study(
    home: NodeHome, study: StudyId, *, now: datetime, digest: str | None = None
) -> Path:
    """Sign an approval of a proposed study over what is installed and admitted here.

    Parameters
    ----------
    digest
        The beginning of the study's digest as staff read it; a proposal that was
        replaced meanwhile is then not approved.

    Raises
    ------
    ProposalMissingError, ProposalChangedError, PolicyRefusedError, AlreadyDecidedError
        If it may not be approved.
    """
    proposal = desk_of(home).proposal(study)
    if digest is not None and not (digest and proposal.digest.hex.startswith(digest.lower())):
        raise ProposalChangedError(study=study, digest=proposal.digest.hex[:DIGITS])
    recipe = catalogue.recipe(proposal.recipe)
    network = networks.build(recipe, seed=proposal.seed)
    path = approvals.approve(
        desk_of(home),
        proposal,
        policy=read_policy(home.policy),
        recipe=recipe,
        manifest_digest=flat.manifest_of(network).digest,
        dataset_digest=cohort_digest(select(home.data, recipe)[0]),
        officer=Signer.load(home.officer_key),
        now=now,
    )
    _offer_card(home, study, recipe)
    _record(home, AuditKind.STUDY_APPROVED, study, now=now)
    return path


def refuse_study(home: NodeHome, study: StudyId, *, reason: str, now: datetime) -> Path:
    """Sign a refusal of a proposed study.

    Raises
    ------
    ProposalMissingError, AlreadyDecidedError
        If there is nothing to decide.
    """
    desk = desk_of(home)
    officer = Signer.load(home.officer_key)
    path = approvals.refuse(desk, desk.proposal(study), reason=reason, officer=officer, now=now)
    _record(home, AuditKind.STUDY_REFUSED, study, now=now)
    return path


def withdraw_study(home: NodeHome, study: StudyId, *, reason: str, now: datetime) -> Path:
    """Sign the end of an approval.

    Raises
    ------
    ProposalMissingError, NotApprovedError
        If there is no approval to withdraw.
    """
    desk = desk_of(home)
    officer = Signer.load(home.officer_key)
    path = approvals.withdraw(desk, desk.proposal(study), reason=reason, officer=officer, now=now)
    _record(home, AuditKind.STUDY_WITHDRAWN, study, now=now)
    return path


def _offer_card(home: NodeHome, study: StudyId, recipe: Recipe) -> None:
    """Write the dataset card of the approved cohort; the agent sends it, counts suppressed."""
    settings = home.settings()
    site = Site(settings.site, settings.name, SiteState.ENROLLED)
    card = dataset_card(home.data, recipe, site=site)
    home.cards.mkdir(mode=0o700, exist_ok=True)
    write_atomic(home.cards / f"{study}.json", json.dumps(card, ensure_ascii=False).encode())


def _record(home: NodeHome, kind: AuditKind, study: StudyId, *, now: datetime) -> None:
    audit_log.append(home.audit_log, AuditEvent(kind, "data officer", study, now))
