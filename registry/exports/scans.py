"""The noun ``export-scan``: what a scan of one file found, written by who ran it.

The applicant cannot write one, so nobody vouches for his own file. A scan that was
wrong is withdrawn; a new one is a new record.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated

from pydantic import Field

from federation.evidence.model_version import Bilingual, Digest, Line
from federation.wording import Text
from registry.codes import RecordName
from registry.datasets.fields import When
from registry.disclosure import OpenBody
from registry.records.moves import Move, Moves, Seat
from registry.records.ports import Link
from registry.records.shapes import Body, Noun
from registry.roles import Role


class Check(Enum):
    """What a file is looked through for (B.3)."""

    RAW_DATA = "raw-data"
    EMBEDDED_RECORDS = "embedded-records"
    MEMORISATION = "memorisation"
    CELL_RULE = "cell-rule"


class Outcome(Enum):
    """What a check said."""

    CLEAN = "clean"
    FOUND = "found"


class CheckResult(Body):
    """One check: by which tool, with which report."""

    check: Check
    outcome: Outcome
    tool: Line
    version: Line
    report: Digest
    said: Bilingual | None = None


class ExportScan(OpenBody):
    """What the checks of one file found, and when."""

    request: RecordName
    sha256: Digest
    at: When
    results: Annotated[tuple[CheckResult, ...], Field(min_length=1, max_length=len(Check))]

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return the digest of the file."""
        return {"sha256": [self.sha256]}

    def links(self) -> Sequence[Link]:
        """Return the request it belongs to."""
        return (Link("scans", "export-request", self.request),)


class ScanState(Enum):
    """Whether a scan counts."""

    RECORDED = "recorded"
    WITHDRAWN = "withdrawn"


MOVES: Moves[ScanState] = Moves(
    start=ScanState.RECORDED,
    moves=(
        Move(
            "withdraw",
            ScanState.RECORDED,
            ScanState.WITHDRAWN,
            seats=(Seat(Role.NHI_S, Role.SEC, approves=False),),
            follows=Text(en="Scan the file again.", zh="請重新掃描檔案。"),
        ),
    ),
)

SCAN = Noun(
    "export-scan",
    ExportScan,
    MOVES,
    authors=frozenset({Role.NHI_S, Role.SEC}),
)
