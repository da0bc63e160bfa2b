"""What the hospital decided of its opt-out register: `optout.toml` in the node's home.

Without the file, lists are imported by hand and no signature is known. Unknown
keys are refused with every problem named: a misspelled rule must not be no rule.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clients.data.people.lists import Kind
from clients.data.people.register import Mode
from federation.domain.toml_text import parse_toml
from federation.errors.people import OptOutRulesError
from federation.errors.signed import KeyFileError
from federation.evidence.verification import PublicKey, Trusted, trusted_keys

FILE = "optout.toml"
TEMPLATE = """# Where this hospital learns who opted out. 本院退出名單的來源。
# identifier_system = "https://hospital.example/id"   # FHIR identifiers that are Patient IDs
#                                                      # FHIR 識別碼中屬於病歷號者

# [[issuer]]                       # whose signed lists are believed 信任其簽署名單者
# name = "Ministry"
# public_key = "keys/issuer.pub"   # PEM, Ed25519; relative to this home 相對於本工作目錄

# [source]                         # a list that is fetched 線上取得的名單
# url = "https://optout.example/list"
# kind = "auto"                    # auto, csv, fhir, signed
# mode = "replace"                 # replace: the list is the whole register; add: it only adds
#                                  # replace:即為完整名單;add:僅新增
# token_file = "keys/optout.token" # sent as a bearer token; mode 0600 權限須為 0600
# ca_file = "pki/optout-ca.crt"    # the server's own authority 伺服器的憑證機構
# timeout_s = 30.0
# largest_mb = 64
# max_age_hours = 48               # older: intake and training stop 逾時即停止收錄與訓練
"""

Name = Annotated[str, Field(min_length=1, max_length=80)]


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Issuer(_Rules):
    """Somebody whose signed lists are believed."""

    name: Name
    public_key: Path


class Source(_Rules):
    """A list that is fetched by HTTPS."""

    url: Annotated[str, Field(pattern=r"^https://[^\s@]+$")]
    kind: Kind = Kind.AUTO
    mode: Mode = Mode.REPLACE
    token_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: float = Field(default=30.0, ge=1, le=600, allow_inf_nan=False)
    largest_mb: int = Field(default=64, ge=1, le=64)
    max_age_hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class OptOutRules(_Rules):
    """The whole file."""

    identifier_system: str | None = None
    issuer: list[Issuer] = []
    source: Source | None = None

    @model_validator(mode="after")
    def _signed_needs_issuer(self) -> "OptOutRules":
        if self.source and self.source.kind is Kind.SIGNED and not self.issuer:
            raise ValueError("a signed source needs an [[issuer]]")
        return self


def read_rules(data: Path) -> OptOutRules:
    """Return the rules of the home that holds the data folder `data`.

    Raises
    ------
    OptOutRulesError
        If the file is no TOML, or breaks a rule; all problems are named.
    """
    try:
        content = (data.parent / FILE).read_bytes()
        return OptOutRules.model_validate(parse_toml(content))
    except FileNotFoundError:
        return OptOutRules()
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise OptOutRulesError(problems="; ".join(problems)) from error
    except OSError as error:
        raise OptOutRulesError(problems=error.strerror or type(error).__name__) from error
    except ValueError as error:
        raise OptOutRulesError(problems=str(error)) from error


def trusted_issuers(data: Path, rules: OptOutRules) -> Trusted:
    """Return the issuers' keys by key id.

    Raises
    ------
    OptOutRulesError
        If a key file cannot be read.
    """
    try:
        return trusted_keys(
            PublicKey.load(data.parent / issuer.public_key) for issuer in rules.issuer
        )
    except KeyFileError as error:
        raise OptOutRulesError(problems=error.say_what()) from error
