"""Reports over HTTP: what the public is told, what a session sees, and what was tampered with."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from federation.domain.ids import Sha256
from federation.evidence.model_version import ModelVersionState as State
from registry.certification.dossier import Dossier
from registry.certification.noun import NOUN as DOSSIER
from registry.evaluations.evaluation import Evaluation
from registry.evaluations.noun import NOUN as EVALUATION
from registry.evaluations.noun import EvaluationState
from registry.impact.noun import NOUN as STUDY
from registry.impact.noun import StudyState
from registry.impact.study import ImpactStudy
from registry.pages.report_reading import FOLDER, kept_in
from registry.records.shapes import Noun
from registry.roles import Role
from tests.registry.access_builders import Browser
from tests.registry.nouns_b import bodies
from tests.registry.page_builders import Register, make_register, started
from tests.registry.page_tabs import CHROMIUM, a_tab, serving
from tests.registry.record_builders import DEV, VAL_E
from tests.reports.examples import economics_bytes, evaluation_json, study_json
from tests.reports.test_reports import Page

NOUNS = (EVALUATION, STUDY, DOSSIER)
IMP = bodies.person(Role.IMP_P)
ECONOMIC = {
    "perspective": "nhi",
    "horizon_years": 20.0,
    "discount": 0.03,
    "threshold_twd": 1_000_000.0,
    "model": bodies.DIGEST,
    "psa_seed": 1,
    "evaluations": ["ev-1"],
}
ROC = "/evaluations/ev-1/figures/roc.svg"


def _body(shape: Any, raw: dict[str, Any]) -> Any:
    return shape.model_validate_json(json.dumps(raw))


def beginning(noun: Noun[Any], state: Any) -> Noun[Any]:
    """The same noun, its records written in another state."""
    return replace(started(noun, state), editable=frozenset({state.value}))


class Served:
    """A register with one live entry and one draft, and the reports of both."""

    def __init__(self, folder: Path) -> None:
        self.register: Register = make_register(folder, nouns=NOUNS)
        self.live = self.register.enter(self.register.candidate("live"))
        self.after = self.register.enter(self.register.candidate("after"))
        self.draft = self.register.enter(self.register.candidate("draft"), State.DRAFT)
        self.artefacts = self.register.centre.registrar.artefacts
        for id, entry, state in (
            ("ev-1", self.live, EvaluationState.JUDGED),
            ("ev-open", self.live, EvaluationState.LOGGED),
            ("ev-hidden", self.draft, EvaluationState.JUDGED),
        ):
            self.evaluate(id, entry, state)
        self.study("study-1", StudyState.REPORTED)
        self.study("study-open", StudyState.ANALYSED)
        dossier = _body(Dossier, bodies.dossier(entry=self.live))
        self.register.records.put(DOSSIER, "dossier-1", dossier, author=DEV)

    def document(self, entry: str, beside: str | None = None) -> Path:
        content = evaluation_json()
        content["about"]["entry"] = entry
        content["matrix"]["versions"] = [entry, beside or self.after]
        written = json.dumps(content).encode()
        folder = self.artefacts / FOLDER
        folder.mkdir(exist_ok=True)
        path = folder / f"{Sha256.of(written).hex}.json"
        path.write_bytes(written)
        return path

    def evaluate(
        self,
        id: str,
        entry: str,
        state: EvaluationState,
        *,
        beside: str | None = None,
        **changes: Any,
    ) -> Path:
        path = self.document(entry, beside)
        given = {
            "entry": entry,
            "protocol_hash": evaluation_json()["about"]["protocol"],
            "report": f"sha256:{path.stem}",
        }
        body = _body(Evaluation, bodies.evaluation(**(given | changes)))
        self.register.records.put(beginning(EVALUATION, state), id, body, author=VAL_E)
        return path

    def study(self, id: str, state: StudyState) -> None:
        economics = economics_bytes()
        path = self.artefacts / FOLDER / f"{Sha256.of(economics).hex}.json"
        path.write_bytes(economics)
        money = ECONOMIC | {"document": f"sha256:{path.stem}"}
        body = _body(ImpactStudy, study_json(economic=money) | {"entry": self.live})
        self.register.records.put(beginning(STUDY, state), id, body, author=IMP)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return Served(tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def public(served: Served) -> Browser:
    return Browser(served.register.app())


@pytest.mark.parametrize("path", ["/evaluations/ev-1", "/studies/study-1"])
def test_the_public_sees_what_was_judged_and_reported(public: Browser, path: str) -> None:
    answer = public.get(f"{path}?lang=zh-Hant-TW")
    page = Page(answer.text)
    images = [attrs["src"] or "" for tag, attrs in page.tags if tag == "img"]
    assert answer.status_code == 200 and "報告" in answer.text
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    figures = [one for one in images if one.startswith(path)]
    assert figures and all("lang=zh-Hant-TW" in one for one in figures)
    assert all("style" not in attrs for _, attrs in page.tags)


@pytest.mark.parametrize(
    "path",
    [
        "/evaluations/ev-open",
        "/evaluations/ev-hidden",
        "/evaluations/none",
        "/studies/study-open",
        "/studies/ev-1",
        "/evaluations/ev-1/figures/none.svg",
        "/evaluations/ev-1/figures/roc.exe",
        "/evaluations/ev-1/figures/..%2Froc.svg",
    ],
)
def test_what_the_public_is_not_told_has_no_report(public: Browser, path: str) -> None:
    for part in ("", "/report.pdf", "/report.json", "/figures/roc.svg"):
        answer = public.get(path + part if "/figures/" not in path else path)
        assert answer.status_code == 404
        assert "AUROC" not in answer.text


def test_a_figure_is_served_with_its_data_and_can_run_nothing(public: Browser) -> None:
    svg = public.get(ROC)
    assert svg.headers["content-type"] == "image/svg+xml" and b"<svg" in svg.content
    assert "default-src 'none'; style-src 'unsafe-inline'" in svg.headers["content-security-policy"]
    csv = public.get(ROC.replace("svg", "csv"))
    assert csv.text.startswith("score,false_positive_rate,true_positive_rate,low,high\n")
    assert public.get(ROC.replace("svg", "json")).json()["figure"] == "roc"
    assert public.get(ROC + "?lang=en").content != public.get(ROC + "?lang=zh").content


def test_a_study_shows_the_economic_results_that_its_record_names(public: Browser) -> None:
    assert "Assumptions and sources" in public.get("/studies/study-1?lang=en").text
    assert public.get("/studies/study-1/figures/plane.csv").text.startswith("incremental_effect,")


def test_the_document_is_served_as_it_was_written(public: Browser, served: Served) -> None:
    found = public.get("/evaluations/ev-1/report.json").content
    assert kept_in(served.artefacts)(str(Sha256.of(found))) == found


def test_an_entry_links_to_its_reports(public: Browser, served: Served) -> None:
    text = public.get(f"/register/{served.live}").text
    assert 'href="/evaluations/ev-1"' in text and 'href="/studies/study-1"' in text
    assert "study-open" not in text and 'href="/evaluations/ev-open"' not in text


def test_a_session_sees_the_reports_of_the_records_it_sees(public: Browser, served: Served) -> None:
    path = "/console/reports/certification-dossier/dossier-1"
    assert public.get(path).headers["location"].startswith("/console/login")
    reviewer = served.register.browser(Role.RAI_A)
    answer = reviewer.get(path + "?lang=en")
    assert "not complete" in answer.text and "no-store" in answer.headers["cache-control"]
    assert reviewer.get("/console/reports/evaluation/ev-open").status_code == 200
    assert reviewer.get("/console/reports/model-version/" + served.live).status_code == 404
    record = reviewer.get("/console/records/certification-dossier/dossier-1").text
    assert f'href="{path}"' in record
    clinician = served.register.browser(Role.CLI, name="bert")
    assert clinician.get(path).status_code == 404


def test_a_document_that_was_changed_or_is_of_another_version_is_not_shown(
    served: Served, public: Browser
) -> None:
    changed = served.evaluate("ev-changed", served.live, EvaluationState.JUDGED, sites=["site-9"])
    other = served.document("TWAI-2026-00009-9.v1.0.0")
    digest = f"sha256:{other.stem}"
    served.evaluate("ev-other", served.live, EvaluationState.JUDGED, report=digest)
    kept = changed.read_bytes()
    changed.write_bytes(kept.replace(b"chest-eval-2026", b"chest-eval-2027"))
    try:
        answers = [public.get(f"/evaluations/{id}") for id in ("ev-changed", "ev-other")]
    finally:
        changed.write_bytes(kept)
    assert {answer.status_code for answer in answers} == {500}
    assert all("AUROC" not in answer.text for answer in answers)


def test_the_public_is_not_told_of_a_version_that_it_may_not_know_of(
    served: Served, public: Browser
) -> None:
    served.evaluate("ev-beside", served.live, EvaluationState.JUDGED, beside=served.draft)
    page = public.get("/evaluations/ev-beside?lang=en")
    assert page.status_code == 200 and served.live in page.text
    told = page.text + public.get("/evaluations/ev-beside/figures/groups.json").text
    assert served.draft not in told and "report.json" not in told
    assert public.get("/evaluations/ev-beside/report.json").status_code == 404
    assert public.get("/evaluations/ev-beside/figures/cross-site.json").status_code == 404
    member = served.register.browser(Role.RAI_A)
    path = "/console/reports/evaluation/ev-beside"
    assert served.draft in member.get(f"{path}/figures/cross-site.json").text
    shown = public.get("/evaluations/ev-1/figures/cross-site.json").json()["rows"]
    assert {row["version"] for row in shown} == {served.live, served.after}


def test_a_session_is_not_told_of_a_version_that_it_may_not_know_of(served: Served) -> None:
    served.evaluate("ev-near", served.live, EvaluationState.JUDGED, beside=served.draft)
    member = served.register.browser(Role.HAC, name="hana", organisation="Tainan Hospital")
    path = "/console/reports/evaluation/ev-near"
    page = member.get(f"{path}?lang=en")
    assert page.status_code == 200 and served.live in page.text
    assert served.draft not in page.text and "report.json" not in page.text
    for part in ("report.json", "figures/cross-site.json", "figures/cross-site.csv"):
        answer = member.get(f"{path}/{part}")
        assert answer.status_code == 404 and served.draft not in answer.text
    assert member.get("/console/reports/evaluation/ev-1/report.json").status_code == 200


def test_a_register_without_the_file_says_that_there_is_no_report(
    served: Served, public: Browser
) -> None:
    digest = "sha256:" + "0" * 64
    served.evaluate("ev-lost", served.live, EvaluationState.JUDGED, report=digest)
    assert public.get("/evaluations/ev-lost").status_code == 404


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    with serving(served.register.app()) as found:
        yield found


@pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("websockets") is None,
    reason="Chromium (apt) or websockets is not installed",
)
def test_a_browser_finds_nothing_to_complain_of(address: str, tmp_path: Path) -> None:
    broken = "[...document.images].filter(one => !one.naturalWidth).length"
    with a_tab(tmp_path / "profile") as tab:
        for width, path in ((400, "/evaluations/ev-1"), (1280, "/studies/study-1")):
            tab.size(width)
            tab.said.clear()
            assert tab.open(f"{address}{path}?lang=zh-Hant-TW") == 200
            assert tab.value("document.documentElement.scrollWidth") == width
            assert tab.value(broken) == 0
            assert tab.said == []
