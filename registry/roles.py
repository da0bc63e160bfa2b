"""Who acts in the register, in which role, and which roles never meet in one person.

Rules (REGISTRY.md B.4), each a function that raises:
1. a role of a centre is held by that centre's people only;
2. one person never holds two roles on one record;
3. who signs is not an author of what is signed;
4. a centre's people never sign what their own organisation wrote;
5. what one organisation wrote no other one rewrites.
That a developer never approves is in the tables of moves: a seat that approves
cannot be given to DEV (`registry.records.moves.Seat`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from federation.errors.core import InvalidValueError
from federation.errors.moves import SeparationError
from federation.evidence.characters import UNSEEN
from federation.wording import Text

_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,79}")
_ORGANISATION = re.compile(f"[^\x00-\x1f{UNSEEN}]{{1,120}}")


class Role(Enum):
    """What somebody is to a record."""

    DEV = "DEV"
    HAO = "HAO"
    HAC = "HAC"
    DST = "DST"
    IRB = "IRB"
    SEC = "SEC"
    RAI_R = "RAI-R"
    RAI_A = "RAI-A"
    VAL_E = "VAL-E"
    VAL_A = "VAL-A"
    IMP_P = "IMP-P"
    IMP_S = "IMP-S"
    NHI_S = "NHI-S"
    NHI_C = "NHI-C"
    TFD = "TFD"
    CLI = "CLI"
    AUD = "AUD"
    PUB = "PUB"
    SUB = "SUB"
    CLOCK = "CLOCK"

    @property
    def title(self) -> Text:
        """Return the role's name for people."""
        return TITLES[self]


TITLES: dict[Role, Text] = {
    Role.DEV: Text(en="developer", zh="開發者或廠商"),
    Role.HAO: Text(en="hospital AI owner", zh="醫院 AI 負責人"),
    Role.HAC: Text(en="hospital AI committee", zh="醫院 AI 委員會"),
    Role.DST: Text(en="site data steward", zh="院端資料管理者"),
    Role.IRB: Text(en="ethics review board", zh="倫理審查委員會"),
    Role.SEC: Text(en="key custodian", zh="金鑰保管人"),
    Role.RAI_R: Text(en="registrar, responsible-AI centre", zh="負責任 AI 執行中心登錄人員"),
    Role.RAI_A: Text(en="reviewer, responsible-AI centre", zh="負責任 AI 執行中心審查人員"),
    Role.VAL_E: Text(en="evaluator, validation centre", zh="臨床 AI 取證驗證中心評估人員"),
    Role.VAL_A: Text(en="approver, validation centre", zh="臨床 AI 取證驗證中心核可人員"),
    Role.IMP_P: Text(en="study lead, impact centre", zh="AI 影響性研究中心計畫主持人"),
    Role.IMP_S: Text(en="statistician, impact centre", zh="AI 影響性研究中心統計人員"),
    Role.NHI_S: Text(en="health insurance staff", zh="健保署承辦人員"),
    Role.NHI_C: Text(en="health insurance review council", zh="健保署審議會"),
    Role.TFD: Text(en="TFDA liaison", zh="食藥署聯絡人"),
    Role.CLI: Text(en="clinical user", zh="臨床使用者"),
    Role.AUD: Text(en="auditor", zh="稽核人員"),
    Role.PUB: Text(en="public", zh="一般民眾"),
    Role.SUB: Text(en="data subject", zh="資料當事人"),
    Role.CLOCK: Text(en="the register's clock", zh="登錄系統時鐘"),
}

GRANTABLE = frozenset(Role) - {Role.CLOCK, Role.PUB}
"""What an account may hold: the clock is no person, and the public has no account."""


def role_named(name: str) -> Role:
    """Return the role of that name.

    Raises
    ------
    InvalidValueError
        If there is none, or none that a person may hold.
    """
    found = {role.value: role for role in GRANTABLE}.get(name.upper())
    if found is None:
        known = ", ".join(sorted(role.value for role in GRANTABLE))
        raise InvalidValueError(field="role", actual=repr(name[:20]), expected=known)
    return found


