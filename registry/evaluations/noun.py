"""The noun ``evaluation``: planned, logged, then run, then judged.

- E1: the plan is logged, its protocol with it; it has no results yet, its limits are no
  weaker than the policy's;
- E2: an approver judges it: done as logged, attested by its sites, no threshold missed;
- E3: a missed threshold is accepted in writing, by approver and reviewer together;
- E4: it is withdrawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache

from federation.errors import PlatformError
from federation.errors.evidence_nouns import EvaluationGuardError
from federation.errors.records import StatementNotLoggedError
from federation.evaluation.limits import Limit, weaker_than
from federation.evaluation.policy import RiskClass, default_policy
from federation.evaluation.suppression import SITES_IN_A_SUM
from federation.evidence.canonical import canonical
from federation.evidence.statements import PredicateType
from federation.wording import Text
from registry.datasets.card import NAME as CARD
from registry.datasets.noun import CardState
from registry.evaluations.evaluation import NAME, Evaluation
from registry.evidence.logged import logged_statement
from registry.ports import Transaction
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.roles import Role

PLANNED_FIELDS = (
    "entry",
    "dimension",
    "protocol_id",
    "protocol_hash",
    "plugin",
    "dataset_cards",
    "sites",
    "thresholds",
)
"""What the log holds before the run and no result may change."""

PART = "statistics/"
"""How a site's statement calls the row that it gave to a sum."""


class EvaluationState(Enum):
    """Where an evaluation stands."""

    PLANNED = "planned"
    LOGGED = "logged"
    JUDGED = "judged"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"


class EvaluationDeed(Enum):
    """What the audit trail calls the moves of an evaluation. Meanings never change."""

    LOGGED = "evaluation-protocol-logged"
    JUDGED = "evaluation-judged"
    ACCEPTED = "evaluation-miss-accepted"
    WITHDRAWN = "evaluation-withdrawn"


@dataclass(frozen=True, slots=True)
class EvaluationEvidence:
    """What guards judge besides the record: its revisions, its cards' states, who attested it."""

    history: Sequence[StoredRecord] = ()
    card_states: Mapping[str, str] = field(default_factory=dict)
    attested: frozenset[str] = frozenset()


_RESULTS = Text(en="it has results before its protocol was logged", zh="方案登錄前已有結果")
_NO_RESULTS = Text(en="it has no results", zh="尚無結果")
_NOT_LOGGED = Text(en="its protocol was not logged first", zh="未先登錄方案")
_MISSED = Text(
    en="a threshold was missed, or none was set; a miss needs its acceptance in writing (E3)",
    zh="未達門檻或未設門檻;未達門檻者須書面接受(E3)",
)
_TOO_FEW = Text(
    en="sites are absent and fewer than three took part", zh="有院所缺席,且參與者少於三家"
)
_NOT_MISSED = Text(en="no missed threshold is accepted in it", zh="其中沒有書面接受的未達門檻")
_ACCEPTANCE = Text(
    en="it holds an acceptance, which the reviewer signs too (E3)",
    zh="內含書面接受,須由審查人員共同簽署(E3)",
)


def collect(transaction: Transaction, record: StoredRecord) -> EvaluationEvidence:
    """Return what the guards of an evaluation judge."""
    body = _body(record)
    cards = transaction.records.heads(CARD, body.dataset_cards)
    attested = {site for site in body.attestations if _is_attested(transaction, body, site)}
    return EvaluationEvidence(
        transaction.records.history(record.noun, record.id),
        {name: card.state for name, card in cards.items()},
        frozenset(attested),
    )


def _is_attested(transaction: Transaction, body: Evaluation, site: str) -> bool:
    """Say whether a site itself signed, in the log, that it took part in this very evaluation.

    What it signed is of the protocol's study; a part of a sum is the one that is named.
    """
    digest = body.attestations[site]
    try:
        said = logged_statement(transaction, digest, PredicateType.EVALUATION, site=site)
    except StatementNotLoggedError:
        return False
    names = {one.name for one in said.subjects}
    parts = {str(one.digest) for one in said.subjects if one.name.startswith(PART)}
    is_of_study = f"study/{body.protocol_id}" in names and said.predicate.get("site") == site
    return is_of_study and (not parts or body.statistics.get(site) in parts)


def no_results_yet(case: Case) -> Iterator[PlatformError]:
    """E1: what is logged as a plan has no results, and never had any."""
    if any(record.body.get("metrics") for record in _of(case).history):
        yield _held(case, _RESULTS)


def cards_in_use(case: Case) -> Iterator[PlatformError]:
    """E1, E2: every dataset card it names is there and may be used."""
    states = _of(case).card_states
    for name in _body(case.record).dataset_cards:
        if states.get(name) != CardState.IN_USE.value:
            why = Text(en=f"the dataset card {name} is not in use", zh=f"資料卡 {name} 並非使用中")
            yield _held(case, why)


