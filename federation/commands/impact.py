"""`trifed impact`: studies of what a version changes, and what it costs and is worth.

The order of a study: new, protocol, move I1-I2, log-plan, move I3, (at the hospitals)
tabulate, freeze, move I4, analyse, cea, move I5, conclude, move I6.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands import impact_economics
from federation.commands.acting import (
    STANDS,
    House,
    InRole,
    Person,
    Reason,
    ReportFile,
    actor,
    say_following,
    say_kept,
    say_moved,
    write_report,
)
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.impact.analysis import Result
    from federation.impact.design import PowerTable

HELP = Text(
    en="Impact studies: plan, power, analyse, cost-effectiveness, budget impact.",
    zh="影響性研究:計畫、檢定力、分析、成本效益、財務影響。",
)
NEW = Text(
    en="Write a study's templates, and its record as a draft protocol.",
    zh="產生研究範本,並登錄計畫書草稿。",
)
PROTOCOL = Text(en="Write a filled-in protocol into the record.", zh="將填妥的計畫書寫入紀錄。")
POWER = Text(en="Show a design's power by size.", zh="顯示設計於各樣本數下的檢定力。")
LOG_PLAN = Text(
    en="Log the digest of the analysis plan (and of the economic model) before the lock.",
    zh="於資料鎖定前登錄分析計畫(與經濟模型)的摘要。",
)
TABULATE = Text(
    en="At a hospital: make the table that may leave from a file of cases.",
    zh="院端:由個案檔產生可送出的彙總表。",
)
FREEZE = Text(en="Fix the hospitals' tables by their digest.", zh="以摘要凍結各院資料表。")
ANALYSE = Text(
    en="Analyse the frozen tables by the logged plan, and write the results.",
    zh="依登錄的計畫分析凍結的資料表並寫入結果。",
)
CONCLUDE = Text(en="Write report and harms into the record.", zh="將報告與危害寫入紀錄。")
REPORT = Text(
    en="Write the report by its checklists (CONSORT-AI, DECIDE-AI, CHEERS-AI).",
    zh="依檢核表產生報告(CONSORT-AI、DECIDE-AI、CHEERS-AI)。",
)
SHOW = Text(en="Show a study and what comes next.", zh="顯示研究現況與下一步。")
MOVE = Text(en="Make a move, or sign for it.", zh="執行移轉或簽署。")

MADE = Text(
    en="Wrote {count} files to {folder}. Fill in protocol.toml, then: "
    "trifed impact protocol {study} {folder}/protocol.toml",
    zh="已寫入 {count} 個檔案至 {folder}。請填寫 protocol.toml,再執行:"
    "trifed impact protocol {study} {folder}/protocol.toml",
)
POWER_ROW = Text(en="{size:>10}  {power:.4f}", zh="{size:>10}  {power:.4f}")
POWER_HEAD = Text(en="{unit:>10}  power", zh="{unit:>10}  檢定力")
NEEDED = Text(
    en="{needed} {unit} reach a power of {wanted} ({people} people in all).",
    zh="{unit} {needed} 可達檢定力 {wanted}(共 {people} 人)。",
)
UNREACHED = Text(
    en="No size reaches a power of {wanted}; there is no effect to see.",
    zh="任何人數皆無法達到檢定力 {wanted};假設中沒有可偵測的效果。",
)
FROZEN = Text(
    en="Frozen: {digest}, {patients} people. Next: trifed impact move {study} I4",
    zh="已凍結:{digest},{patients} 人。下一步:trifed impact move {study} I4",
)
FEW = Text(en="fewer than ten", zh="少於十")
RESULT = Text(
    en="{measure}: {estimate:.4g} ({low:.4g} to {high:.4g}), p = {p:.4g}, n = {n}; {confirmed}",
    zh="{measure}:{estimate:.4g}({low:.4g} 至 {high:.4g}),p = {p:.4g},n = {n};{confirmed}",
)
CONFIRMED = Text(en="confirmed", zh="已證實")
EXPLORATORY = Text(en="not confirmed", zh="未證實")
TABLED = Text(
    en="Wrote {path}: {cells} cells of {least} people or more. Look at it, then send it.",
    zh="已寫入 {path}:{cells} 格,每格至少 {least} 人。請檢視後送出。",
)

app = typer.Typer(help=t(HELP), no_args_is_help=True)

Study = Annotated[str, typer.Argument(metavar="STUDY", help=help_text("study", "研究編號"))]
PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help=help_text("plan.toml", "plan.toml"))]
Lead = Annotated[str, typer.Option("--role", help=help_text("in which role", "角色"))]
Tables = Annotated[
    list[str],
    typer.Option("--table", help=help_text("SITE=FILE, one for each site", "院所=檔案,每院一份")),
]


@app.command(help=t(NEW))
def new(
    study: Study,
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help=help_text("version", "模型版本"))],
    home: AtCentre,
    design: Annotated[str, typer.Option(help=help_text("design", "研究設計"))],
    site: Annotated[list[str], typer.Option(help=help_text("site, repeated", "院所,可重複"))],
    out: Annotated[Path, typer.Option("--out", "-o", help=help_text("folder", "輸出資料夾"))],
    person: Person,
    organisation: House,
    role: Lead = "IMP-P",
    json_: Json = False,
) -> None:
    """Write templates and the draft record."""
    from federation.operations.impact import new_study, open_desk

    made = new_study(
        open_desk(home),
        study,
        entry,
        design=design,
        sites=site,
        folder=out,
        actor=actor(person, organisation, role),
    )
    if json_:
        say_kept(made.record, as_json=True, files=[str(path) for path in made.files])
        return
    say(MADE, count=len(made.files), folder=out, study=study)


@app.command(help=t(PROTOCOL))
def protocol(
    study: Study,
    file: Annotated[Path, typer.Argument(help=help_text("protocol.toml", "protocol.toml"))],
    home: AtCentre,
    person: Person,
    organisation: House,
    role: Lead = "IMP-P",
    json_: Json = False,
) -> None:
    """Write a protocol into the record."""
    from federation.operations.impact import open_desk, write_protocol

    kept = write_protocol(
        open_desk(home),
        study,
        read_file(file),
        folder=file.parent,
        actor=actor(person, organisation, role),
    )
    say_kept(kept, as_json=json_)


@app.command(help=t(POWER))
def power(
    design: Annotated[
        Path | None, typer.Argument(help=help_text("design.toml", "design.toml"))
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help=help_text("name=value instead of a file", "以 名稱=值 代替檔案")
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Show power by size; needs no home."""
    from federation.impact.design import power_table, read_design

    content = read_file(design) if design else b""
    found = power_table(read_design(content + _settings(set_ or [])))
    emit(found.as_json()) if json_ else _say_power(found)


