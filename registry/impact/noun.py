"""The noun ``impact-study``: from protocol to report, the statistician blinded on the way.

The statistician is blinded until the analysis plan (SAP) is logged: a revision with a plan
must come before the first with results and before the first by a statistician. Whoever
freezes has seen the hospitals' tables, so from the first data cut on neither plan nor
protocol nor economic model changes, and a cut never vanishes; from the lock on there is no
other cut, from the analysis on no other result. Every later move is refused where a revision
says otherwise; the revisions stay, so a breach cannot be undone by rewriting.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from federation.errors import PlatformError
from federation.errors.evidence_nouns import BlindingError, StudyGuardError
from federation.evidence.canonical import canonical
from federation.impact.plan import RANDOMISED
from federation.impact.protocol import FROZEN_FIELDS, unwritten
from federation.wording import Text
from registry.datasets.fields import end_of
from registry.impact.study import NAME, ImpactStudy
from registry.ports import Transaction
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.roles import Role


class StudyState(Enum):
    """Where a study stands (REGISTRY.md B.5)."""

    PROTOCOL = "protocol"
    IRB = "irb"
    REGISTERED = "registered"
    RUNNING = "running"
    LOCKED = "locked"
    ANALYSED = "analysed"
    REPORTED = "reported"
    STOPPED = "stopped"


class StudyDeed(Enum):
    """What the audit trail calls the moves of a study. Meanings never change."""

    SUBMITTED = "impact-study-to-ethics"
    REGISTERED = "impact-study-registered"
    STARTED = "impact-study-started"
    LOCKED = "impact-study-locked"
    ANALYSED = "impact-study-analysed"
    REPORTED = "impact-study-reported"
    STOPPED = "impact-study-stopped"


@dataclass(frozen=True, slots=True)
class StudyEvidence:
    """What guards judge besides the newest revision.

    Parameters
    ----------
    history
        All revisions, oldest first.
    evaluations
        State and version of each evaluation that its economics rest on, by id.
    """

    history: Sequence[StoredRecord] = ()
    evaluations: Mapping[str, tuple[str, str]] = field(default_factory=dict)


_IRB = Text(en="an ethics approval that has not expired", zh="仍有效的倫理審查核准")
_PUBLIC = Text(en="its number in a public register of trials", zh="公開試驗登錄編號")
_LIST = Text(en="the digest of the randomisation list", zh="隨機分派表的摘要值")
_PLAN = Text(en="the digest of the analysis plan", zh="統計分析計畫的摘要值")
_CUT = Text(en="a frozen data cut", zh="已凍結的資料切點")
_PRIMARY = Text(en="a result for every primary measure", zh="每項主要指標的結果")
_HARMS = Text(en="what is known of harms", zh="危害的紀錄")
_REPORT = Text(en="the digest of the report", zh="報告的摘要值")
_EARLY = Text(
    en="results were written before the data were locked under a logged plan",
    zh="在分析計畫登錄且資料鎖定之前,已寫入結果",
)
_SEEN = Text(
    en="the statistician acted before the analysis plan was logged",
    zh="分析計畫登錄之前,統計人員已參與",
)
_PLAN_CHANGED = Text(
    en="the analysis plan was changed after the data were frozen", zh="資料凍結後變更了分析計畫"
)
_PROTOCOL_CHANGED = Text(
    en="the protocol was changed after the data were frozen", zh="資料凍結後變更了計畫書"
)
_MODEL_CHANGED = Text(
    en="the economic model or its seed is another than the one logged before the data were frozen",
    zh="經濟模型或其種子與資料凍結前登錄者不同",
)
_CUT_GONE = Text(
    en="a data cut or an outcome study was changed or removed, or another cut made after the lock",
    zh="資料切點或結果研究被變更或移除,或於鎖定後另行凍結資料",
)
_RESULTS_CHANGED = Text(
    en="results were changed after the analysis was signed", zh="分析簽署後變更了結果"
)
_WRITTEN = Text(
    en="a written protocol: words of the template are still in it",
    zh="填寫完成的計畫書(仍有範本文字)",
)
COUNTS_IN = frozenset({"judged", "accepted"})
"""The states of an evaluation in which economics may rest on it."""


def collect(transaction: Transaction, record: StoredRecord) -> StudyEvidence:
    """Return all revisions of a study, and the evaluations that it names."""
    named = _named_evaluations(record.body)
    heads = transaction.records.heads("evaluation", named)
    found = {name: (one.state, str(one.body.get("entry"))) for name, one in heads.items()}
    return StudyEvidence(transaction.records.history(record.noun, record.id), found)


def protocol_written(case: Case) -> Iterator[PlatformError]:
    """I1: nothing of the template is left in it."""
    if unwritten(case.record.body):
        yield _lacks(case, _WRITTEN)


def ethics_valid(case: Case) -> Iterator[PlatformError]:
    """I2, I3: the ethics approval is there and has not expired."""
    board = _body(case).irb
    if board is None or end_of(board.expires) < case.now:
        yield _lacks(case, _IRB)


def publicly_registered(case: Case) -> Iterator[PlatformError]:
    """I2: everybody can find it in a register of trials."""
    if _body(case).registration is None:
        yield _lacks(case, _PUBLIC)


def allocation_fixed(case: Case) -> Iterator[PlatformError]:
    """I3: a randomised study has its list fixed by digest before anybody is allocated."""
    body = _body(case)
    if body.design in RANDOMISED and body.randomisation_hash is None:
        yield _lacks(case, _LIST)


def plan_logged(case: Case) -> Iterator[PlatformError]:
    """I4: the analysis plan is in the log before the data are locked."""
    if _body(case).sap_hash is None:
        yield _lacks(case, _PLAN)


def data_frozen(case: Case) -> Iterator[PlatformError]:
    """I4: what will be analysed is frozen."""
    if not _body(case).data_cuts:
        yield _lacks(case, _CUT)


def blinded(case: Case) -> Iterator[PlatformError]:
    """I1 to I6: nobody saw or wrote an outcome before plan and lock, or changed one after."""
    history = _of(case).history
    for why in (*_too_early(history), *_changed_later(history)):
        yield BlindingError(study=case.record.id, why=why)


def _too_early(history: Sequence[StoredRecord]) -> Iterator[Text]:
    """Yield what was done before the plan was logged or the data were locked."""
    planned = locked = False
    for record in history:
        if record.author.role is Role.IMP_S and not planned:
            yield _SEEN
        if _tells_results(record) and not locked:
            yield _EARLY
        planned = planned or record.body.get("sap_hash") is not None
        locked = locked or record.action == "I4"


def _changed_later(history: Sequence[StoredRecord]) -> Iterator[Text]:
    """Yield what a revision says otherwise than one that fixed it."""
    frozen: StoredRecord | None = None
    analysed: StoredRecord | None = None
    locked = False
    for before, record in pairwise(history):
        frozen = frozen or (before if _is_seen(before.body) else None)
        locked = locked or before.action == "I4"
        analysed = before if before.action == "I5" else analysed
        if frozen is not None:
            yield from _changed(frozen.body, record.body)
            if not _all_stay(before.body, record.body, locked=locked):
                yield _CUT_GONE
        if analysed is not None and record.body.get("results") != analysed.body.get("results"):
            yield _RESULTS_CHANGED


def _changed(fixed: Mapping[str, object], now: Mapping[str, object]) -> Iterator[Text]:
    """Yield what a revision after the first data cut says otherwise."""
    if now.get("sap_hash") != fixed.get("sap_hash"):
        yield _PLAN_CHANGED
    if any(now.get(name) != fixed.get(name) for name in FROZEN_FIELDS):
        yield _PROTOCOL_CHANGED
    model = _model(fixed)
    if model is not None and _model(now) != model:
        yield _MODEL_CHANGED


def _is_seen(body: Mapping[str, object]) -> bool:
    """Say whether somebody saw an outcome: hospitals' tables, or an outcome study's document."""
    return bool(body.get("data_cuts") or body.get("outcomes"))


def _all_stay(before: Mapping[str, object], now: Mapping[str, object], *, locked: bool) -> bool:
    """Say whether every cut and outcome is still there, with cuts added only before the lock."""
    cuts, new_cuts = (_listed(body.get("data_cuts")) for body in (before, now))
    fits, new_fits = (_listed(body.get("outcomes")) for body in (before, now))
    stays = new_cuts == cuts if locked else new_cuts[: len(cuts)] == cuts
    return stays and new_fits[: len(fits)] == fits


def _model(body: Mapping[str, object]) -> tuple[object, object] | None:
    money = body.get("economic")
    return (money.get("model"), money.get("psa_seed")) if isinstance(money, dict) else None


def evaluations_stand(case: Case) -> Iterator[PlatformError]:
    """I5, I6: what the economics take accuracy from is judged, and of this version."""
    found, entry = _of(case).evaluations, case.record.body.get("entry")
    for name in _named_evaluations(case.record.body):
        state, of = found.get(name, ("", ""))
        if state not in COUNTS_IN or of != entry:
            missing = Text(
                en=f"a judged evaluation of this version for its economics ({name} is none)",
                zh=f"其經濟評估所依據之此版本已採計評估({name} 不是)",
            )
            yield _lacks(case, missing)


def _named_evaluations(body: Mapping[str, object]) -> list[str]:
    money = body.get("economic")
    return (
        [str(one) for one in _listed(money.get("evaluations"))] if isinstance(money, dict) else []
    )


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def primary_measured(case: Case) -> Iterator[PlatformError]:
    """I5: every primary measure has its result."""
    body = _body(case)
    wanted = {one.id for one in body.measures if one.role == "primary"}
    if not wanted <= {one.measure for one in body.results}:
        yield _lacks(case, _PRIMARY)


def harms_told(case: Case) -> Iterator[PlatformError]:
    """I6: harms are told, also that there were none."""
    if not _body(case).harms:
        yield _lacks(case, _HARMS)


def report_fixed(case: Case) -> Iterator[PlatformError]:
    """I6: the report is fixed by its digest."""
    if _body(case).report is None:
        yield _lacks(case, _REPORT)


def _tells_results(record: StoredRecord) -> bool:
    """Say whether a revision tells an outcome; harms are told at any time."""
    money = record.body.get("economic")
    told = ("results", "budget", "document")
    of_money = isinstance(money, dict) and any(money.get(name) for name in told)
    return bool(record.body.get("results") or of_money)


def _lacks(case: Case, missing: Text) -> PlatformError:
    return StudyGuardError(study=case.record.id, missing=missing)


def _body(case: Case) -> ImpactStudy:
    return ImpactStudy.model_validate_json(canonical(dict(case.record.body)))


def _of(case: Case) -> StudyEvidence:
    assert isinstance(case.evidence, StudyEvidence)  # `collect` made it
    return case.evidence


_TO_BOARD = Text(en="The ethics board decides.", zh="由倫理審查委員會審查。")
_TO_START = Text(
    en="Fix the randomisation list, then start at the sites.",
    zh="請固定隨機分派表,再於各院所開始。",
)
_TO_LOCK = Text(
    en="Log the analysis plan before the data are locked.", zh="資料鎖定前請登錄統計分析計畫。"
)
_TO_ANALYSE = Text(en="The statistician analyses as planned.", zh="由統計人員依計畫分析。")
_TO_REPORT = Text(en="Report it, with harms.", zh="請提出報告,並說明危害。")
_END = Text(en="Nothing; its record stays.", zh="無後續;紀錄永久保留。")
_OPEN = (
    StudyState.PROTOCOL,
    StudyState.IRB,
    StudyState.REGISTERED,
    StudyState.RUNNING,
    StudyState.LOCKED,
    StudyState.ANALYSED,
)
MOVES = Moves(
    start=StudyState.PROTOCOL,
    moves=(
        Move(
            "I1",
            StudyState.PROTOCOL,
            StudyState.IRB,
            seats=(Seat(Role.IMP_P, approves=False),),
            guards=(protocol_written, blinded),
            kind=StudyDeed.SUBMITTED,
            follows=_TO_BOARD,
        ),
        Move(
            "I2",
            StudyState.IRB,
            StudyState.REGISTERED,
            seats=(Seat(Role.IRB),),
            guards=(ethics_valid, publicly_registered, blinded),
            kind=StudyDeed.REGISTERED,
            follows=_TO_START,
        ),
        Move(
            "I3",
            StudyState.REGISTERED,
            StudyState.RUNNING,
            seats=(Seat(Role.IMP_P, approves=False), Seat(Role.HAC)),
            guards=(ethics_valid, allocation_fixed, blinded),
            kind=StudyDeed.STARTED,
            follows=_TO_LOCK,
        ),
        Move(
            "I4",
            StudyState.RUNNING,
            StudyState.LOCKED,
            seats=(Seat(Role.IMP_P, approves=False),),
            guards=(plan_logged, data_frozen, blinded),
            kind=StudyDeed.LOCKED,
            follows=_TO_ANALYSE,
        ),
        Move(
            "I5",
            StudyState.LOCKED,
            StudyState.ANALYSED,
            seats=(Seat(Role.IMP_S, approves=False),),
            guards=(primary_measured, evaluations_stand, blinded),
            kind=StudyDeed.ANALYSED,
            follows=_TO_REPORT,
        ),
        Move(
            "I6",
            StudyState.ANALYSED,
            StudyState.REPORTED,
            seats=(Seat(Role.IMP_P, approves=False), Seat(Role.VAL_A, Role.RAI_A)),
            guards=(harms_told, report_fixed, evaluations_stand, blinded),
            kind=StudyDeed.REPORTED,
            follows=_END,
        ),
        Move(
            "I7",
            _OPEN,
            StudyState.STOPPED,
            seats=(Seat(Role.IMP_P, Role.IRB, approves=False),),
            kind=StudyDeed.STOPPED,
            follows=_END,
        ),
    ),
)
NOUN = Noun(
    NAME,
    ImpactStudy,
    MOVES,
    authors=frozenset({Role.IMP_P, Role.IMP_S}),
    editable=frozenset(state.value for state in _OPEN),
    evidence=collect,
)
