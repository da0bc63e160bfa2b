"""A hospital's table as a FHIR R4 MeasureReport: the same cells, for who sends FHIR anyway.

    rows = read_report(content, "tainan-1", plan)
    content = as_report(rows, plan)

`measure` names the plan by its digest, a group is a measure, a stratum is a cell: its
components are cluster, period and arm, its population is the count, and two extensions
are the sums of y and y²; further columns of a table are components (imputation, value) and
extensions (baseline, weights) of the same names. Read as the table is (`site_table.checked`);
nothing else in the report is looked at.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from federation.errors.impact import TableInvalidError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import canonical, parse
from federation.impact.plan import Plan
from federation.impact.site_table import (
    IMPUTATION,
    MAX_BYTES,
    MAX_ROWS,
    VALUE,
    WEIGHTS,
    Row,
    checked,
)
from federation.wording import Text

SUM = "urn:trifed:measure-report:sum"
SQUARES = "urn:trifed:measure-report:sum-of-squares"
BASELINE = {
    "baseline": "urn:trifed:measure-report:baseline-sum",
    "baseline_squares": "urn:trifed:measure-report:baseline-sum-of-squares",
    "products": "urn:trifed:measure-report:sum-of-products",
}
"""Only where a measure is adjusted for its baseline."""

WEIGHED = {name: f"urn:trifed:measure-report:{name.replace('_', '-')}" for name in WEIGHTS}
"""Only where a hospital weighted its cohort."""

POPULATION = "http://terminology.hl7.org/CodeSystem/measure-population"
PARTS = ("cluster", "period", "arm")

_FILE = Text(en="the file", zh="檔案")
_LARGE = Text(en="is larger than 4 MiB or 50,000 cells", zh="大於 4 MiB 或 50,000 格")
_NO_REPORT = Text(en="is no MeasureReport in JSON", zh="不是 JSON 格式的 MeasureReport")
_INCOMPLETE = Text(en="lacks a part of a cell", zh="缺少儲存格的內容")
_OTHER_PLAN = Text(en="is of another analysis plan", zh="屬於其他分析計畫")
_MEASURE = Text(en="its field measure", zh="measure 欄位")
_STATUS = Text(en="its status or type", zh="status 或 type 欄位")
_NOT_FINAL = Text(
    en="does not say that it is complete and a summary", zh="未註明為完成(complete)之彙總(summary)"
)
_REPORTER = Text(en="its reporter", zh="reporter 欄位")
_OTHER_SITE = Text(en="is another hospital", zh="為其他醫院")


def measure_url(plan: Plan) -> str:
    """Return how a report names the plan it is of."""
    return f"urn:trifed:analysis-plan:{plan.digest}"


def read_report(content: bytes, site: str, plan: Plan) -> tuple[Row, ...]:
    """Return the rows of a hospital's report, all of them checked.

    Raises
    ------
    TableInvalidError, TableTooSmallError
        As `site_table.read_table`; also if the report names another plan.
    """
    if len(content) > MAX_BYTES:
        raise TableInvalidError(site=site, where=_FILE, why=_LARGE)
    try:
        raw = parse(content)
    except NotCanonicalError as error:
        raise TableInvalidError(site=site, where=_FILE, why=_NO_REPORT) from error
    if not isinstance(raw, dict) or raw.get("resourceType") != "MeasureReport":
        raise TableInvalidError(site=site, where=_FILE, why=_NO_REPORT)
    if raw.get("measure") != measure_url(plan):
        raise TableInvalidError(site=site, where=_MEASURE, why=_OTHER_PLAN)
    if (raw.get("status"), raw.get("type")) != ("complete", "summary"):
        raise TableInvalidError(site=site, where=_STATUS, why=_NOT_FINAL)
    if _reporter(raw) not in (None, site):
        raise TableInvalidError(site=site, where=_REPORTER, why=_OTHER_SITE)
    try:
        lines = list(_cells(raw))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TableInvalidError(site=site, where=_FILE, why=_INCOMPLETE) from error
    if len(lines) > MAX_ROWS:
        raise TableInvalidError(site=site, where=_FILE, why=_LARGE)
    return checked(lines, site, plan)


def as_report(rows: Iterable[Row], plan: Plan, *, start: str, end: str) -> bytes:
    """Return rows as the report that `read_report` reads; `start` and `end` are days."""
    ordered = sorted(rows, key=lambda row: row.measure)
    listed = groupby(ordered, lambda row: row.measure)
    groups = [_group(name, list(own), plan) for name, own in listed]
    report = {
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": "summary",
        "measure": measure_url(plan),
        "reporter": {"display": ordered[0].site},
        "period": {"start": start, "end": end},
        "group": groups,
    }
    return canonical(report)


def _reporter(report: Mapping[str, object]) -> object:
    """Return which hospital a report says it is of; None if it does not say."""
    reporter = report.get("reporter")
    return reporter.get("display") if isinstance(reporter, Mapping) else reporter


def _cells(report: Mapping[str, object]) -> Iterator[dict[str, str]]:
    """Yield each cell as a table's line; raises what a missing part raises."""
    for group in _list(report["group"]):
        measure = {"measure": _code(group["code"])}
        for stratifier in _list(group["stratifier"]):
            for stratum in _list(stratifier["stratum"]):
                yield {**measure, **_parts(stratum), **_sums(stratum)}


