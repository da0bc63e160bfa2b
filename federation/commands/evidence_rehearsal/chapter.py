"""The four steps after the training, told in a few lines.

    found = Chapter(rehearsal, entry, sites=trained, tell=print).run()

A step that the register, the data or the number of hospitals does not allow is left out,
and said to be, with its code; the steps after it go on with what there is.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from federation.commands.evidence_rehearsal import evaluation as evaluating
from federation.commands.evidence_rehearsal.dossier import Opened, open_with_evidence
from federation.commands.evidence_rehearsal.evaluation import Evaluated
from federation.commands.evidence_rehearsal.records import RecordsOf, Written
from federation.commands.evidence_rehearsal.study import Studied, study_impact
from federation.commands.following import result_of
from federation.commands.output import t
from federation.commands.rehearsal import COHORT, STUDY, Rehearsal
from federation.domain.recipe import Task
from federation.economics.frontier import Ranked, Standing
from federation.errors import PlatformError
from federation.errors.machine import StepFailedError
from federation.operations.impact import open_desk
from federation.wording import Text

if TYPE_CHECKING:
    from federation.operations.embedded_registry import RecordDesk

EVALUATING = Text(
    en="- Evaluating the version at {sites} hospitals: the plan is logged, then each officer "
    "approves; counts leave masked, for their sum only",
    zh="- 於 {sites} 家醫院評估此版本:計畫先行登錄,再由各院資料官核准;次數經遮罩後僅供加總",
)
EVALUATED = Text(
    en="  AUROC {value:.3f} ({low:.3f}–{high:.3f}) on {cases} patients it was not trained on; "
    "sensitivity {sensitivity}, specificity {specificity}",
    zh="  未參與訓練之病人 {cases} 位:AUROC {value:.3f}({low:.3f}–{high:.3f}),"
    "敏感度 {sensitivity}、特異度 {specificity}",
)
NOTHING_SHOWN = Text(en="  Too few patients to show a figure", zh="  病人數過少,不顯示數值")
HIDDEN = Text(en="hidden", zh="不顯示")
JUDGED = Text(
    en="  Settled by people of other houses: {settled}; open, for a missed or hidden figure: "
    "{left_open}",
    zh="  由其他機構人員判定:{settled};未達門檻或不顯示而待處理:{left_open}",
)
NO_SCORES = Text(
    en="- No evaluation: recipe {recipe} gives no score of a case",
    zh="- 未進行評估:配方 {recipe} 不產生個案分數",
)
STUDYING = Text(
    en="- Impact study with invented numbers: stepped wedge at {sites} hospitals, plan logged, "
    "data locked, then analysed",
    zh="- 以虛構數據演練影響性研究:{sites} 家醫院階梯楔形設計,先登錄計畫、鎖定資料,再行分析",
)
STUDIED = Text(
    en="  Order to report: {estimate:+.1f} min ({low:+.1f} to {high:+.1f})",
    zh="  醫囑至報告時間:{estimate:+.1f} 分鐘({low:+.1f} 至 {high:+.1f})",
)
COSTS = Text(
    en="  With the example model's assumed costs a QALY more costs TWD {icer:,.0f}; figures in "
    "{folder}",
    zh="  依範例模型之假設成本,每增加一 QALY 需新臺幣 {icer:,.0f} 元;圖表位於 {folder}",
)
BETTER = Text(
    en="  With the example model's assumed costs it costs less and gains more than usual reading; "
    "figures in {folder}",
    zh="  依範例模型之假設成本,較一般判讀省錢且效果較佳;圖表位於 {folder}",
)
LESS = Text(
    en="  With the example model's assumed costs TWD {icer:,.0f} is saved for each QALY lost; "
    "figures in {folder}",
    zh="  依範例模型之假設成本,每減少一 QALY 節省新臺幣 {icer:,.0f} 元;圖表位於 {folder}",
)
DOMINATED = Text(
    en="  With the example model's assumed costs it is dearer and no better than usual reading; "
    "figures in {folder}",
    zh="  依範例模型之假設成本,較一般判讀昂貴且效果未較佳;圖表位於 {folder}",
)
NO_COSTS = Text(
    en="  No cost-effectiveness: the evaluation's counts are hidden, or do not count",
    zh="  未進行成本效果分析:評估次數不顯示或不予採計",
)
RECORDING = Text(
    en="- Records: each hospital signs its dataset card, the training run is checked against the "
    "log, the version's card is filled in",
    zh="- 登錄紀錄:各院簽署資料卡、訓練執行與證據紀錄核對、填寫版本登錄卡",
)
RECORDED = Text(
    en="  {cards} dataset cards in use; training run {run} {state}; the version is now: {version}",
    zh="  {cards} 份資料卡使用中;訓練執行 {run} {state};版本目前狀態:{version}",
)
OPENED = Text(
    en="- Dossier for the TFDA: {items} pieces of evidence, {met} of {applicable} requirements met",
    zh="- 食藥署查驗登記文件:{items} 項證據,符合 {met}/{applicable} 項要求",
)
RUN_STATES = {
    "recorded": Text(en="recorded", zh="已登錄"),
    "verified": Text(en="verified", zh="已驗證"),
}
LEFT_OUT = Text(en="  Left out: [{code}] {what}", zh="  略過:[{code}] {what}")

Json = dict[str, Any]


@dataclass(slots=True)
class Chapter:
    """What follows the training of one version.

    Parameters
    ----------
    sites
        The hospitals that trained it.
    tell
        Prints a line.
    """

    rehearsal: Rehearsal
    entry: str
    sites: Sequence[str]
    tell: Callable[[str], None]
    _desk: "RecordDesk" = field(init=False)

    def run(self) -> Json:
        """Return what became of each step, for the demo's result."""
        self._desk = open_desk(self.rehearsal.centre)
        evaluated = self._evaluation() if self._gives_scores() else None
        counts_in = evaluated.counts_in if isinstance(evaluated, Evaluated) else None
        return {
            "evaluation": _json(evaluated),
            "impact": _json(self._impact(counts_in)),
            "records": _json(self._records(evaluated)),
            "dossier": _json(self._dossier()),
        }

    def _gives_scores(self) -> bool:
        from federation.recipes import catalogue

        recipe = self.rehearsal.plan.recipe
        gives = catalogue.recipe(recipe).task is Task.CLASSIFICATION
        if not gives:
            self.tell(t(NO_SCORES, recipe=recipe))
        return gives

    def _evaluation(self) -> Evaluated | PlatformError:
        self.tell(t(EVALUATING, sites=len(self.rehearsal.hospitals)))
        try:
            found = self._evaluated()
        except PlatformError as error:
            return self._left_out(error)
        self.tell(_figures(found.overall))
        settled, left_open = _named(found.settled), _named(found.left_open)
        self.tell(t(JUDGED, settled=settled, left_open=left_open))
        return found

    def _evaluated(self) -> Evaluated:
        rehearsal = self.rehearsal
        study = evaluating.plan_evaluation(
            rehearsal.centre,
            self.entry,
            cohort=COHORT,
            threshold=self._operating_point(),
            now=datetime.now(UTC),
        )
        process = rehearsal.launch(study.id)
        rehearsal.approve_everywhere(study.id)
        result = result_of(process, study.id, look=rehearsal.check_running)
        if result["status"] != "completed":
            raise _failure(result)
        return evaluating.judge(rehearsal.centre, self._desk, self.entry, result)

    def _operating_point(self) -> float:
        """Return what the AI owner chose at the first hospital that trained the version."""
        from clients.home import NodeHome
        from federation.commands.evidence_rehearsal.operating_point import operating_point
        from federation.coordinator.home import CentreHome

        own = next(one for one in self.rehearsal.hospitals if one.site in self.sites)
        centre = CentreHome.open(self.rehearsal.centre)
        return operating_point(NodeHome.open(own.home), centre, self.entry, STUDY)

    def _impact(self, counts_in: str | None) -> Studied | PlatformError:
        self.tell(t(STUDYING, sites=len(self.sites)))
        try:
            found = study_impact(
                self._desk,
                self.entry,
                sites=sorted(self.sites),
                evaluation=counts_in,
                folder=self.rehearsal.plan.workdir / "impact",
                now=datetime.now(UTC),
            )
        except PlatformError as error:
            return self._left_out(error)
        first = found.results[0]
        self.tell(t(STUDIED, estimate=first.estimate, low=first.low, high=first.high))
        self.tell(_costs(found))
        return found

    def _records(self, evaluated: Evaluated | PlatformError | None) -> Written | PlatformError:
        self.tell(t(RECORDING))
        homes = {
            str(one.site): one.home
            for one in self.rehearsal.hospitals
            if str(one.site) in self.sites
        }
        records = RecordsOf(
            self.rehearsal.centre,
            self._desk,
            STUDY,
            self.entry,
            homes,
            self.rehearsal.plan.workdir / "records",
            self.rehearsal.check_running,
        )
        judged = evaluated.judged if isinstance(evaluated, Evaluated) else {}
        try:
            found = records.write(judged, now=datetime.now(UTC))
        except PlatformError as error:
            return self._left_out(error)
        state = t(RUN_STATES[found.run_state])
        told = {"cards": len(found.cards), "run": found.run, "state": state}
        self.tell(t(RECORDED, **told, version=_state(found.version_state)))
        return found

    def _dossier(self) -> Opened | PlatformError:
        try:
            found = open_with_evidence(self._desk, self.entry)
        except PlatformError as error:
            return self._left_out(error)
        self.tell(t(OPENED, items=found.items, met=found.met, applicable=found.applicable))
        return found

    def _left_out(self, error: PlatformError) -> PlatformError:
        from federation import settings

        self.tell(t(LEFT_OUT, code=error.code, what=error.say_what(settings.language())))
        return error


