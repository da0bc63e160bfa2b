"""What a message stands on: asked before every one, and again before a reply leaves.

`standing_of` is the one question of the executor. In order:

1. the hospital's policy is signed by its data officer and in force;
2. the signed approval covers exactly this study, here, with this software, and was
   never withdrawn, whatever file lies there now;
3. it was given to the centre that this node belongs to;
4. with the two-person rule, the endorsement that it binds still holds;
5. the clock was not set back behind anything signed or recorded;
6. no rule of the policy speaks against the study today;
7. the run is of this study, and the policy allows one more and this round;
8. it is within the policy's hours (not asked of a reply that leaves);
9. the list of approved images is the one that was signed.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clients.approvals import Approval, Desk, approval_of
from clients.approved_data import ApprovedData
from clients.endorsements import check_same_endorsement, endorsement_of
from clients.home import NodeHome
from clients.persons import People
from clients.policy import Policy, SignedPolicy, policy_in_force, reasons, reasons_against
from clients.policy.judgement import of_the_centre, of_the_update
from clients.policy.signed import check_number, seen_file
from clients.seen import Seen, check_clock
from federation.domain.ids import RunId, Sha256, StudyId
from federation.domain.recipe import Recipe
from federation.domain.study import Study
from federation.domain.update import UpdateManifest
from federation.errors.approval import (
    ApprovalWithdrawnError,
    NotApprovedError,
    OutsideHoursError,
    PolicyRefusedError,
    RunLimitError,
)
from federation.evidence.verification import PublicKey
from federation.recipes import catalogue
from federation.wording import Text

TAIL_BYTES = 65_536
EARLIER = Text(en="an earlier day", zh="先前")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message names: a study in one version, a run and a round of it."""

    study: StudyId
    study_digest: Sha256
    run: RunId
    round: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What covers a message: the approved study, the policy in force, the approved images."""

    study: Study
    recipe: Recipe
    policy: Policy
    approval: Approval
    data: ApprovedData

    def check_update(self, manifest: UpdateManifest) -> None:
        """Return if an update of these names, shapes and size may be built.

        Raises
        ------
        ApprovedThingChangedError
            If it is not the approved shape.
        PolicyRefusedError
            If it is larger than the policy allows.
        """
        self.approval.check_update_shape(manifest.digest)
        _check_reasons(self.study, reasons([of_the_update(self.policy, manifest.size_bytes)]))


def standing_of(
    home: NodeHome, asked: Asked, *, now: datetime, is_leaving: bool = False
) -> Standing:
    """Return what a message stands on, after the module's nine steps.

    Raises
    ------
    PlatformError
        By the first step that does not hold, with its own code.
    """
    signed = policy_in_force(home, now=now)
    approval = _approval(home, asked, now)
    centre = PublicKey.load(home.centre_evidence_key).keyid
    approval.check_centre(centre)
    check_number(signed, approval.policy_number or 0)
    if signed.policy.two_person:
        _check_endorsed(home, approval)
    check_clock(now, known=_known_times(home, signed, approval))
    recipe = catalogue.recipe(approval.study.recipe)
    _check_policy(home, approval.study, signed.policy, recipe=recipe, centre=centre, now=now)
    _check_run(asked, approval.study, signed.policy)
    if not is_leaving:
        check_hours(signed.policy, now=now)
    data = ApprovedData.read(
        _desk(home).instances_file(asked.study),
        study=asked.study,
        expected=approval.instances_digest,
    )
    Seen(now.isoformat(), signed.number, signed.digest).remember(seen_file(home))
    return Standing(approval.study, recipe, signed.policy, approval, data)


def check_hours(policy: Policy, *, now: datetime) -> None:
    """Return if messages are taken now.

    Raises
    ------
    OutsideHoursError
        With the time from which they are.
    """
    hours = policy.open_hours()
    if not hours.are_open(now):
        raise OutsideHoursError(
            hours=", ".join(policy.hours),
            zone=policy.time_zone,
            opens=f"{hours.next_opening(now):%Y-%m-%d %H:%M}",
        )


def _desk(home: NodeHome) -> Desk:
    return Desk(home.proposals, home.decisions, home.settings().site)


def _approval(home: NodeHome, asked: Asked, now: datetime) -> Approval:
    if str(asked.study_digest) in Seen.read(seen_file(home)).withdrawn:
        raise ApprovalWithdrawnError(study=asked.study, date=EARLIER)
    try:
        return approval_of(
            _desk(home),
            study=asked.study,
            study_digest=asked.study_digest,
            recipe_digest_of=lambda name: catalogue.recipe(name).digest,
            officer=PublicKey.load(home.officer_public_key),
            now=now,
        )
    except ApprovalWithdrawnError:
        Seen(withdrawn=(str(asked.study_digest),)).remember(seen_file(home))
        raise


def _check_endorsed(home: NodeHome, approval: Approval) -> None:
    people, desk = People.of(home), _desk(home)
    _, digest = endorsement_of(
        desk.endorsement_file(approval.study.id),
        approval.study,
        site=desk.site,
        people=people.all(),
        officer=people.officer,
    )
    check_same_endorsement(approval.study, digest, approval.endorsement_digest)


def _check_policy(
    home: NodeHome,
    study: Study,
    policy: Policy,
    *,
    recipe: Recipe,
    centre: Sha256,
    now: datetime,
) -> None:
    against = reasons_against(study, policy, recipe=recipe, now=now)
    may_ask = of_the_centre(policy, name=home.settings().centre, key=centre)
    _check_reasons(study, [*reasons([may_ask]), *against])


def _check_reasons(study: Study, against: list[str]) -> None:
    if against:
        raise PolicyRefusedError(study=study.id, reasons="; ".join(against))


def _check_run(asked: Asked, study: Study, policy: Policy) -> None:
    """Return if run and round are of this study, and a study without privacy is not rerun freely.

    Runs are numbered by the centre from 1, so a number above the limit is one run too many.
    """
    name, _, number = asked.run.rpartition(".")
    if name != study.id:
        raise NotApprovedError(study=study.id, why=f"run {asked.run} is of another study")
    if not 1 <= asked.round <= study.training.rounds:
        raise NotApprovedError(study=study.id, why=f"round {asked.round} is not part of it")
    if study.privacy is None and int(number) > policy.runs_without_privacy:
        raise RunLimitError(run=asked.run, limit=policy.runs_without_privacy)


def _known_times(home: NodeHome, signed: SignedPolicy, approval: Approval) -> list[datetime]:
    """Return every time that has certainly been; after a reset, none from before it."""
    seen = Seen.read(seen_file(home)).latest
    known = [signed.signed_at, *([datetime.fromisoformat(seen)] if seen else [])]
    if not signed.resets_clock:
        known += [approval.at, *_last_recorded(home.audit_log)]
    return known


def _last_recorded(log: Path) -> list[datetime]:
    """Return the time of the newest line of the audit log; none where it cannot be read.

    Whether the log is whole is not decided here: `audit_log.verify` does that.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            last = json.loads(file.read().rstrip(b"\n").rpartition(b"\n")[2])
        found = datetime.fromisoformat(str(last["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [found] if found.tzinfo is not None else []