@app.command("log-plan", help=t(LOG_PLAN))
def log_plan(
    study: Study,
    plan: PlanFile,
    home: AtCentre,
    person: Person,
    organisation: House,
    role: Lead = "IMP-P",
    model: Annotated[
        Path | None, typer.Option(help=help_text("economic model", "經濟模型"))
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help=help_text("of its draws", "抽樣種子"))] = 1,
    json_: Json = False,
) -> None:
    """Log the plan before anybody looks."""
    from federation.operations import impact as operations

    kept = operations.log_plan(
        operations.open_desk(home),
        study,
        read_file(plan),
        actor=actor(person, organisation, role),
        model=read_file(model) if model else None,
        seed=seed,
    )
    say_kept(kept, as_json=json_, sap_hash=kept.body["sap_hash"])


@app.command(help=t(TABULATE))
def tabulate(
    plan: PlanFile,
    cases: Annotated[Path, typer.Argument(metavar="CASES", help=help_text("CSV", "CSV"))],
    out: Annotated[Path, typer.Option("--out", "-o", help=help_text("file", "輸出檔案"))],
    site: Annotated[str, typer.Option(help=help_text("this hospital", "本院"))],
    fhir: Annotated[
        str | None,
        typer.Option(help=help_text("as MeasureReport of START/END", "MeasureReport,期間 起/訖")),
    ] = None,
    json_: Json = False,
) -> None:
    """Make a hospital's table; nothing of a case is in it."""
    from federation.impact import tabulate as tables
    from federation.impact.measure_report import as_report
    from federation.impact.plan import read_plan
    from federation.impact.site_table import as_csv
    from federation.operations.new_files import write_new

    planned = read_plan(read_file(plan))
    rows = tables.tabulate(read_file(cases), site, planned)
    start, _, end = (fhir or "").partition("/")
    content = as_report(rows, planned, start=start, end=end) if fhir else as_csv(rows)
    (path,) = write_new(out.parent, {out.name: content})
    if json_:
        emit({"file": path, "cells": len(rows)})
        return
    say(TABLED, path=path, cells=len(rows), least=planned.least_cell)


@app.command(help=t(FREEZE))
def freeze(
    study: Study,
    plan: PlanFile,
    table: Tables,
    home: AtCentre,
    person: Person,
    organisation: House,
    role: Lead = "IMP-P",
    json_: Json = False,
) -> None:
    """Fix the tables before the lock."""
    from federation.operations import impact as operations

    cut = operations.freeze(
        operations.open_desk(home),
        study,
        read_file(plan),
        _tables(table),
        actor=actor(person, organisation, role),
    )
    if json_:
        say_kept(cut.record, as_json=True, digest=cut.digest, patients=cut.patients)
        return
    patients = t(FEW) if cut.patients is None else cut.patients
    say(FROZEN, digest=cut.digest, patients=patients, study=study)


@app.command(help=t(ANALYSE))
def analyse(
    study: Study,
    plan: PlanFile,
    table: Tables,
    home: AtCentre,
    person: Person,
    organisation: House,
    role: Lead = "IMP-S",
    json_: Json = False,
) -> None:
    """Analyse as planned."""
    from federation.operations import impact as operations

    found = operations.analyse_study(
        operations.open_desk(home),
        study,
        read_file(plan),
        _tables(table),
        actor=actor(person, organisation, role),
    )
    if json_:
        emit(found.as_json())
        return
    for one in found.results:
        _say_result(one)
    say_kept(found.record, as_json=False)


