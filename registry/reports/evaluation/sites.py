"""Whether a version is as good everywhere: hospitals, and every version at each of them."""

from collections.abc import Iterator

from federation.figures.canvas import filled
from federation.figures.numerals import estimate, interval, number
from federation.wording import Text
from registry.reports.documents.evaluation import Assessment, EvaluationDocument, Matrix
from registry.reports.evaluation import figures as drawings
from registry.reports.evaluation.cells import NOT_COMPUTED, parts_table
from registry.reports.layout import Block, Cell, Facts, Notice, Section, Table, Tone, Words


def sites(document: EvaluationDocument) -> Section:
    """Return the hospitals, their differences, and every version at each."""
    found, blocks = document.assessment, list[Block]()
    if found.sites:
        blocks += _from_counts(document)
    elif document.own:
        blocks += [drawings.own(document.own, found), _OWN]
    if found.heterogeneity is not None:
        blocks.append(_between(found))
    if document.matrix is not None and len(document.matrix.versions) > 1:
        blocks += [drawings.matrix(document.matrix), _matrix_table(document.matrix)]
    return Section("sites", Text(en="Is it as good everywhere?", zh="跨院一致性"), blocks)


_OWN = Text(
    en="Each hospital's figure is the one it showed of itself and signed; the centre saw only "
    "the sum of their counts.",
    zh="各院數值由該院自行計算、簽署並公開;中心僅見各院計數之總和。",
)


def _from_counts(document: EvaluationDocument) -> Iterator[Block]:
    """Yield the hospitals' figures where their counts were seen one by one."""
    sites = document.assessment.sites
    hidden = [name for name in document.about.sites if name not in sites]
    yield drawings.by_site(document.assessment, hidden)
    yield parts_table(sites)
    if hidden:
        said = Text(
            en="Not shown on their own, because of few cases: {sites}. They are in every sum.",
            zh="以下院所因個案過少,不單獨顯示,但均已計入總和:{sites}。",
        )
        yield Notice(filled(said, sites=", ".join(hidden)), Tone.WAITING)


def _matrix_table(matrix: Matrix) -> Table:
    """Return every version at every hospital in numbers, a row for each hospital."""
    columns: tuple[Words, ...] = (Text(en="hospital", zh="院所"), *matrix.versions)
    rows = [
        (site, *(number(row[place]) for row in matrix.values))
        for place, site in enumerate(matrix.sites)
    ]
    caption = filled(
        Text(
            en="{figure} of every version of this run at every hospital; a dash where it is not "
            "shown.",
            zh="本次執行各版本於各院之 {figure};破折號表示不予顯示。",
        ),
        figure=drawings.figure_named(matrix),
    )
    return Table(caption, columns, rows, frozenset(range(1, len(columns))))


def _between(found: Assessment) -> Facts:
    between = found.heterogeneity
    assert between is not None  # the caller saw to it
    ends = [drawings.from_logit(one) for one in between.prediction or ()]
    expected: Cell = interval(ends[0], ends[1]) if ends else NOT_COMPUTED
    pooled = [drawings.from_logit(one) for one in (between.pooled.value, *between.pooled.ends)]
    return Facts(
        (
            (
                Text(en="AUROC over sites (random effects)", zh="跨院 AUROC(隨機效應)"),
                estimate(pooled[0], pooled[1], pooled[2]),
            ),
            (
                Text(en="Expected at a new hospital (95 %)", zh="於新院所之預測區間(95%)"),
                expected,
            ),
            (
                Text(en="Differences that are not chance (I²)", zh="非偶然之差異(I²)"),
                f"{100 * between.i_squared:.0f} %",
            ),
        )
    )
