"""A proposal as staff read it: who asks what, of which data, what leaves, what it costs.

`briefing_of` gathers it; the command line says it in words. What cannot be told,
because the policy is not in force or there is no data, is a coded problem and not
an empty line. Counts are suppressed as they would be outside. Imports torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from clients.approvals import Decision, decision_of
from clients.data.catalogue.cards import dataset_card
from clients.data.people.representativeness import in_tens
from clients.decide import DIGITS, Case, case_of, desk_of, proposer_of
from clients.endorsements import Proposer
from clients.gate import DISJOINTNESS, REPORT_KEYS, SUM_KEY
from clients.home import NodeHome
from clients.policy import Verdict, judge
from clients.policy.judgement import hospital_epsilon
from clients.sum_peers import PeerLine, describe_peers
from federation.domain.evaluation_plan import EvaluationPlan
from federation.domain.outcome_plan import (
    Analysis,
    Baseline,
    Cox,
    OutcomePlan,
    Survival,
    Weighted,
    covariates_of,
)
from federation.domain.site import Site, SiteState
from federation.domain.study import CentralPlan, Study
from federation.domain.update import FLOAT32_BYTES
from federation.errors import PlatformError
from federation.evidence.verification import PublicKey
from federation.wire.messages import TaskKind
from federation.wire.outcome_sums import ALL, largest_row, largest_shares
from federation.wire.statistics import LIMBS, layout_of
from federation.wording import Language, Text

NUMBER_BYTES = 24
DIGEST_BYTES = 71
EVENT_BYTES = 200
METRIC_BYTES = 200
COUNTS_BYTES = 4_000
KEY_BYTES = 4_096
DISJOINTNESS_BYTES = 4_096

FIELDS: Mapping[str, tuple[Text, int]] = {
    "patients": (Text(en="number of patients", zh="病人數"), NUMBER_BYTES),
    "heldout_patients": (Text(en="number of held-out patients", zh="保留病人數"), NUMBER_BYTES),
    "examples": (Text(en="number of images", zh="影像數"), NUMBER_BYTES),
    "steps": (Text(en="number of steps", zh="訓練步數"), NUMBER_BYTES),
    "loss": (Text(en="mean loss, two decimals", zh="平均損失(兩位小數)"), NUMBER_BYTES),
    "metrics": (
        Text(en="AUROC or Dice with interval", zh="AUROC 或 Dice 及其區間"), METRIC_BYTES
    ),
    "refused": (Text(en="code of why there is no metric", zh="無指標之代碼"), NUMBER_BYTES),
    "events": (Text(en="privacy events", zh="隱私事件"), EVENT_BYTES),
    "epsilon": (Text(en="epsilon spent by this study", zh="此研究已用 epsilon"), NUMBER_BYTES),
    "epsilon_rdp": (Text(en="the same by Renyi", zh="同上(Renyi)"), NUMBER_BYTES),
    "epsilon_pld": (Text(en="the same by PLD", zh="同上(PLD)"), NUMBER_BYTES),
    "delta": (Text(en="delta", zh="delta"), NUMBER_BYTES),
    "noise_multiplier": (Text(en="noise multiplier", zh="雜訊倍率"), NUMBER_BYTES),
    "sample_rate": (Text(en="sampling rate", zh="抽樣率"), NUMBER_BYTES),
    "clip_norm": (Text(en="clipping norm", zh="裁剪範數"), NUMBER_BYTES),
    "disjointness": (
        Text(
            en="which runs' patients were left out, two digests, their number in tens",
            zh="排除哪些訓練的病人、兩個摘要值,以及以十為單位的人數",
        ),
        DISJOINTNESS_BYTES,
    ),
    "sum_key": (Text(en="signed key for the sum", zh="加總用之已簽署金鑰"), KEY_BYTES),
    "dataset_digest": (Text(en="content id of the data", zh="資料摘要"), DIGEST_BYTES),
    "code_digest": (Text(en="content id of the software", zh="軟體摘要"), DIGEST_BYTES),
    "seconds": (Text(en="seconds of work", zh="執行秒數"), NUMBER_BYTES),
}  # fmt: skip
"""What each field of a report is, and how many bytes it takes at most."""

UPDATE = Text(
    en="model update, differences of {parameters} parameters",
    zh="模型更新({parameters} 個參數之差)",
)
CENTRAL = Text(
    en="; the centre, which sees it, adds noise to the mean that hides one hospital among "
    "{sites}: epsilon {epsilon} at delta {delta} over the study",
    zh=";中心可見此更新,並於平均值加入雜訊以在 {sites} 院中隱藏單一醫院:"
    "整個研究 epsilon {epsilon}(delta {delta})",
)
NOISY_COUNTS = Text(
    en="counts of patients, all, by sex and by age band, with noise of {sigma} patients; their "
    "cost is part of the study's epsilon",
    zh="病人計數(全部、性別、年齡層),雜訊為 {sigma} 位病人;代價計入研究的 epsilon",
)
STATISTICS = Text(
    en="{counts} counts of cases by score for each version, masked: the centre learns only their "
    "sum over {sites} sites or more; no differential privacy",
    zh="每一版本依分數計數的 {counts} 個數值(已遮罩):中心僅能得知 {sites} 院以上之總和;無差分隱私",
)
EXPLAINED = Text(
    en="; with them sums over at most {cases} patients of how well their explanations hold "
    "(no map, no image)",
    zh=";其中含至多 {cases} 位病人之解釋檢查總和(不含圖與影像)",
)
OUTCOME_SUMS = Text(
    en="up to {numbers} whole numbers, masked: the centre learns only their sum over {sites} "
    "sites or more; no differential privacy. What they are follows",
    zh="至多 {numbers} 個整數(已遮罩):中心僅能得知 {sites} 院以上之總和;無差分隱私。內容如下",
)
TIMES = Text(
    en="patients with and without the event by time and {group}",
    zh="依時間與 {group} 計數之事件與非事件病人數",
)
GRADIENTS = Text(
    en="gradient and information of a model of {covariates}; counts of its levels",
    zh="以 {covariates} 為變數之模型的梯度與訊息矩陣,及各類別人數",
)
RISK_SETS = Text(
    en="sums of {covariates}, of their squares and products over who is at risk and who has the "
    "event, at every time",
    zh="各時點風險集合與事件病人之 {covariates} 總和、平方和與乘積和",
)
ARMS = Text(
    en="a model of {treatment} by {covariates}, then weighted sums of {outcome} by {treatment}",
    zh="以 {covariates} 預測 {treatment} 之模型,及依 {treatment} 之 {outcome} 加權總和",
)
EACH_SUM = Text(en="each sum", zh="每次加總")
EACH_VERSION = Text(en="for each version", zh="每一版本")
ONCE = Text(en="once, with the approval", zh="核准時一次")
EACH_ROUND = Text(en="each round", zh="每輪")
AT_THE_END = Text(en="at the end", zh="結束時")


@dataclass(frozen=True, slots=True)
class Leaving:
    """One thing that leaves the hospital: its field, its size at most, and when."""

    field: str
    words: str
    bytes: int
    when: Text


@dataclass(frozen=True, slots=True)
class Cost:
    """What the study costs one patient at most, in epsilon.

    `spent` is what all studies took in this period, `left` what remains of the
    period's budget after this one took all it asks for (epsilons added, which is
    never too little); None for a study without differential privacy.
    """

    epsilon: float
    delta: float
    spent: float
    budget: float
    left: float
    period_days: int


@dataclass(frozen=True, slots=True)
class Briefing:
    """Everything staff are told of a proposal. `problem` says why a part is missing."""

    study: Study
    decision: Decision | None
    centre: str
    proposer: Proposer | None
    counts: Mapping[str, object]
    leaves: tuple[Leaving, ...]
    cost: Cost | None
    days: int
    verdicts: tuple[Verdict, ...]
    problem: PlatformError | None
    peers: tuple[PeerLine, ...] = ()

    def as_json(self, language: Language) -> dict[str, object]:
        """Return the parts besides the study itself for machines."""
        proposer, cost = self.proposer, self.cost
        return {
            "decision": None if self.decision is None else self.decision.value,
            "asked_by": {
                "centre": self.centre,
                "keyid": None if proposer is None else proposer.keyid,
                "person": None if proposer is None else proposer.person or None,
            },
            "data": dict(self.counts),
            "leaves": [
                {"field": one.field, "words": one.words, "bytes_at_most": one.bytes,
                 "when": one.when.say(language)}
                for one in self.leaves
            ],
            "privacy_cost": None
            if cost is None
            else {
                "epsilon": cost.epsilon, "delta": cost.delta, "period_spent": cost.spent,
                "period_budget": cost.budget, "period_left_after": cost.left,
                "period_days": cost.period_days,
            },
            "sum_among": [one.as_json() for one in self.peers],
            "days_left": self.days,
            "policy": [verdict.as_json(language) for verdict in self.verdicts],
            "problem": None if self.problem is None else self.problem.as_json(language),
        }  # fmt: skip

    @property
    def digits(self) -> str:
        """Return the beginning of the study's digest, which staff give back to approve it."""
        return self.study.digest.hex[:DIGITS]


