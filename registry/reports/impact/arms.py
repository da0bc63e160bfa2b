"""What each arm reached: medians, readers without and with the AI, months before and after."""

from collections.abc import Iterator, Sequence

from federation.figures.canvas import filled
from federation.figures.forests import Estimated, Scale, forest
from federation.figures.numerals import NONE, decimals_for, estimate, number
from federation.figures.readers import Reader, readers
from federation.figures.studies import series
from federation.wording import Text
from registry.impact.study import ArmFigure, Measure, Result, Series
from registry.reports.checklists.answers import plain
from registry.reports.layout import Block, Cell, Figure, Table, named

_MEAN = Text(en="mean of readers", zh="判讀者平均")
_READER = Text(en="reader", zh="判讀者")
_DIFFERENCE = Text(en="difference", zh="差異")


def of_arms(results: Sequence[Result], measures: dict[str, Measure]) -> Iterator[Block]:
    """Yield a figure and a table for each result that tells its arms."""
    for place, one in enumerate(results, start=1):
        if len(one.arms) != 2:
            continue
        second, first = one.arms
        title = plain(measures[one.measure].title)
        if first.readers and second.readers:
            yield _dumbbell(place, one, title, first, second)
            yield _readers_table(title, first, second)
        else:
            yield _forest(place, title, measures[one.measure].unit, (second, first))
            yield _table(title, measures[one.measure].unit, (second, first))


def of_series(results: Sequence[Result], measures: dict[str, Measure]) -> Iterator[Block]:
    """Yield the months of each interrupted series in a figure, and both sides' means."""
    for place, one in enumerate(results, start=1):
        if one.series is not None:
            measure = measures[one.measure]
            yield _months(place, plain(measure.title), measure.unit, one.series)
            yield _before_and_after(plain(measure.title), one.series)


def _months(place: int, title: Text, unit: str, found: Series) -> Figure:
    data = [
        (month, "after" if month >= found.began else "before", value)
        for month, value in enumerate(found.months)
    ]
    return Figure(
        f"series-{place}",
        lambda language: series(title, found.months, found.began, unit, language),
        ("month", "side", "mean"),
        data,
    )


def _before_and_after(title: Text, found: Series) -> Table:
    columns = (
        Text(en="side", zh="期間"),
        Text(en="months", zh="月數"),
        Text(en="lowest", zh="最低月平均"),
        Text(en="mean of months", zh="各月平均"),
        Text(en="highest", zh="最高月平均"),
    )
    decimals = decimals_for(min(found.months), max(found.months))
    sides = (
        (Text(en="before", zh="介入前"), found.months[: found.began]),
        (Text(en="after", zh="介入後"), found.months[found.began :]),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            str(len(months)),
            *(
                number(value, decimals)
                for value in (min(months), sum(months) / len(months), max(months))
            ),
        )
        for name, months in sides
    ]
    return Table(title, columns, rows, frozenset({1, 2, 3, 4}))


def _both(first: ArmFigure, second: ArmFigure) -> list[tuple[str, float, float]]:
    """Return every reader that is in both arms, with both figures."""
    after = {one.reader: one.value for one in second.readers}
    return [
        (one.reader, one.value, after[one.reader]) for one in first.readers if one.reader in after
    ]


def _dumbbell(
    place: int, result: Result, title: Text, first: ArmFigure, second: ArmFigure
) -> Figure:
    each = _both(first, second)
    rows = [Reader(named(name), before, after) for name, before, after in each]
    rows.append(Reader(_MEAN, first.value, second.value, is_mean=True))
    arms = (first.arm, second.arm)
    data: list[Sequence[str | float | None]] = [
        *((name, before, after, after - before) for name, before, after in each),
        ("mean", first.value, second.value, second.value - first.value),
    ]
    return Figure(
        f"readers-{place}",
        lambda language: readers(rows, arms, title, language, cases=result.n),
        ("reader", "first_arm", "second_arm", "difference"),
        data,
    )


def _readers_table(title: Text, first: ArmFigure, second: ArmFigure) -> Table:
    columns = (_READER, first.arm, second.arm, _DIFFERENCE)
    rows: list[tuple[Cell, ...]] = [
        (name, number(before), number(after), number(after - before))
        for name, before, after in _both(first, second)
    ]
    rows.append(
        (
            _MEAN,
            estimate(first.value, first.low, first.high),
            estimate(second.value, second.low, second.high),
            number(second.value - first.value),
        )
    )
    caption = filled(
        Text(
            en="{measure} of each reader; the mean with its interval.",
            zh="各判讀者之{measure};平均附區間。",
        ),
        measure=title,
    )
    return Table(caption, columns, rows, frozenset({1, 2, 3}))


def _forest(place: int, title: Text, unit: str, arms: Sequence[ArmFigure]) -> Figure:
    rows = [Estimated(named(one.arm), one.value, one.low, one.high) for one in arms]
    axis = filled(Text(en="{unit} (interval)", zh="{unit}(區間)"), unit=named(unit))
    data = [(one.arm, one.value, one.low, one.high) for one in arms]
    return Figure(
        f"arms-{place}",
        lambda language: forest(title, axis, rows, language, Scale(decimals=None)),
        ("arm", "value", "low", "high"),
        data,
    )


def _table(title: Text, unit: str, arms: Sequence[ArmFigure]) -> Table:
    columns = (
        Text(en="arm", zh="組別"),
        filled(Text(en="figure ({unit}, interval)", zh="數值({unit},區間)"),
               unit=named(unit or NONE)),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (one.arm, estimate(one.value, one.low, one.high, decimals_for(one.low, one.high)))
        for one in arms
    ]
    return Table(title, columns, rows, frozenset({1}))
