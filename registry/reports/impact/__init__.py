"""The report of an impact study: question, plan, results, harms, economics, checklists.

html = impact_report(Study(id, body, economics), Language.EN)
"""

from collections.abc import Iterator

from federation.domain.ids import Sha256
from federation.evidence.canonical import canonical
from federation.figures.canvas import filled
from federation.figures.numerals import NONE
from federation.wording import Language, Text
from registry.impact.study import ImpactStudy
from registry.reports import economics, outcomes
from registry.reports.checklists.answers import Study, plain
from registry.reports.impact.reporting import reporting
from registry.reports.impact.results import harms, is_clear, results
from registry.reports.layout import (
    Chip,
    Facts,
    Report,
    Section,
    Table,
    Tone,
)
from registry.reports.rendering import render
from registry.reports.wording import DESIGNS

KIND = Text(en="Impact study", zh="影響性研究報告")
_ROLES = {
    "primary": Text(en="primary", zh="主要"),
    "secondary": Text(en="secondary", zh="次要"),
}
_BETTER = {
    "higher": Text(en="higher is better", zh="愈高愈好"),
    "lower": Text(en="lower is better", zh="愈低愈好"),
}


def impact_report(study: Study, language: Language) -> str:
    """Return the report as one HTML page with its figures inside."""
    return render(layout(study), language)


def layout(study: Study) -> Report:
    """Return the report of a study."""
    body = study.body
    sections: list[Section] = [
        _question(body),
        _plan(body),
        results(body),
        harms(body),
        *_outcomes(study),
        *(economics.sections(study.economics) if study.economics else ()),
        *reporting(study),
        _provenance(study),
    ]
    return Report(
        kind=KIND,
        title=plain(body.title),
        under=f"{study.id} · {body.entry}",
        source=_digest(body),
        sections=[one for one in sections if one.blocks],
        verdict=_verdict(body),
        facts=_overview(body),
    )


def _outcomes(study: Study) -> Iterator[Section]:
    for number, one in enumerate(study.outcomes, start=1):
        yield from outcomes.sections(one, number)


def _digest(body: ImpactStudy) -> str:
    return str(Sha256.of(canonical(body.as_json())))


def _verdict(body: ImpactStudy) -> tuple[Chip, Text]:
    """Return what became of the primary measures, by their intervals alone."""
    primary = {one.id for one in body.measures if one.role == "primary"}
    found = [one for one in body.results if one.measure in primary]
    if {one.measure for one in found} != primary:
        return Chip(Text(en="no results yet", zh="尚無結果"), Tone.WAITING), _NOT_YET
    better = {one.id: one.better for one in body.measures}
    if any(
        is_clear(one, "lower" if better[one.measure] == "higher" else "higher") for one in found
    ):
        return Chip(Text(en="worse", zh="變差"), Tone.STOP), _WORSE
    if all(is_clear(one, better[one.measure]) for one in found):
        return Chip(Text(en="better", zh="改善"), Tone.GOOD), _FOUND
    return Chip(Text(en="no sure difference", zh="未能確認差異"), Tone.CARE), _NOT_SURE


_NOT_YET = Text(
    en="Results are written after the data were locked under the logged plan.",
    zh="資料依已登錄之計畫鎖定後,始填入結果。",
)
_FOUND = Text(
    en="All primary measures improved, each by its whole interval.",
    zh="所有主要指標均改善,其區間均未包含「無差異」。",
)
_WORSE = Text(
    en="A primary measure got worse, by its whole interval.",
    zh="有主要指標變差,其區間未包含「無差異」。",
)
_NOT_SURE = Text(
    en="For a primary measure no difference is within the interval. That is no proof that there "
    "is none.",
    zh="有主要指標之區間包含「無差異」;此並不證明沒有差異。",
)


def _overview(body: ImpactStudy) -> Facts:
    people = [one.n for one in body.results]
    return Facts(
        (
            (Text(en="Design", zh="設計"), DESIGNS[body.design]),
            (Text(en="Hospitals", zh="院所數"), str(len(body.sites))),
            (Text(en="Patients needed", zh="所需人數"), f"{body.sample_size.needed:,}"),
            (Text(en="Analysed", zh="分析人數"), f"{max(people):,}" if people else NONE),
        )
    )


def _question(body: ImpactStudy) -> Section:
    facts = Facts(
        (
            (Text(en="Population", zh="族群"), plain(body.pico.population)),
            (Text(en="Intervention", zh="介入"), plain(body.pico.intervention)),
            (Text(en="Comparator", zh="對照"), plain(body.pico.comparator)),
            (Text(en="Outcome", zh="結果"), plain(body.pico.outcome)),
            (Text(en="Estimand", zh="估計標的"), plain(body.estimand)),
        )
    )
    return Section("question", Text(en="Question", zh="研究問題"), (facts,))


def _plan(body: ImpactStudy) -> Section:
    size, board, registered = body.sample_size, body.irb, body.registration
    ethics = f"{board.board} {board.number}, {board.expires}" if board else NONE
    facts = Facts(
        (
            (Text(en="Hospitals", zh="院所"), ", ".join(body.sites)),
            (Text(en="Clusters", zh="群集數"), str(body.clusters) if body.clusters else NONE),
            (
                Text(en="Sample size", zh="樣本數"),
                filled(
                    Text(
                        en="{needed} at a power of {power}, two-sided level {alpha}. {why}",
                        zh="{needed} 人,檢定力 {power},雙尾顯著水準 {alpha}。{why}",
                    ),
                    needed=f"{size.needed:,}",
                    power=size.power,
                    alpha=size.alpha,
                    why=plain(size.assumptions),
                ),
            ),
            (
                Text(en="Analysis plan, logged before unblinding", zh="分析計畫(揭盲前登錄)"),
                body.sap_hash or _MISSING,
            ),
            (Text(en="Allocation list", zh="隨機分派表"), body.randomisation_hash or NONE),
            (
                Text(en="Public register", zh="公開登錄"),
                f"{registered.registry} {registered.number}" if registered else NONE,
            ),
            (Text(en="Ethics approval", zh="倫理審查核准"), ethics),
        )
    )
    columns = (
        Text(en="measure", zh="指標"),
        Text(en="role", zh="角色"),
        Text(en="unit", zh="單位"),
        Text(en="direction", zh="方向"),
    )
    rows = [
        (plain(one.title), _ROLES[one.role], one.unit, _BETTER[one.better]) for one in body.measures
    ]
    table = Table(Text(en="Measures, in their order.", zh="指標(依序)。"), columns, rows)
    return Section("plan", Text(en="Design and plan", zh="設計與計畫"), (facts, table))


_MISSING = Chip(Text(en="not logged", zh="未登錄"), Tone.STOP)


def _provenance(study: Study) -> Section:
    body = study.body
    facts = Facts(
        (
            (Text(en="Version", zh="版本"), body.entry),
            (
                Text(en="Data frozen", zh="資料凍結"),
                ", ".join(f"{one.at} {one.digest}" for one in body.data_cuts) or NONE,
            ),
            (
                Text(en="Economic results", zh="經濟評估結果"),
                study.economics.digest if study.economics else NONE,
            ),
            (
                Text(en="Outcome studies", zh="結果研究"),
                ", ".join(one.digest for one in study.outcomes) or NONE,
            ),
            (Text(en="This report was made from", zh="本報告之來源文件"), _digest(body)),
        )
    )
    return Section("provenance", Text(en="Where it comes from", zh="來源與可驗證性"), (facts,))
