"""What staff do at the desk: read a proposal, sign a yes or a no.

Gathers what a signed approval must cover from the node's own home. Imports
torch, because the approved update is that of the network the recipe builds.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from clients import approvals, audit_log
from clients.approvals import Decision, Desk, Terms
from clients.approved_data import ApprovedData
from clients.data.catalogue.cards import dataset_card, patient_counts, without_counts
from clients.data.catalogue.store import Instance, cohort_digest
from clients.data.cohort.choice import choose
from clients.data.outcomes.store import OutcomeRow, present_rows
from clients.endorsements import Proposer, endorse, endorsement_of
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.noisy_counts import noisy_counts_in, release_counts
from clients.outcome_study.columns import check_fits
from clients.persons import OFFICER, People, Person
from clients.policy import Facts, Policy, SignedPolicy, judge, policy_in_force, reasons, seen_file
from clients.randomness import SecureRandom
from clients.seals import read_limited
from clients.seen import Seen, check_clock
from clients.sum_peers import check_peers
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import Sha256, StudyId
from federation.domain.recipe import Recipe
from federation.domain.site import Site, SiteState
from federation.domain.study import Study
from federation.domain.update import TensorSlot, UpdateManifest
from federation.errors.approval import (
    AlreadyDecidedError,
    PolicyRefusedError,
    ProposalChangedError,
)
from federation.errors.control import ProposalUnsignedError
from federation.evidence.signing import Signer
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.privacy.accountants import Spent, spent
from federation.recipes import catalogue, flat, networks
from federation.storage import write_atomic
from federation.wire.outcome_sums import largest_row
from federation.wire.statistics import LIMBS

DIGITS = 12
"""How much of a study's digest people are shown and give back."""


@dataclass(frozen=True, slots=True)
class Case:
    """A proposal with everything of this node that bears on it.

    `spent` is what all studies spent in the policy's period; what is left for this
    one, in `facts`, does not count what it spent itself.
    """

    study: Study
    recipe: Recipe
    proposer: Proposer
    signed: SignedPolicy
    manifest: UpdateManifest
    images: Sequence[Instance | OutcomeRow]
    spent: Spent
    facts: Facts


def desk_of(home: NodeHome) -> Desk:
    """Return the desk of a node."""
    return Desk(home.proposals, home.decisions, home.settings().site)


def proposer_of(home: NodeHome, study: Study) -> Proposer:
    """Return who asks, from the proposal's signature, which must still hold.

    Raises
    ------
    ProposalUnsignedError
        If the signature is gone or about another version.
    PlatformError
        If the centre's evidence key did not sign it.
    """
    centre = PublicKey.load(home.centre_evidence_key)
    try:
        content = read_limited(home.proposals / f"{study.id}.dsse")
    except OSError as error:
        raise ProposalUnsignedError(study=study.id) from error
    statement = verify_envelope(
        content, trusted=trusted_keys([centre]), expected=PredicateType.PROPOSAL
    )
    if study.digest not in {subject.digest for subject in statement.subjects}:
        raise ProposalUnsignedError(study=study.id)
    by = statement.predicate.get("by")
    return Proposer(centre.keyid, by if isinstance(by, str) else "")


def case_of(home: NodeHome, study: Study, *, now: datetime) -> Case:
    """Return a proposal with what the policy, the data and the book say of it.

    Raises
    ------
    PlatformError
        If the policy is not in force, the proposal not signed, the cohort empty, or
        the book damaged.
    """
    signed, proposer = policy_in_force(home, now=now), proposer_of(home, study)
    recipe = catalogue.recipe(study.recipe)
    manifest, images = _manifest(study, recipe), _chosen(home, study, recipe)
    used = _spent(home, signed.policy, now=now)
    others = _spent(home, signed.policy, now=now, without=study.id)
    facts = Facts(
        now=now,
        site=home.settings().site,
        recipe=recipe,
        centre=home.settings().centre,
        centre_key=proposer.keyid,
        update_bytes=manifest.size_bytes,
        patients=len({image.patient for image in images}),
        period_left=max(0.0, signed.policy.period_epsilon - others.epsilon),
    )
    return Case(study, recipe, proposer, signed, manifest, images, used, facts)