def briefing_of(home: NodeHome, study: Study, *, now: datetime, language: Language) -> Briefing:
    """Return what staff are told of a proposal."""
    case: Case | None = None
    problem: PlatformError | None = None
    try:
        case = case_of(home, study, now=now)
    except PlatformError as error:
        problem = error
    return Briefing(
        study=study,
        decision=decision_of(desk_of(home), study, PublicKey.load(home.officer_public_key)),
        centre=home.settings().centre,
        proposer=case.proposer if case else _proposer(home, study),
        counts=_counts(home, case) if case else {},
        leaves=_leaves(case, language) if case else (),
        cost=_cost(case) if case else None,
        days=max(0, (datetime.fromisoformat(study.expires) - now).days),
        verdicts=judge(study, case.signed.policy, case.facts) if case else (),
        problem=problem,
        peers=_peers(case) if case else (),
    )


def _peers(case: Case) -> tuple[PeerLine, ...]:
    plan = case.study.protocol
    if plan is None:
        return ()
    rule = case.signed.policy.peer_rule()
    return describe_peers(plan.peers, site=case.facts.site, rule=rule)


def _proposer(home: NodeHome, study: Study) -> Proposer | None:
    try:
        return proposer_of(home, study)
    except PlatformError:
        return None


def _counts(home: NodeHome, case: Case) -> dict[str, object]:
    if case.study.outcomes is not None:
        return {"patients": in_tens(len(case.images)), "images": 0}
    settings = home.settings()
    site = Site(settings.site, settings.name, SiteState.ENROLLED)
    card = dataset_card(home.data, case.recipe, site=site, cohort=case.study.cohort)
    kept = ("patients", "studies", "images", "label", "label_prevalence", "sex", "age_band")
    return {name: card[name] for name in kept}


