"""From cases to the table that leaves, as CSV and as FHIR; nothing of a case is told."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from fhir.resources.R4B.measurereport import MeasureReport
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors.impact import TableInvalidError, TableTooSmallError
from federation.impact.analysis import analyse
from federation.impact.measure_report import as_report, measure_url, read_report
from federation.impact.plan import read_plan
from federation.impact.site_table import BASELINE, COLUMNS, Row, as_csv, read_table
from federation.impact.tabulate import tabulate
from tests.impact.test_analysis import plan, table

HEAD = "cluster,period,arm,turnaround,cost,los\n"


def cases(count: int = 12) -> str:
    lines = [f"ward-1,0,usual,{50 + case},{1000 + case},{case % 4}" for case in range(count)]
    lines += [f"ward-1,1,ai,{40 + case},,{case % 3}" for case in range(count)]
    return HEAD + "\n".join(lines) + "\n"


def report(rows: tuple[Row, ...]) -> bytes:
    return as_report(rows, plan(), start="2026-01-01", end="2026-06-30")


def test_a_table_holds_counts_and_sums_and_no_missing_value() -> None:
    rows = tabulate(cases().encode(), "tainan-1", plan())
    found = {(row.measure, row.period): row for row in rows}
    assert found["turnaround", 0] == Row(
        "tainan-1", "turnaround", "ward-1", 0, "usual", 12, 666.0, 37106.0
    )
    assert ("cost", 1) not in found
    assert read_table(as_csv(rows), "tainan-1", plan()) == rows


def test_the_order_of_lines_changes_nothing() -> None:
    head, *lines = cases().splitlines()
    turned = "\n".join([head, *lines[::-1]]).encode()
    assert tabulate(turned, "t", plan()) == tabulate(cases().encode(), "t", plan())


def test_a_cell_of_few_people_is_refused_not_dropped() -> None:
    with pytest.raises(TableTooSmallError):
        tabulate(cases(9).encode(), "tainan-1", plan())


@pytest.mark.parametrize(
    "content",
    [
        cases().replace("cluster,", "ward,"),
        cases().replace(",los\n", ",other\n"),
        cases().replace(",51,", ",nan,"),
        cases().replace(",51,", ",1_0,"),
        cases().replace(",51,", ",A123456789,"),
        cases().replace(",51,", ",51,7,"),
        cases().replace("ward-1,1,ai", "ward-1,99,ai"),
        cases().replace(",ai,", ",other,"),
        HEAD,
        "",
        '"',
    ],
)
def test_a_file_of_cases_with_anything_else_is_refused(content: str) -> None:
    with pytest.raises(TableInvalidError) as refused:
        tabulate(content.encode(), "tainan-1", plan())
    assert "A123456789" not in refused.value.say()


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(TableInvalidError):
        tabulate(b"\xff", "tainan-1", plan())


def test_a_fhir_report_says_what_the_table_says() -> None:
    rows = read_table(table("tainan-1"), "tainan-1", plan())
    content = report(rows)
    found = MeasureReport.model_validate_json(content)
    assert found.measure == measure_url(plan())
    assert sorted(read_report(content, "tainan-1", plan()), key=repr) == sorted(rows, key=repr)


def test_a_report_of_another_plan_is_refused() -> None:
    content = report(read_table(table("tainan-1"), "tainan-1", plan()))
    with pytest.raises(TableInvalidError, match="another analysis plan"):
        read_report(content, "tainan-1", plan("periods = 4", "periods = 5"))


def stratum(report: Any) -> Any:
    return report["group"][0]["stratifier"][0]["stratum"][0]


def put_count(value: object) -> Callable[[Any], None]:
    return lambda report: stratum(report)["population"][0].update(count=value)


BROKEN: list[Callable[[Any], object]] = [
    lambda report: report.update(resourceType="Measure"),
    lambda report: report.pop("measure"),
    lambda report: report.pop("group"),
    lambda report: report.update(group={}),
    lambda report: report.update(group=[7]),
    lambda report: stratum(report).pop("extension"),
    lambda report: stratum(report)["extension"].pop(),
    lambda report: stratum(report)["component"].pop(),
    lambda report: stratum(report)["population"].clear(),
    lambda report: stratum(report)["extension"][0].update(valueDecimal="5"),
    lambda report: stratum(report)["extension"][1].update(valueDecimal=1),
    lambda report: report["group"].append(report["group"][0]),
    lambda report: report.update(status="entered-in-error"),
    lambda report: report.pop("status"),
    lambda report: report.update(type="individual"),
    lambda report: report.update(reporter={"display": "taipei-2"}),
    lambda report: report.update(reporter="taipei-2"),
    lambda report: stratum(report)["extension"].append(stratum(report)["extension"][0]),
    lambda report: stratum(report)["component"].append(stratum(report)["component"][0]),
    put_count(True),
    put_count("30"),
    put_count(-30),
    put_count(30.5),
    put_count(10**12),
]


@pytest.mark.parametrize("breaks", BROKEN, ids=range(len(BROKEN)))
def test_a_report_with_anything_else_is_refused(breaks: Callable[[Any], object]) -> None:
    changed = json.loads(report(read_table(table("tainan-1"), "tainan-1", plan())))
    breaks(changed)
    with pytest.raises(TableInvalidError):
        read_report(json.dumps(changed).encode(), "tainan-1", plan())


def test_a_small_cell_in_a_report_is_refused() -> None:
    changed = json.loads(report(read_table(table("tainan-1"), "tainan-1", plan())))
    put_count(3)(changed)
    stratum(changed)["extension"][1]["valueDecimal"] = 1e9
    with pytest.raises(TableTooSmallError):
        read_report(json.dumps(changed).encode(), "tainan-1", plan())


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b"[" * 10_000, b'{"a":1,"a":2}', b"x" * (2**22 + 1)]
)
def test_bytes_that_are_no_report_are_refused(content: bytes) -> None:
    with pytest.raises(TableInvalidError):
        read_report(content, "tainan-1", plan())


ADJUSTED = read_plan(b"""
study = "s"
design = "individual-rct"
intervention = "ai"
comparator = "usual"
periods = 2
[[measures]]
id = "turnaround"
role = "primary"
analysis = "adjusted-difference"
unit = "min"
better = "lower"
""")


def adjusted_cases() -> tuple[str, list[tuple[int, float, float]]]:
    """Cases whose outcome follows their baseline, eight lower with the intervention."""
    chance = np.random.default_rng(3)
    told = []
    for case in range(200):
        on, before = case % 2, chance.normal(50, 10)
        told.append((on, 0.9 * before + 10 - 8 * on + chance.normal(0, 2), before))
    lines = [f"w,{on},{'ai' if on else 'usual'},{y!r},{x!r}" for on, y, x in told]
    head = "cluster,period,arm,turnaround,turnaround@baseline\n"
    return (head + "\n".join(lines)).replace("np.float64(", "").replace(")", ""), told


def test_an_adjusted_measure_is_ordinary_least_squares_of_the_cases() -> None:
    content, told = adjusted_cases()
    rows = tabulate(content.encode(), "t", ADJUSTED)
    assert read_table(as_csv(rows), "t", ADJUSTED) == rows
    sent = as_report(rows, ADJUSTED, start="2026-01-01", end="2026-06-30")
    assert sorted(read_report(sent, "t", ADJUSTED), key=repr) == sorted(rows, key=repr)
    y = np.array([one for _, one, _ in told])
    design = np.array([[1.0, on, x] for on, _, x in told])
    pooled = sm.OLS(y, design).fit()
    (found,) = analyse(ADJUSTED, rows)
    assert found.estimate == pytest.approx(pooled.params[1], rel=1e-9)
    half = 1.959963984540054 * pooled.bse[1]
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=1e-9)


def test_a_baseline_that_cannot_be_is_refused() -> None:
    head = ",".join((*COLUMNS, *BASELINE))
    good = "turnaround,w,0,usual,20,1000,52000,900,42000,46000"
    assert read_table(f"{head}\n{good}".encode(), "t", ADJUSTED)[0].products == 46000
    for old, new in (
        ("900,42000", "900,40000"),
        ("46000", "56000"),
        ("46000", "nan"),
        (",46000", ""),
        ("20,1000,52000", "0,0,0"),
    ):
        with pytest.raises(TableInvalidError):
            read_table(f"{head}\n{good.replace(old, new)}".encode(), "t", ADJUSTED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@settings(max_examples=60)
@given(json_values)
def test_no_json_is_more_than_a_coded_refusal(group: object) -> None:
    content = {"resourceType": "MeasureReport", "measure": measure_url(plan()), "group": group}
    with contextlib.suppress(TableInvalidError, TableTooSmallError):
        read_report(json.dumps(content).encode(), "tainan-1", plan())
