"""TF79x: evidence bundles, what they rest on and what a reader holds against them."""

from federation.errors.base import PlatformError
from federation.wording import Text


class CertificateRefusedError(PlatformError):
    """A certificate or revocation list is not what the trust root issued."""

    code = "TF790"
    what = Text(en="The certificates cannot be relied on: {what}.", zh="憑證無法採信:{what}。")
    next_step = Text(
        en="Get the bundle again from the register that issued it.",
        zh="請向簽發的登錄系統重新取得證據包。",
    )


class FingerprintError(PlatformError):
    """What was given as a trust root's fingerprint is none."""

    code = "TF791"
    what = Text(
        en="{given} is not the fingerprint of a trust root.", zh="{given} 不是信任根的指紋。"
    )
    next_step = Text(
        en="Give `sha256:` and 64 hexadecimal digits, as the register publishes them.",
        zh="請提供登錄系統公布的 `sha256:` 加 64 位十六進位數字。",
    )


class KeptFileError(PlatformError):
    """A file that a reader holds against a bundle cannot be used."""

    code = "TF792"
    what = Text(en="The file {name} cannot be used: {why}.", zh="檔案 {name} 無法使用:{why}。")
    next_step = Text(
        en="Give the file you kept: a checkpoint, alone or with its proofs, or the weights.",
        zh="請提供您保存的檔案:檢查點(可附證明)或模型權重。",
    )


class ExportUnsoundError(PlatformError):
    """A bundle that was just written does not verify, so it does not leave the register."""

    code = "TF793"
    what = Text(
        en="The bundle of {entry} was not written: {item} in it does not hold, {why}.",
        zh="{entry} 的證據包未寫入:其中 {item} 不成立,{why}。",
    )
    next_step = Text(
        en="Run `trifed evidence log audit`; the register's database was changed, or lacks a part.",
        zh="請執行 `trifed evidence log audit`;登錄資料庫可能遭更動或缺漏。",
    )
