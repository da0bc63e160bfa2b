"""Words and figures of an evaluation's documents, for people at a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, Sha256, StudyId
from federation.errors.core import InvalidIdError
from federation.errors.evaluating import EvaluationMissingError
from federation.operations.evaluations.running import document_of, finished_run
from federation.operations.launch import EVALUATION
from federation.operations.store.studies import StudyStore
from federation.storage import write_atomic
from federation.wording import Language, Text

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """An evaluation with its documents by entry, as plain JSON."""

    study: str
    run: str
    summary: Json
    documents: Mapping[str, Json]

    def as_json(self) -> Json:
        """Return all of it for machines."""
        return {
            "study": self.study,
            "run": self.run,
            **self.summary,
            "documents": {
                entry: {"digest": self.summary["documents"][entry], **document}
                for entry, document in self.documents.items()
            },
        }


def show_evaluation(home: CentreHome, asked: str) -> Shown:
    """Return an evaluation by its study or run, or the newest one of an entry.

    Raises
    ------
    EvaluationMissingError
        If there is none.
    """
    with closing(StudyStore.of(home)) as store:
        study = _study_named(store, asked)
        run = finished_run(store, study)
        summary: Json = dict(run.record[EVALUATION])  # type: ignore[call-overload]
    documents = {
        entry: document_of(home, Sha256(digest)) for entry, digest in summary["documents"].items()
    }
    return Shown(str(study), str(run.id), summary, documents)


def words_of(shown: Shown, language: Language) -> Iterator[str]:
    """Yield the lines that people read."""
    yield _HEAD.say(language, study=shown.study, run=shown.run, protocol=shown.summary["protocol"],
                    place=shown.summary["log_index"])  # fmt: skip
    for entry, document in shown.documents.items():
        yield from _version(entry, document, language)
        for one in shown.summary["figures"][entry]:
            yield _site(one, language)
    waiting = [id for id, state in shown.summary["records"].items() if state == "planned"]
    if waiting:
        yield _WAITING.say(language, count=len(waiting), study=shown.study)


def write_figures(shown: Shown, folder: Path) -> list[Path]:
    """Write every figure in both languages and its document; return the files.

    Raises
    ------
    DiskFullError, OSError
        If they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for entry, document in shown.documents.items():
        for name, content in _drawn(document):
            written.append(folder / f"{entry}.{name}.svg")
            write_atomic(written[-1], content, mode=0o644)
    return written


def _study_named(store: StudyStore, asked: str) -> StudyId:
    """Return the study of a name, of a run's name, or the newest that evaluated an entry."""
    evaluations = [one for one in store.studies() if "evaluation" in one.record]
    names = {str(one.id) for one in evaluations}
    if asked in names:
        return StudyId(asked)
    try:
        of_run = RunId(asked).rpartition(".")[0]
    except InvalidIdError:
        of_run = ""
    if of_run in names:
        return StudyId(of_run)
    for one in reversed(evaluations):
        plan: Any = one.record["evaluation"]
        done = any(EVALUATION in run.record for run in store.runs(StudyId(str(one.id))))
        if done and asked in {version["entry"] for version in plan["versions"]}:
            return StudyId(str(one.id))
    raise EvaluationMissingError(asked=asked)


def _version(entry: str, document: Json, language: Language) -> Iterator[str]:
    decision, overall = document["decision"], document["assessment"]["slices"].get("all")
    verdict = _VERDICTS[decision["verdict"]].say(language)
    yield _ENTRY.say(language, entry=entry, verdict=verdict, risk=decision["risk"])
    if overall is None:
        yield _HIDDEN.say(language)
        return
    auroc, slope = overall["auroc"], overall["slope"]
    low, high = auroc["interval"]
    yield _AUROC.say(language, value=auroc["value"], low=low, high=high, cases=overall["cases"])
    if slope is not None:
        yield _SLOPE.say(language, value=slope["value"], low=slope["interval"][0],
                         high=slope["interval"][1], ece=overall["ece"])  # fmt: skip
    yield from _further(document, language)
    for finding in decision["findings"]:
        yield _FINDING.say(
            language,
            rule=finding["rule"],
            verdict=_VERDICTS[finding["verdict"]].say(language),
            reason=finding["reason"][language.value],
        )
    for failed in document["assessment"]["failures"]:
        yield _FAILED.say(language, **failed)
    refused = document["assessment"]["refusals"]
    if refused:
        yield _REFUSED.say(language, count=len(refused), k=document["plan"]["smallest_cell"])


