"""TF73x, TF742 and TF758: records of any noun, their moves, roles and signatures."""

from federation.errors.base import PlatformError
from federation.wording import Text


class RecordNotFoundError(PlatformError):
    """The register has no record of that noun and id, or not in that revision."""

    code = "TF734"
    what = Text(en="The register has no {noun} {id}.", zh="登錄系統中沒有 {noun} {id}。")
    next_step = Text(
        en="Check the id; list the records you may read.", zh="請核對編號,或列出您可查閱的紀錄。"
    )


class StaleRecordError(PlatformError):
    """A write named a revision that is no longer the newest."""

    code = "TF735"
    what = Text(
        en="{noun} {id} is at revision {current}, you saw {seen}; since then changed: {changed}.",
        zh="{noun} {id} 目前為第 {current} 版,您看到的是第 {seen} 版;其間變更:{changed}。",
    )
    next_step = Text(
        en="Read it again, and repeat your change on the newest revision.",
        zh="請重新讀取,並在最新版本上再次提出變更。",
    )


class RecordShapeError(PlatformError):
    """A record's content has fields that are missing, unknown or out of range."""

    code = "TF736"
    what = Text(
        en="The {noun} record is not valid: {problems}.", zh="{noun} 紀錄不符合規定:{problems}。"
    )
    next_step = Text(en="Correct every field named.", zh="請修正列出的每個欄位。")


class MoveNotListedError(PlatformError):
    """A move is not in the table for this state and this role."""

    code = "TF737"
    what = Text(
        en="A {noun} in state {state} cannot be moved by {move} in the role {role}.",
        zh="狀態為 {state} 的 {noun},角色 {role} 不得進行 {move}。",
    )
    next_step = Text(
        en="Look up who may make which move; nothing else is allowed.",
        zh="請查閱各角色可進行的移轉;未列出者一律不允許。",
    )


class SignatureRefusedError(PlatformError):
    """A signature does not count for the move it was given for."""

    code = "TF738"
    what = Text(
        en="The signature for {move} does not count: {why}.", zh="對 {move} 的簽署不予採計:{why}。"
    )
    next_step = Text(
        en="Have another person with the right role sign the newest revision.",
        zh="請由具備正確角色的另一人簽署最新版本。",
    )


class SeparationError(PlatformError):
    """One person or organisation would do what must be kept apart."""

    code = "TF739"
    what = Text(en="Acting as {role} is refused: {why}.", zh="不得以 {role} 的身分處理:{why}。")
    next_step = Text(
        en="Have another person do it, from the centre or organisation the role belongs to.",
        zh="請改由該角色所屬中心或機構的其他人員處理。",
    )


class ReasonMissingError(PlatformError):
    """A decision came without a reason."""

    code = "TF742"
    what = Text(en="{move} needs a reason in words.", zh="{move} 必須填寫理由。")
    next_step = Text(
        en="Write why, in one to 2,000 characters, naming no patient.",
        zh="請以 1 至 2,000 字說明理由,不得提及病人。",
    )


class PersonKeyError(PlatformError):
    """A person's own signature is by a key that may not sign this now."""

    code = "TF758"
    what = Text(
        en="The personal signature cannot be accepted: {why}.", zh="個人簽章無法接受:{why}。"
    )
    next_step = Text(
        en="Sign the newest revision with a key of yours that is valid today.",
        zh="請以您目前有效的金鑰簽署最新版本。",
    )
