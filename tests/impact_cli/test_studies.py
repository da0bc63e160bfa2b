"""A study from protocol to report; what is not as it was planned is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from federation.domain.evaluation_plan import Family
from federation.errors import PlatformError
from federation.errors.core import FileMissingError
from federation.errors.economics import (
    AccuracyMissingError,
    ModelFileError,
    ModelValueError,
    PriceBaseError,
    UtilityRangeError,
)
from federation.errors.evidence_nouns import BlindingError, StudyGuardError
from federation.errors.impact import (
    PlanChangedError,
    PlanNotLoggedError,
    ProtocolFileError,
    TableInvalidError,
    TableTooSmallError,
)
from federation.errors.impact_commands import (
    DataCutChangedError,
    EvidenceNotAsSignedError,
    EvidenceNotInForceError,
    FileNotWrittenError,
    OtherVersionEvidenceError,
    PlanDisagreesError,
    ProtocolUnwrittenError,
    StudyStageError,
)
from federation.errors.moves import RecordNotFoundError
from federation.evaluation.proportions import Proportion
from federation.impact.measure_report import as_report
from federation.impact.plan import read_plan
from federation.impact.site_table import COLUMNS, read_table
from federation.operations.embedded_registry import Actor
from federation.operations.evaluations.records import metrics_of
from federation.operations.impact import (
    analyse_study,
    conclude,
    freeze,
    log_plan,
    new_study,
    show_study,
    write_protocol,
)
from federation.operations.impact_economics import (
    accuracy_of,
    budget_impact,
    cost_effectiveness,
    write_out,
)
from tests.evaluate.test_concluding import concluded, hospitals
from tests.impact_cli.builders import (
    APPROVER,
    BOARD,
    COMMITTEE,
    EVALUATOR,
    LEAD,
    REVIEWER,
    SITES,
    STATISTICIAN,
    STUDY,
    Home,
    copied,
    economics,
    moved,
    table,
    tables,
    written,
)
from tests.impact_cli.builders import (
    new_study as begin,
)
from tests.impact_cli.test_dossiers import tampered

HEAD = ",".join(COLUMNS) + "\n"


@dataclass(frozen=True)
class Study:
    """A study in a home of its own, with its folder and plan."""

    home: Home
    folder: Path

    @property
    def plan(self) -> bytes:
        return (self.folder / "plan.toml").read_bytes()

    def at(self, folder: Path) -> "Study":
        return Study(copied(self.home, folder), self.folder)

    def changed(self, old: str, new: str) -> bytes:
        """Return its plan with something else in it."""
        text = self.plan.decode()
        assert old in text
        return text.replace(old, new, 1).encode()

    def rewritten(self, **fields: object) -> None:
        """Write the record anew past the commands, as the register's own API lets people."""
        desk = self.home.desk
        record = desk.get("impact-study", STUDY)
        body = {**record.body, **fields}
        desk.put("impact-study", STUDY, body, LEAD, revision=record.revision)


def begun(home: Home, folder: Path) -> Study:
    begin(home, folder)
    return Study(home, folder)


