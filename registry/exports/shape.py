"""The form of an export request (REGISTRY.md B.3, R25-R27)."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated

from pydantic import Field

from federation.evidence.model_version import Bilingual, Digest
from registry.codes import RecordName
from registry.disclosure import OpenBody
from registry.records.ports import Link

NAME = "export-request"


class When(Enum):
    """During the period, or when it ends (R25, R26)."""

    IN_PERIOD = "in-period"
    AT_EXPIRY = "at-expiry"


class Kind(Enum):
    """What is to be carried out."""

    FILE = "file"
    MODEL = "model"
    PARAMETERS = "parameters"
    TEST_RESULTS = "test-results"
    STATISTICS = "statistics"


class ExportRequest(OpenBody):
    """One file that is to leave, by its digest."""

    application: RecordName
    when: When
    kind: Kind
    sha256: Digest
    size_bytes: Annotated[int, Field(gt=0, le=2**40)]
    what: Bilingual
    purpose: Bilingual

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return kind, when and digest."""
        return {"kind": [self.kind.value], "when": [self.when.value], "sha256": [self.sha256]}

    def links(self) -> Sequence[Link]:
        """Return the application it belongs to."""
        return (Link("exports-from", "data-application", self.application),)

    def words(self) -> str:
        """Return what it is."""
        return f"{self.what.zh} {self.what.en}"