def _figures(overall: Mapping[str, Any] | None) -> str:
    if overall is None:
        return t(NOTHING_SHOWN)
    auroc, rates = overall["auroc"], overall["rates"]
    low, high = auroc["interval"]
    return t(
        EVALUATED,
        value=auroc["value"],
        low=low,
        high=high,
        cases=overall["cases"],
        sensitivity=_rate(rates["sensitivity"]),
        specificity=_rate(rates["specificity"]),
    )


def _named(dimensions: Sequence[str]) -> str:
    """Return the dimensions as the register's pages call them, inside a sentence."""
    from registry.pages.wording import DIMENSIONS

    return ", ".join(t(DIMENSIONS[name]).lower() for name in dimensions) or "–"


def _state(of_version: str) -> str:
    """Return a version's state as the register's pages call it, inside a sentence."""
    from registry.pages.states import STATES

    return t(STATES[of_version].name).lower()


def _rate(said: Mapping[str, Any]) -> str:
    return t(HIDDEN) if said["value"] is None else f"{said['value']:.2f}"


def _costs(found: Studied) -> str:
    if found.costs is None:
        return t(NO_COSTS)
    analysis = found.costs.analysis
    words, icer = standing(analysis.mean_case, analysis.model.strategies[-1])
    return t(words, icer=icer, folder=os.path.relpath(found.folder))


def standing(ranked: Sequence[Ranked], new: str) -> tuple[Text, float | None]:
    """Return how the strategy with the model stands beside the usual one."""
    ours, usual = sorted(ranked, key=lambda one: one.strategy.name != new)
    if ours.standing is not Standing.EFFICIENT:
        return DOMINATED, None
    if ours.icer is not None:
        return COSTS, ours.icer
    return (BETTER, None) if usual.icer is None else (LESS, usual.icer)


def _failure(result: Mapping[str, Any]) -> StepFailedError:
    """Return why an evaluation ended before its end."""
    first: Mapping[str, str] = next(iter(result["errors"]), {})
    return StepFailedError(
        step="evaluation",
        code=first.get("code", "-"),
        what=first.get("what", result["status"]),
        next=first.get("next_step", "trifed doctor"),
    )


def _json(found: Evaluated | Studied | Written | Opened | PlatformError | None) -> Json | None:
    if isinstance(found, PlatformError):
        return {"left_out": {"code": found.code, "what": found.say_what()}}
    return None if found is None else found.as_json()
