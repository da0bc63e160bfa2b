"""What holds back the moves of an export request (R25-R27)."""

from collections.abc import Iterator
from dataclasses import dataclass

from federation.errors import PlatformError
from federation.errors.governance import ExportHeldBackError
from federation.evidence.canonical import canonical
from federation.wording import Text
from registry.exports.scans import SCAN, Check, CheckResult, ExportScan, Outcome, ScanState
from registry.exports.shape import NAME, ExportRequest, Kind, When
from registry.ports import Transaction
from registry.records.moves import Case
from registry.records.ports import StoredRecord

ALWAYS = frozenset({Check.RAW_DATA, Check.EMBEDDED_RECORDS})
NEEDED: dict[Kind, frozenset[Check]] = {
    Kind.FILE: ALWAYS | {Check.CELL_RULE},
    Kind.MODEL: ALWAYS | {Check.MEMORISATION},
    Kind.PARAMETERS: ALWAYS | {Check.MEMORISATION},
    Kind.TEST_RESULTS: ALWAYS | {Check.CELL_RULE},
    Kind.STATISTICS: ALWAYS | {Check.CELL_RULE},
}
"""Which checks a kind needs; a file of no other kind may hold anything."""

COUNCIL_KINDS = frozenset({Kind.MODEL, Kind.PARAMETERS, Kind.TEST_RESULTS})

_NO_APPLICATION = Text(
    en="its application is not in use, or is another house's",
    zh="所屬申請案不在使用中,或屬於其他機構",
)
_NOT_EXPIRED = Text(
    en="the period of its application is not over", zh="所屬申請案的使用期間尚未屆滿"
)
_NOT_SCANNED = Text(en="no scan of this very file is recorded", zh="沒有此檔案的掃描紀錄")
_FOUND = Text(en="a scan found what may not leave", zh="掃描發現不得攜出的內容")
_COUNCIL = Text(en="the council decides on it", zh="應由審議會審議")


@dataclass(frozen=True, slots=True)
class ExportEvidence:
    """What guards judge besides the record: its application and its scans."""

    body: ExportRequest
    house: str
    application_state: str | None
    application_house: str | None
    scans: tuple[ExportScan, ...]


def collect(transaction: Transaction, record: StoredRecord) -> ExportEvidence:
    """Return the evidence of a request, read inside the move's transaction."""
    body = ExportRequest.model_validate_json(canonical(dict(record.body)))
    asked = transaction.records.history("data-application", body.application)
    scans = transaction.records.linking(NAME, record.id, relation="scans", by=SCAN.name)
    mine = transaction.records.history(NAME, record.id)
    return ExportEvidence(
        body,
        mine[0].author.organisation,
        asked[-1].state if asked else None,
        asked[0].author.organisation if asked else None,
        tuple(SCAN.of(one) for one in scans if one.state == ScanState.RECORDED.value),
    )


def _of(case: Case) -> ExportEvidence:
    assert isinstance(case.evidence, ExportEvidence)  # the noun's collector made it
    return case.evidence


def application_in_use(case: Case) -> Iterator[PlatformError]:
    """R15, R25: the application is in use, or just over, and the same house's."""
    found = _of(case)
    same = found.application_house == found.house
    if found.application_state not in ("active", "expired") or not same:
        yield ExportHeldBackError(why=_NO_APPLICATION)


def when_it_says(case: Case) -> Iterator[PlatformError]:
    """R26: what leaves at the end leaves when the period is over."""
    found = _of(case)
    if found.body.when is When.AT_EXPIRY and found.application_state == "active":
        yield ExportHeldBackError(why=_NOT_EXPIRED)


def scanned(case: Case) -> Iterator[PlatformError]:
    """R27: each check that the kind needs was made of this very file."""
    found = _of(case)
    if NEEDED[found.body.kind] - {result.check for result in _results(found)}:
        yield ExportHeldBackError(why=_NOT_SCANNED)


def clean(case: Case) -> Iterator[PlatformError]:
    """R27: no scan of this file that stands found raw data, records or small cells."""
    if any(result.outcome is not Outcome.CLEAN for result in _results(_of(case))):
        yield ExportHeldBackError(why=_FOUND)


def staff_decide(case: Case) -> Iterator[PlatformError]:
    """R25, R26: staff release in the period, and only what is no model nor its results."""
    body = _of(case).body
    if body.kind in COUNCIL_KINDS or body.when is When.AT_EXPIRY:
        yield ExportHeldBackError(why=_COUNCIL)


def _results(found: ExportEvidence) -> Iterator[CheckResult]:
    for scan in found.scans:
        if scan.sha256 == found.body.sha256:
            yield from scan.results
