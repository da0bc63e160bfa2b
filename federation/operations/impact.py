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
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from federation.coordinator.home import CentreHome
from federation.domain.cells import SMALL_CELL
from federation.domain.ids import Sha256
from federation.economics.model_file import read_given
from federation.errors.core import FileMissingError
from federation.errors.freezing import CutsTooCloseError, DataFrozenError, TableTwiceError
from federation.errors.impact_commands import (
    DataCutChangedError,
    EvidenceNotAsSignedError,
    PlanDisagreesError,
    ProtocolUnwrittenError,
    StudyStageError,
)
from federation.evidence.canonical import canonical
from federation.impact.analysis import Result, analyse
from federation.impact.gathering import Gathered, gather
from federation.impact.plan import Plan, read_plan
from federation.impact.protocol import FROZEN_FIELDS, read_protocol, templates, unwritten
from federation.impact.site_table import Row
from federation.operations import embedded_registry
from federation.operations.embedded_registry import Actor, Following, RecordDesk
from federation.operations.new_files import check_new, write_new
from federation.wording import Language

if TYPE_CHECKING:
    from registry.records.ports import StoredRecord
    from registry.records.service import Moved

NOUN = "impact-study"
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
    measures: Sequence[str] = (),
) -> NewStudy:
    """Write a study's templates into a folder, and its record as a draft protocol.

    Parameters
    ----------
    measures
        Codes of the catalogue, the primary first; the design's usual ones where none is named.

    Raises
    ------
    ProtocolFileError, MeasureUnknownError
        If there is no such design, or measure.
    FileNotWrittenError
        If a file is there already.
    PlatformError
        What the register refused with.
    """
    files = templates(study=study, entry=entry, design=design, sites=sites, measures=measures)
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
    StudyStageError, DataFrozenError
        If the data are locked, or frozen and it says otherwise than before.
    """
    said = read_protocol(content)
    left = unwritten(said)
    if left:
        raise ProtocolUnwrittenError(fields=", ".join(left))
    record = _at(desk, study, _BEFORE_LOCK)
    body = {**record.body, **_with_digests(said, _named_files(said, folder))}
    _check_frozen(record, body)
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
    StudyStageError, DataFrozenError
        If the data are locked, or frozen under another plan or model.
    """
    plan = read_plan(content)
    record = _at(desk, study, _BEFORE_LOCK)
    check_agrees(plan, record)
    body = {**record.body, "sap_hash": plan.digest}
    if model is not None:
        body["economic"] = planned_economics(model, seed=seed)
    _check_frozen(record, body)
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
    TableTwiceError
        If two sites have one table.
    CutsTooCloseError
        If the values of a few people would follow from this cut and an earlier one.
    """
    record = _at(desk, study, (_RUNNING,))
    plan = _logged_plan(content, record)
    digest, people = cut_digest(tables), _people(_gathered(record, plan, tables), plan)
    _check_cuts_apart(record, people, digest, least=plan.least_cell)
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
    found = _gathered(record, plan, tables)
    results = analyse(plan, found.rows, found.readings)
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


def _check_frozen(record: "StoredRecord", body: Mapping[str, object]) -> None:
    """Raise `DataFrozenError` if a revision would change what the frozen data rest on."""
    if not (record.body.get("data_cuts") or record.body.get("outcomes")):
        return
    fixed = {name: record.body.get(name) for name in (*FROZEN_FIELDS, "sap_hash")}
    changed = [
        name for name, value in fixed.items() if canonical(value) != canonical(body.get(name))
    ]
    if _modelled(record.body) not in (None, _modelled(body)):
        changed.append("economic")
    if changed:
        raise DataFrozenError(study=record.id, fields=", ".join(changed))


def _modelled(body: Mapping[str, object]) -> tuple[object, object] | None:
    """Return the digest of the economic model that is logged and its seed."""
    part = body.get("economic")
    return (part.get("model"), part.get("psa_seed")) if isinstance(part, Mapping) else None


def _check_cuts_apart(
    record: "StoredRecord", people: int | None, digest: Sha256, *, least: int
) -> None:
    """Raise `CutsTooCloseError` if a cut and an earlier one differ by fewer people than a cell."""
    for cut in _list(record.body.get("data_cuts")):
        if _field(cut, "digest") == digest:
            continue
        earlier = _field(cut, "patients")
        known = isinstance(earlier, int) and people is not None
        if not known or 0 < abs(int(str(earlier)) - int(str(people))) < max(least, SMALL_CELL):
            raise CutsTooCloseError(study=record.id, least=max(least, SMALL_CELL))


def _gathered(record: "StoredRecord", plan: Plan, tables: Mapping[str, bytes]) -> Gathered:
    """Return what the tables of every site say, one table a site and no two the same."""
    if sorted(tables) != sorted(map(str, _list(record.body.get("sites")))):
        raise PlanDisagreesError(study=record.id, fields="sites")
    found = gather(tables, plan)
    _check_files_differ(tables)
    _check_tables_differ({site: [row for row in found.rows if row.site == site] for site in tables})
    return found


def _check_files_differ(tables: Mapping[str, bytes]) -> None:
    """Raise `TableTwiceError` if two sites have the same file."""
    seen: dict[Sha256, str] = {}
    for site, content in sorted(tables.items()):
        other = seen.setdefault(Sha256.of(content), site)
        if other != site:
            raise TableTwiceError(sites=f"{other}, {site}")


def _check_tables_differ(rows: Mapping[str, Sequence[Row]]) -> None:
    """Raise `TableTwiceError` if two sites have the same cells, in whatever file and order."""
    seen: dict[frozenset[Row], str] = {}
    for site, own in rows.items():
        cells = frozenset(replace(row, site="") for row in own if row.count)
        if cells and cells in seen:
            raise TableTwiceError(sites=f"{seen[cells]}, {site}")
        seen[cells] = site


def _people(found: Gathered, plan: Plan) -> int | None:
    """Return how many people the first primary measure was taken of, None if few."""
    people = found.people(plan.measures[0].id)
    return None if 0 < people < SMALL_CELL else people


def _as_result(found: Result, plan: Plan) -> dict[str, object]:
    """Return a result as the record keeps it."""
    arms = {"arms": [one.as_json() for one in found.arms]} if found.arms else {}
    series = {"series": found.series.as_json()} if found.series else {}
    return {
        **arms,
        **series,
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