app.command("cea", help=t(impact_economics.CEA))(impact_economics.cea)
app.command("bia", help=t(impact_economics.BIA))(impact_economics.bia)


@app.command(help=t(CONCLUDE))
def conclude(
    study: Study,
    report: Annotated[Path, typer.Argument(metavar="REPORT", help=help_text("file", "報告檔"))],
    harm: Annotated[
        list[str],
        typer.Option(help=help_text("KIND=PATIENTS, few for 1 to 9", "種類=人數,1 至 9 人填 few")),
    ],
    home: AtCentre,
    person: Person,
    organisation: House,
    role: Lead = "IMP-P",
    json_: Json = False,
) -> None:
    """Write report and harms into the record."""
    from federation.operations import impact as operations

    kept = operations.conclude(
        operations.open_desk(home),
        study,
        report=read_file(report),
        harms=_harms(harm),
        actor=actor(person, organisation, role),
    )
    say_kept(kept, as_json=json_)


@app.command(help=t(REPORT))
def report(study: Study, out: ReportFile, home: AtCentre, json_: Json = False) -> None:
    """Write a study's report by its checklists."""
    from federation.operations.impact import open_desk, report_of

    write_report(partial(report_of, open_desk(home), study), out, as_json=json_)


@app.command(help=t(SHOW))
def show(study: Study, home: AtCentre, json_: Json = False) -> None:
    """Show a study, and what each following move lacks."""
    from federation.operations.impact import open_desk, show_study

    shown = show_study(open_desk(home), study)
    record = shown.record
    if json_:
        moves = [one.as_json() for one in shown.following]
        say_kept(record, as_json=True, body=dict(record.body), moves=moves)
        return
    place = {"revision": record.revision, "place": record.log_index, "at": record.at}
    say(STANDS, id=record.id, state=record.state, **place)
    say_following(shown.following)


@app.command(help=t(MOVE))
def move(
    study: Study,
    number: Annotated[str, typer.Argument(metavar="MOVE", help=help_text("I1 to I7", "I1 至 I7"))],
    home: AtCentre,
    person: Person,
    organisation: House,
    role: InRole,
    reason: Reason,
    json_: Json = False,
) -> None:
    """Make a move of a study; with signatures missing, this one is kept."""
    from federation.operations.impact import move_study, open_desk

    acting = actor(person, organisation, role)
    say_moved(
        move_study(open_desk(home), study, number, actor=acting, reason=reason), as_json=json_
    )


def _say_power(found: "PowerTable") -> None:
    from federation.impact.design import UNITS

    unit = t(UNITS[found.design.unit])
    say(POWER_HEAD, unit=unit)
    for size, power in found.rows:
        say(POWER_ROW, size=size, power=power)
    if found.needed is None:
        say(UNREACHED, wanted=found.design.wanted)
        return
    say(NEEDED, needed=found.needed, unit=unit, wanted=found.design.wanted, people=found.people)


def _say_result(one: "Result") -> None:
    say(
        RESULT,
        measure=one.measure,
        estimate=one.estimate,
        low=one.low,
        high=one.high,
        p=one.p_value,
        n=one.people,
        confirmed=t(CONFIRMED if one.confirmed else EXPLORATORY),
    )


def _settings(given: list[str]) -> bytes:
    """Return ``name=value`` options as TOML; a value that is no TOML is a text."""
    import json
    import tomllib

    lines = []
    for one in given:
        name, value = _parted(one, field="--set", expected="name=value")
        try:
            tomllib.loads(f"{name} = {value}")
        except tomllib.TOMLDecodeError:
            value = json.dumps(value)
        lines.append(f"{name} = {value}")
    return ("\n" + "\n".join(lines)).encode() if lines else b""


def _tables(given: list[str]) -> dict[str, bytes]:
    parted = [_parted(one, field="--table", expected="SITE=FILE") for one in given]
    return {site: read_file(Path(name)) for site, name in parted}


def _harms(given: list[str]) -> dict[str, int | None]:
    from federation.errors.core import InvalidValueError

    harms: dict[str, int | None] = {}
    for one in given:
        kind, count = _parted(one, field="--harm", expected="KIND=PATIENTS")
        if count != "few" and not (count.isascii() and count.isdigit() and len(count) <= 9):
            raise InvalidValueError(
                field="--harm", actual=repr(count[:20]), expected="a number of patients, or few"
            )
        harms[kind] = None if count == "few" else int(count)
    return harms


def _parted(given: str, *, field: str, expected: str) -> tuple[str, str]:
    from federation.errors.core import InvalidValueError

    name, found, value = given.rpartition("=") if field == "--harm" else given.partition("=")
    if not (name and found and value):
        raise InvalidValueError(field=field, actual=repr(given[:60]), expected=expected)
    return name, value
