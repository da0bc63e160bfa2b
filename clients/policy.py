"""What a hospital allows at all, before anybody looks at a single study.

One TOML file, `policy.toml`, owned by the hospital's data officer. Unknown keys
and an unreadable file allow nothing. `reasons_against` says every no in words.
"""

import tomllib
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federation.domain.recipe import Recipe
from federation.domain.study import Purpose, Study
from federation.errors.approval import PolicyUnreadableError
from federation.wording import Language, Text

POLICY_FILE = "policy.toml"
TEMPLATE = """# What this hospital allows. The data officer owns this file.
# 本院允許的事項,由資料官管理。
purposes = ["public-health", "medical-care"]
recipes = ["*"]              # names of recipes, or "*" for every one in the installed wheel
largest_epsilon = 8.0        # per study, one patient added or removed
largest_delta = 1e-3
dataset_epsilon = 8.0        # over all studies that use the same dataset, at dataset_delta
dataset_delta = 1e-3
without_privacy = false      # may a study train without differential privacy?
share_loss = true            # may the mean training loss leave each round? It has no DP guarantee
fewest_patients = 20         # refuse to train on fewer
fewest_sites = 2             # refuse studies with a smaller quorum
"""


class Policy(BaseModel):
    """The rules of `policy.toml`, checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purposes: list[Purpose]
    recipes: list[str]
    largest_epsilon: float = Field(gt=0, le=100, allow_inf_nan=False)
    largest_delta: float = Field(gt=0, lt=1, allow_inf_nan=False)
    dataset_epsilon: float = Field(gt=0, le=1000, allow_inf_nan=False)
    dataset_delta: float = Field(gt=0, lt=1, allow_inf_nan=False)
    without_privacy: bool
    share_loss: bool
    fewest_patients: int = Field(ge=1)
    fewest_sites: int = Field(ge=1)


PURPOSE = Text(en="the purpose {purpose} is not allowed", zh="不允許的目的:{purpose}")
RECIPE = Text(en="the recipe {recipe} is not allowed", zh="不允許的配方:{recipe}")
OTHER_RECIPE = Text(
    en="the recipe {recipe} differs from the one installed here",
    zh="配方 {recipe} 與本院安裝的版本不同",
)
EPSILON = Text(en="epsilon {asked} is more than {allowed}", zh="epsilon {asked} 超過上限 {allowed}")
DELTA = Text(en="delta {asked} is more than {allowed}", zh="delta {asked} 超過上限 {allowed}")
NO_PRIVACY = Text(en="it trains without differential privacy", zh="此研究不使用差分隱私訓練")
QUORUM = Text(
    en="a quorum of {asked} is less than {allowed} sites",
    zh="最低站點數 {asked} 少於 {allowed}",
)
EXPIRED = Text(en="it expired on {date}", zh="已於 {date} 過期")


def read_policy(path: Path) -> Policy:
    """Return the policy of a node.

    Raises
    ------
    PolicyUnreadableError
        If the file is missing, is not TOML, or breaks a rule; nothing is allowed then.
    """
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise PolicyUnreadableError(why="the file is missing") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyUnreadableError(why=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise PolicyUnreadableError(why=f"{field}: {first['msg']}") from error


def reasons_against(
    study: Study,
    policy: Policy,
    *,
    recipe: Recipe,
    now: datetime,
    language: Language = Language.EN,
) -> list[str]:
    """Return every reason of the policy to refuse a study; empty when it may be approved.

    Parameters
    ----------
    recipe
        The recipe of that name as installed here.
    """
    said: list[tuple[Text, dict[str, object], bool]] = [
        (PURPOSE, {"purpose": study.purpose.value}, study.purpose not in policy.purposes),
        (RECIPE, {"recipe": study.recipe}, not _names(policy, study.recipe)),
        (OTHER_RECIPE, {"recipe": study.recipe}, recipe.digest != study.recipe_digest),
        (QUORUM, {"asked": study.quorum, "allowed": policy.fewest_sites},
         study.quorum < policy.fewest_sites),
        (EXPIRED, {"date": study.expires}, datetime.fromisoformat(study.expires) <= now),
        *_privacy_reasons(study, policy),
    ]  # fmt: skip
    return [text.say(language, **values) for text, values, holds in said if holds]


def _names(policy: Policy, recipe: str) -> bool:
    return "*" in policy.recipes or recipe in policy.recipes


def _privacy_reasons(study: Study, policy: Policy) -> list[tuple[Text, dict[str, object], bool]]:
    plan = study.privacy
    if plan is None:
        return [(NO_PRIVACY, {}, not policy.without_privacy)]
    return [
        (EPSILON, {"asked": plan.epsilon, "allowed": policy.largest_epsilon},
         plan.epsilon > policy.largest_epsilon),
        (DELTA, {"asked": plan.delta, "allowed": policy.largest_delta},
         plan.delta > policy.largest_delta),
    ]  # fmt: skip
