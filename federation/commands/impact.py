"""`trifed impact`: studies of what a version changes, and what it costs and is worth.

The order of a study: new, protocol, move I1-I2, log-plan, move I3, (at the hospitals)
tabulate, freeze, move I4, analyse, cea, move I5, conclude, move I6.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands import impact_economics, impact_fit, impact_tables
from federation.commands.acting import (
    STANDS,
    Acting,
    Reason,
    ReportFile,
    acts,
    say_following,
    say_kept,
    say_moved,
    write_report,
)
from federation.commands.homes import AtCentre
from federation.commands.impact_tables import PlanFile
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
NEEDED_ALONE = Text(
    en="{needed} {unit} reach a power of {wanted}.", zh="{unit} {needed} 可達檢定力 {wanted}。"
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

app = typer.Typer(help=t(HELP), no_args_is_help=True)

Study = Annotated[str, typer.Argument(metavar="STUDY", help=help_text("study", "研究編號"))]
Tables = Annotated[
    list[str],
    typer.Option("--table", help=help_text("SITE=FILE, one for each site", "院所=檔案,每院一份")),
]


@app.command(help=t(NEW))
@acts("IMP-P")
def new(
    acting: Acting,
    study: Study,
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help=help_text("version", "模型版本"))],
    design: Annotated[str, typer.Option(help=help_text("design", "研究設計"))],
    site: Annotated[list[str], typer.Option(help=help_text("site, repeated", "院所,可重複"))],
    out: Annotated[Path, typer.Option("--out", "-o", help=help_text("folder", "輸出資料夾"))],
    measure: Annotated[
        list[str] | None,
        typer.Option(
            help=help_text(
                "of the catalogue, the primary first; see trifed impact measures",
                "目錄中的指標,主要指標列第一;見 trifed impact measures",
            )
        ),
    ] = None,
) -> None:
    """Write templates and the draft record."""
    from federation.operations.impact import new_study

    made = new_study(
        acting.desk,
        study,
        entry,
        design=design,
        sites=site,
        folder=out,
        measures=measure or (),
        actor=acting.actor,
    )
    if acting.as_json:
        say_kept(made.record, as_json=True, files=[str(path) for path in made.files])
        return
    say(MADE, count=len(made.files), folder=out, study=study)


@app.command(help=t(PROTOCOL))
@acts("IMP-P")
def protocol(
    acting: Acting,
    study: Study,
    file: Annotated[Path, typer.Argument(help=help_text("protocol.toml", "protocol.toml"))],
) -> None:
    """Write a protocol into the record."""
    from federation.operations.impact import write_protocol

    kept = write_protocol(
        acting.desk,
        study,
        read_file(file),
        folder=file.parent,
        actor=acting.actor,
    )
    say_kept(kept, as_json=acting.as_json)


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
@acts("IMP-P")
def log_plan(
    acting: Acting,
    study: Study,
    plan: PlanFile,
    model: Annotated[
        Path | None, typer.Option(help=help_text("economic model", "經濟模型"))
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help=help_text("of its draws", "抽樣種子"))] = 1,
) -> None:
    """Log the plan before anybody looks."""
    from federation.operations import impact as operations

    kept = operations.log_plan(
        acting.desk,
        study,
        read_file(plan),
        actor=acting.actor,
        model=read_file(model) if model else None,
        seed=seed,
    )
    say_kept(kept, as_json=acting.as_json, sap_hash=kept.body["sap_hash"])


app.command("measures", help=t(impact_tables.MEASURES))(impact_tables.measures)
app.command("sum-key", help=t(impact_tables.SUM_KEY))(impact_tables.sum_key)
app.command("tabulate", help=t(impact_tables.TABULATE))(impact_tables.tabulate)


@app.command(help=t(FREEZE))
@acts("IMP-P")
def freeze(
    acting: Acting,
    study: Study,
    plan: PlanFile,
    table: Tables,
) -> None:
    """Fix the tables before the lock."""
    from federation.operations import impact as operations

    cut = operations.freeze(
        acting.desk,
        study,
        read_file(plan),
        _tables(table),
        actor=acting.actor,
    )
    if acting.as_json:
        say_kept(cut.record, as_json=True, digest=cut.digest, patients=cut.patients)
        return
    patients = t(FEW) if cut.patients is None else cut.patients
    say(FROZEN, digest=cut.digest, patients=patients, study=study)


@app.command(help=t(ANALYSE))
@acts("IMP-S")
def analyse(
    acting: Acting,
    study: Study,
    plan: PlanFile,
    table: Tables,
) -> None:
    """Analyse as planned."""
    from federation.operations import impact as operations

    found = operations.analyse_study(
        acting.desk,
        study,
        read_file(plan),
        _tables(table),
        actor=acting.actor,
    )
    if acting.as_json:
        emit(found.as_json())
        return
    for one in found.results:
        _say_result(one)
    say_kept(found.record, as_json=False)


app.add_typer(impact_fit.app, name="fit")
app.command("cea", help=t(impact_economics.CEA))(impact_economics.cea)
app.command("bia", help=t(impact_economics.BIA))(impact_economics.bia)


@app.command(help=t(CONCLUDE))
@acts("IMP-P")
def conclude(
    acting: Acting,
    study: Study,
    report: Annotated[Path, typer.Argument(metavar="REPORT", help=help_text("file", "報告檔"))],
    harm: Annotated[
        list[str],
        typer.Option(help=help_text("KIND=PATIENTS, few for 1 to 9", "種類=人數,1 至 9 人填 few")),
    ],
) -> None:
    """Write report and harms into the record."""
    from federation.operations import impact as operations

    kept = operations.conclude(
        acting.desk,
        study,
        report=read_file(report),
        harms=_harms(harm),
        actor=acting.actor,
    )
    say_kept(kept, as_json=acting.as_json)


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
@acts()
def move(
    acting: Acting,
    study: Study,
    number: Annotated[str, typer.Argument(metavar="MOVE", help=help_text("I1 to I7", "I1 至 I7"))],
    reason: Reason,
) -> None:
    """Make a move of a study; with signatures missing, this one is kept."""
    from federation.operations.impact import move_study

    say_moved(
        move_study(acting.desk, study, number, actor=acting.actor, reason=reason),
        as_json=acting.as_json,
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
    told = {"needed": found.needed, "unit": unit, "wanted": found.design.wanted}
    if found.people is None:
        say(NEEDED_ALONE, **told)
        return
    say(NEEDED, people=found.people, **told)


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

    from federation.domain.toml_text import parse_toml

    lines = []
    for one in given:
        name, value = _parted(one, field="--set", expected="name=value")
        try:
            parse_toml(f"{name} = {value}".encode())
        except ValueError:
            value = json.dumps(value)
        lines.append(f"{name} = {value}")
    return ("\n" + "\n".join(lines)).encode() if lines else b""


def _tables(given: list[str]) -> dict[str, bytes]:
    from federation.errors.freezing import TableTwiceError

    parted = [_parted(one, field="--table", expected="SITE=FILE") for one in given]
    sites = [site for site, _ in parted]
    twice = sorted({site[:60] for site in sites if sites.count(site) > 1})
    if twice:
        raise TableTwiceError(sites=", ".join(twice))
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
