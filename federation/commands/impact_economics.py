"""`trifed impact cea|bia`: what a version is worth, and what introducing it costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.acting import actor
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.economics.frontier import Ranked
    from federation.operations.embedded_registry import Actor
    from federation.operations.impact_economics import BudgetImpact, CostEffectiveness

CEA = Text(
    en="Compute a study's economic model with the accuracy of its evaluations.",
    zh="以評估紀錄的準確度計算研究的經濟模型。",
)
BIA = Text(
    en="Show what introducing the version costs in five years, by sector.",
    zh="顯示導入後五年各部門的財務影響。",
)
BASIS = Text(
    en="A person, {base}, {perspective}, {years:g} years, discounted {cost:.1%} (costs) and "
    "{effect:.1%} (effects), mean of {draws:,} draws:",
    zh="每人,{base},{perspective},{years:g} 年,折現率成本 {cost:.1%}、效果 {effect:.1%},"
    "{draws:,} 次抽樣之平均:",
)
PERSPECTIVES = {
    "nhi": Text(en="health insurance's view", zh="健保觀點"),
    "societal": Text(en="society's view", zh="社會觀點"),
}
STRATEGY = Text(
    en="{name}: cost {cost:,.0f}, effect {effect:.4f}, {standing}{icer}",
    zh="{name}:成本 {cost:,.0f},效果 {effect:.4f},{standing}{icer}",
)
ICER = Text(en="; {icer:,.0f} for one more QALY", zh=";每增加一 QALY {icer:,.0f}")
STANDINGS = {
    "ND": Text(en="on the frontier", zh="位於效率前緣"),
    "D": Text(en="dominated", zh="被支配"),
    "ED": Text(en="extendedly dominated", zh="被延伸支配"),
}
AT = Text(
    en="At {threshold:,.0f}: {best} is best in {share:.0%} of draws; knowing everything is "
    "worth {evpi:,.0f} a person.",
    zh="閾值 {threshold:,.0f}:{best} 於 {share:.0%} 的抽樣中最佳;"
    "完全資訊之價值為每人 {evpi:,.0f}。",
)
PRICE = Text(
    en="Worth it up to a price of {price:,.0f} for one examination.",
    zh="每次檢查價格不超過 {price:,.0f} 時符合成本效益。",
)
WROTE = Text(en="Wrote {count} files to {folder}.", zh="已寫入 {count} 個檔案至 {folder}。")
RECORDED = Text(
    en="The record of {study} has it: {digest}.", zh="已寫入研究 {study} 的紀錄:{digest}。"
)
NOT_RECORDED = Text(
    en="Nothing was written into the record; name --person and --organisation to do so.",
    zh="未寫入紀錄;如須寫入請指定 --person 與 --organisation。",
)
YEAR = Text(
    en="year {year}: {people:,.0f} people; {paid}; in all {total:,.0f}, the insurance {nhi:,.0f}",
    zh="第 {year} 年:{people:,.0f} 人;{paid};合計 {total:,.0f},健保 {nhi:,.0f}",
)
BASE = Text(en="{base}, undiscounted; below zero is saved.", zh="{base},未折現;負值表示節省。")

Study = Annotated[str, typer.Argument(metavar="STUDY", help=help_text("study", "研究編號"))]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help=help_text("economics.toml", "economics.toml"))
]


def cea(
    study: Study,
    model: ModelFile,
    home: AtCentre,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=help_text("new folder", "新資料夾"))
    ] = None,
    person: Annotated[
        str | None, typer.Option(help=help_text("who writes it into the record", "寫入紀錄者"))
    ] = None,
    organisation: Annotated[
        str | None, typer.Option(help=help_text("of which house", "所屬機構"))
    ] = None,
    role: Annotated[str, typer.Option(help=help_text("in which role", "角色"))] = "IMP-S",
    draws: Annotated[int, typer.Option(min=1, max=1_000_000)] = 10_000,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help=help_text("by default the logged one", "預設為已登錄者")),
    ] = None,
    json_: Json = False,
) -> None:
    """Compute an economic model; write figures, data and the record where asked."""
    from federation.operations import impact_economics as operations
    from federation.operations.impact import open_desk
    from federation.operations.new_files import check_new

    if out is not None:
        check_new(out, ["economics.json"])
    acting = _who(person, organisation, role)
    found = operations.cost_effectiveness(
        open_desk(home), study, read_file(model), actor=acting, draws=draws, seed=seed
    )
    files = operations.write_out(found, out) if out is not None else ()
    if json_:
        _emit(found, files)
        return
    _say_cea(found)
    if out is not None:
        say(WROTE, count=len(files), folder=out)
    said = RECORDED if found.record else NOT_RECORDED
    say(said, **({"study": study, "digest": found.digest} if found.record else {}))


def bia(study: Study, model: ModelFile, home: AtCentre, json_: Json = False) -> None:
    """Show the budget impact."""
    from federation.operations.impact import open_desk
    from federation.operations.impact_economics import budget_impact

    found = budget_impact(open_desk(home), study, read_file(model))
    emit(found.as_json()) if json_ else _say_bia(found)


def _who(person: str | None, organisation: str | None, role: str) -> "Actor | None":
    """Return who writes it into the record, None if nobody is named.

    Raises
    ------
    InvalidValueError
        If only one of person and house is.
    """
    from federation.errors.core import InvalidValueError

    if (person is None) != (organisation is None):
        missing = "--person" if person is None else "--organisation"
        raise InvalidValueError(field=missing, actual="missing", expected="both, or neither")
    return None if person is None or organisation is None else actor(person, organisation, role)


def _emit(found: "CostEffectiveness", files: tuple[Path, ...]) -> None:
    record = found.record
    emit(
        {
            "study": found.study,
            "document": found.digest,
            "revision": record.revision if record else None,
            "files": [str(path) for path in files],
            **found.analysis.as_json(),
        }
    )


def _say_cea(found: "CostEffectiveness") -> None:
    analysis = found.analysis
    model = analysis.model
    say(
        BASIS,
        base=model.base,
        perspective=t(PERSPECTIVES[model.perspective]),
        years=model.horizon.cycles * model.horizon.cycle_years,
        cost=model.horizon.cost_rate,
        effect=model.horizon.effect_rate,
        draws=len(analysis.draws.cost),
    )
    for one in analysis.mean_case:
        _say_strategy(one)
    rows = zip(
        model.thresholds,
        analysis.best,
        analysis.best_share,
        analysis.information,
        strict=True,
    )
    for threshold, best, share, known in rows:
        say(AT, threshold=threshold, best=best, share=float(share), evpi=known.evpi)
    if analysis.price is not None:
        say(PRICE, price=analysis.price)


def _say_strategy(one: "Ranked") -> None:
    say(
        STRATEGY,
        name=one.strategy.name,
        cost=one.strategy.cost,
        effect=one.strategy.effect,
        standing=t(STANDINGS[one.standing.value]),
        icer="" if one.icer is None else t(ICER, icer=one.icer),
    )


def _say_bia(found: "BudgetImpact") -> None:
    say(BASE, base=found.model.base)
    for one in found.years:
        paid = ", ".join(
            f"{t(sector.title)} {amount:,.0f}" for sector, amount in one.by_sector.items()
        )
        say(
            YEAR,
            year=one.year,
            people=one.people,
            paid=paid,
            total=one.total,
            nhi=one.insurance,
        )
