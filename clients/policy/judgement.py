"""Every rule of the policy against one study: yes or no, with what was asked and what is allowed.

`judge` answers all of them; a fact that nobody gave makes the answer of its rule no,
unless the rule allows anything. `reasons_against` is the part that needs the study
alone and is asked again before every message.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from clients.policy.rules import ANY, BYTES_PER_MB, Policy
from federation.domain.ids import Sha256, SiteId
from federation.domain.outcome_plan import Baseline, Cox, OutcomePlan
from federation.domain.recipe import Recipe
from federation.domain.study import CentralPlan, PrivacyPlan, Study
from federation.wording import Language, Text


class Rule(Enum):
    """A rule of the policy; the value is its key in policy.toml, or what it compares with."""

    CENTRE = "centres"
    STUDY = "studies"
    PURPOSE = "purposes"
    RECIPE = "recipes"
    INSTALLED_RECIPE = "installed-recipe"
    COHORT = "cohorts"
    MEMBER = "member"
    QUORUM = "fewest_sites"
    SECRET_QUORUM = "fewest_sites_secret"  # noqa: S105  (the name of a rule)
    EXPIRY = "expiry"
    PRIVACY = "without_privacy"
    EPSILON = "largest_epsilon"
    DELTA = "largest_delta"
    HOSPITAL_LEVEL = "hospital_level_needed"
    HOSPITAL_EPSILON = "largest_hospital_epsilon"
    COUNTS = "smallest_count_noise"
    PERIOD = "period_epsilon"
    ROUNDS = "rounds_without_privacy"
    EVALUATION = "evaluation"
    OUTCOMES = "outcomes"
    SUM_CELL = "smallest_sum_cell"
    BASELINE = "shared_baseline"
    UPDATE = "largest_update_mb"
    PATIENTS = "fewest_patients"
    HOURS = "hours"


class Answer(Enum):
    """What a rule says. `DOES_NOT_APPLY` counts as yes."""

    YES = "yes"
    NO = "no"
    DOES_NOT_APPLY = "does-not-apply"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one rule, with the asked and the allowed value in words."""

    rule: Rule
    answer: Answer
    asked: str | Text
    allowed: str | Text

    def name(self, language: Language = Language.EN) -> str:
        """Return what the rule is about."""
        return NAMES[self.rule].say(language)

    def reason(self, language: Language = Language.EN) -> str:
        """Return the no in words."""
        return REASONS[self.rule].say(language, asked=self.asked, allowed=self.allowed)

    def as_json(self, language: Language = Language.EN) -> dict[str, str]:
        """Return the verdict for machines, its words in `language`."""
        return {
            "rule": self.rule.value,
            "answer": self.answer.value,
            "asked": _said(self.asked, language),
            "allowed": _said(self.allowed, language),
            "words": self.name(language),
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """What must be known of this node to judge a study.

    Parameters
    ----------
    recipe
        The recipe of the study's name as installed here.
    centre, centre_key
        Display name and key id of who asks.
    update_bytes
        Size of one update.
    patients
        Patients of the cohort here, never shown; None when unknown.
    period_left
        Epsilon that the period's budget still holds.
    """

    now: datetime
    site: SiteId
    recipe: Recipe
    centre: str
    centre_key: Sha256
    update_bytes: int | None
    patients: int | None
    period_left: float | None


NAMES = {
    Rule.CENTRE: Text(en="Who asks", zh="提案中心"),
    Rule.STUDY: Text(en="Name of the study", zh="研究名稱"),
    Rule.PURPOSE: Text(en="Purpose", zh="目的"),
    Rule.RECIPE: Text(en="Recipe", zh="配方"),
    Rule.INSTALLED_RECIPE: Text(en="Recipe is the one installed here", zh="配方與本院安裝者相同"),
    Rule.COHORT: Text(en="Cohort", zh="世代"),
    Rule.MEMBER: Text(en="This hospital is asked", zh="本院為研究站點"),
    Rule.QUORUM: Text(en="Fewest sites of a round", zh="每輪最少站點數"),
    Rule.SECRET_QUORUM: Text(
        en="Fewest sites that hide one of them", zh="隱藏單一醫院的最少站點數"
    ),
    Rule.EXPIRY: Text(en="Not over yet", zh="尚未到期"),
    Rule.PRIVACY: Text(en="Differential privacy", zh="差分隱私"),
    Rule.EPSILON: Text(en="Largest epsilon of a study", zh="單一研究的 epsilon 上限"),
    Rule.DELTA: Text(en="Largest delta of a study", zh="單一研究的 delta 上限"),
    Rule.HOSPITAL_LEVEL: Text(en="The centre hides this hospital", zh="由中心隱藏本院"),
    Rule.HOSPITAL_EPSILON: Text(en="Largest epsilon of one hospital", zh="單一醫院的 epsilon 上限"),
    Rule.COUNTS: Text(en="Noise of counts, in patients", zh="計數的雜訊(病人數)"),
    Rule.PERIOD: Text(en="Epsilon left in this period", zh="本期剩餘的 epsilon"),
    Rule.ROUNDS: Text(en="Rounds without privacy", zh="未使用差分隱私的輪數"),
    Rule.EVALUATION: Text(en="Evaluates registered versions", zh="評估已登錄版本"),
    Rule.OUTCOMES: Text(en="Fits tables of outcomes", zh="配適結果資料表"),
    Rule.SUM_CELL: Text(en="Fewest patients of a group shown", zh="可顯示之組別最少病人數"),
    Rule.BASELINE: Text(en="Sums at every time of follow-up", zh="各追蹤時點之加總"),
    Rule.UPDATE: Text(en="Largest update", zh="模型更新大小上限"),
    Rule.PATIENTS: Text(en="Fewest patients", zh="最少病人數"),
    Rule.HOURS: Text(en="Hours (now; messages outside wait)", zh="時段(目前;時段外的訊息需等候)"),
}
REASONS = {
    Rule.CENTRE: Text(
        en="the centre {asked} may not ask, only {allowed}",
        zh="中心 {asked} 不得提案,僅限 {allowed}",
    ),
    Rule.STUDY: Text(
        en="the study name {asked} is not among {allowed}",
        zh="研究名稱 {asked} 不在 {allowed} 之內",
    ),
    Rule.PURPOSE: Text(en="the purpose {asked} is not allowed", zh="不允許的目的:{asked}"),
    Rule.RECIPE: Text(en="the recipe {asked} is not allowed", zh="不允許的配方:{asked}"),
    Rule.INSTALLED_RECIPE: Text(
        en="the recipe {asked} differs from the one installed here",
        zh="配方 {asked} 與本院安裝的版本不同",
    ),
    Rule.COHORT: Text(en="the cohort {asked} is not allowed", zh="不允許的世代:{asked}"),
    Rule.MEMBER: Text(
        en="this hospital, {allowed}, is not among its sites",
        zh="本院({allowed})不在研究站點之列",
    ),
    Rule.QUORUM: Text(
        en="a quorum of {asked} is less than {allowed} sites",
        zh="最低站點數 {asked} 少於 {allowed}",
    ),
    Rule.SECRET_QUORUM: Text(
        en="one hospital is to be hidden among {asked} sites, fewer than {allowed}",
        zh="僅以 {asked} 個站點隱藏單一醫院,少於 {allowed}",
    ),
    Rule.EXPIRY: Text(en="it expired on {asked}", zh="已於 {asked} 過期"),
    Rule.PRIVACY: Text(en="it trains without differential privacy", zh="此研究不使用差分隱私訓練"),
    Rule.EPSILON: Text(
        en="epsilon {asked} is more than {allowed}", zh="epsilon {asked} 超過上限 {allowed}"
    ),
    Rule.DELTA: Text(
        en="delta {asked} is more than {allowed}", zh="delta {asked} 超過上限 {allowed}"
    ),
    Rule.HOSPITAL_LEVEL: Text(
        en="the centre does not hide this hospital among the others",
        zh="中心未將本院隱藏於其他醫院之中",
    ),
    Rule.HOSPITAL_EPSILON: Text(
        en="epsilon {asked} for one hospital is more than {allowed}",
        zh="單一醫院的 epsilon {asked} 超過上限 {allowed}",
    ),
    Rule.COUNTS: Text(
        en="counts with noise of {asked} patients, less than {allowed}",
        zh="計數的雜訊為 {asked} 位病人,少於 {allowed}",
    ),
    Rule.PERIOD: Text(
        en="epsilon {asked} is more than the {allowed} left in this period",
        zh="epsilon {asked} 超過本期剩餘的 {allowed}",
    ),
    Rule.ROUNDS: Text(
        en="{asked} rounds without privacy are more than {allowed}",
        zh="未使用差分隱私的 {asked} 輪超過 {allowed}",
    ),
    Rule.EVALUATION: Text(
        en="registered versions may not be evaluated here", zh="本院不允許評估已登錄版本"
    ),
    Rule.OUTCOMES: Text(
        en="tables of outcomes may not be fitted here", zh="本院不允許配適結果資料表"
    ),
    Rule.SUM_CELL: Text(
        en="groups of {asked} patients would be shown, fewer than {allowed}",
        zh="將顯示 {asked} 位病人之組別,少於 {allowed} 位",
    ),
    Rule.BASELINE: Text(
        en="a Cox model with one baseline for all hospitals is not allowed here, only by-hospital",
        zh="本院不允許所有醫院共用基準風險的 Cox 模型,僅允許各院自有基準",
    ),
    Rule.UPDATE: Text(
        en="an update of {asked} is larger than {allowed}", zh="模型更新 {asked} 超過 {allowed}"
    ),
    Rule.PATIENTS: Text(
        en="fewer patients than {allowed} are in the cohort", zh="世代的病人少於 {allowed} 位"
    ),
    Rule.HOURS: Text(
        en="messages are taken only at {allowed}", zh="僅於 {allowed} 受理訊息"
    ),
}  # fmt: skip

ANYTHING = Text(en="any", zh="不限")
ALWAYS = Text(en="always", zh="不限時段")
NONE = Text(en="none", zh="無")
UNKNOWN = Text(en="unknown", zh="未知")
PRIVATE = Text(en="yes", zh="使用")
PLAIN = Text(en="no", zh="未使用")
NEEDED = Text(en="needed", zh="必須使用")
OPEN = Text(en="needed or not", zh="不限")
HIDDEN = Text(en="counted here, not shown", zh="於院內計數,不顯示")


def judge(study: Study, policy: Policy, facts: Facts) -> tuple[Verdict, ...]:
    """Return the answer of every rule, in the order of `Rule`."""
    found = [
        *_of_the_study(study, policy, recipe=facts.recipe, now=facts.now),
        *_of_the_node(study, policy, facts),
    ]
    order = list(Rule)
    return tuple(sorted(found, key=lambda verdict: order.index(verdict.rule)))


def reasons_against(
    study: Study,
    policy: Policy,
    *,
    recipe: Recipe,
    now: datetime,
    language: Language = Language.EN,
) -> list[str]:
    """Return the reasons of the rules that need the study alone; empty when none says no.

    Parameters
    ----------
    recipe
        The recipe of that name as installed here.
    """
    return reasons(_of_the_study(study, policy, recipe=recipe, now=now), language)


def reasons(verdicts: Iterable[Verdict], language: Language = Language.EN) -> list[str]:
    """Return every no among the verdicts, in words; hours bind messages, not decisions."""
    return [
        verdict.reason(language)
        for verdict in verdicts
        if verdict.answer is Answer.NO and verdict.rule is not Rule.HOURS
    ]


def _of_the_study(
    study: Study, policy: Policy, *, recipe: Recipe, now: datetime
) -> Iterator[Verdict]:
    purposes = [purpose.value for purpose in policy.purposes]
    yield _listed(Rule.STUDY, study.id, policy.studies, policy.lets_study(study.id))
    yield _listed(Rule.PURPOSE, study.purpose.value, purposes, study.purpose in policy.purposes)
    yield _listed(Rule.RECIPE, study.recipe, policy.recipes, policy.lets_recipe(recipe))
    yield _rule(
        Rule.INSTALLED_RECIPE, recipe.digest == study.recipe_digest, study.recipe, recipe.name
    )
    yield _listed(Rule.COHORT, study.cohort, policy.cohorts, policy.lets_cohort(study.cohort))
    yield _rule(Rule.QUORUM, study.quorum >= policy.fewest_sites, study.quorum, policy.fewest_sites)
    is_on = now < datetime.fromisoformat(study.expires)
    yield _rule(Rule.EXPIRY, is_on, study.expires, f"> {now:%Y-%m-%d %H:%M}")
    yield from _privacy(study, policy)


def _privacy(study: Study, policy: Policy) -> Iterator[Verdict]:
    yield from _of_outcomes(study.outcomes, policy)
    if study.protocol is not None:
        yield from _of_a_protocol(study, policy)
        return
    yield _idle(Rule.EVALUATION, OPEN if policy.evaluation else NONE)
    plan, rounds = study.privacy, study.training.rounds
    asked = PRIVATE if plan is not None else PLAIN
    allowed = OPEN if policy.without_privacy else NEEDED
    yield _rule(Rule.PRIVACY, plan is not None or policy.without_privacy, asked, allowed)
    most = (policy.largest_epsilon, policy.largest_delta)
    if plan is None:
        yield from (_idle(Rule.EPSILON, most[0]), _idle(Rule.DELTA, most[1]))
        yield _idle(Rule.COUNTS, policy.smallest_count_noise)
        yield from _hospital_level(study, None, policy)
        yield _rule(
            Rule.ROUNDS,
            rounds <= policy.rounds_without_privacy,
            rounds,
            policy.rounds_without_privacy,
        )
        return
    yield _rule(Rule.EPSILON, plan.epsilon <= most[0], plan.epsilon, most[0])
    yield _rule(Rule.DELTA, plan.delta <= most[1], plan.delta, most[1])
    yield _idle(Rule.ROUNDS, policy.rounds_without_privacy)
    yield _counts(plan, policy)
    yield from _hospital_level(study, plan, policy)


def _of_outcomes(plan: OutcomePlan | None, policy: Policy) -> Iterator[Verdict]:
    """Yield what is said of tables of outcomes: they may be fitted, and to what detail."""
    may, least = OPEN if policy.outcomes else NONE, policy.smallest_sum_cell
    baseline = OPEN if policy.shared_baseline else NONE
    if plan is None:
        yield from (_idle(Rule.OUTCOMES, may), _idle(Rule.SUM_CELL, least))
        yield _idle(Rule.BASELINE, baseline)
        return
    shares = any(isinstance(one, Cox) and one.baseline is Baseline.SHARED for one in plan.analyses)
    yield _rule(Rule.OUTCOMES, policy.outcomes, PRIVATE, may)
    yield _rule(Rule.SUM_CELL, plan.smallest_cell >= least, plan.smallest_cell, least)
    asked = PRIVATE if shares else PLAIN
    yield _rule(Rule.BASELINE, policy.shared_baseline or not shares, asked, baseline)


def _of_a_protocol(study: Study, policy: Policy) -> Iterator[Verdict]:
    """Yield what is said of a study that trains nothing: it may, and the sum hides enough."""
    may = OPEN if policy.evaluation else NONE
    if study.evaluation is None:
        yield _idle(Rule.EVALUATION, may)
    else:
        yield _rule(Rule.EVALUATION, policy.evaluation, PRIVATE, may)
    fewest = policy.fewest_sites_secret
    yield _rule(Rule.SECRET_QUORUM, study.quorum >= fewest, study.quorum, fewest)
    yield _idle(Rule.PRIVACY, OPEN if policy.without_privacy else NEEDED)
    yield from (
        _idle(Rule.EPSILON, policy.largest_epsilon),
        _idle(Rule.DELTA, policy.largest_delta),
    )
    yield _idle(Rule.COUNTS, policy.smallest_count_noise)
    yield _idle(Rule.HOSPITAL_LEVEL, NEEDED if policy.hospital_level_needed else OPEN)
    yield _idle(Rule.HOSPITAL_EPSILON, policy.largest_hospital_epsilon)
    yield _idle(Rule.ROUNDS, policy.rounds_without_privacy)


def _counts(plan: PrivacyPlan, policy: Policy) -> Verdict:
    least = policy.smallest_count_noise
    if plan.counts is None:
        return _idle(Rule.COUNTS, least)
    return _rule(Rule.COUNTS, plan.counts.sigma >= least, f"{plan.counts.sigma:g}", f"{least:g}")


def _hospital_level(study: Study, plan: PrivacyPlan | None, policy: Policy) -> Iterator[Verdict]:
    """Yield what is said of the centre's noise: whether there is any, how much, among how many."""
    central = None if plan is None else plan.central
    asked = PRIVATE if central is not None else PLAIN
    is_enough = central is not None or not policy.hospital_level_needed
    needed = NEEDED if policy.hospital_level_needed else OPEN
    yield _rule(Rule.HOSPITAL_LEVEL, is_enough, asked, needed)
    fewest, most = policy.fewest_sites_secret, policy.largest_hospital_epsilon
    if plan is None or central is None:
        yield from (_idle(Rule.HOSPITAL_EPSILON, most), _idle(Rule.SECRET_QUORUM, fewest))
        return
    epsilon = hospital_epsilon(central, rounds=study.training.rounds, delta=plan.delta)
    yield _rule(Rule.HOSPITAL_EPSILON, epsilon <= most, f"{epsilon:.3f}", most)
    yield _rule(Rule.SECRET_QUORUM, study.quorum >= fewest, study.quorum, fewest)


def hospital_epsilon(central: CentralPlan, *, rounds: int, delta: float) -> float:
    """Return what all rounds cost one hospital at a delta, one hospital added or removed."""
    from federation.privacy.accountants import epsilon_of
    from federation.privacy.central import central_events_of

    return epsilon_of(central_events_of(central, rounds=rounds), delta)


def _of_the_node(study: Study, policy: Policy, facts: Facts) -> Iterator[Verdict]:
    yield of_the_centre(policy, name=facts.centre, key=facts.centre_key)
    yield _rule(Rule.MEMBER, facts.site in study.sites, ", ".join(study.sites), facts.site)
    yield _period(study, facts)
    yield of_the_update(policy, facts.update_bytes)
    enough = facts.patients is not None and facts.patients >= policy.fewest_patients
    asked = UNKNOWN if facts.patients is None else HIDDEN
    yield _rule(Rule.PATIENTS, enough, asked, policy.fewest_patients)
    hours = ", ".join(policy.hours)
    allowed = f"{hours} ({policy.time_zone})" if hours else ALWAYS
    is_open = policy.open_hours().are_open(facts.now)
    yield _rule(Rule.HOURS, is_open, f"{facts.now:%Y-%m-%d %H:%M %Z}", allowed)


def of_the_centre(policy: Policy, *, name: str, key: Sha256) -> Verdict:
    """Return whether a centre may ask."""
    return _listed(Rule.CENTRE, name, policy.centres, policy.lets_centre(name, key))


def of_the_update(policy: Policy, size_bytes: int | None) -> Verdict:
    """Return whether an update of this size may leave; None is a size nobody knows."""
    fits = size_bytes is not None and size_bytes <= policy.largest_update_mb * BYTES_PER_MB
    asked = UNKNOWN if size_bytes is None else _megabytes(size_bytes)
    return _rule(Rule.UPDATE, fits, asked, f"{policy.largest_update_mb:g} MB")


def _period(study: Study, facts: Facts) -> Verdict:
    left = facts.period_left
    if study.privacy is None:
        return _idle(Rule.PERIOD, UNKNOWN if left is None else f"{left:.3f}")
    fits = left is not None and study.privacy.epsilon <= left
    allowed = UNKNOWN if left is None else f"{left:.3f}"
    return _rule(Rule.PERIOD, fits, study.privacy.epsilon, allowed)


def _rule(rule: Rule, holds: bool, asked: object, allowed: object) -> Verdict:
    return Verdict(rule, Answer.YES if holds else Answer.NO, _words(asked), _words(allowed))


def _listed(rule: Rule, asked: str, allowed: list[str], holds: bool) -> Verdict:
    words = ANYTHING if ANY in allowed else ", ".join(allowed) or NONE
    return _rule(rule, holds, asked, words)


def _idle(rule: Rule, allowed: object) -> Verdict:
    return Verdict(rule, Answer.DOES_NOT_APPLY, "-", _words(allowed))


def _words(value: object) -> str | Text:
    return value if isinstance(value, Text) else str(value)


def _said(value: str | Text, language: Language) -> str:
    return value.say(language) if isinstance(value, Text) else value


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / BYTES_PER_MB:.2f} MB"
