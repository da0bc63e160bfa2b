"""From plan and hospital tables to results; what is not as planned is refused."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors.impact import (
    DesignValueError,
    NotEstimableError,
    PlanChangedError,
    PlanNotLoggedError,
    ProtocolFileError,
    TableInvalidError,
    TableTooSmallError,
    TooFewClustersError,
)
from federation.impact.analysis import analyse
from federation.impact.plan import Plan, read_plan
from federation.impact.site_table import COLUMNS, MAX_BYTES, Row, read_table

PLAN = """
study = "impact-2026-001"
design = "stepped-wedge"
intervention = "ai"
comparator = "usual"
periods = 4
[[measures]]
id = "turnaround"
role = "primary"
analysis = "random-intercept"
unit = "min"
better = "lower"
[[measures]]
id = "cost"
role = "secondary"
analysis = "ratio"
unit = "TWD"
better = "lower"
[[measures]]
id = "los"
role = "secondary"
analysis = "cluster-robust"
unit = "d"
better = "lower"
"""


def plan(old: str = "", new: str = "") -> Plan:
    assert old in PLAN
    return read_plan(PLAN.replace(old, new, 1).encode())


def table(site: str, steps: tuple[int, ...] = (1, 2, 3), effect: float = -8.0) -> bytes:
    """The CSV of a hospital with a ward for each step."""
    generator = np.random.default_rng([*site.encode()])
    lines = [",".join(COLUMNS)]
    for measure in ("turnaround", "cost", "los"):
        for ward, step in enumerate(steps):
            for period in range(4):
                on = period >= step
                values = generator.normal(60 + effect * on + ward, 6, 30)
                arm = "ai" if on else "usual"
                sums = (len(values), values.sum(), (values**2).sum())
                lines.append(f"{measure},ward-{ward},{period},{arm},{sums[0]},{sums[1]},{sums[2]}")
    return "\n".join(lines).encode()


def rows(effect: float = -8.0) -> list[Row]:
    sites = ("tainan-1", "taipei-2", "hualien-3")
    return [row for site in sites for row in read_table(table(site, effect=effect), site, plan())]


def test_a_study_is_analysed_as_planned() -> None:
    primary, cost, los = analyse(plan(), rows())
    assert primary.low < -8 < primary.high and primary.confirmed and primary.people == 1080
    assert 0.8 < cost.low < cost.estimate < cost.high < 0.95
    assert los.estimate == pytest.approx(-8, abs=2)
    assert all(one.low <= one.estimate <= one.high for one in (primary, cost, los))


def test_without_an_effect_nothing_behind_the_primary_is_confirmed() -> None:
    primary, *others = analyse(plan(), rows(effect=0.0))
    assert not primary.confirmed and not any(one.confirmed for one in others)


def test_the_order_of_hospitals_and_rows_changes_nothing() -> None:
    assert analyse(plan(), rows()) == analyse(plan(), rows()[::-1])


def test_a_ratio_nobody_randomised_says_what_it_withstands() -> None:
    cost = analyse(plan(), rows())[1]
    assert cost.withstands is None
    cohort = analyse(plan('"stepped-wedge"', '"matched-cohort"'), rows())[1]
    least = 1 / cohort.high  # VanderWeele and Ding 2017: RR + sqrt(RR (RR - 1))
    assert cohort.withstands == pytest.approx(least + (least * (least - 1)) ** 0.5)


def test_a_series_is_of_months_before_and_after() -> None:
    text = """
