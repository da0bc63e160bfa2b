"""TF895-TF899: sums among hospitals of which nobody sees a part.

`why` and `thing` are texts in both languages, given by the caller. None of them holds
a number that a hospital counted.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class TooFewInSumError(PlatformError):
    """A sum of so few sites would show what one of them has."""

    code = "TF895"
    what = Text(
        en="A secure sum of {actual} sites was refused; it needs at least {fewest}.",
        zh="已拒絕 {actual} 家院所的安全加總;至少需要 {fewest} 家。",
    )
    next_step = Text(
        en="Wait for more sites, or invite more hospitals to the study.",
        zh="請等待更多院所,或邀請更多醫院參與研究。",
    )


class SumKeyRefusedError(PlatformError):
    """A site's key for a sum is not what the site's node signed for this sum."""

    code = "TF896"
    what = Text(
        en="A key for a secure sum was refused ({site}): {why}.",
        zh="已拒絕安全加總所用的金鑰({site}):{why}。",
    )
    next_step = Text(
        en="Nothing was sent. Start the run again for fresh keys; if it happens again, ask the "
        "centre and that site what they sent.",
        zh="沒有送出任何內容。請重新執行以取得新金鑰;若再發生,請向中心及該院查證所送內容。",
    )


class SumPeersRefusedError(PlatformError):
    """The sites of a sum are not those, with those keys, that a hospital can agree to."""

    code = "TF897"
    what = Text(
        en="The sites of a secure sum were refused: {why}.",
        zh="已拒絕安全加總的參與院所:{why}。",
    )
    next_step = Text(
        en="Compare the node keys that the study names with the hospitals themselves, for "
        "example by telephone, and ask the centre for a new study if one is wrong.",
        zh="請以電話等方式,直接與各院核對研究所列的節點金鑰;若有不符,請中心重新提出研究。",
    )


class SumNumbersRefusedError(PlatformError):
    """Numbers do not have the shape or size that the protocol declares."""

    code = "TF898"
    what = Text(
        en="The numbers of a secure sum were refused: {why}.",
        zh="已拒絕安全加總的數值:{why}。",
    )
    next_step = Text(
        en="Compare the versions of TriFed and the protocol at the sites, then run again.",
        zh="請比對各院的 TriFed 版本與計畫書,再重新執行。",
    )


class SumRepeatedError(PlatformError):
    """A second sum differs from the first, so that their difference would tell of few."""

    code = "TF899"
    what = Text(
        en="A second secure sum of the same thing was refused: {thing} changed since the first.",
        zh="已拒絕對同一內容的第二次安全加總:{thing}與第一次不同。",
    )
    next_step = Text(
        en="Launch again with the same sites and data, or propose a new study.",
        zh="請以相同院所與資料重新啟動,或提出新的研究。",
    )
