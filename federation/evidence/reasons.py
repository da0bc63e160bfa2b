"""Why an item of a bundle does not hold: one sentence each, the same in both verifiers.

`federation.evidence.standalone`, which may import nothing of ours, says them word for
word again; a test compares.
"""

from enum import Enum

from federation.wording import Text


class Reason(Enum):
    """What is wrong with the item that is named with it."""

    UNREADABLE = Text(en="it is not a readable zip file", zh="不是可讀取的 zip 檔")
    MEMBERS = Text(
        en="its list of members is not as the register writes it", zh="成員清單的形式不符"
    )
    NAME = Text(en="a member's name is not allowed", zh="成員名稱不合規定")
    GAP = Text(en="bytes between its members were changed", zh="成員之間的位元組遭更動")
    MISSING = Text(en="it is missing", zh="缺少此項")
    EXTRA = Text(en="the manifest does not list it", zh="清單未列出此項")
    LARGE = Text(en="it is too large", zh="檔案過大")
    CHANGED = Text(en="its bytes were changed", zh="內容遭更動")
    FORM = Text(en="it does not have the agreed form", zh="格式不符約定")
    SIGNATURE = Text(
        en="it is not signed by the key that must sign it", zh="並非由應簽署的金鑰簽署"
    )
    NOT_YOURS = Text(en="it is not the trust root that you named", zh="與您指定的信任根不符")
    NOT_SIGNED = Text(en="it is not what was signed", zh="與所簽署的內容不同")
    NOT_NAMED = Text(en="it is not the one that the record names", zh="不是紀錄所指的那一份")
    OTHER_ENTRY = Text(en="it is about another entry", zh="屬於另一筆登錄")
    OTHER_RUN = Text(en="it is about another site, study or run", zh="屬於另一院所、研究或執行")
    SEQUENCE = Text(en="what came before it is missing", zh="缺少其先前的內容")
    PROOF = Text(en="its proof does not lead to the log's root", zh="證明無法導向紀錄簿的根")
    FORKED = Text(
        en="the log does not contain what it contained before", zh="紀錄簿未包含其先前的內容"
    )
    UNPROVED = Text(
        en="nothing proves it to be the log of your checkpoint", zh="無從證明與您的檢查點相符"
    )
    WITNESS = Text(en="a witness that you named did not co-sign it", zh="您指定的見證者未共同簽署")
    NO_CERTIFICATE = Text(en="the trust root certified no such key", zh="信任根未為此金鑰簽發憑證")
    WRONG_ROLE = Text(
        en="its signer may not sign this for this site", zh="簽署者無權代表該院簽署此項"
    )
    NOT_VALID_THEN = Text(
        en="nothing shows that its key was valid by then", zh="無法證明金鑰當時有效"
    )
    FIGURE = Text(en="it is not what the site signed", zh="與該院所簽署的內容不符")
    NOT_EVIDENCE = Text(en="it does not list the evidence that is here", zh="未如實列出此處的證據")
