"""Propose a study and know which hospitals approved it: at the start, and before every round.

A hospital's decision counts if its data officer's enrolled key signed it and it
names this very version of the study. One that approves late joins the next round;
one that takes its approval back is left out of the next.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditKind
from federation.domain.ids import SiteId
from federation.domain.run import Refusal
from federation.domain.site import SiteState
from federation.domain.study import Study, StudyState
from federation.errors.approval import (
    SignatureNotEnrolledError,
    StudyCompletedError,
    StudyQuorumMissedError,
)
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.operations.campaign.voice import Voice
from federation.operations.progress import EventKind
from federation.operations.store.studies import StudyStore
from federation.protocol.mapping import Proposal
from federation.wire.study import study_as_json

LONGEST_REASON = 300
NO_REASON = "The hospital refused the study."
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class _Said:
    """A decision that was read: its bytes, and whether it is a yes (None: of another version)."""

    envelope: bytes
    yes: bool | None


class Gathering:
    """Who takes part in a study."""

    def __init__(
        self,
        home: CentreHome,
        study: Study,
        *,
        store: StudyStore,
        admin: AdminClient,
        voice: Voice,
    ) -> None:
        self._home, self._study = home, study
        self._store, self._admin, self._voice = store, admin, voice
        self._said: dict[SiteId, _Said] = {}
        self._connected: set[SiteId] = set()
        self._refusals: dict[SiteId, Refusal] = {}

    @property
    def refusals(self) -> list[Refusal]:
        """Return the hospitals' refusals of the study, in the order they were read."""
        return list(self._refusals.values())

    def propose(self) -> None:
        """Bring the study to PROPOSED and send it out, unless an open launch did so before.

        Raises
        ------
        StudyCompletedError
            If it was trained already.
        """
        state = self._store.study(self._study.id).state
        if state is StudyState.COMPLETED:
            raise StudyCompletedError(study=self._study.id)
        if state in (StudyState.APPROVED, StudyState.RUNNING):
            return
        if state is not StudyState.PROPOSED:
            self._move(StudyState.PROPOSED, AuditKind.STUDY_PROPOSED)
        self._admin.propose(self._proposal(), sites=self._study.sites)

    def wait(
        self, patience_s: float, *, at_quorum: bool, heed: Callable[[], None]
    ) -> tuple[SiteId, ...]:
        """Return the sites that approved, once all decided or the time is over.

        `heed` is called while waiting and raises when the study is to stop.

        Raises
        ------
        StudyQuorumMissedError
            If fewer than the quorum approved.
        """
        deadline = time.monotonic() + patience_s
        while True:
            heed()
            self._tell_connections()
            approved = self.approved()
            decided = sum(self._yes(site) is not None for site in self._study.sites)
            enough = at_quorum and len(approved) >= self._study.quorum
            if enough or decided == len(self._study.sites) or time.monotonic() > deadline:
                return self._checked(approved)
            time.sleep(LOOK_S)

    def settle(self) -> None:
        """Move the study to RUNNING; again changes nothing."""
        state = self._store.study(self._study.id).state
        if state is StudyState.PROPOSED:
            self._move(StudyState.APPROVED, AuditKind.STUDY_APPROVED)
        if state is not StudyState.RUNNING:
            self._move(StudyState.RUNNING, AuditKind.RUN_STARTED)

    def approved(self) -> tuple[SiteId, ...]:
        """Return the sites whose newest decision is a yes, in the study's order.

        Raises
        ------
        PlatformError
            If a decision is not signed by the site's data officer.
        """
        for site, envelope in self._admin.decisions(self._study.id).items():
            if site not in self._said or self._said[site].envelope != envelope:
                self._said[site] = _Said(envelope, self._read(site, envelope))
        return tuple(site for site in self._study.sites if self._yes(site))

    def members(self) -> tuple[SiteId, ...]:
        """Return the sites that approved and may still take part; raises as `approved`."""
        revoked = {
            entry.site
            for entry in self._home.roster().entries()
            if entry.state is SiteState.REVOKED
        }
        return tuple(site for site in self.approved() if site not in revoked)

    def approvals(self) -> list[tuple[SiteId, str]]:
        """Return the signed decisions of the sites that approved, by name."""
        return [(site, self._said[site].envelope.decode()) for site in sorted(self.approved())]

    def _yes(self, site: SiteId) -> bool | None:
        said = self._said.get(site)
        return None if said is None else said.yes

    def _checked(self, approved: tuple[SiteId, ...]) -> tuple[SiteId, ...]:
        if len(approved) >= self._study.quorum:
            return approved
        words = {True: "approved", False: "refused", None: "undecided"}
        missing = [
            f"{site} ({words[self._yes(site)]})"
            for site in self._study.sites
            if site not in approved
        ]
        raise StudyQuorumMissedError(
            study=self._study.id,
            actual=len(approved),
            needed=self._study.quorum,
            missing=", ".join(missing),
        )

    def _tell_connections(self) -> None:
        for view in self._admin.status(self._study.sites).sites:
            if view.connected and view.site not in self._connected:
                self._connected.add(view.site)
                self._voice.tell(EventKind.SITE_CONNECTED, site=view.site)

    def _read(self, site: SiteId, envelope: bytes) -> bool | None:
        """Return what a site said of this very version of the study; None if of another."""
        officer = _key(self._home.roster().entry(site).officer_key, site)
        statement = verify_envelope(
            envelope, trusted=trusted_keys([officer]), expected=PredicateType.APPROVAL
        )
        if self._study.digest not in {subject.digest for subject in statement.subjects}:
            return None
        decision = str(statement.predicate.get("decision"))
        self._voice.tell(EventKind.SITE_DECIDED, site=site, decision=decision)
        self._refusals.pop(site, None)
        if decision != "approved":
            self._refuse(site, str(statement.predicate.get("reason") or ""))
        return decision == "approved"

    def _refuse(self, site: SiteId, reason: str) -> None:
        reason = "".join(one for one in reason[:LONGEST_REASON] if one.isprintable())
        said = f"The hospital refused the study: {reason}" if reason else NO_REASON
        self._refusals[site] = Refusal(site, "TF320", said)
        self._voice.refuse(self._refusals[site], 0)

    def _proposal(self) -> Proposal:
        study = self._study
        content = json.dumps(study_as_json(study), ensure_ascii=False).encode()
        statement = Statement(
            subjects=(Subject(f"study/{study.id}", study.digest),),
            predicate_type=PredicateType.PROPOSAL,
            predicate={"study": study_as_json(study), "at": self._voice.now().isoformat()},
        )
        return Proposal(
            study=study.id,
            content=content,
            study_digest=study.digest,
            recipe_digest=study.recipe_digest,
            envelope=sign_dsse(statement, Signer.load(self._home.evidence_key)).encode(),
        )

    def _move(self, state: StudyState, kind: AuditKind) -> None:
        self._store.move_study(self._study.id, state, audit=self._voice.audit(kind, self._study.id))


def _key(pem: str | None, site: SiteId) -> PublicKey:
    if pem is None:
        raise SignatureNotEnrolledError(thing="decision", site=site)
    return PublicKey.from_pem(pem.encode())
