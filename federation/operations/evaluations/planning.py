"""Make the study of an evaluation from what the register signed and whom the centre enrolled.

Nothing of a version is typed: weights, run and the sites that trained it come from its
signed entry, the keys of the sites from the roster. `check_still` asks the same again when
a plan is submitted, so that an edited plan cannot claim other weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from federation.coordinator.home import CentreHome
from federation.domain.evaluation_plan import (
    Comparison,
    Conformal,
    Corruption,
    EvaluatedVersion,
    EvaluationPlan,
    Explaining,
    Family,
    Pairing,
    Peer,
    Slices,
)
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.site import SiteState
from federation.domain.study import Purpose, Study, no_training
from federation.errors.base import PlatformError
from federation.errors.evaluating import EvaluationPlanError
from federation.evaluation.policy import default_policy
from federation.evidence.inclusion import CheckedEntry
from federation.evidence.model_version import Record
from federation.evidence.verification import PublicKey
from federation.operations.artefacts import Artefacts
from federation.operations.registry import show_entry
from federation.wire.evaluation_plan import FEWEST_PEERS
from federation.wire.study import digest_of_study
from federation.wording import Text

DEFAULT_PAIRING = Pairing(steps=200)
DEFAULT_CONFORMAL = Conformal(alpha=0.1, calibration=0.5)
DEFAULT_EXPLAINING = Explaining(cases=40, steps=32)
"""Three hospitals together explain more than a hundred: of fewer, means are shown coarsely."""
DEFAULT_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
DEFAULT_SLICES = (
    Slices("sex", ("F", "M"), "F"),
    Slices("age-band", ("18-39", "40-59", "60-74", "75 and over"), "40-59"),
)
DEFAULT_CORRUPTIONS = (Corruption.NOISE, Corruption.BLUR, Corruption.CONTRAST)
CLAIM_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for; the rest has a default or follows from the register.

    `claims` are AUROCs by entry; the pooled figure of an entry where none is given.
    """

    study: StudyId
    entries: Sequence[str]
    cohort: str
    expires: datetime
    title: str = ""
    sites: Sequence[SiteId] = ()
    quorum: int = FEWEST_PEERS
    claims: Mapping[str, float] | None = None
    threshold: float = 0.5
    risk: str = "high"
    purpose: Purpose = Purpose.MEDICAL_CARE
    seed: int = 0


def plan_study(home: CentreHome, wanted: Wanted) -> Study:
    """Return the study of an evaluation.

    Raises
    ------
    EvaluationPlanError
        If versions, sites or recipe do not fit each other.
    PlatformError
        As the register's entries.
    """
    records = [record_of(home, entry) for entry in wanted.entries]
    if not records:
        raise EvaluationPlanError(why=_NO_VERSION)
    recipe, digest = _recipe(records)
    peers = peers_of(home, wanted.sites)
    claims = wanted.claims or {}
    versions = tuple(
        _version(home, entry, record, claims.get(entry))
        for entry, record in zip(wanted.entries, records, strict=True)
    )
    is_one = len(versions) == 1
    plan = EvaluationPlan(
        versions=versions,
        families=tuple(one for one in Family if one is not Family.PAIRED or not is_one),
        threshold=wanted.threshold,
        decision_thresholds=DEFAULT_THRESHOLDS,
        slices=DEFAULT_SLICES,
        comparison=Comparison.CONFIRMATORY,
        smallest_cell=default_policy().cell_rule.k,
        corruptions=DEFAULT_CORRUPTIONS,
        risk=wanted.risk,
        policy=default_policy().sha256,
        peers=peers,
        paired=None if is_one else DEFAULT_PAIRING,
        uncertainty=DEFAULT_CONFORMAL,
        explainability=DEFAULT_EXPLAINING,
    )
    study = Study(
        id=wanted.study,
        title=wanted.title or f"Evaluation of {', '.join(wanted.entries)}"[:200],
        purpose=wanted.purpose,
        recipe=recipe,
        recipe_digest=digest,
        cohort=wanted.cohort,
        sites=tuple(peer.site for peer in peers),
        quorum=wanted.quorum,
        training=no_training(plan.rounds),
        privacy=None,
        heldout_fraction=1.0,
        seed=wanted.seed,
        expires=wanted.expires.isoformat(),
        digest=Sha256.of(b""),
        evaluation=plan,
    )
    return replace(study, digest=digest_of_study(study))