def _manifest(study: Study, recipe: Recipe) -> UpdateManifest:
    """Return the form of what leaves; of an outcome study, of its largest masked row."""
    if study.outcomes is not None:
        floats = LIMBS * (largest_row(study.outcomes) + 1)
        return UpdateManifest((TensorSlot("sums", (floats,)),))
    return flat.manifest_of(networks.build(recipe, seed=study.seed))


def _chosen(home: NodeHome, study: Study, recipe: Recipe) -> "Sequence[Instance | OutcomeRow]":
    """Return what of this hospital the study is about: images, or lines of a table."""
    if study.outcomes is not None:
        rows = present_rows(home.data, study.cohort)
        check_fits(rows, study.outcomes, table=study.cohort)
        return rows
    return choose(home.data, recipe, cohort=study.cohort).images


def approve_study(
    home: NodeHome, study: StudyId, *, now: datetime, digest: str | None = None
) -> Path:
    """Sign an approval of a proposed study over what is installed and admitted here.

    The list of approved images is written before the approval that names it.

    Parameters
    ----------
    digest
        The beginning of the study's digest as staff read it; a proposal that was
        replaced meanwhile is then not approved.

    Raises
    ------
    ProposalMissingError, ProposalChangedError, PolicyRefusedError, AlreadyDecidedError
    EndorsementMissingError, ApproverIsProposerError, ClockSetBackError
        If it may not be approved.
    TooFewInSumError, SumPeersRefusedError
        If it evaluates and its sum would be among too few, or among unknown hospitals.
    BudgetExceededError
        If the noisy counts that it asks for cannot be afforded.
    """
    desk = desk_of(home)
    proposal = desk.proposal(study)
    if digest is not None and not (digest and proposal.digest.hex.startswith(digest.lower())):
        raise ProposalChangedError(study=study, digest=proposal.digest.hex[:DIGITS])
    _check_clock(home, now)
    _check_undecided(home, proposal)
    case = case_of(home, proposal, now=now)
    if against := reasons(judge(proposal, case.signed.policy, case.facts)):
        raise PolicyRefusedError(study=study, reasons="; ".join(against))
    _check_sum(home, proposal, case.signed.policy)
    endorsement = _endorsement(home, proposal) if case.signed.policy.two_person else None
    counts = _counts(home, case, now=now)
    data = ApprovedData.of(case.images)
    data.write(desk.instances_file(study))
    path = approvals.approve(
        desk,
        proposal,
        policy=case.signed.policy,
        recipe=case.recipe,
        manifest_digest=case.manifest.digest,
        dataset_digest=_dataset_digest(case, data),
        officer=People.of(home).signer(OFFICER),
        now=now,
        terms=_terms(case, data, endorsement),
    )
    _offer_card(home, case, counts, now=now)
    _record(home, AuditKind.STUDY_APPROVED, study, now=now)
    return path


def _dataset_digest(case: Case, data: ApprovedData) -> Sha256:
    images = [one for one in case.images if isinstance(one, Instance)]
    return cohort_digest(images) if images else data.digest


def endorse_study(
    home: NodeHome,
    study: StudyId,
    *,
    by: str,
    now: datetime,
    digest: str | None = None,
    key: Path | None = None,
) -> Path:
    """Sign, as a second person, that a proposed study may be approved.

    Raises
    ------
    ProposalMissingError, ProposalChangedError, ApproverIsProposerError, PersonRefusedError
        If it may not be endorsed, or not by that person.
    """
    desk, people = desk_of(home), People.of(home)
    proposal = desk.proposal(study)
    if digest is not None and not (digest and proposal.digest.hex.startswith(digest.lower())):
        raise ProposalChangedError(study=study, digest=proposal.digest.hex[:DIGITS])
    _check_clock(home, now)
    endorse(
        desk.endorsement_file(study),
        proposal,
        site=desk.site,
        person=people.person(by),
        signer=people.signer(by, key=key),
        proposer=proposer_of(home, proposal),
        now=now,
    )
    _record(home, AuditKind.STUDY_ENDORSED, study, now=now, by=by)
    return desk.endorsement_file(study)


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
    proposal = desk.proposal(study)
    path = approvals.withdraw(desk, proposal, reason=reason, officer=officer, now=now)
    Seen(withdrawn=(str(proposal.digest),)).remember(seen_file(home))
    _record(home, AuditKind.STUDY_WITHDRAWN, study, now=now)
    return path