class Centre(Enum):
    """The three national centres (MOHW)."""

    RESPONSIBLE_AI = "responsible-ai"
    VALIDATION = "validation"
    IMPACT = "impact"


CENTRE_OF: dict[Role, Centre] = {
    Role.RAI_R: Centre.RESPONSIBLE_AI,
    Role.RAI_A: Centre.RESPONSIBLE_AI,
    Role.VAL_E: Centre.VALIDATION,
    Role.VAL_A: Centre.VALIDATION,
    Role.IMP_P: Centre.IMPACT,
    Role.IMP_S: Centre.IMPACT,
}

_NOT_OF_CENTRE = Text(
    en="this role belongs to a centre whose people alone hold it",
    zh="此角色僅限所屬中心的人員擔任",
)
_TWO_ROLES = Text(
    en="the same person already acted on this record in another role",
    zh="同一人已以其他角色處理過這筆紀錄",
)
_OWN_WORK = Text(en="the signer wrote what is to be signed", zh="簽署人即為內容的作者")
_ANOTHER_HOUSE = Text(
    en="the record belongs to another organisation",
    zh="此紀錄屬於其他機構",
)
_OWN_HOUSE = Text(
    en="the signer's organisation wrote what is to be signed",
    zh="內容由簽署人所屬的機構撰寫",
)


@dataclass(frozen=True, slots=True)
class Author:
    """Who acts: a person's account name, the role used, organisation and centre.

    Raises
    ------
    InvalidValueError
        If person or organisation is not a short name.
    """

    person: str
    role: Role
    organisation: str
    centre: Centre | None = None

    def __post_init__(self) -> None:
        for field, pattern in (("person", _PERSON), ("organisation", _ORGANISATION)):
            value = getattr(self, field)
            if not pattern.fullmatch(value):
                raise InvalidValueError(
                    field=field, actual=repr(value[:40]), expected="a short name in one line"
                )

    def as_json(self) -> dict[str, object]:
        """Return the author as recorded and signed."""
        return {
            "person": self.person,
            "role": self.role.value,
            "organisation": self.organisation,
            "centre": self.centre.value if self.centre else None,
        }

    @classmethod
    def of_json(cls, raw: dict[str, object]) -> "Author":
        """Return the author that `as_json` wrote; raises `ValueError` or `KeyError`."""
        centre = raw["centre"]
        return cls(
            str(raw["person"]),
            Role(raw["role"]),
            str(raw["organisation"]),
            None if centre is None else Centre(centre),
        )


CLOCK = Author("clock", Role.CLOCK, "register")
"""Who performs what the passing of time asks for."""


def check_author(author: Author, earlier: Iterable[Author]) -> None:
    """Return if `author` may write to a record that `earlier` ones wrote to or signed.

    Raises
    ------
    SeparationError
        If a role is not of the author's centre, or the person acted in another role.
    """
    if author.role is Role.CLOCK:
        return
    if CENTRE_OF.get(author.role, author.centre) is not author.centre:
        raise SeparationError(role=author.role.value, why=_NOT_OF_CENTRE)
    if any(one.person == author.person and one.role is not author.role for one in earlier):
        raise SeparationError(role=author.role.value, why=_TWO_ROLES)


def check_house(author: Author, first: Author) -> None:
    """Return if `author` is of the organisation that first wrote a record.

    Raises
    ------
    SeparationError
        If another organisation did.
    """
    if author.organisation != first.organisation:
        raise SeparationError(role=author.role.value, why=_ANOTHER_HOUSE)


def check_signer(signer: Author, *, wrote: Iterable[Author], acted: Iterable[Author]) -> None:
    """Return if `signer` may approve what `wrote` wrote.

    Raises
    ------
    SeparationError
        By the first of rules 1 to 4 that fails.
    """
    check_author(signer, acted)
    authors = tuple(wrote)
    if any(one.person == signer.person for one in authors):
        raise SeparationError(role=signer.role.value, why=_OWN_WORK)
    if signer.role in CENTRE_OF and any(one.organisation == signer.organisation for one in authors):
        raise SeparationError(role=signer.role.value, why=_OWN_HOUSE)
