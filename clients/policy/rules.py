"""The keys of `policy.toml`: one flat table of rules, owned by the hospital's data officer.

Unknown keys, a missing key and an unreadable file allow nothing. A text from here
is only what somebody wrote; what is in force is `signed.policy_in_force`.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clients.policy.hours import Hours
from clients.seals import read_limited
from clients.sum_peers import PeerRule
from federation.domain.ids import Sha256
from federation.domain.recipe import Recipe
from federation.domain.study import Purpose
from federation.domain.toml_text import parse_toml
from federation.errors import PlatformError, ProblemsFound
from federation.errors.approval import PolicyUnreadableError

POLICY_FILE = "policy.toml"
LARGEST_FILE = 65_536
ANY = "*"
BYTES_PER_MB = 1_000_000

TEMPLATE = """# What this hospital allows. The data officer owns this file and signs it:
#   trifed node policy check, then trifed node policy sign
# 本院允許的事項,由資料官管理並簽署。

# Who may ask, and for what
centres = ["*"]              # names or key ids (sha256:...) of centres, or "*" for the enrolled one
studies = ["*"]              # patterns of study names, for example "cxr-*"
purposes = ["public-health", "medical-care"]
recipes = ["*"]              # names or digests (sha256:...), "*" for all in the installed wheel
cohorts = ["*"]              # names of cohorts

# What it may cost in privacy; epsilon for one patient added or removed
largest_epsilon = 8.0        # per study
largest_delta = 1e-3
period_epsilon = 8.0         # over all studies of a period, at period_delta
period_delta = 1e-3
period_days = 365
dataset_epsilon = 8.0        # over all studies that ever use the same dataset, at dataset_delta
dataset_delta = 1e-3
without_privacy = false      # may a study train without differential privacy?
runs_without_privacy = 3     # if so: how often may it start again,
rounds_without_privacy = 100 # and for how many rounds
hospital_level_needed = false # must the centre also hide this hospital among the others?
largest_hospital_epsilon = 50.0 # where it does: epsilon for one hospital, over the study
smallest_count_noise = 5.0   # in patients, of noisy counts on the dataset card
share_loss = true            # may the mean training loss leave each round? It has no DP guarantee

# Evaluation of registered versions: sums of many hospitals leave masked, this hospital's own
# AUROC coarse; neither has a DP guarantee
evaluation = true            # may registered versions be evaluated here?
outcomes = true              # may tables of outcomes (trifed node outcomes) be fitted with others'?
smallest_sum_cell = 10       # their results show no group of fewer patients, over all hospitals
shared_baseline = false      # may sums at every time leave for a Cox model with one baseline? Who
                             # alone has an event at a time could be read from them, not of whom
sum_peers = []               # node keys of other hospitals compared by yourself: "site sha256:..."
fewest_known_peers = 0       # at least so many of the others in a sum must be among them

# How much and how many
largest_update_mb = 500.0    # of one update, 1 MB = 1,000,000 bytes
fewest_patients = 20         # refuse to train on fewer
fewest_sites = 2             # refuse studies with a smaller quorum
fewest_sites_secret = 3      # the same where one hospital is to be hidden among the others

# When, and for how long
hours = []                   # for example ["mon-fri 20:00-06:00", "sat-sun 00:00-24:00"]
time_zone = "Asia/Taipei"    # of these hours
valid_days = 365             # the signature must be renewed after that

# How long replies are kept after their run is over; until then a repeated request costs nothing
reply_days = 30

