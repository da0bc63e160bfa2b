"""Write down what a run made, in the form the registry signs and a regulator reads.

Everything is taken from the sites' signed reports and from what ran; no number
is typed. What carries no guarantee is said in the statement beside the one that
does.
"""

import math
import platform

from federation import provenance
from federation.domain.cells import SMALL_CELL
from federation.domain.study import Study
from federation.evaluation.auroc import NORMAL_975
from federation.evidence.model_version import (
    Bilingual,
    Candidate,
    CodeRef,
    Environment,
    ModelFile,
    NoPrivacyStatement,
    Participant,
    PooledMetric,
    PrivacyStatement,
    RecipeRef,
    RefusedPart,
    Rounds,
    SiteMetric,
    StudyRef,
    SubmittedStatement,
)
from federation.operations.campaign import Campaign, SiteResult
from federation.privacy.events import PoissonSampledGaussian
from federation.recipes import catalogue
from federation.wording import Language, Text

GUARANTEE = Text(
    en="At {site}, for each patient with all their images: whoever sees every update of this run "
    "learns at most epsilon = {epsilon:.2f} at delta = {delta:g} about whether that patient took "
    "part (add/remove one patient; DP-SGD with Poisson sampling of patients; the larger of a "
    "Renyi and a PLD accountant). Not covered: the numbers of patients and images, the "
    "training loss where the hospital shares it, that training failed, if it did, and the "
    "evaluation metrics, which left without a DP guarantee; other runs "
    "on the same data (see the hospital's book); a person known to several hospitals composes over "
    "them.",
    zh="在 {site},對每位病人(含其全部影像):看到本次執行所有更新的人,最多只能得知該病人是否參與的"
    "資訊 epsilon = {epsilon:.2f}、delta = {delta:g}(增減一位病人;以病人為單位 Poisson 抽樣的 "
    "DP-SGD;取 Renyi 與 PLD 兩種計算之較大者)。未涵蓋:病人數與影像數、醫院同意提供的訓練損失、"
    "訓練是否失敗,以及評估指標(無差分隱私保證);同一資料上的其他執行(見醫院帳本);同一人出現於多家醫院時需累加。",
)
NO_GUARANTEE = Text(
    en="{site} trained without differential privacy, as the study proposed and its policy allows; "
    "no statement is made about what the update reveals.",
    zh="{site} 依研究提案並經其政策允許,未使用差分隱私訓練;對更新可能洩露的內容不作任何聲明。",
)


def candidate_of(campaign: Campaign) -> Candidate:
    """Return the candidate model version of a finished campaign."""
    study, results = campaign.study, campaign.results()
    digest = campaign.keep_model()
    path = campaign.model_path(digest)
    evaluations = [metric for result in results for metric in _metrics(result)]
    return Candidate(
        study=StudyRef(id=study.id, title=study.title, digest=study.digest),
        run=str(campaign.run),
        recipe=_recipe(study),
        model=ModelFile(
            path=path.relative_to(campaign.home.artefacts).as_posix(),
            sha256=digest,
            size_bytes=path.stat().st_size,
            parameters=campaign.parameters(),
        ),
        rounds=Rounds(asked=study.training.rounds, done=campaign.rounds_done),
        participants=tuple(_participant(result) for result in results),
        evaluations=tuple(evaluations),
        pooled=_pooled(results),
        privacy=tuple(privacy_of(result, study) for result in results),
        code=CodeRef(version=provenance.software_version(), wheel_digest=provenance.code_digest()),
        environment=Environment(
            python=platform.python_version(), packages_digest=provenance.environment_digest()
        ),
        refused=tuple(
            RefusedPart(site=one.site, code=one.code, what=one.what[:200])
            for one in campaign.refused
        ),
        statements=_statements(campaign, results),
    )


def _recipe(study: Study) -> RecipeRef:
    version = catalogue.recipe(study.recipe).version
    return RecipeRef(name=study.recipe, version=version, digest=study.recipe_digest)


def _participant(result: SiteResult) -> Participant:
    return Participant(
        site=result.site,
        patients=result.patients if result.patients >= SMALL_CELL else None,
        rounds=result.rounds,
        dataset_digest=str(result.report["dataset_digest"]),
    )


def _metrics(result: SiteResult) -> list[SiteMetric]:
    return [
        SiteMetric(
            site=result.site,
            name=str(raw["name"]),
            value=float(raw["value"]),
            low=float(raw["low"]),
            high=float(raw["high"]),
            n=int(raw["n"]),
            method=str(raw["method"]),
        )
        for raw in _raw_metrics(result)
    ]


def _raw_metrics(result: SiteResult) -> list[dict[str, float | int | str]]:
    found = (result.evaluation or {}).get("metrics")
    return list(found) if isinstance(found, list) else []


def _pooled(results: list[SiteResult]) -> tuple[PooledMetric, ...]:
    """Return the mean of the within-site figures, every site with the same weight.

    The interval adds the sites' variances: the sites' patients are different.
    """
    first = [raw[0] for raw in map(_raw_metrics, results) if raw]
    if not first or any(raw.get("variance") is None for raw in first):
        return ()
    count = len(first)
    value = sum(float(raw["value"]) for raw in first) / count
    reach = NORMAL_975 * math.sqrt(sum(float(raw["variance"]) for raw in first)) / count
    metric = PooledMetric(
        name=str(first[0]["name"]),
        value=round(value, 4),
        low=round(max(0.0, value - reach), 4),
        high=round(min(1.0, value + reach), 4),
        n=sum(int(raw["n"]) for raw in first),
        method=f"mean of {count} within-site figures, variances added",
    )
    return (metric,)


def privacy_of(result: SiteResult, study: Study) -> PrivacyStatement | NoPrivacyStatement:
    """Return what a site's reports say of its patients' privacy over the whole run."""
    report, site = result.report, result.site
    if study.privacy is None:
        return NoPrivacyStatement(site=site, statement=_both(NO_GUARANTEE, site=site))
    epsilon, delta = float(str(report["epsilon"])), study.privacy.delta
    return PrivacyStatement(
        site=site,
        mechanism=PoissonSampledGaussian.kind,
        epsilon=epsilon,
        delta=delta,
        accountant="larger of RDP and PLD (dp-accounting)",
        noise_multiplier=float(str(report["noise_multiplier"])),
        clip_norm=float(str(report["clip_norm"])),
        sample_rate=float(str(report["sample_rate"])),
        steps=int(str(report["steps"])) * result.rounds,
        statement=_both(GUARANTEE, site=site, epsilon=epsilon, delta=delta),
    )


def _both(text: Text, **values: object) -> Bilingual:
    return Bilingual.model_validate(
        {
            "zh-TW": text.say(Language.ZH_HANT_TW, **values),
            "en": text.say(Language.EN, **values),
        }
    )


def _statements(campaign: Campaign, results: list[SiteResult]) -> tuple[SubmittedStatement, ...]:
    approvals = campaign.approvals()
    return tuple(
        [
            SubmittedStatement(site=site, kind="approval", envelope=envelope)
            for site, envelope in approvals
        ]
        + [
            SubmittedStatement(site=result.site, kind=kind, envelope=envelope)
            for result in results
            for kind, envelope in result.statements
        ]
    )
