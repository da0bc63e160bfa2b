"""The noun ``certification-dossier``: complete, signed, submitted, answered, decided.

C1 says it is complete, C2 signs it; both compute completeness anew, against the edition of
the rule pack that the dossier named by digest. The bundle is of what is named: nothing was
changed since it was exported. From then on only submissions and licence may be added, until
the authority asks (C4) and the answer is checked and signed like the first (C5). C6 licenses,
C7 refuses, C8 opens it again.
`RULES` remind of a licence half a year before it expires.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum

from federation.errors import PlatformError
from federation.errors.evidence_nouns import (
    DossierChangedError,
    DossierGuardError,
    RequirementGapError,
)
from federation.evidence.canonical import canonical
from federation.wording import Language, Text
from registry.certification.dossier import NAME, Dossier
from registry.certification.evidence_found import DossierEvidence, collect
from registry.datasets.fields import end_of, start_of
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.roles import Role
from registry.timers.due import Rule, Standing

ADDED_LATER = frozenset({"submissions", "licence"})
"""What may be written into a dossier that was signed."""

REMIND_BEFORE = timedelta(days=180)

_SIGNS = frozenset({"C2", "C5"})


class DossierState(Enum):
    """Where a dossier stands (REGISTRY.md B.5)."""

    OPEN = "open"
    COMPLETE = "complete"
    SIGNED = "signed"
    SUBMITTED = "submitted"
    DEFICIENCY = "deficiency"
    LICENSED = "licensed"
    REFUSED = "refused"


class DossierDeed(Enum):
    """What the audit trail calls the moves of a dossier. Meanings never change."""

    COMPLETED = "dossier-complete"
    SIGNED = "dossier-signed"
    SUBMITTED = "dossier-submitted"
    DEFICIENT = "dossier-deficient"
    ANSWERED = "dossier-answered"
    LICENSED = "dossier-licensed"
    REFUSED = "dossier-refused"
    REOPENED = "dossier-reopened"


_NO_BUNDLE = Text(en="the digest of its evidence bundle is not in it", zh="未載明證據包的摘要值")
_OLD_BUNDLE = Text(
    en="its evidence bundle was exported before {fields} changed",
    zh="證據包匯出後又變更了 {fields}",
)
_NO_EDITION = Text(
    en="the digest of its rule pack's edition is not in it", zh="未載明規則包版本的摘要值"
)
_NOT_SUBMITTED = Text(en="no submission with date and number is in it", zh="未載明送件日期與文號")
_NOT_ANSWERED = Text(
    en="its last submission is not an answer to the authority's questions",
    zh="最後一筆送件並非補件回覆",
)
_NO_LICENCE = Text(en="the licence is not in it", zh="未載明許可證")
_LICENCE_OVER = Text(
    en="its licence has expired, or the day of its issue has not come",
    zh="許可證已逾有效期限,或尚未到核發日期",
)


def edition_named(case: Case) -> Iterator[PlatformError]:
    """C1, C2, C5: the edition of the rule pack is fixed by its digest."""
    if _dossier(case.record).pack.digest is None:
        yield DossierGuardError(dossier=case.record.id, why=_NO_EDITION)


def complete(case: Case) -> Iterator[PlatformError]:
    """C1, C2, C5: everything that must be shown is shown, of this version and unexpired."""
    for one in _of(case).at(case.now).open_musts:
        for gap in one.gaps:
            yield RequirementGapError(
                requirement=gap.requirement, why=gap.why, next_step=gap.next_step
            )


def bundle_named(case: Case) -> Iterator[PlatformError]:
    """C2, C5: the bundle that goes to the authority is fixed, and of what the dossier says now."""
    now = case.record.body
    if now.get("bundle") is None:
        yield DossierGuardError(dossier=case.record.id, why=_NO_BUNDLE)
        return
    exported = next(one for one in _of(case).history if one.body.get("bundle") == now["bundle"])
    changed = ", ".join(sorted(_changed(exported.body, now) - ADDED_LATER))
    if changed:
        why = Text(
            en=_OLD_BUNDLE.say(Language.EN, fields=changed),
            zh=_OLD_BUNDLE.say(Language.ZH_HANT_TW, fields=changed),
        )
        yield DossierGuardError(dossier=case.record.id, why=why)


def submitted(case: Case) -> Iterator[PlatformError]:
    """C3: it says when and under what number it was handed in."""
    if not _dossier(case.record).submissions:
        yield DossierGuardError(dossier=case.record.id, why=_NOT_SUBMITTED)


def answered(case: Case) -> Iterator[PlatformError]:
    """C5: the newest submission answers the authority."""
    given = _dossier(case.record).submissions
    if not given or given[-1].result != "answered":
        yield DossierGuardError(dossier=case.record.id, why=_NOT_ANSWERED)


def licence_named(case: Case) -> Iterator[PlatformError]:
    """C6: the licence is in it, and in force."""
    licence = _dossier(case.record).licence
    if licence is None:
        yield DossierGuardError(dossier=case.record.id, why=_NO_LICENCE)
    elif not start_of(licence.issued) <= case.now <= end_of(licence.expires):
        yield DossierGuardError(dossier=case.record.id, why=_LICENCE_OVER)


def as_signed(case: Case) -> Iterator[PlatformError]:
    """C3, C6: nothing but submissions and licence was written since it was signed."""
    signed = [one for one in _of(case).history if one.action in _SIGNS]
    if not signed:
        return
    changed = sorted(_changed(signed[-1].body, case.record.body) - ADDED_LATER)
    if changed:
        yield DossierChangedError(dossier=case.record.id, fields=", ".join(changed))


def _changed(before: Mapping[str, object], now: Mapping[str, object]) -> set[str]:
    return {name for name in {*before, *now} if before.get(name) != now.get(name)}


def _dossier(record: StoredRecord) -> Dossier:
    return Dossier.model_validate_json(canonical(dict(record.body)))


def _of(case: Case) -> DossierEvidence:
    assert isinstance(case.evidence, DossierEvidence)  # `collect` made it
    return case.evidence


_SIGN = Text(en="Export the bundle, then have the dossier signed.", zh="請匯出證據包,再簽署文件。")
_SUBMIT = Text(en="Hand it in, then note date and number.", zh="請送件,並登錄日期與文號。")
_WAIT = Text(en="The authority decides or asks.", zh="等候主管機關審查或補件通知。")
_ANSWER = Text(
    en="Answer every question, then have it signed again.", zh="請逐項補正,再重新簽署送件。"
)
_LICENSED = Text(
    en="The insurer may be asked for payment; review the version in time.",
    zh="可申請健保給付;請依時程定期審查。",
)
_FILL = Text(en="Close the gaps that are listed.", zh="請補齊所列缺漏。")
_END = Text(en="Nothing; its record stays.", zh="無後續;紀錄永久保留。")
_MAKERS = (Role.DEV, Role.HAO)
MOVES = Moves(
    start=DossierState.OPEN,
    moves=(
        Move(
            "C1",
            DossierState.OPEN,
            DossierState.COMPLETE,
            seats=(Seat(Role.VAL_E),),
            guards=(edition_named, complete),
            kind=DossierDeed.COMPLETED,
            follows=_SIGN,
        ),
        Move(
            "C2",
            DossierState.COMPLETE,
            DossierState.SIGNED,
            seats=(Seat(Role.VAL_A),),
            guards=(edition_named, complete, bundle_named),
            kind=DossierDeed.SIGNED,
            follows=_SUBMIT,
        ),
        Move(
            "C3",
            DossierState.SIGNED,
            DossierState.SUBMITTED,
            seats=(Seat(*_MAKERS, approves=False),),
            guards=(submitted, as_signed),
            kind=DossierDeed.SUBMITTED,
            follows=_WAIT,
        ),
        Move(
            "C4",
            DossierState.SUBMITTED,
            DossierState.DEFICIENCY,
            seats=(Seat(Role.TFD, approves=False),),
            kind=DossierDeed.DEFICIENT,
            follows=_ANSWER,
        ),
        Move(
            "C5",
            DossierState.DEFICIENCY,
            DossierState.SUBMITTED,
            seats=(Seat(*_MAKERS, approves=False), Seat(Role.VAL_A)),
            guards=(edition_named, complete, bundle_named, answered),
            kind=DossierDeed.ANSWERED,
            follows=_WAIT,
        ),
        Move(
            "C6",
            DossierState.SUBMITTED,
            DossierState.LICENSED,
            seats=(Seat(Role.TFD),),
            guards=(licence_named, as_signed),
            kind=DossierDeed.LICENSED,
            follows=_LICENSED,
        ),
        Move(
            "C7",
            (DossierState.SUBMITTED, DossierState.DEFICIENCY),
            DossierState.REFUSED,
            seats=(Seat(Role.TFD),),
            kind=DossierDeed.REFUSED,
            follows=_END,
        ),
        Move(
            "C8",
            (DossierState.COMPLETE, DossierState.SIGNED),
            DossierState.OPEN,
            seats=(Seat(*_MAKERS, Role.VAL_E, Role.VAL_A, approves=False),),
            kind=DossierDeed.REOPENED,
            follows=_FILL,
        ),
    ),
)
NOUN = Noun(
    NAME,
    Dossier,
    MOVES,
    authors=frozenset(_MAKERS),
    editable=frozenset(
        state.value
        for state in (
            DossierState.OPEN,
            DossierState.COMPLETE,
            DossierState.SIGNED,
            DossierState.SUBMITTED,
            DossierState.DEFICIENCY,
        )
    ),
    evidence=collect,
)


def licence_ends(standing: Standing) -> datetime | None:
    """Return when makers are reminded that a licence expires."""
    licence = standing.record.body.get("licence")
    return end_of(str(licence["expires"])) - REMIND_BEFORE if isinstance(licence, dict) else None


_RENEW = Text(
    en="the licence expires within 180 days, or has expired", zh="許可證將於 180 天內屆期或已屆期"
)
RULES = (Rule(NOUN, frozenset({DossierState.LICENSED.value}), None, licence_ends, _RENEW),)
