"""Say a privacy guarantee in words, with all that a bare epsilon leaves out.

Unit, relation, (epsilon, delta), accountant, adversary, and what is not covered.
"""

from federation.evidence.model_version import Bilingual
from federation.wording import Language, Text

_PROMISE = Text(
    en=(
        "Whether or not any one patient of this hospital took part in this run changes the "
        "probability of anything that left the hospital as an update by at most the factor "
        "exp({epsilon}), except with probability {delta} (add/remove one patient, computed by "
        "{accountant}). This holds against everyone who sees the updates or the model. It does "
        "not cover: the hospital itself, counts and evaluation figures (released without noise, "
        "small ones suppressed), the same person treated at another hospital, and other studies "
        "on the same patients, which the hospital's ledger adds up."
    ),
    zh=(
        "本院任何一位病人是否參與此次訓練,對本院送出之模型更新的任何結果機率,影響至多為 "
        "exp({epsilon}) 倍,例外機率為 {delta}(以增減一位病人為單位,由 {accountant} 計算)。"
        "此保證對所有能看到更新或模型的人皆成立。不涵蓋:醫院本身、人數與評估數值"
        "(未加雜訊釋出,過小者隱匿)、同一人在他院就醫的資料,以及使用相同病人的其他研究"
        "(由本院的隱私帳本累計)。"
    ),
)
_NO_PROMISE = Text(
    en=(
        "Trained without differential privacy, as this hospital approved. The updates and the "
        "model may reveal something of single patients; no bound is promised."
    ),
    zh="經本院核准,未使用差分隱私訓練。模型更新與模型可能透露個別病人的資訊,不提供任何上限保證。",
)


def privacy_words(*, epsilon: float, delta: float, accountant: str) -> Bilingual:
    """Return what one site's patients were promised, in both languages."""
    fields = {"epsilon": f"{epsilon:.3g}", "delta": f"{delta:.0e}", "accountant": accountant}
    return Bilingual(
        zh=_PROMISE.say(Language.ZH_HANT_TW, **fields), en=_PROMISE.say(Language.EN, **fields)
    )


def no_privacy_words() -> Bilingual:
    """Return that nothing was promised, in both languages."""
    return Bilingual(zh=_NO_PROMISE.say(Language.ZH_HANT_TW), en=_NO_PROMISE.say(Language.EN))