def _parts(stratum: Mapping[str, object]) -> dict[str, str]:
    said = [(_code(one["code"]), one["value"]["text"]) for one in _list(stratum["component"])]
    components = _once(said)
    named = [*PARTS, *(name for name in (IMPUTATION, VALUE) if name in components)]
    return {name: str(components[name]) for name in named}


def _sums(stratum: Mapping[str, object]) -> dict[str, str]:
    (population,) = _list(stratum["population"])
    given = _once([(one["url"], one["valueDecimal"]) for one in _list(stratum["extension"])])
    told = {"count": population["count"], "total": given[SUM], "squares": given[SQUARES]}
    for names in (BASELINE, WEIGHED):
        if any(url in given for url in names.values()):
            told |= {name: given[url] for name, url in names.items()}
    return {name: _number(one) for name, one in told.items()}


def _once(said: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return what is said by its names; raises `ValueError` if a name is there twice."""
    found = dict(said)
    if len(found) != len(said):
        raise ValueError("a name is there twice")
    return found


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("no number")
    return repr(value)


def _code(concept: Mapping[str, list[dict[str, str]]]) -> str:
    return str(concept["coding"][0]["code"])


def _list(value: object) -> list[dict]:  # type: ignore[type-arg]
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TypeError("no list of elements")
    return value


def _group(measure: str, rows: list[Row], plan: Plan) -> dict[str, object]:
    valued = any(one.grid for one in plan.measures)
    weighed = plan.cohort is not None and plan.cohort.method == "overlap"
    strata = [_stratum(one, valued=valued, weighed=weighed) for one in rows]
    cell = {"code": [{"text": "cell"}], "stratum": strata}
    return {"code": _coded(measure), "stratifier": [cell]}


def _stratum(row: Row, *, valued: bool, weighed: bool) -> dict[str, object]:
    said: dict[str, object] = dict(zip(PARTS, (row.cluster, row.period, row.arm), strict=True))
    said |= {IMPUTATION: row.imputation} if row.imputation else {}
    said |= {VALUE: "" if row.value is None else row.value} if valued else {}
    coded = {"coding": [{"system": POPULATION, "code": "measure-population"}]}
    sums = {SUM: row.total, SQUARES: row.squares}
    if weighed:
        sums |= {url: getattr(row, name) for name, url in WEIGHED.items()}
    if row.has_baseline:
        sums |= {url: getattr(row, name) for name, url in BASELINE.items()}
    return {
        "extension": [{"url": url, "valueDecimal": value} for url, value in sums.items()],
        "component": [
            {"code": _coded(name), "value": {"text": str(value)}} for name, value in said.items()
        ],
        "population": [{"code": coded, "count": row.count}],
    }


def _coded(code: str) -> dict[str, object]:
    return {"coding": [{"code": code}]}