def done_as_logged(case: Case) -> Iterator[PlatformError]:
    """E2: the plan is word for word the one that was logged."""
    logged = [record for record in _of(case).history if record.action == "E1"]
    if not logged:
        yield _held(case, _NOT_LOGGED)
        return
    before, now = logged[-1].body, case.record.body
    changed = [name for name in PLANNED_FIELDS if before.get(name) != now.get(name)]
    if changed:
        names = ", ".join(changed)
        yield _held(
            case, Text(en=f"changed since it was logged: {names}", zh=f"登錄後變更:{names}")
        )


def has_results(case: Case) -> Iterator[PlatformError]:
    """E2: there are figures."""
    if not _body(case.record).metrics:
        yield _held(case, _NO_RESULTS)


def sites_attested(case: Case) -> Iterator[PlatformError]:
    """E2: every site's statistics are there by digest, and in the log what it signed of them.

    Planned sites may be absent where those of a sum, three, took part.
    """
    body, attested = _body(case.record), _of(case).attested
    if body.absent and len(body.present) < SITES_IN_A_SUM:
        yield _held(case, _TOO_FEW)
    for site in body.present:
        if site not in body.statistics or site not in attested:
            why = Text(
                en=f"site {site} has no statement of its own on this evaluation in the log",
                zh=f"院所 {site} 在紀錄中沒有對本評估的自身聲明",
            )
            yield _held(case, why)


def thresholds_kept(case: Case) -> Iterator[PlatformError]:
    """E2: every threshold was met; there may be none only where the policy has no rule."""
    body = _body(case.record)
    if body.acceptance is not None:
        yield _held(case, _ACCEPTANCE)
    elif body.passed is not True and (body.thresholds or body.dimension.value in _ruled()):
        yield _held(case, _MISSED)


def as_strict_as_the_policy(case: Case) -> Iterator[PlatformError]:
    """E1: limits of one's own may be stricter than the shipped policy's, not weaker or fewer."""
    body = _body(case.record)
    given = [
        Limit(one.metric, one.bound, one.at_least, one.at_most, one.slice)
        for one in body.thresholds
    ]
    for rule in weaker_than(default_policy(), body.dimension.value, given):
        why = Text(
            en=f"its limits are weaker than the policy's rule {rule}",
            zh=f"其門檻低於政策規則 {rule}",
        )
        yield _held(case, why)


@cache
def _ruled() -> frozenset[str]:
    """Return the dimensions for which the shipped policy has a threshold."""
    return frozenset(one.dimension for one in default_policy().thresholds[RiskClass.HIGH])


def miss_accepted(case: Case) -> Iterator[PlatformError]:
    """E3: a threshold was missed, and the record says why that is accepted."""
    if _body(case.record).acceptance is None:
        yield _held(case, _NOT_MISSED)


def _held(case: Case, why: Text) -> PlatformError:
    return EvaluationGuardError(evaluation=case.record.id, why=why)


def _body(record: StoredRecord) -> Evaluation:
    return Evaluation.model_validate_json(canonical(dict(record.body)))


def _of(case: Case) -> EvaluationEvidence:
    assert isinstance(case.evidence, EvaluationEvidence)  # `collect` made it
    return case.evidence


_RUN = Text(en="Run it as logged, then add its results.", zh="請依登錄的方案執行,再填入結果。")
_USE = Text(
    en="Versions, dossiers and studies may rest on it.", zh="版本、文件與研究可引用此評估。"
)
_END = Text(en="Nothing; its record stays.", zh="無後續;紀錄永久保留。")
_DONE = (done_as_logged, has_results, sites_attested, cards_in_use)
MOVES = Moves(
    start=EvaluationState.PLANNED,
    moves=(
        Move(
            "E1",
            EvaluationState.PLANNED,
            EvaluationState.LOGGED,
            seats=(Seat(Role.VAL_A, Role.HAC),),
            guards=(no_results_yet, cards_in_use, as_strict_as_the_policy),
            kind=EvaluationDeed.LOGGED,
            follows=_RUN,
        ),
        Move(
            "E2",
            EvaluationState.LOGGED,
            EvaluationState.JUDGED,
            seats=(Seat(Role.VAL_A, Role.HAC),),
            guards=(*_DONE, thresholds_kept),
            kind=EvaluationDeed.JUDGED,
            follows=_USE,
        ),
        Move(
            "E3",
            EvaluationState.LOGGED,
            EvaluationState.ACCEPTED,
            seats=(Seat(Role.VAL_A), Seat(Role.RAI_A)),
            guards=(*_DONE, miss_accepted),
            kind=EvaluationDeed.ACCEPTED,
            follows=_USE,
        ),
        Move(
            "E4",
            (EvaluationState.PLANNED, EvaluationState.LOGGED, EvaluationState.JUDGED),
            EvaluationState.WITHDRAWN,
            seats=(Seat(Role.VAL_E, Role.VAL_A, approves=False),),
            kind=EvaluationDeed.WITHDRAWN,
            follows=_END,
        ),
    ),
)
NOUN = Noun(
    NAME,
    Evaluation,
    MOVES,
    authors=frozenset({Role.VAL_E, Role.HAO}),
    editable=frozenset({EvaluationState.PLANNED.value, EvaluationState.LOGGED.value}),
    evidence=collect,
)
