"""The three centres' work from a notebook: functions named as the commands are.

    from federation.notebooks import Actor, dossier, evaluate, impact, open_desk, reimbursement

    desk = open_desk("trifed-centre")
    lead = Actor("lin", "Impact Centre", "IMP-P")
    impact.power(impact.read_design(content)).rows
    found = impact.cea(desk, "study-1", model)                  # typed results, not text
    [gap.next_step.zh for gap in dossier.status(desk, "dossier-1").gaps]

Each returns frozen values and raises the same coded errors as the command line. Writing
needs an `Actor`; everything that only looks needs none.
"""

from pathlib import Path

from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.domain.study import Study
from federation.evaluation.assessment import assess
from federation.evaluation.facts import facts_of
from federation.evaluation.policy import decide
from federation.impact.design import power_table, read_design
from federation.impact.hospital import make_table
from federation.impact.measures import catalogue
from federation.impact.tabulate import tabulate
from federation.operations import dossier as _dossier
from federation.operations import impact as _impact
from federation.operations import impact_economics as _economics
from federation.operations import impact_seals as _seals
from federation.operations import reimbursement as _reimbursement
from federation.operations.embedded_registry import Actor, RecordDesk
from federation.operations.evaluations import plan_file, planning, running, showing, submitting
from federation.operations.outcomes import plan_file as _outcome_file
from federation.operations.outcomes import planning as _outcomes
from federation.operations.outcomes import running as _outcomes_out
from federation.operations.outcomes import submitting as _outcomes_in
from federation.operations.queueing import Queueing
from federation.operations.store.queue import Asked


def open_desk(home: Path | str) -> RecordDesk:
    """Return the records of the register in a centre's home.

    Raises
    ------
    HomeMissingError
        If the folder is no centre's home.
    """
    return _impact.open_desk(Path(home))


def open_centre(home: Path | str) -> CentreHome:
    """Return a centre's home, which evaluations need; raises as `open_desk`."""
    return CentreHome.open(Path(home))


def _run(
    home: CentreHome,
    study: Study,
    people: submitting.People,
    *,
    actor: str,
    asked: Asked | None = None,
) -> list[str]:
    """Hand an evaluation in and put it into a running centre's queue; return its records' ids.

    Raises
    ------
    CentreNotRunningError
        If nobody would run it.
    PlatformError
        What the register or the centre refused with.
    """
    _check_running(home)
    ids = submitting.submit_plan(home, study, people)
    _launch(home, study, actor, asked)
    return ids


def _run_fit(home: CentreHome, study: Study, *, actor: str, asked: Asked | None = None) -> None:
    """Hand an outcome study in and put it into a running centre's queue; raises as `_run`."""
    _check_running(home)
    _outcomes_in.submit_plan(home, study)
    _launch(home, study, actor, asked)


def _check_running(home: CentreHome) -> None:
    from federation.coordinator.admin import AdminClient

    with AdminClient(home.folder) as admin:
        admin.status()


def _launch(home: CentreHome, study: Study, actor: str, asked: Asked | None) -> None:
    with Queueing(home, actor=actor) as queue:
        queue.launch(study.id, asked or Asked())


def _enter(home: CentreHome, study: str, *, actor: Actor) -> dict[str, str]:
    """Enter results in records whose plan was logged since; return their states by id."""
    return dict(running.enter_later(home, StudyId(study), by=actor).records)


class evaluate:  # noqa: N801
    """`trifed evaluate`, and the arithmetic below it for sums that are there already."""

    Wanted = planning.Wanted
    People = submitting.People

    plan = staticmethod(planning.plan_study)
    write_plan = staticmethod(plan_file.write_plan)
    read_plan = staticmethod(plan_file.read_plan)
    run = staticmethod(_run)
    show = staticmethod(showing.show_evaluation)
    figures = staticmethod(showing.write_figures)
    enter = staticmethod(_enter)
    assess = staticmethod(assess)
    facts = staticmethod(facts_of)
    decide = staticmethod(decide)


class fit:  # noqa: N801
    """`trifed impact fit`; a result is what its run's record says, and its document."""

    Wanted = _outcomes.Wanted

    plan = staticmethod(_outcomes.plan_study)
    write_plan = staticmethod(_outcome_file.write_plan)
    read_plan = staticmethod(_outcome_file.read_plan)
    run = staticmethod(_run_fit)
    show = staticmethod(_outcomes_out.shown)
    name = staticmethod(_outcomes_in.name_in_study)


class impact:  # noqa: N801
    """`trifed impact`, in the order of a study; outcomes over hospitals are `impact.fit`."""

    fit = fit
    new = staticmethod(_impact.new_study)
    protocol = staticmethod(_impact.write_protocol)
    read_design = staticmethod(read_design)
    power = staticmethod(power_table)
    log_plan = staticmethod(_impact.log_plan)
    measures = staticmethod(catalogue)
    sum_key = staticmethod(_seals.new_sum_key)
    read_sealing = staticmethod(_seals.read_sealing)
    tabulate = staticmethod(tabulate)
    make_table = staticmethod(make_table)
    freeze = staticmethod(_impact.freeze)
    analyse = staticmethod(_impact.analyse_study)
    cea = staticmethod(_economics.cost_effectiveness)
    bia = staticmethod(_economics.budget_impact)
    figures = staticmethod(_economics.figures)
    write_out = staticmethod(_economics.write_out)
    conclude = staticmethod(_impact.conclude)
    report = staticmethod(_impact.report_of)
    show = staticmethod(_impact.show_study)
    move = staticmethod(_impact.move_study)


class dossier:  # noqa: N801
    """`trifed dossier`."""

    Decision = _dossier.Decision
    Device = _dossier.Device
    Document = _dossier.Document

    open = staticmethod(_dossier.open_dossier)
    status = staticmethod(_dossier.status)
    report = staticmethod(_dossier.report_of)
    attach = staticmethod(_dossier.attach)
    attach_all = staticmethod(_dossier.attach_all)
    decide = staticmethod(_dossier.decide)
    bundle = staticmethod(_dossier.bundle)
    file = staticmethod(_dossier.file_document)
    confirm = staticmethod(_dossier.confirm_document)
    submission = staticmethod(_dossier.note_submission)
    licence = staticmethod(_dossier.note_licence)
    change = staticmethod(_dossier.classify_change)


class reimbursement:  # noqa: N801
    """`trifed reimbursement`."""

    Indication = _reimbursement.Indication
    Report = _reimbursement.Report
    Terms = _reimbursement.Terms

    open = staticmethod(_reimbursement.apply)
    show = staticmethod(_reimbursement.show_payment)
    move = staticmethod(_reimbursement.move_payment)
    assess = staticmethod(_reimbursement.note_assessment)
    reassess = staticmethod(_reimbursement.note_reassessment)
    terms = staticmethod(_reimbursement.set_terms)
    evidence = staticmethod(_reimbursement.add_evidence)
    restrict = staticmethod(_reimbursement.restrict)


__all__ = [
    "Actor",
    "dossier",
    "evaluate",
    "impact",
    "open_centre",
    "open_desk",
    "reimbursement",
]
