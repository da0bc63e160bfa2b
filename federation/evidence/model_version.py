"""The form in which the centre tells the registry of a trained model, and how it is kept.

`Candidate` is what the centre hands in, `Record` what the registry signs,
logs and shows; docs/registry-record.md explains every field. Both are the edge
between the two, so they are strict pydantic models: unknown keys, text for a
number, NaN and infinity are refused. Frozen; a correction is a new record.
"""

from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.errors.registry import RecordInvalidError
from federation.evidence.canonical import canonical, digest_of, parse
from federation.evidence.characters import UNSEEN

MAX_STATEMENTS = 2000  # so that the signed record stays below the 1 MiB of an envelope
RECORD_SCHEMA = "trifed.model-version/1"

_StudyId = Annotated[str, Field(pattern=rf"^(?:{StudyId.pattern.pattern})$")]
_RunId = Annotated[str, Field(pattern=rf"^(?:{RunId.pattern.pattern})$")]
_SiteId = Annotated[str, Field(pattern=rf"^(?:{SiteId.pattern.pattern})$")]
Digest = Annotated[str, Field(pattern=rf"^{Sha256.pattern.pattern}$")]
Line = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=f"^[^\x00-\x1f{UNSEEN}]+$")
]
Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Positive = Annotated[float, Field(gt=0)]
ModelId = Annotated[str, Field(pattern=r"^TWAI-[0-9]{4}-[0-9]{5}-[0-9]$")]
Version = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$")]
EntryId = Annotated[
    str, Field(pattern=r"^TWAI-[0-9]{4}-[0-9]{5}-[0-9]\.v[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$")
]
Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$")]


class ModelVersionState(Enum):
    """Where a model version stands; the table of moves is registry/models/states.py."""

    DRAFT = "draft"
    REGISTERED = "registered"
    INTERNAL_EVAL = "internal-eval"
    EXTERNAL_EVAL = "external-eval"
    RAI_APPROVED = "rai-approved"
    SILENT = "silent"
    PILOT = "pilot"
    LIVE = "live"
    RESTRICTED = "restricted"
    SUSPENDED = "suspended"
    RETIRED = "retired"
    REJECTED = "rejected"


class _Value(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        populate_by_name=True,
        serialize_by_alias=True,
        protected_namespaces=(),
    )


class Bilingual(_Value):
    """One text in both languages; the JSON keys are ``zh-TW`` and ``en``."""

    zh: Paragraph = Field(validation_alias="zh-TW", serialization_alias="zh-TW")
    en: Paragraph


class StudyRef(_Value):
    """The study as the sites approved it."""

    id: _StudyId
    title: Line
    digest: Digest


class RecipeRef(_Value):
    """The recipe the model was built by."""

    name: Line
    version: Line
    digest: Digest


class ModelFile(_Value):
    """The weights in the artefact store: a safetensors file, its size in bytes."""

    format: Literal["safetensors"] = "safetensors"
    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")]
    sha256: Digest
    size_bytes: Annotated[int, Field(gt=0, le=2**40)]
    parameters: Annotated[int, Field(gt=0, le=2**50)]


class Rounds(_Value):
    """How many rounds were asked for and how many were done."""

    asked: Annotated[int, Field(gt=0, le=10**6)]
    done: Annotated[int, Field(ge=0, le=10**6)]


class Participant(_Value):
    """One site that took part; `patients` is None where fewer than ten is suppressed."""

    site: _SiteId
    patients: Count | None
    rounds: Annotated[int, Field(ge=0, le=10**6)]
    dataset_digest: Digest


class PooledMetric(_Value):
    """An estimate with its interval; `n` patients that were not trained on."""

    name: Line
    value: float
    low: float
    high: float
    n: Count
    method: Line


class SiteMetric(PooledMetric):
    """An estimate at one site."""

    site: _SiteId


class PrivacyStatement(_Value):
    """What one site's patients were promised, and by which mechanism.

    `epsilon` and `delta` hold for one patient, add/remove, over the whole run;
    `statement` says it in words with what it does not cover.
    """

    site: _SiteId
    mechanism: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,60}$")]
    epsilon: Positive
    delta: Annotated[float, Field(gt=0, lt=1)]
    unit: Literal["patient"] = "patient"
    neighbouring: Literal["add/remove"] = "add/remove"
    accountant: Line
    noise_multiplier: Positive
    clip_norm: Positive
    sample_rate: Annotated[float, Field(gt=0, le=1)]
    steps: Annotated[int, Field(gt=0, le=10**9)]
    statement: Bilingual


