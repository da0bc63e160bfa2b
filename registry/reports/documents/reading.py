"""Read a document strictly, and refuse one that tells of too few people."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TypeVar

from pydantic import ValidationError

from federation.errors.reports import ReportCellError, ReportDocumentError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import canonical, parse
from federation.wording import Text
from registry.records.shapes import Body, listed
from registry.reports.documents.economics import EconomicDocument
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.documents.families import Explainability, Paired, Uncertainty
from registry.reports.documents.outcomes import OutcomeDocument, Regression, Survival, Weighted

M = TypeVar("M", bound=Body)
MAX_BYTES = 4 * 2**20
_EVALUATION = Text(en="evaluation", zh="評估")
_ECONOMIC = Text(en="economic analysis", zh="經濟分析")
_OUTCOMES = Text(en="outcome study", zh="結果研究")
_TOO_LARGE = Text(en="it is larger than 4 MiB", zh="檔案大於 4 MiB")
_NOT_JSON = Text(en="it is not JSON as the platform writes it", zh="不是平台所寫的 JSON")


def read_evaluation(content: bytes | Mapping[str, object]) -> EvaluationDocument:
    """Return the document of an evaluation.

    Raises
    ------
    ReportDocumentError
        If it is too large, not JSON, or not such a document; all problems are listed.
    ReportCellError
        If it tells of fewer cases than its own rule allows.
    """
    document = _read(content, EvaluationDocument, _EVALUATION)
    _check(_counts(document), document.plan.smallest_cell)
    return document


def read_economics(content: bytes | Mapping[str, object]) -> EconomicDocument:
    """Return the results of an economic model.

    Raises
    ------
    ReportDocumentError
        If it is too large, not JSON, or not such a document; all problems are listed.
    """
    return _read(content, EconomicDocument, _ECONOMIC)


def read_outcomes(content: bytes | Mapping[str, object]) -> OutcomeDocument:
    """Return the results of an outcome study.

    Raises
    ------
    ReportDocumentError
        If it is too large, not JSON, or not such a document; all problems are listed.
    ReportCellError
        If it tells of fewer patients than its own rule allows.
    """
    document = _read(content, OutcomeDocument, _OUTCOMES)
    _check(_patients(document), document.smallest_cell)
    return document


def _read(content: bytes | Mapping[str, object], shape: type[M], kind: Text) -> M:
    if not isinstance(content, bytes):
        content = canonical(dict(content))
    if len(content) > MAX_BYTES:
        raise ReportDocumentError(kind=kind, problems=_TOO_LARGE)
    try:
        parse(content)
    except NotCanonicalError as error:
        raise ReportDocumentError(kind=kind, problems=_NOT_JSON) from error
    try:
        return shape.model_validate_json(content)
    except ValidationError as error:
        raise ReportDocumentError(kind=kind, problems=listed(error)) from error


def _check(counts: Iterator[tuple[str, int]], k: int) -> None:
    """Raise ReportCellError at the first count of 1 to k - 1."""
    for where, count in counts:
        if 0 < count < k:
            raise ReportCellError(where=where, k=k)


def _counts(document: EvaluationDocument) -> Iterator[tuple[str, int]]:
    """Yield every number of cases the document tells, or that follows from one rate."""
    found = document.assessment
    for part in (found.slices, found.sites):
        for name, one in part.items():
            yield f"cases of {name}", one.cases
            for rate, shown in one.rates.items():
                yield from _parts(f"{rate} of {name}", shown.value, shown.of)
    for number, group in enumerate(document.curves.reliability if document.curves else ()):
        yield from _parts(f"reliability group {number}", group[1], group[4])
    for pair in document.paired:
        yield from _of_pair(pair)
    if document.uncertainty is not None:
        yield from _of_uncertainty(document.uncertainty)
    if document.explainability is not None:
        yield from _of_explanations(document.explainability)


def _of_pair(pair: Paired) -> Iterator[tuple[str, int]]:
    where = f"comparison with {pair.against}"
    yield from ((where, pair.cases), (where, pair.positives), (where, pair.negatives))


def _of_uncertainty(found: Uncertainty) -> Iterator[tuple[str, int]]:
    """Yield the parts of the patients, their rates, and what two points of a curve differ by."""
    yield from (("calibration part", found.calibration_cases), ("test part", found.test_cases))
    for name, rate in (*found.coverage.items(), ("certain", found.certain)):
        yield from _parts(f"coverage of {name}", rate.value, rate.of)
    everyone = found.calibration_cases + found.test_cases
    kept = [(round(one[1] * everyone), one[1] * one[2] * everyone) for one in found.selective]
    for (cases, wrong), (fewer, fewer_wrong) in pairwise([*kept, (0, 0.0)]):
        missed = round(wrong - fewer_wrong)
        yield from (
            ("answers kept", cases - fewer),
            ("wrong answers kept", missed),
            ("right answers kept", cases - fewer - missed),
        )


def _of_explanations(found: Explainability) -> Iterator[tuple[str, int]]:
    for name, one in found.statistics.items():
        yield f"cases of {name}", one.cases
        for low, _, share in one.histogram:
            yield f"{name} from {low:g}", round(share * one.cases)


def _patients(document: OutcomeDocument) -> Iterator[tuple[str, int]]:
    """Yield every number of patients that an outcome study tells."""
    yield "patients", document.patients
    for one in document.analyses:
        match one:
            case Survival():
                yield from _of_survival(one)
            case Regression():
                yield f"patients of {one.name}", one.patients or 0
                yield f"events of {one.name}", one.events or 0
            case Weighted():
                for arm in (one.patients,) if one.patients else ():
                    yield from ((one.name, int(arm.untreated)), (one.name, int(arm.treated)))


def _of_survival(one: Survival) -> Iterator[tuple[str, int]]:
    yield from ((f"patients of {curve.group}", curve.patients) for curve in one.curves)
    for group in one.at_risk.groups if one.at_risk else ():
        yield from ((f"at risk in {group.group}", count or 0) for count in group.counts)


def _parts(where: str, rate: float | None, of: int | None) -> Iterator[tuple[str, int]]:
    if of is None:
        return
    yield where, of
    if rate is not None:
        hits = round(rate * of)
        yield from ((where, hits), (where, of - hits))