def _leaves(case: Case, language: Language) -> tuple[Leaving, ...]:
    if case.study.outcomes is not None:
        return _outcomes_leaving(case.study, case.study.outcomes, language)
    if case.study.evaluation is not None:
        return _evaluation_leaving(case.study, case.study.evaluation, language)
    manifest = case.manifest
    words = UPDATE.say(language, parameters=f"{manifest.size:,}")
    central = None if case.study.privacy is None else case.study.privacy.central
    if central is not None:
        words += CENTRAL.say(language, **_central(case.study, central))
    update = Leaving("update", words, manifest.size_bytes, EACH_ROUND)
    trained = _fields(TaskKind.TRAIN, EACH_ROUND, language)
    if not case.signed.policy.share_loss:
        trained = [one for one in trained if one.field != "loss"]
    if case.study.privacy is None:
        private = {"epsilon", "epsilon_rdp", "epsilon_pld", "delta", "noise_multiplier",
                   "sample_rate", "clip_norm"}  # fmt: skip
        trained = [one for one in trained if one.field not in private]
    evaluated = [
        one
        for one in _fields(TaskKind.EVALUATE, AT_THE_END, language)
        if one.field not in (SUM_KEY, DISJOINTNESS)
    ]
    return (*_counts_leaving(case.study, language), update, *trained, *evaluated)


