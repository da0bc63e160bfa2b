"""Read what a site reports before it counts: a signature makes a report the site's, not sound.

Everything that later goes into the registry entry is looked at when the reply
arrives, so that one site's nonsense costs that site its round and nobody the run.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federation.domain.ids import Sha256
from federation.errors.rounds import ReplyMalformedError
from federation.wire.messages import TaskKind

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=10**12)]
_Digest = Annotated[str, Field(pattern=f"^{Sha256.pattern.pattern}$")]
_Name = Annotated[str, Field(pattern="^[ -~]{1,60}$")]


_Code = Annotated[str, Field(pattern=r"^TF[0-9]{3}$")]


_SHARES = frozenset({"auroc", "dice"})
"""Metrics that lie between 0 and 1."""


class _Report(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    dataset_digest: _Digest
    refused: _Code | None = None


class _Trained(_Report):
    loss: float | None = None
    patients: _Count
    examples: _Count
    steps: Annotated[int, Field(gt=0, le=10**9)]


class _TrainedPrivately(_Trained):
    epsilon: _Positive
    noise_multiplier: _Positive
    clip_norm: _Positive
    sample_rate: Annotated[float, Field(gt=0, le=1)]


class _Metric(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    name: _Name
    value: _Finite
    low: _Finite
    high: _Finite
    n: _Count
    method: _Name
    variance: _NotNegative | None

    @model_validator(mode="after")
    def _holds(self) -> Self:
        shares = (self.low, self.high) if self.name in _SHARES else (0.0, 1.0)
        if not self.low <= self.value <= self.high or not 0 <= shares[0] <= shares[1] <= 1:
            raise ValueError("the interval does not hold the value, or is none of a share")
        return self


class _Evaluated(_Report):
    metrics: Annotated[list[_Metric], Field(max_length=16)]


def check_report(report: dict[str, object], *, kind: TaskKind, is_private: bool) -> None:
    """Raise unless a report has every field that the registry entry takes from it.

    Raises
    ------
    ReplyMalformedError
        Naming the first field that is missing, of another type or out of range.
    """
    trained = _TrainedPrivately if is_private else _Trained
    wanted: type[_Report] = trained if kind is TaskKind.TRAIN else _Evaluated
    try:
        wanted.model_validate(report)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:60]
        raise ReplyMalformedError(field=f"report {field}", problem=first["type"]) from error