def _spent(
    home: NodeHome, policy: Policy, *, now: datetime, without: StudyId | None = None
) -> Spent:
    """Return what all studies, or all but one, spent in the policy's period until now."""
    ledger = LedgerStore(home.ledger, officer=PublicKey.load(home.officer_public_key))
    since = now - timedelta(days=policy.period_days)
    standing = (
        entry for book in ledger.library().books.values() for entry in book.standing().values()
    )
    counted = (one for one in standing if one.study != without and one.moment >= since)
    return spent((event for entry in counted for event in entry.events), policy.period_delta)


def _check_sum(home: NodeHome, study: Study, policy: Policy) -> None:
    """Refuse a study whose sums would be among hospitals that this one does not know."""
    if study.protocol is not None:
        check_peers(
            study.protocol.peers,
            site=home.settings().site,
            own=Signer.load(home.node_key).public_key,
            rule=policy.peer_rule(),
        )


def _check_undecided(home: NodeHome, study: Study) -> None:
    """Refuse to decide twice, also where the file of a withdrawal was removed."""
    if str(study.digest) in Seen.read(seen_file(home)).withdrawn:
        raise AlreadyDecidedError(study=study.id, decision=Decision.WITHDRAWN.value)
    officer = PublicKey.load(home.officer_public_key)
    approvals.check_undecided(desk_of(home), study, officer=officer)


def _endorsement(home: NodeHome, study: Study) -> tuple[Person, Sha256]:
    people, desk = People.of(home), desk_of(home)
    return endorsement_of(
        desk.endorsement_file(study.id),
        study,
        site=desk.site,
        people=people.all(),
        officer=people.officer,
    )


def _terms(case: Case, data: ApprovedData, endorsement: tuple[Person, Sha256] | None) -> Terms:
    return Terms(
        proposer=case.proposer,
        policy_number=case.signed.number,
        policy_digest=case.signed.digest,
        instances_digest=data.digest,
        endorsement=endorsement,
    )


def _check_clock(home: NodeHome, now: datetime) -> None:
    """Refuse to sign with a clock behind what was seen, and remember this time."""
    seen = Seen.read(seen_file(home))
    check_clock(now, known=[datetime.fromisoformat(seen.latest)] if seen.latest else [])
    Seen(now.isoformat()).remember(seen_file(home))


def _counts(home: NodeHome, case: Case, *, now: datetime) -> str | None:
    """Return the signed noisy counts that the study asks for, paid for in the book."""
    plan = case.study.privacy
    if plan is None or plan.counts is None:
        return None
    images = [one for one in case.images if isinstance(one, Instance)]
    exact = patient_counts(home.data, images)
    return release_counts(
        home, case.study, exact, policy=case.signed.policy, source=SecureRandom(), now=now
    )


def _offer_card(home: NodeHome, case: Case, counts: str | None, *, now: datetime) -> None:
    """Write the dataset card of the approved cohort, which the agent sends.

    Its counts are suppressed ones, or noisy ones where the study asks for them. A table of
    outcomes has no card.
    """
    if case.study.outcomes is not None:
        return
    settings, study = home.settings(), case.study
    site = Site(settings.site, settings.name, SiteState.ENROLLED)
    card = dataset_card(home.data, case.recipe, site=site, cohort=study.cohort)
    if counts is not None:
        noisy = {**noisy_counts_in(counts), "signed": counts}
        card = {**without_counts(card), "noisy_counts": noisy}
    card["made"] = now.isoformat(timespec="seconds")
    home.cards.mkdir(mode=0o700, exist_ok=True)
    write_atomic(home.cards / f"{study.id}.json", json.dumps(card, ensure_ascii=False).encode())


def _record(
    home: NodeHome, kind: AuditKind, study: StudyId, *, now: datetime, by: str = "data officer"
) -> None:
    audit_log.append(home.audit_log, AuditEvent(kind, by, study, now))
