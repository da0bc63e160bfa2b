"""Impact studies, from protocol to report: what `trifed impact` and notebooks call.

    desk = open_desk(home)
    made = new_study(desk, "study-1", entry, design="stepped-wedge", sites=..., folder=..., ...)
    write_protocol(desk, "study-1", content, folder=..., actor=lead)
    log_plan(desk, "study-1", plan, actor=lead)                    # before anybody looks
    freeze(desk, "study-1", plan, tables, actor=lead)
    analyse_study(desk, "study-1", plan, tables, actor=statistician)
    conclude(desk, "study-1", report=..., harms=..., actor=lead)

Moves between them (ethics, registration, start, lock, ...) are `move`'s. A study's rules are
the register's (`registry.impact`); here is what happens before something is written.
Costs: `impact_economics.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256
from federation.economics.model_file import read_given
from federation.errors.core import FileMissingError
from federation.errors.impact_commands import (
    DataCutChangedError,
    EvidenceNotAsSignedError,
    PlanDisagreesError,
    ProtocolUnwrittenError,
    StudyStageError,
)
from federation.evidence.canonical import canonical
from federation.impact.analysis import Result, analyse
from federation.impact.measure_report import read_report
from federation.impact.plan import Plan, read_plan
from federation.impact.protocol import read_protocol, templates, unwritten
from federation.impact.site_table import Row, read_table
from federation.operations import embedded_registry
from federation.operations.embedded_registry import Actor, Following, RecordDesk
from federation.operations.new_files import check_new, write_new
from federation.wording import Language

if TYPE_CHECKING:
    from registry.records.ports import StoredRecord
    from registry.records.service import Moved

NOUN = "impact-study"
SMALL = 10
_DRAFT, _RUNNING, _LOCKED, _ANALYSED = "protocol", "running", "locked", "analysed"
_BEFORE_LOCK = (_DRAFT, "irb", "registered", _RUNNING)


def open_desk(home: Path) -> RecordDesk:
    """Return the records of the register in a centre's home.

    Raises
    ------
    HomeMissingError
        If the folder is no centre's home.
    """
    return embedded_registry.desk(CentreHome.open(home))


@dataclass(frozen=True, slots=True)
class NewStudy:
    """The record that was written, and the files to fill in."""

    record: "StoredRecord"
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """What was frozen: its content id, and how many people (None from one to nine)."""

    record: "StoredRecord"
    digest: Sha256
    patients: int | None


@dataclass(frozen=True, slots=True)
class Analysed:
    """The results in the plan's order, and the record that now has them."""

    record: "StoredRecord"
    results: tuple[Result, ...]

    def as_json(self) -> dict[str, object]:
        """Return the results as JSON."""
        return {
            "study": self.record.id,
            "revision": self.record.revision,
            "log_index": self.record.log_index,
            "results": [one.as_json() for one in self.results],
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """A study as it stands, and what may follow."""

    record: "StoredRecord"
    following: tuple[Following, ...]


def new_study(
    desk: RecordDesk,
    study: str,
    entry: str,
    *,
    design: str,
    sites: Sequence[str],
    folder: Path,
    actor: Actor,
) -> NewStudy:
    """Write a study's templates into a folder, and its record as a draft protocol.

    Raises
    ------
    ProtocolFileError
        If there is no such design.
    FileNotWrittenError
        If a file is there already.
    PlatformError
        What the register refused with.
    """
    files = templates(study=study, entry=entry, design=design, sites=sites)
    check_new(folder, files)
    body = _with_digests(read_protocol(files["protocol.toml"]), files)
    record = desk.put(NOUN, study, body, actor, revision=0, reason="new study")
    return NewStudy(record, write_new(folder, files))


def write_protocol(
    desk: RecordDesk, study: str, content: bytes, *, folder: Path, actor: Actor
) -> "StoredRecord":
    """Write a protocol into its study's record; what came later in it stays.

    Parameters
    ----------
    folder
        Where the files lie that its checklists name.

    Raises
    ------
    ProtocolFileError, FileMissingError
        If the file, or one that it names, cannot be used.
    ProtocolUnwrittenError
        If words of the template are left; all places are named.
    StudyStageError
        If the data are locked.
    """
    said = read_protocol(content)
    left = unwritten(said)
    if left:
        raise ProtocolUnwrittenError(fields=", ".join(left))
    record = _at(desk, study, _BEFORE_LOCK)
    body = {**record.body, **_with_digests(said, _named_files(said, folder))}
    return desk.put(NOUN, study, body, actor, revision=record.revision, reason="protocol")


def log_plan(
    desk: RecordDesk,
    study: str,
    content: bytes,
    *,
    actor: Actor,
    model: bytes | None = None,
    seed: int = 1,
) -> "StoredRecord":
    """Write the digest of the analysis plan, and of the economic model, into the record.

    Raises
    ------
    ProtocolFileError, ModelFileError
        If a file cannot be read.
    PlanDisagreesError
        If plan and protocol say different things; all of them are named.
    StudyStageError
        If the data are locked.
    """
    plan = read_plan(content)
    record = _at(desk, study, _BEFORE_LOCK)
    check_agrees(plan, record)
    body = {**record.body, "sap_hash": plan.digest}
    if model is not None:
        body["economic"] = planned_economics(model, seed=seed)
    return desk.put(NOUN, study, body, actor, revision=record.revision, reason="analysis plan")


def planned_economics(content: bytes, *, seed: int) -> dict[str, object]:
    """Return the economic part of a record before anything is computed.

    Parameters
    ----------
    seed
        Of the draws; fixed with the model, so that nobody looks for a better one.

    Raises
    ------
    ModelFileError
        If the model cannot be read.
    """
    given = read_given(content)
    horizon = given.horizon
    return {
        "perspective": given.perspective,
        "horizon_years": horizon.cycles * horizon.cycle_years,
        "discount": horizon.cost_rate,
        "threshold_twd": given.thresholds[0],
        "model": given.digest,
        "psa_seed": seed,
        "evaluations": [one.evaluation for one in given.strategies if one.evaluation],
    }


def freeze(
    desk: RecordDesk,
    study: str,
    content: bytes,
    tables: Mapping[str, bytes],
    *,
    actor: Actor,
) -> Cut:
    """Write the content id of all hospitals' tables into the record, before the lock.

    Parameters
    ----------
    content
        The analysis plan, which must be the logged one.
    tables
        The file of each site of the study, CSV or FHIR.

    Raises
    ------
    PlanNotLoggedError, PlanChangedError
        If no plan was logged, or another one.
    TableInvalidError, TableTooSmallError
        If a table cannot be used.
    PlanDisagreesError
        If a site of the study has no table, or another one has.
    """
    record = _at(desk, study, (_RUNNING,))
    plan = _logged_plan(content, record)
    rows = _rows(record, plan, tables)
    digest, people = cut_digest(tables), _people(rows, plan)
    cut = {
        "at": desk.records.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "digest": digest,
        "patients": people,
    }
    body = {**record.body, "data_cuts": [*_list(record.body.get("data_cuts")), cut]}
    kept = desk.put(NOUN, study, body, actor, revision=record.revision, reason="data cut")
    return Cut(kept, digest, people)


def analyse_study(
    desk: RecordDesk,
    study: str,
    content: bytes,
    tables: Mapping[str, bytes],
    *,
    actor: Actor,
) -> Analysed:
    """Analyse the frozen tables by the logged plan; write the results into the record.

    Raises
    ------
    StudyStageError
        If the data are not locked.
    PlanNotLoggedError, PlanChangedError
        If the plan is not the one that was logged before the lock.
    DataCutChangedError
        If the tables are not those that were frozen before the lock.
    PlatformError
        What the tables, the analysis or the register refused with.
    """
    record = _at(desk, study, (_LOCKED,))
    plan = _logged_plan(content, locked_revision(desk, study))
    plan.check_logged(_text(record.body.get("sap_hash")))
    _check_cut(record, tables)
    results = analyse(plan, _rows(record, plan, tables))
    body = {**record.body, "results": [_as_result(one, plan) for one in results]}
    kept = desk.put(NOUN, study, body, actor, revision=record.revision, reason="results")
    return Analysed(kept, results)


def conclude(
    desk: RecordDesk,
    study: str,
    *,
    report: bytes,
    harms: Mapping[str, int | None],
    actor: Actor,
) -> "StoredRecord":
    """Write the report's digest and the harms into the record, so that it can be reported.

    Parameters
    ----------
    harms
        How many patients had which kind; None from one to nine. At least one line, also
        where there was none: ``{"none observed": 0}``.

    Raises
    ------
    StudyStageError
        If it is not analysed.
    """
    record = _at(desk, study, (_ANALYSED,))
    told = [{"kind": kind, "patients": count} for kind, count in harms.items()]
    body = {**record.body, "report": Sha256.of(report), "harms": told}
    return desk.put(NOUN, study, body, actor, revision=record.revision, reason="report")


def report_of(desk: RecordDesk, study: str, language: Language, *, pdf: bool = False) -> bytes:
    """Return a study's report by its checklists, as HTML or A4 PDF.

    Raises
    ------
    EvidenceNotAsSignedError
        If the record is not what the register signed of it.
    PlatformError
        If its economics cannot be read, or PDF cannot be made here.
    """
    record = desk.get(NOUN, study)
    if not desk.is_signed(record):
        raise EvidenceNotAsSignedError(evidence=f"{NOUN}/{study}")
    html = desk.study_report(record, language)
    return desk.pdf(html) if pdf else html.encode()


def show_study(desk: RecordDesk, study: str) -> Shown:
    """Return a study and what may follow, with what each move lacks."""
    return Shown(desk.get(NOUN, study), desk.following(NOUN, study))


def move_study(desk: RecordDesk, study: str, number: str, *, actor: Actor, reason: str) -> "Moved":
    """Make a move of a study, or give one of its signatures."""
    seen = desk.get(NOUN, study).revision
    return desk.move(NOUN, study, number, actor, reason=reason, revision=seen)


def cut_digest(tables: Mapping[str, bytes]) -> Sha256:
    """Return the content id of all hospitals' tables: of each file's digest by site."""
    return Sha256.of(canonical({site: Sha256.of(tables[site]) for site in sorted(tables)}))


def check_agrees(plan: Plan, record: "StoredRecord") -> None:
    """Return if a plan says what the study's record says.

    Raises
    ------
    PlanDisagreesError
        Naming every field in which they differ.
    """
    body = record.body
    planned = {
        "study": (plan.study, record.id),
        "design": (plan.design, body.get("design")),
        "measures": (
            [(one.id, one.role, one.unit, one.better) for one in plan.measures],
            [_measure(one) for one in _list(body.get("measures"))],
        ),
        "alpha": (plan.alpha, _field(body.get("sample_size"), "alpha")),
    }
    differ = [name for name, (said, recorded) in planned.items() if said != recorded]
    if differ:
        raise PlanDisagreesError(study=record.id, fields=", ".join(differ))


def locked_revision(desk: RecordDesk, study: str) -> "StoredRecord":
    """Return the revision at which the data were locked.

    Raises
    ------
    StudyStageError
        If they never were.
    """
    history = desk.history(NOUN, study)
    for record in history:
        if record.action == "I4":
            return record
    raise StudyStageError(study=study, state=history[-1].state, wanted=_LOCKED)


def _logged_plan(content: bytes, record: "StoredRecord") -> Plan:
    plan = read_plan(content)
    plan.check_logged(_text(record.body.get("sap_hash")))
    check_agrees(plan, record)
    return plan


def _check_cut(record: "StoredRecord", tables: Mapping[str, bytes]) -> None:
    cuts = _list(record.body.get("data_cuts"))
    frozen, found = str(_field(cuts[-1], "digest")) if cuts else "", cut_digest(tables)
    if found != frozen:
        raise DataCutChangedError(study=record.id, found=found, frozen=frozen)


def _rows(record: "StoredRecord", plan: Plan, tables: Mapping[str, bytes]) -> list[Row]:
    """Return the rows of every site's table, in the order of the sites' names."""
    if sorted(tables) != sorted(map(str, _list(record.body.get("sites")))):
        raise PlanDisagreesError(study=record.id, fields="sites")
    return [row for site in sorted(tables) for row in _table(tables[site], site, plan)]


def _table(content: bytes, site: str, plan: Plan) -> tuple[Row, ...]:
    is_json = content.lstrip()[:1] == b"{"
    return read_report(content, site, plan) if is_json else read_table(content, site, plan)


def _people(rows: Sequence[Row], plan: Plan) -> int | None:
    """Return how many people the first primary measure was taken of, None if few."""
    first = plan.measures[0].id
    people = sum(row.count for row in rows if row.measure == first)
    return None if 0 < people < SMALL else people


def _as_result(found: Result, plan: Plan) -> dict[str, object]:
    """Return a result as the record keeps it."""
    return {
        "measure": found.measure,
        "plan": plan.digest,
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "method": found.method,
        "n": found.people,
        "p_value": found.p_value,
        "confirmed": found.confirmed,
    }


def _at(desk: RecordDesk, study: str, wanted: Sequence[str]) -> "StoredRecord":
    record = desk.get(NOUN, study)
    if record.state not in wanted:
        raise StudyStageError(study=study, state=record.state, wanted=" / ".join(wanted))
    return record


def _with_digests(body: Mapping[str, object], files: Mapping[str, bytes]) -> dict[str, object]:
    """Return a protocol in which each checklist is named by its content."""
    lists = body.get("checklists")
    if not isinstance(lists, dict):
        return dict(body)
    named = {name: _digest_of(str(value), files) for name, value in lists.items()}
    return {**body, "checklists": named}


def _digest_of(value: str, files: Mapping[str, bytes]) -> str:
    return Sha256.of(files[value]) if value in files else value


def _named_files(body: Mapping[str, object], folder: Path) -> dict[str, bytes]:
    """Return the files that a protocol's checklists name, by their names."""
    lists = body.get("checklists")
    names = [str(one) for one in lists.values()] if isinstance(lists, dict) else []
    return {name: _read(folder, name) for name in names if not name.startswith("sha256:")}


def _read(folder: Path, name: str) -> bytes:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise FileMissingError(file=path.name, why="outside the protocol's folder")
    try:
        return path.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileMissingError(file=path.name, why=why) from error


def _measure(one: object) -> tuple[object, ...]:
    return tuple(_field(one, name) for name in ("id", "role", "unit", "better"))


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else None


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