def _further(document: Json, language: Language) -> Iterator[str]:
    """Yield what families of their own found; what may not be shown is among the refusals."""
    for pair in document.get("paired", ()):
        low, high = pair["difference"]["interval"]
        yield _PAIR.say(language, low=low, high=high, value=pair["difference"]["value"], **pair)
    uncertainty: Json = document.get("uncertainty") or {}
    coverage: Json = uncertainty.get("coverage", {}).get("all", {})
    if coverage.get("value") is not None:
        low, high = coverage["interval"]
        yield _COVERAGE.say(language, wanted=1 - uncertainty["alpha"], low=low, high=high,
                            value=coverage["value"], threshold=uncertainty["threshold"],
                            cases=coverage["of"])  # fmt: skip
    checks = document.get("explainability", {}).get("statistics", {})
    for name, found in checks.items():
        low, high = found["mean"]["interval"]
        yield _CHECK.say(language, name=_CHECKS[name].say(language), value=found["mean"]["value"],
                         low=low, high=high, cases=found["cases"])  # fmt: skip


def _site(one: Json, language: Language) -> str:
    if one["auroc"] is None:
        return _NO_FIGURE.say(language, site=one["site"], code=one["refused"] or "-")
    return _FIGURE.say(language, **one)


def _drawn(document: Json) -> Iterator[tuple[str, bytes]]:
    from federation.figures import evaluation as figures

    curves, matrix = document["curves"], document["matrix"]
    overall = document["assessment"]["slices"].get("all")
    for language in Language:
        tag = "zh" if language is Language.ZH_HANT_TW else "en"
        if curves is not None and overall is not None:
            _, false, true, low, high = _columns(curves["roc"], 5)
            ends = overall["auroc"]["interval"]
            curve = figures.Roc(false, true, low, high, overall["auroc"]["value"], *ends)
            yield f"roc.{tag}", figures.roc(curve, language)
            predicted, observed, least, most, _ = _columns(curves["reliability"], 5)
            found = figures.Reliability(predicted, observed, least, most)
            yield f"reliability.{tag}", figures.reliability(found, language)
        benefit = document["assessment"]["net_benefit"]
        if benefit:
            by_name = (np.array([one[name] for one in benefit]) for name in _BENEFIT)
            yield (
                f"decision.{tag}",
                figures.decision_curve(figures.DecisionCurve(*by_name), language),
            )
        if matrix is not None:
            yield (
                f"sites.{tag}",
                figures.cross_site(
                    matrix["figure"],
                    matrix["versions"],
                    matrix["sites"],
                    matrix["values"],
                    language,
                ),
            )


_BENEFIT = ("threshold", "model", "treat_all")


def _columns(rows: Sequence[Sequence[float]], count: int) -> tuple[np.ndarray, ...]:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), count)
    return tuple(table.T)


