"""The report of an outcome study: survival, regressions and weighted effects over hospitals.

    html = outcome_report(read_outcomes(content), Language.EN)

An impact study's report has the same parts where its record names such a document.
"""

from collections.abc import Sequence

from federation.figures.canvas import filled
from federation.wording import Language, Text, without_fields
from registry.reports.documents import OutcomeDocument
from registry.reports.documents.outcomes import Analysis, Refused, Regression, Survival, Weighted
from registry.reports.layout import (
    Block,
    Cell,
    Chip,
    Facts,
    Notice,
    Report,
    Section,
    Tone,
    named,
)
from registry.reports.outcomes import regression, survival, weighting
from registry.reports.rendering import render

KIND = Text(en="Outcome study", zh="結果研究報告")


def outcome_report(document: OutcomeDocument, language: Language) -> str:
    """Return the report as one HTML page with its figures inside."""
    return render(layout(document), language)


def layout(document: OutcomeDocument) -> Report:
    """Return the report of an outcome study."""
    about = document.about
    return Report(
        kind=KIND,
        title=named(about.title),
        under=f"{about.study} · {about.run}",
        source=document.digest,
        sections=sections(document),
        facts=Facts(
            (
                (Text(en="Patients", zh="病人數"), f"{document.patients:,}"),
                (Text(en="Hospitals", zh="院所數"), str(len(about.sites))),
                (Text(en="Analyses", zh="分析項數"), str(len(document.analyses))),
            )
        ),
    )


def sections(document: OutcomeDocument, number: int = 1) -> Sequence[Section]:
    """Return a section for each analysis, then where it comes from.

    `number` keeps those of several outcome studies in one report apart.
    """
    parts = [
        _section(f"{number}-{place}", one) for place, one in enumerate(document.analyses, start=1)
    ]
    return (*parts, _provenance(document, number))


def _section(place: str, one: Analysis) -> Section:
    title = filled(_TITLES[one.kind], name=named(one.name))
    blocks = _blocks(place, one) if one.refused is None else _refused(one.refused)
    return Section(f"outcome-{place}", title, blocks)


_TITLES = {
    "survival": Text(en="Survival: {name}", zh="存活分析:{name}"),
    "cox": Text(en="Hazard ratios: {name}", zh="風險比:{name}"),
    "logistic": Text(en="Odds ratios: {name}", zh="勝算比:{name}"),
    "weighted": Text(en="Weighted effect: {name}", zh="加權效果:{name}"),
}


def _blocks(place: str, one: Analysis) -> Sequence[Block]:
    match one:
        case Survival():
            return survival.blocks(place, one)
        case Regression():
            return regression.blocks(place, one)
        case Weighted():
            return weighting.blocks(place, one)


def _refused(why: Refused) -> Sequence[Block]:
    said = Text(
        en=f"{_plain(why.what['en'])} {_plain(why.next['en'])} ({why.code})",
        zh=f"{_plain(why.what['zh-Hant-TW'])}{_plain(why.next['zh-Hant-TW'])}({why.code})",
    )
    return (Notice(said, Tone.STOP),)


def _plain(words: str) -> str:
    return without_fields(words)


def _provenance(document: OutcomeDocument, number: int) -> Section:
    about = document.about
    logged: Cell = _NOT_LOGGED if about.log_index is None else f"{about.log_index:,}"
    facts = Facts(
        (
            (Text(en="Outcome study and run", zh="結果研究與執行"), f"{about.study} · {about.run}"),
            (Text(en="Hospitals", zh="院所"), ", ".join(about.sites)),
            (Text(en="Protocol, logged before the run", zh="方案(執行前登錄)"), about.protocol),
            (Text(en="Place in the evidence log", zh="證據紀錄之位置"), logged),
            (Text(en="How it was added", zh="加總方式"), _MASKED),
            (Text(en="This report was made from", zh="本報告之來源文件"), document.digest),
        )
    )
    title = Text(en="Where the outcomes come from", zh="結果之來源與可驗證性")
    return Section(f"outcomes-provenance-{number}", title, (facts,))


_NOT_LOGGED = Chip(Text(en="not in the log", zh="未登錄"), Tone.STOP)
_MASKED = Text(
    en="Under masks: the centre saw sums over all hospitals at each step, never one hospital's.",
    zh="以遮罩加總:中心於每一步僅見各院之總和,無法看到單一院所之數值。",
)
