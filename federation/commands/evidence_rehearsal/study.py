"""A small impact study in the register, from protocol to report, with invented numbers.

The order is that of a real one: protocol, ethics and registration; the digests of analysis
plan and economic model in the log before anybody looks; tables frozen, data locked; then
analysis, costs and report. The figures and files lie in a folder for people to look at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from federation.commands.evidence_rehearsal.invented import tables
from federation.commands.evidence_rehearsal.people import (
    APPROVER,
    COMMITTEE,
    ETHICS,
    LEAD,
    STATISTICIAN,
)
from federation.commands.evidence_rehearsal.protocol import (
    economics_of,
    protocol_of,
)
from federation.evidence.canonical import canonical
from federation.impact.analysis import Result
from federation.impact.plan import read_plan
from federation.operations import impact
from federation.operations.embedded_registry import RecordDesk
from federation.operations.impact_economics import (
    CostEffectiveness,
    cost_effectiveness,
    write_out,
)
from federation.settings import language
from federation.storage import write_atomic

STUDY = "pneumonia-impact-demo"
DESIGN = "stepped-wedge"
REASON = "demo"
HARMS = {"none: no patient took part": 0}


@dataclass(frozen=True, slots=True)
class Studied:
    """What came of it; `costs` is None where the evaluation could not show its counts."""

    id: str
    state: str
    results: tuple[Result, ...]
    costs: CostEffectiveness | None
    folder: Path
    figures: tuple[Path, ...]
    report: Path

    def as_json(self) -> dict[str, object]:
        """Return the study for machines."""
        return {
            "id": self.id,
            "state": self.state,
            "invented": True,
            "results": [one.as_json() for one in self.results],
            "costs": None if self.costs is None else _costs_json(self.costs),
            "figures": [str(path) for path in self.figures],
            "report": str(self.report),
        }


def study_impact(
    desk: RecordDesk,
    entry: str,
    *,
    sites: Sequence[str],
    evaluation: str | None,
    folder: Path,
    now: datetime,
) -> Studied:
    """Take a study of a version through the register.

    Parameters
    ----------
    evaluation
        The record with the counts at the operating point; None leaves the costs out.

    Raises
    ------
    PlatformError
        What the register, the tables or the model refused with.
    """
    impact.new_study(desk, STUDY, entry, design=DESIGN, sites=sites, folder=folder, actor=LEAD)
    plan = (folder / "plan.toml").read_bytes()
    model = _model(folder, evaluation)
    _begin(desk, folder, plan, model, sites=len(sites), now=now)
    given = tables(sites, read_plan(plan))
    _write_tables(folder, given)
    impact.freeze(desk, STUDY, plan, given, actor=LEAD)
    impact.move_study(desk, STUDY, "I4", actor=LEAD, reason=REASON)
    results = impact.analyse_study(desk, STUDY, plan, given, actor=STATISTICIAN).results
    costs = None if model is None else cost_effectiveness(desk, STUDY, model, actor=STATISTICIAN)
    state = _report(desk, folder, results, costs)
    written = () if costs is None else write_out(costs, folder)
    figures = tuple(path for path in written if path.suffix == ".svg")
    page = folder / "report.html"
    write_atomic(page, impact.report_of(desk, STUDY, language()), mode=0o644)
    return Studied(STUDY, state, results, costs, folder, figures, page)


def _begin(
    desk: RecordDesk,
    folder: Path,
    plan: bytes,
    model: bytes | None,
    *,
    sites: int,
    now: datetime,
) -> None:
    """Fill in the protocol, log plan and model, and let ethics and committee have their say."""
    file = folder / "protocol.toml"
    protocol = protocol_of(file.read_bytes(), sites=sites, now=now)
    write_atomic(file, protocol, mode=0o644)
    impact.write_protocol(desk, STUDY, protocol, folder=folder, actor=LEAD)
    impact.log_plan(desk, STUDY, plan, actor=LEAD, model=model)
    for number, actor in (("I1", LEAD), ("I2", ETHICS), ("I3", LEAD), ("I3", COMMITTEE)):
        impact.move_study(desk, STUDY, number, actor=actor, reason=REASON)


def _report(
    desk: RecordDesk,
    folder: Path,
    results: Sequence[Result],
    costs: CostEffectiveness | None,
) -> str:
    """Fix the report by its digest and have it signed; return the study's state."""
    impact.move_study(desk, STUDY, "I5", actor=STATISTICIAN, reason=REASON)
    report = canonical(
        {
            "study": STUDY,
            "invented": True,
            "results": [one.as_json() for one in results],
            "economics": None if costs is None else costs.digest,
        }
    )
    write_atomic(folder / "report.json", report, mode=0o644)
    impact.conclude(desk, STUDY, report=report, harms=HARMS, actor=LEAD)
    impact.move_study(desk, STUDY, "I6", actor=LEAD, reason=REASON)
    return impact.move_study(desk, STUDY, "I6", actor=APPROVER, reason=REASON).record.state


def _model(folder: Path, evaluation: str | None) -> bytes | None:
    file = folder / "economics.toml"
    if evaluation is None:
        return None
    model = economics_of(file.read_bytes(), evaluation)
    write_atomic(file, model, mode=0o644)
    return model


def _write_tables(folder: Path, given: dict[str, bytes]) -> None:
    (folder / "tables").mkdir()
    for site, content in given.items():
        write_atomic(folder / "tables" / f"{site}.csv", content, mode=0o644)


def _costs_json(costs: CostEffectiveness) -> dict[str, object]:
    found = costs.analysis
    return {
        "document": costs.digest,
        "evaluations": list(found.model.evaluations.values()),
        "strategies": [one.as_json() for one in found.mean_case],
    }