_HEAD = Text(
    en="{study}, run {run}. Protocol {protocol}, entry {place} of the evidence log.",
    zh="{study},執行 {run}。方案 {protocol},證據紀錄第 {place} 筆。",
)
_ENTRY = Text(en="{entry}: {verdict} (risk class {risk})", zh="{entry}:{verdict}(風險等級 {risk})")
_HIDDEN = Text(
    en="  Too few cases of a class: nothing of the sum may be shown.",
    zh="  某一類個案過少,總和之結果均不得顯示。",
)
_AUROC = Text(
    en="  AUROC {value:.3f} ({low:.3f} to {high:.3f}), {cases} cases not trained on, all sites",
    zh="  AUROC {value:.3f}({low:.3f} 至 {high:.3f}),全部院所未用於訓練之個案 {cases} 位",
)
_SLOPE = Text(
    en="  Calibration slope {value:.2f} ({low:.2f} to {high:.2f}), ECE {ece:.3f}",
    zh="  校準斜率 {value:.2f}({low:.2f} 至 {high:.2f}),ECE {ece:.3f}",
)
_PAIR = Text(
    en="  Against {against}: AUROC difference {value:+.3f} ({low:+.3f} to {high:+.3f}), "
    "p {p_value:.3f}, {cases} cases that neither was trained on, scores to 1/{steps}",
    zh="  與 {against} 相比:AUROC 差 {value:+.3f}({low:+.3f} 至 {high:+.3f}),p {p_value:.3f},"
    "兩者皆未用於訓練之個案 {cases} 位,分數取至 1/{steps}",
)
_COVERAGE = Text(
    en="  Prediction sets at {wanted:.2f}: {value:.3f} hold the truth ({low:.3f} to {high:.3f}), "
    "{cases} test cases, threshold {threshold:.3f}",
    zh="  預測集合(目標 {wanted:.2f}):{value:.3f} 涵蓋正確答案({low:.3f} 至 {high:.3f}),"
    "測試個案 {cases} 位,門檻 {threshold:.3f}",
)
_CHECK = Text(
    en="  Explanations, {name}: {value:.4f} ({low:.4f} to {high:.4f}), {cases} cases",
    zh="  解釋檢查,{name}:{value:.4f}({low:.4f} 至 {high:.4f}),個案 {cases} 位",
)
_CHECKS = {
    "completeness": Text(en="completeness gap (0 is right)", zh="完整性誤差(應為 0)"),
    "randomisation": Text(
        en="rank correlation with a random network (near 0 is right)",
        zh="與隨機網路之等級相關(應近 0)",
    ),
    "structure": Text(
        en="structural similarity with a random network (well below 1 is right)",
        zh="與隨機網路之結構相似度(應明顯低於 1)",
    ),
    "deletion": Text(
        en="score left while pixels go, strongest first (low is right)",
        zh="依重要性遮除像素後之分數面積(應低)",
    ),
    "deletion-gain": Text(
        en="how much lower than in random order (above 0 is right)",
        zh="相較隨機順序之降幅(應大於 0)",
    ),
}
_FAILED = Text(en="  {name}: not computed ({code})", zh="  {name}:未能計算({code})")
_FINDING = Text(en="  {rule}: {verdict}. {reason}", zh="  {rule}:{verdict}。{reason}")
_REFUSED = Text(
    en="  {count} figures are not shown: they would tell of fewer than {k} cases.",
    zh="  有 {count} 項結果不顯示,因其個案少於 {k} 位。",
)
_FIGURE = Text(
    en="  {site}: AUROC {auroc:.3f} ({low:.3f} to {high:.3f})",
    zh="  {site}:AUROC {auroc:.3f}({low:.3f} 至 {high:.3f})",
)
_NO_FIGURE = Text(en="  {site}: not shown ({code})", zh="  {site}:不顯示({code})")
_WAITING = Text(
    en="{count} records wait for their plan to be logged (E1). Then whoever planned them: "
    "trifed evaluate enter {study} --person ... --organisation ...",
    zh="{count} 筆紀錄尚待登錄方案(E1)。之後由規劃者執行:trifed evaluate enter {study} "
    "--person ... --organisation ...",
)
_VERDICTS = {
    "pass": Text(en="passed", zh="通過"),
    "alert": Text(en="alert", zh="警示"),
    "accept": Text(en="to be accepted in writing", zh="須書面接受"),
    "fail": Text(en="not passed", zh="未通過"),
}