@pytest.fixture(scope="session")
def built_running(built_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose plan and model are logged, and whose data are being collected."""
    home = copied(built_home, tmp_path_factory.mktemp("running"))
    study = begun(home, tmp_path_factory.mktemp("study") / "s")
    write_protocol(home.desk, STUDY, written(study.folder), folder=study.folder, actor=LEAD)
    moved(home, "I1", LEAD)
    moved(home, "I2", BOARD)
    log_plan(home.desk, STUDY, study.plan, actor=LEAD, model=economics(home), seed=7)
    moved(home, "I3", LEAD, COMMITTEE)
    return study


@pytest.fixture(scope="session")
def built_locked(built_running: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same study with its data frozen and locked."""
    study = built_running.at(tmp_path_factory.mktemp("locked"))
    freeze(study.home.desk, STUDY, study.plan, tables(), actor=LEAD)
    moved(study.home, "I4", LEAD)
    return study


@pytest.fixture
def running(built_running: Study, tmp_path: Path) -> Study:
    return built_running.at(tmp_path)


@pytest.fixture
def locked(built_locked: Study, tmp_path: Path) -> Study:
    return built_locked.at(tmp_path)


def test_a_study_goes_from_protocol_to_report(locked: Study, tmp_path: Path) -> None:
    desk = locked.home.desk
    found = analyse_study(desk, STUDY, locked.plan, tables(), actor=STATISTICIAN)
    assert found.results[0].high < 0 and found.results[0].confirmed
    model = economics(locked.home)
    money = cost_effectiveness(desk, STUDY, model, actor=STATISTICIAN, draws=1000)
    assert money.record is not None
    economic = money.record.body["economic"]
    assert isinstance(economic, dict)
    assert economic["document"] == money.digest and economic["evaluations"] == ["ev-1"]
    assert len(economic["budget"]) == 5 and economic["psa_seed"] == 7
    files = {path.name for path in write_out(money, tmp_path / "money")}
    assert {"economics.json", "plane.en.svg", "budget.zh-Hant-TW.svg"} <= files
    moved(locked.home, "I5", STATISTICIAN)
    conclude(desk, STUDY, report=b"report", harms={"none observed": 0}, actor=LEAD)
    moved(locked.home, "I6", LEAD, APPROVER)
    assert show_study(desk, STUDY).record.state == "reported"


def test_a_new_study_is_a_draft_with_files_to_fill_in(home: Home, tmp_path: Path) -> None:
    study = begun(home, tmp_path / "s")
    names = {str(path.relative_to(study.folder)) for path in study.folder.rglob("*.*")}
    assert {"protocol.toml", "plan.toml", "economics.toml", "checklists/CONSORT-AI.md"} <= names
    assert read_plan(study.plan).design == "stepped-wedge"
    (submit, _) = show_study(home.desk, STUDY).following
    assert isinstance(submit.held_back[0], StudyGuardError), "the template is no protocol"
    with pytest.raises(ProtocolUnwrittenError, match="pico"):
        content = (study.folder / "protocol.toml").read_bytes()
        write_protocol(home.desk, STUDY, content, folder=study.folder, actor=LEAD)
    with pytest.raises(FileNotWrittenError):
        new_study(
            home.desk,
            "study-2",
            home.entry,
            design="stepped-wedge",
            sites=SITES,
            folder=study.folder,
            actor=LEAD,
        )
    with pytest.raises(RecordNotFoundError):
        home.desk.get("impact-study", "study-2")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"\xff", ProtocolFileError),
        (b"sap_hash = 'sha256:00'", ProtocolFileError),
        (b"results = []", ProtocolFileError),
        (b"irb = { expires = 2027-01-01 }", ProtocolFileError),
        (b"x" * (2**18 + 1), ProtocolFileError),
        (b"[checklists]\nCONSORT-AI = '../secret'", FileMissingError),
        (b"[checklists]\nCONSORT-AI = 'nowhere.md'", FileMissingError),
    ],
)
def test_a_file_that_is_no_protocol_is_refused(
    home: Home, tmp_path: Path, content: bytes, error: type[PlatformError]
) -> None:
    study = begun(home, tmp_path / "s")
    with pytest.raises(error):
        write_protocol(home.desk, STUDY, content, folder=study.folder, actor=LEAD)


def test_the_plan_says_what_the_protocol_says(running: Study) -> None:
    for old, new, field in (
        (f'study = "{STUDY}"', 'study = "another"', "study"),
        ('design = "stepped-wedge"', 'design = "cluster-rct"', "design"),
        ('role = "secondary"', 'role = "primary"', "measures"),
        ("alpha = 0.05", "alpha = 0.1", "alpha"),
    ):
        with pytest.raises(PlanDisagreesError, match=field):
            log_plan(running.home.desk, STUDY, running.changed(old, new), actor=LEAD)


def test_a_plan_edited_after_the_lock_is_refused(locked: Study) -> None:
    edited = locked.changed('analysis = "ratio"', 'analysis = "difference"')
    with pytest.raises(PlanChangedError):
        analyse_study(locked.home.desk, STUDY, edited, tables(), actor=STATISTICIAN)
    with pytest.raises(StudyStageError):
        log_plan(locked.home.desk, STUDY, edited, actor=LEAD)
    locked.rewritten(sap_hash=str(read_plan(edited).digest))
    for plan in (edited, locked.plan):
        with pytest.raises(PlanChangedError):
            analyse_study(locked.home.desk, STUDY, plan, tables(), actor=STATISTICIAN)
    analysed = {one.number: one for one in show_study(locked.home.desk, STUDY).following}["I5"]
    assert any(isinstance(one, BlindingError) for one in analysed.held_back)