study = "its-1"
design = "interrupted-time-series"
intervention = "ai"
comparator = "usual"
periods = 24
[[measures]]
id = "turnaround"
role = "primary"
analysis = "interrupted-series"
unit = "min"
better = "lower"
[series]
began = 12
"""
    its = read_plan(text.encode())
    generator = np.random.default_rng(1)
    months = [
        Row("a", "turnaround", "all", month, "ai" if month >= 12 else "usual", 50,
            50 * (60 - 6 * (month >= 12) + generator.normal(0, 0.5)), 1e9)
        for month in range(24)
    ]  # fmt: skip
    (found,) = analyse(its, months)
    assert found.estimate == pytest.approx(-6, abs=1) and found.high < 0 and found.confirmed
    with pytest.raises(NotEstimableError):
        analyse(its, months[:-1])
    wrong = [*months[:-1], Row("a", "turnaround", "all", 23, "usual", 50, 3000.0, 1e9)]
    with pytest.raises(DesignValueError):
        analyse(its, wrong)


def test_too_few_hospitals_are_refused() -> None:
    with pytest.raises(TooFewClustersError):
        analyse(plan(), read_table(table("tainan-1"), "tainan-1", plan()))


def test_a_plans_digest_is_of_what_it_says() -> None:
    one = plan()
    assert plan('study = "impact', '# a remark\nstudy =    "impact').digest == one.digest
    for old, new in (
        ('analysis = "ratio"', 'analysis = "difference"'),
        ("periods = 4", "periods = 5"),
        ('better = "lower"', 'better = "higher"'),
        ("periods = 4", "periods = 4\nleast_cell = 9"),
    ):
        changed = plan(old, new)
        assert changed.digest != one.digest
        with pytest.raises(PlanChangedError):
            changed.check_logged(one.digest)
    one.check_logged(one.digest)
    with pytest.raises(PlanNotLoggedError):
        one.check_logged(None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("periods = 4", "periods = 0"),
        ("periods = 4", "periods = 4\nextra = 1"),
        ('intervention = "ai"', 'intervention = "usual"'),
        ('role = "primary"', 'role = "secondary"'),
        ('id = "cost"', 'id = "turnaround"'),
        ('analysis = "ratio"', 'analysis = "interrupted-series"'),
        ('analysis = "ratio"', 'analysis = "t-test"'),
        ("periods = 4", "periods = "),
    ],
)
def test_a_file_that_is_no_plan_is_refused(old: str, new: str) -> None:
    with pytest.raises(ProtocolFileError):
        plan(old, new)


def test_bytes_that_are_no_plan_are_refused() -> None:
    for content in (b"\xff", b"x" * (2**20 + 1)):
        with pytest.raises(ProtocolFileError):
            read_plan(content)


GOOD = b"turnaround,ward-1,0,usual,30,1800.0,109000.0"
HEAD = ",".join(COLUMNS).encode() + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        GOOD.replace(b"turnaround", b"mortality"),
        GOOD.replace(b"ward-1", b"=cmd()"),
        GOOD.replace(b",0,", b",4,"),
        GOOD.replace(b",0,", b",-1,"),
        GOOD.replace(b"usual", b"other"),
        GOOD.replace(b",30,", b",3e1,"),
        GOOD.replace(b"1800.0", b"nan"),
        GOOD.replace(b"1800.0", b"1e99"),
        GOOD.replace(b"109000.0", b"100.0"),
        GOOD + b",more",
        GOOD + b"\n" + GOOD,
        b'"',
        b"",
        b"\xff",
    ],
)
def test_a_table_with_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(TableInvalidError):
        read_table(HEAD + line, "tainan-1", plan())


def test_other_columns_and_files_too_large_are_refused() -> None:
    for content in (HEAD.replace(b"arm", b"group") + GOOD, b"x" * (MAX_BYTES + 1)):
        with pytest.raises(TableInvalidError):
            read_table(content, "tainan-1", plan())


@pytest.mark.parametrize("count", [1, 9])
def test_a_cell_of_a_few_people_is_refused_and_not_told(count: int) -> None:
    line = b"turnaround,ward-1,0,usual,%d,%d,%d" % (count, 60 * count, 3600 * count)
    with pytest.raises(TableTooSmallError) as refused:
        read_table(HEAD + GOOD.replace(b"ward-1", b"ward-2") + b"\n" + line, "t", plan())
    assert "ward-1" not in refused.value.say() and str(60 * count) not in refused.value.say()
    empty = b"turnaround,ward-1,1,usual,0,0,0"
    assert len(read_table(HEAD + GOOD + b"\n" + empty, "t", plan())) == 2


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_a_coded_refusal(content: bytes) -> None:
    with contextlib.suppress(TableInvalidError, TableTooSmallError):
        read_table(HEAD + content, "tainan-1", plan())
