"""What an intake accepts and how it removes the patient, as the hospital wrote it down.

`intake.toml` lies in the node's home. `read_rules` gives the values of a home
without one as they are by default. Unknown keys, options and spellings are
refused with every problem named: a rule that is misspelled must not be no rule.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clients.data.deidentification.profile import DEFAULT_OPTIONS, Option
from clients.data.dicom.elements import Limits
from clients.data.pixeltext.policy import PixelText
from federation.domain.toml_text import parse_toml
from federation.errors.data import IntakeRulesError

FILE = "intake.toml"
TEMPLATE = """# What this hospital takes in, and how the patient is taken out of it.
# 本院收錄哪些影像,以及如何去除病人身分。
modalities = []                          # such as ["CR", "DX"]; empty: every kind of image
body_parts = []                          # such as ["CHEST"]; empty: every one
retain = ["dates-modified", "patient"]   # options of DICOM PS3.15 Annex E; also "device"
pixel_text = "quarantine"                # text in pictures: or "blank", or "declared" (no look)
largest_file_mb = 512
seconds_per_file = 60.0
memory_per_reader_mb = 3072
"""

Code = Annotated[str, Field(pattern=r"^[A-Z0-9 _]{1,16}$")]
"""A code string (CS) of DICOM."""


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What an intake accepts.

    `modalities` and `body_parts` empty mean any; `options` say what
    de-identification may leave, `pixel_text` what happens to text in pictures;
    `timeout_s` and `memory_bytes` bound the process that reads one file.
    """

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    options: frozenset[Option] = DEFAULT_OPTIONS
    pixel_text: PixelText = PixelText.QUARANTINE
    limits: Limits = field(default_factory=Limits)
    timeout_s: float = 60.0
    memory_bytes: int = 3 * 1024**3


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    modalities: list[Code] = []
    body_parts: list[Code] = []
    retain: list[str] = sorted(option.column for option in DEFAULT_OPTIONS)
    pixel_text: PixelText = PixelText.QUARANTINE
    largest_file_mb: int = Field(default=512, ge=1, le=16_384)
    seconds_per_file: float = Field(default=60.0, ge=1, le=3600, allow_inf_nan=False)
    memory_per_reader_mb: int = Field(default=3072, ge=1024, le=262_144)

    def rules(self) -> IntakeRules:
        named = {option.column: option for option in Option}
        unknown = sorted(set(self.retain) - named.keys())
        if unknown:
            known = ", ".join(sorted(named))
            raise IntakeRulesError(problems=f"retain: {', '.join(unknown)} is not one of {known}")
        return IntakeRules(
            modalities=tuple(self.modalities),
            body_parts=tuple(self.body_parts),
            options=frozenset(named[name] for name in self.retain),
            pixel_text=self.pixel_text,
            limits=Limits(file_bytes=self.largest_file_mb << 20),
            timeout_s=self.seconds_per_file,
            memory_bytes=self.memory_per_reader_mb << 20,
        )


def read_rules(data: Path) -> IntakeRules:
    """Return the rules of the home that holds the data folder `data`.

    Raises
    ------
    IntakeRulesError
        If the file is no TOML, or breaks a rule; all problems are named.
    """
    try:
        content = (data.parent / FILE).read_bytes()
        return _File.model_validate(parse_toml(content)).rules()
    except FileNotFoundError:
        return IntakeRules()
    except ValidationError as error:
        raise IntakeRulesError(problems="; ".join(map(_in_words, error.errors()))) from error
    except (OSError, ValueError) as error:
        raise IntakeRulesError(problems=str(error)) from error


def _in_words(problem: object) -> str:
    assert isinstance(problem, dict)
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