@pytest.mark.parametrize(
    "fields",
    [
        {"estimand": {"zh-TW": "另一", "en": "another one"}},
        {"design": "cluster-rct"},
        {"data_cuts": []},
        {"sites": list(SITES[:2])},
    ],
)
def test_a_protocol_changed_after_the_lock_holds_the_study_back(
    locked: Study, fields: dict[str, object]
) -> None:
    locked.rewritten(**fields)
    locked.rewritten(title={"zh-TW": "改回", "en": "back"})
    analysed = {one.number: one for one in show_study(locked.home.desk, STUDY).following}["I5"]
    assert any(isinstance(one, BlindingError) for one in analysed.held_back)


def test_nothing_is_analysed_before_the_lock(running: Study) -> None:
    with pytest.raises(StudyStageError):
        analyse_study(running.home.desk, STUDY, running.plan, tables(), actor=STATISTICIAN)
    with pytest.raises(StudyStageError):
        cost_effectiveness(
            running.home.desk, STUDY, economics(running.home), actor=STATISTICIAN, draws=1000
        )
    running.rewritten(sap_hash=None)
    with pytest.raises(PlanNotLoggedError):
        freeze(running.home.desk, STUDY, running.plan, tables(), actor=LEAD)


def test_only_the_frozen_tables_are_analysed(locked: Study) -> None:
    other = tables(**{SITES[0]: table(SITES[0], effect=-20.0)})
    with pytest.raises(DataCutChangedError):
        analyse_study(locked.home.desk, STUDY, locked.plan, other, actor=STATISTICIAN)
    fewer = {site: content for site, content in tables().items() if site != SITES[0]}
    with pytest.raises(DataCutChangedError):
        analyse_study(locked.home.desk, STUDY, locked.plan, fewer, actor=STATISTICIAN)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"tainan-1": None}, PlanDisagreesError),
        ({"kinmen-9": table(SITES[0])}, PlanDisagreesError),
        ({"tainan-1": b"measure,cluster\n"}, TableInvalidError),
        ({"tainan-1": b"{}"}, TableInvalidError),
        (
            {"tainan-1": f"{HEAD}turnaround,ward,0,usual,4,200,10000.5".encode()},
            TableTooSmallError,
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_not_frozen(
    running: Study, changes: dict[str, bytes | None], error: type[PlatformError]
) -> None:
    given = {site: content for site, content in {**tables(), **changes}.items() if content}
    with pytest.raises(error):
        freeze(running.home.desk, STUDY, running.plan, given, actor=LEAD)
    assert not running.home.desk.get("impact-study", STUDY).body.get("data_cuts")


def test_a_hospital_may_send_fhir(running: Study) -> None:
    plan, site = read_plan(running.plan), SITES[0]
    report = as_report(
        read_table(table(site), site, plan), plan, start="2026-01-01", end="2026-06-30"
    )
    cut = freeze(running.home.desk, STUDY, running.plan, tables(**{site: report}), actor=LEAD)
    moved(running.home, "I4", LEAD)
    found = analyse_study(
        running.home.desk, STUDY, running.plan, tables(**{site: report}), actor=STATISTICIAN
    )
    assert cut.patients == 800 and found.results[0].people == 800


def test_accuracy_is_taken_from_evaluations_of_this_version(home: Home) -> None:
    found = accuracy_of(home.desk, home.entry, "with AI", "ev-1")
    assert (found.true_positives, found.false_negatives) == (180, 20)
    assert (found.true_negatives, found.false_positives) == (850, 50)
    with pytest.raises(OtherVersionEvidenceError):
        accuracy_of(home.desk, home.entry, "with AI", "ev-other")
    with pytest.raises(EvidenceNotInForceError):
        accuracy_of(home.desk, home.entry, "with AI", "ev-draft")
    with pytest.raises(RecordNotFoundError):
        accuracy_of(home.desk, home.entry, "with AI", "typed")


def only_sensitivity(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in metrics if one["name"] == "sensitivity"]


def of_all_cases(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one | {"n": 1100} for one in metrics]


def no_whole_number(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one | {"n": 199, "method": "bootstrap"} for one in metrics]


@pytest.mark.parametrize("change", [only_sensitivity, of_all_cases, no_whole_number])
def test_an_evaluation_that_does_not_tell_the_counts_is_refused(
    home: Home, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> None:
    desk = home.desk
    body: dict[str, Any] = dict(desk.get("evaluation", "ev-draft").body)
    changed = body | {"metrics": change(body["metrics"])}
    desk.put("evaluation", "ev-draft", changed, EVALUATOR, revision=3)
    desk.move("evaluation", "ev-draft", "E2", COMMITTEE, reason="agreed", revision=4)
    with pytest.raises(AccuracyMissingError):
        accuracy_of(desk, home.entry, "with AI", "ev-draft")


APPROVER_ELSEWHERE = Actor("appr-2", "Validation Board", "VAL-A")


def test_an_evaluation_that_nobody_signed_so_is_refused(home: Home) -> None:
    tampered(home, "evaluation", "ev-1", "0.944444", "0.955556")
    with pytest.raises(EvidenceNotAsSignedError):
        accuracy_of(home.desk, home.entry, "with AI", "ev-1")


def test_a_federated_evaluation_tells_its_counts(home: Home) -> None:
    found, desk = concluded(hospitals()), home.desk
    body = dict(desk.get("evaluation", "ev-draft").body)
    body["metrics"] = list(metrics_of(found, Family.OPERATING_POINT))
    missed = body | {"passed": False, "acceptance": {"en": "accepted", "zh-TW": "接受"}}
    desk.put("evaluation", "ev-draft", missed, EVALUATOR, revision=3)
    for actor in (APPROVER_ELSEWHERE, REVIEWER):
        desk.move("evaluation", "ev-draft", "E3", actor, reason="agreed", revision=4)
    counts = accuracy_of(desk, home.entry, "with AI", "ev-draft")
    rates = found.assessment.slices["all"].rates
    sensitivity, specificity = rates["sensitivity"], rates["specificity"]
    assert isinstance(sensitivity, Proportion) and isinstance(specificity, Proportion)
    assert (counts.true_positives, counts.true_negatives) == (sensitivity.hits, specificity.hits)
    assert counts.false_negatives == sensitivity.of - sensitivity.hits


TYPED = (
    "counts = { true_positives = 99, false_negatives = 1, true_negatives = 99, "
    'false_positives = 1, source = "us" }'
)
WORKUP = "first = 4500, second = 600"
BAD_MODELS: dict[str, tuple[str, str, type[PlatformError]]] = {
    "currency": (WORKUP, f'{WORKUP}, currency = "USD"', PriceBaseError),
    "year": (WORKUP, f"{WORKUP}, price_year = 2019", PriceBaseError),
    "utility": (
        'law = "beta", first = 55, second = 45',
        'law = "normal", first = -1.2, second = 0.1',
        UtilityRangeError,
    ),
    "share": (
        'law = "beta", first = 60, second = 940',
        'law = "fixed", first = 1.2',
        ModelValueError,
    ),
    "version": ('evaluation = "ev-1"', 'evaluation = "ev-other"', OtherVersionEvidenceError),
    "draft": ('evaluation = "ev-1"', 'evaluation = "ev-draft"', EvidenceNotInForceError),
    "typed": ('evaluation = "ev-1"', TYPED, ModelFileError),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_model_that_cannot_be_used_is_refused(running: Study, name: str) -> None:
    old, new, error = BAD_MODELS[name]
    with pytest.raises(error):
        cost_effectiveness(running.home.desk, STUDY, model(running.home, old, new), draws=1000)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('currency = "TWD"', 'currency = "USD"', PriceBaseError),
        ("first = 150", "first = 140", PlanDisagreesError),
    ],
)
def test_a_record_takes_the_logged_model_in_its_own_money(
    locked: Study, old: str, new: str, error: type[PlatformError]
) -> None:
    content, desk = model(locked.home, old, new), locked.home.desk
    before = desk.get("impact-study", STUDY).revision
    with pytest.raises(error):
        cost_effectiveness(desk, STUDY, content, actor=STATISTICIAN, draws=1000)
    assert desk.get("impact-study", STUDY).revision == before


def model(home: Home, old: str, new: str) -> bytes:
    """Return the shipped economic model with something else in it."""
    text = economics(home).decode()
    assert old in text
    return text.replace(old, new, 1).encode()


def test_the_seed_is_that_which_was_logged(locked: Study) -> None:
    with pytest.raises(PlanDisagreesError):
        cost_effectiveness(
            locked.home.desk, STUDY, economics(locked.home), actor=STATISTICIAN, draws=1000, seed=8
        )


def test_looking_writes_nothing(running: Study) -> None:
    before = running.home.desk.get("impact-study", STUDY).revision
    found = cost_effectiveness(running.home.desk, STUDY, economics(running.home), draws=1000)
    years = budget_impact(running.home.desk, STUDY, economics(running.home)).years
    assert found.record is None and [one.year for one in years] == [1, 2, 3, 4, 5]
    assert running.home.desk.get("impact-study", STUDY).revision == before
    without = economics(running.home).split(b"[budget]")[0]
    with pytest.raises(ModelValueError, match="budget"):
        budget_impact(running.home.desk, STUDY, without)