def check_still(home: CentreHome, study: Study) -> EvaluationPlan:
    """Return the protocol of a study if the register and the roster still say the same.

    Raises
    ------
    EvaluationPlanError
        If the study trains, a version is not as registered, a site not as enrolled, or
        the thresholds are not those installed.
    PlatformError
        As the register's entries.
    """
    plan = study.evaluation
    if plan is None:
        raise EvaluationPlanError(why=_TRAINS)
    for version in plan.versions:
        record = record_of(home, version.entry)
        if _version(home, version.entry, record, version.claim) != version:
            raise EvaluationPlanError(why=_text(_OTHER_VERSION, entry=version.entry))
        if (record.recipe.name, record.recipe.digest) != (study.recipe, study.recipe_digest):
            raise EvaluationPlanError(why=_TWO_RECIPES)
    if peers_of(home, study.sites) != plan.peers:
        raise EvaluationPlanError(why=_OTHER_KEYS)
    if plan.policy != default_policy().sha256:
        raise EvaluationPlanError(why=_OTHER_POLICY)
    return plan


def record_of(home: CentreHome, entry: str) -> Record:
    """Return the signed record of an entry, checked against the log.

    Raises
    ------
    PlatformError
        If there is none, or it does not hold.
    """
    found: CheckedEntry = show_entry(home.folder, entry)
    if found.failure is not None:
        raise found.failure
    assert found.record is not None  # a home has the key that checks its entries
    return found.record


def peers_of(home: CentreHome, sites: Sequence[SiteId]) -> tuple[Peer, ...]:
    """Return the enrolled sites with their nodes' keys, all of them where none is named.

    Raises
    ------
    EvaluationPlanError
        If one is not enrolled, or they are fewer than three.
    """
    enrolled = {
        entry.site: entry.node_key
        for entry in home.roster().entries()
        if entry.state is SiteState.ENROLLED and entry.node_key is not None
    }
    wanted = sorted(sites or enrolled)
    missing = [site for site in wanted if site not in enrolled]
    if missing:
        raise EvaluationPlanError(why=_text(_NOT_ENROLLED, sites=", ".join(missing)))
    if len(wanted) < FEWEST_PEERS:
        raise EvaluationPlanError(why=_TOO_FEW)
    return tuple(Peer(site, _raw(enrolled[site])) for site in wanted)


def _raw(pem: str) -> str:
    return PublicKey.from_pem(pem.encode()).raw.hex()


def _version(home: CentreHome, entry: str, record: Record, claim: float | None) -> EvaluatedVersion:
    weights = Sha256(record.model.sha256)
    try:
        model, _ = Artefacts.of(home).get_model(weights)
    except PlatformError as error:
        raise EvaluationPlanError(why=_text(_NO_WEIGHTS, entry=entry)) from error
    pooled = next((one.value for one in record.pooled if one.name == "auroc"), None)
    value = pooled if claim is None else claim
    if value is None:
        raise EvaluationPlanError(why=_text(_NO_CLAIM, entry=entry))
    return EvaluatedVersion(
        entry=entry,
        weights=weights,
        array=Sha256.of(model.tobytes()),
        run=RunId(record.run),
        trained_at=tuple(SiteId(one.site) for one in record.participants),
        claim=round(min(value, 1 - 10**-CLAIM_DECIMALS), CLAIM_DECIMALS),
    )


def _recipe(records: Sequence[Record]) -> tuple[str, Sha256]:
    named = {(one.recipe.name, one.recipe.digest) for one in records}
    if len(named) != 1:
        raise EvaluationPlanError(why=_TWO_RECIPES)
    name, digest = named.pop()
    return name, Sha256(digest)


def _text(text: Text, **values: str) -> Text:
    return Text(en=text.en.format(**values), zh=text.zh.format(**values))


_NO_VERSION = Text(en="no version is named", zh="未指定任何版本")
_TRAINS = Text(en="the study trains; it evaluates nothing", zh="此研究為訓練研究,並未評估版本")
_TWO_RECIPES = Text(
    en="its versions are not all of the recipe that it names", zh="各版本並非皆屬所列配方"
)
_TOO_FEW = Text(
    en="a sum needs three enrolled hospitals or more", zh="加總至少需要三家已註冊的醫院"
)
_NOT_ENROLLED = Text(en="not enrolled: {sites}", zh="未註冊:{sites}")
_OTHER_KEYS = Text(
    en="a hospital's node key is not the one that is enrolled now; plan again",
    zh="有醫院的節點金鑰與目前註冊者不同;請重新規劃",
)
_OTHER_VERSION = Text(
    en="the register's signed entry says something else of {entry}",
    zh="{entry} 與登錄系統已簽署的內容不符",
)
_OTHER_POLICY = Text(
    en="it names other thresholds than those installed here", zh="所列門檻政策與此處安裝者不同"
)
_NO_WEIGHTS = Text(
    en="the weights of {entry} are not in the artefact store", zh="產物庫中沒有 {entry} 的權重"
)
_NO_CLAIM = Text(
    en="{entry} has no pooled AUROC; give its claim with --claim",
    zh="{entry} 沒有合併 AUROC;請以 --claim 指定宣稱值",
)