# Who decides
two_person = false           # must a second person endorse before the data officer approves?
"""

Names = list[Annotated[str, Field(min_length=1, max_length=200)]]
Epsilon = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Delta = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class Policy(BaseModel):
    """The rules of `policy.toml`, checked. `TEMPLATE` says what each means.

    A key with a default may be missing, so that a file of an earlier version holds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    centres: Names = [ANY]
    studies: Names = [ANY]
    purposes: list[Purpose]
    recipes: Names
    cohorts: Names = [ANY]
    largest_epsilon: float = Field(gt=0, le=100, allow_inf_nan=False)
    largest_delta: Delta
    period_epsilon: Epsilon = 8.0
    period_delta: Delta = 1e-3
    period_days: int = Field(default=365, ge=1, le=36_500)
    dataset_epsilon: Epsilon
    dataset_delta: Delta
    without_privacy: bool
    runs_without_privacy: int = Field(default=3, ge=1)
    rounds_without_privacy: int = Field(default=100, ge=1)
    hospital_level_needed: bool = False
    largest_hospital_epsilon: Epsilon = 50.0
    smallest_count_noise: float = Field(default=5.0, ge=0.5, allow_inf_nan=False)
    share_loss: bool
    evaluation: bool = False
    outcomes: bool = False
    smallest_sum_cell: int = Field(default=10, ge=3, le=20)
    shared_baseline: bool = False
    sum_peers: Names = []
    fewest_known_peers: int = Field(default=0, ge=0, le=1000)
    largest_update_mb: float = Field(default=500.0, gt=0, allow_inf_nan=False)
    fewest_patients: int = Field(ge=1)
    fewest_sites: int = Field(ge=1)
    fewest_sites_secret: int = Field(default=3, ge=2)
    hours: Names = []
    time_zone: str = "Asia/Taipei"
    valid_days: int = Field(default=365, ge=1, le=3_650)
    reply_days: int = Field(default=30, ge=1, le=36_500)
    two_person: bool = False

    @model_validator(mode="after")
    def _peers_are_understood(self) -> "Policy":
        try:
            self.peer_rule()
        except PlatformError as error:
            raise ValueError(error.say_what()) from error
        return self

    @model_validator(mode="after")
    def _hours_are_understood(self) -> "Policy":
        Hours.parse(self.hours, self.time_zone)
        return self

    def open_hours(self) -> Hours:
        """Return when messages are taken."""
        return Hours.parse(self.hours, self.time_zone)

    def peer_rule(self) -> PeerRule:
        """Return what is asked of the hospitals in a secure sum."""
        return PeerRule.of(
            self.sum_peers, fewest_known=self.fewest_known_peers, fewest=self.fewest_sites_secret
        )

    def lets_centre(self, name: str, key: Sha256) -> bool:
        """Say whether this centre may ask, by name or key id."""
        return bool({ANY, name, str(key)} & set(self.centres))

    def lets_study(self, name: str) -> bool:
        """Say whether a study of this name may be asked."""
        return any(fnmatchcase(name, pattern) for pattern in self.studies)

    def lets_recipe(self, recipe: Recipe) -> bool:
        """Say whether this recipe may be trained, by name or digest."""
        return bool({ANY, recipe.name, str(recipe.digest)} & set(self.recipes))

    def lets_cohort(self, name: str) -> bool:
        """Say whether this cohort may be used."""
        return bool({ANY, name} & set(self.cohorts))


def read_policy(path: Path) -> Policy:
    """Return the rules in a file, its signature not looked at.

    Raises
    ------
    PolicyUnreadableError
        If the file is missing, is not TOML, or breaks a rule; nothing is allowed then.
    """
    return parse_policy(read_text(path))


def read_text(path: Path) -> bytes:
    """Return the bytes of a policy file.

    Raises
    ------
    PolicyUnreadableError
        If it is missing, unreadable or larger than 64 KiB.
    """
    try:
        content = read_limited(path, LARGEST_FILE)
    except FileNotFoundError as error:
        raise PolicyUnreadableError(why="the file is missing") from error
    except OSError as error:
        raise PolicyUnreadableError(why=error.strerror or "unreadable") from error
    if len(content) > LARGEST_FILE:
        raise PolicyUnreadableError(why=f"it is larger than {LARGEST_FILE} bytes")
    return content


def parse_policy(content: bytes) -> Policy:
    """Return the rules in a text.

    Raises
    ------
    PolicyUnreadableError
        With the first thing that is wrong.
    """
    found = problems_in(content)
    if isinstance(found, Policy):
        return found
    raise found[0]


def check_policy(content: bytes) -> Policy:
    """Return the rules in a text, or say everything that is wrong with it.

    Raises
    ------
    PolicyUnreadableError, ProblemsFound
        With every problem.
    """
    found = problems_in(content)
    if isinstance(found, Policy):
        return found
    listed: list[PlatformError] = list(found)
    raise listed[0] if len(listed) == 1 else ProblemsFound(listed)


def problems_in(content: bytes) -> Policy | list[PolicyUnreadableError]:
    """Return the rules in a text, or one error for each thing that is wrong; never none."""
    try:
        return Policy.model_validate(parse_toml(content))
    except ValidationError as error:
        return [
            PolicyUnreadableError(why=": ".join(filter(None, (_field(one["loc"]), one["msg"]))))
            for one in error.errors()
        ]
    except ValueError as error:
        return [PolicyUnreadableError(why=str(error))]


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place))