def _evaluation_leaving(
    study: Study, plan: EvaluationPlan, language: Language
) -> tuple[Leaving, ...]:
    layouts = [layout_of(plan, place) for place in range(1, len(plan.versions) + 1)]
    largest = max(layouts, key=lambda one: one.size)
    words = STATISTICS.say(language, counts=f"{largest.size:,}", sites=study.quorum)
    if plan.explainability is not None:
        words += EXPLAINED.say(language, cases=plan.explainability.cases)
    row = Leaving("statistics", words, largest.floats * FLOAT32_BYTES, EACH_VERSION)
    return (row, *_fields(TaskKind.EVALUATE, EACH_VERSION, language))


def _outcomes_leaving(study: Study, plan: OutcomePlan, language: Language) -> tuple[Leaving, ...]:
    """Return what leaves for each analysis, and the masked row that carries all of it."""
    words = OUTCOME_SUMS.say(language, numbers=f"{largest_row(plan):,}", sites=study.quorum)
    size = LIMBS * (largest_row(plan) + 1) * FLOAT32_BYTES
    shares = largest_shares(plan)
    told = [
        Leaving(
            one.name,
            _of_analysis(one, language),
            LIMBS * shares[one.name] * FLOAT32_BYTES,
            EACH_SUM,
        )
        for one in plan.analyses
    ]
    reported = [
        _field(name, EACH_SUM, language) for name in ("code_digest", "dataset_digest", SUM_KEY)
    ]
    return (Leaving("sums", words, size, EACH_SUM), *told, *reported)


def _of_analysis(one: Analysis, language: Language) -> str:
    values = {"covariates": ", ".join(covariates_of(one))}
    match one:
        case Survival(group=group):
            return TIMES.say(language, group=group or ALL)
        case Cox(baseline=Baseline.SHARED):
            return RISK_SETS.say(language, **values)
        case Weighted(treatment=treatment, outcome=outcome):
            return ARMS.say(language, treatment=treatment, outcome=outcome, **values)
    return GRADIENTS.say(language, **values)


def _counts_leaving(study: Study, language: Language) -> tuple[Leaving, ...]:
    plan = study.privacy
    if plan is None or plan.counts is None:
        return ()
    words = NOISY_COUNTS.say(language, sigma=f"{plan.counts.sigma:g}")
    return (Leaving("noisy_counts", words, COUNTS_BYTES, ONCE),)


def _central(study: Study, central: CentralPlan) -> dict[str, object]:
    """Return what the centre's noise gives, in the words' fields."""
    assert study.privacy is not None
    delta = study.privacy.delta
    epsilon = hospital_epsilon(central, rounds=study.training.rounds, delta=delta)
    return {"sites": len(study.sites), "epsilon": f"{epsilon:.3f}", "delta": f"{delta:g}"}


def _fields(kind: TaskKind, when: Text, language: Language) -> list[Leaving]:
    return [_field(name, when, language) for name in sorted(REPORT_KEYS[kind])]


def _field(name: str, when: Text, language: Language) -> Leaving:
    """Return a field in words; one without words is shown by its name, never left out."""
    words, size = FIELDS.get(name, (Text(en=name, zh=name), METRIC_BYTES))
    return Leaving(name, words.say(language), size, when)


def _cost(case: Case) -> Cost | None:
    plan, policy = case.study.privacy, case.signed.policy
    if plan is None:
        return None
    return Cost(
        epsilon=plan.epsilon,
        delta=plan.delta,
        spent=case.spent.epsilon,
        budget=policy.period_epsilon,
        left=max(0.0, (case.facts.period_left or 0.0) - plan.epsilon),
        period_days=policy.period_days,
    )