class NoPrivacyStatement(_Value):
    """That one site trained without differential privacy, and why."""

    site: _SiteId
    mechanism: Literal["none"] = "none"
    statement: Bilingual


class CodeRef(_Value):
    """The code that trained it: version and content id of the installed packages."""

    version: Line
    wheel_digest: Digest


class Environment(_Value):
    """Python version and content id of the installed package versions."""

    python: Line
    packages_digest: Digest


class RefusedPart(_Value):
    """A site's coded no, or the centre's to a site."""

    site: _SiteId
    code: Annotated[str, Field(pattern=r"^TF[0-9]{3}$")]
    what: Line


class SubmittedStatement(_Value):
    """A signed statement as handed in; `site` is None for the centre's own."""

    site: _SiteId | None
    kind: Line
    envelope: Annotated[str, StringConstraints(min_length=1, max_length=2**20)]


class LoggedStatement(_Value):
    """A signed statement as recorded: content id of its envelope, its signer, its log place."""

    site: _SiteId | None
    kind: Line
    envelope_digest: Digest
    keyid: Digest
    log_index: Count


class _Facts(_Value):
    study: StudyRef
    run: _RunId
    recipe: RecipeRef
    model: ModelFile
    rounds: Rounds
    participants: Annotated[tuple[Participant, ...], Field(min_length=1, max_length=500)]
    evaluations: Annotated[tuple[SiteMetric, ...], Field(max_length=1000)]
    pooled: Annotated[tuple[PooledMetric, ...], Field(max_length=100)]
    privacy: Annotated[tuple[PrivacyStatement | NoPrivacyStatement, ...], Field(max_length=500)]
    code: CodeRef
    environment: Environment
    refused: Annotated[tuple[RefusedPart, ...], Field(max_length=500)] = ()
    supersedes: EntryId | None = None

    def as_json(self) -> dict[str, object]:
        """Return the value as plain JSON."""
        value = parse(canonical(self.model_dump(mode="json")))
        assert isinstance(value, dict)
        return value

    @property
    def digest(self) -> Sha256:
        """Return the content id over all fields."""
        return digest_of(self.as_json())


class Candidate(_Facts):
    """A trained model as the centre hands it in."""

    statements: Annotated[tuple[SubmittedStatement, ...], Field(max_length=MAX_STATEMENTS)] = ()

    @classmethod
    def from_json(cls, content: bytes) -> "Candidate":
        """Return the candidate in `content`.

        Raises
        ------
        NotCanonicalError
            If it is not JSON, or a key occurs twice.
        RecordInvalidError
            If a field is missing, unknown or out of range; all are listed.
        """
        parse(content)
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise RecordInvalidError(problems=_listed(error)) from error


class Record(_Facts):
    """One version of a model as the registry keeps it. Signed, logged, never changed."""

    schema_: Literal["trifed.model-version/1"] = Field(alias="schema")
    id: ModelId
    version: Version
    state: Literal["draft"]
    created: Moment
    statements: Annotated[tuple[LoggedStatement, ...], Field(max_length=MAX_STATEMENTS)]

    @property
    def entry(self) -> str:
        """Return the id of this version, for example ``TWAI-2026-00001-4.v0.1.0``."""
        return f"{self.id}.v{self.version}"

    @classmethod
    def from_json(cls, content: bytes) -> "Record":
        """Return the record in `content`.

        Raises
        ------
        NotCanonicalError
            If it is not JSON, or a key occurs twice.
        RecordInvalidError
            If it is not a record; all problems are listed.
        """
        parse(content)
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise RecordInvalidError(problems=_listed(error)) from error


def _listed(error: ValidationError) -> str:
    found = [
        f"{'.'.join(str(step) for step in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    ]
    more = f"; and {len(found) - 20} more" if len(found) > 20 else ""
    return "; ".join(found[:20]) + more
